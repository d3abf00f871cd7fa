"""What the file system below a database can do."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

# WAL keeps its index in memory that processes share, which machines can't.
# Source: https://www.sqlite.org/wal.html, "must be on the same host computer".
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "webdav"),
    *("9p", "drvfs", "ceph", "lustre", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "sshfs"),
    *("fuse.davfs", "davfs", "beegfs", "gpfs", "ocfs2", "gfs2", "vboxsf", "fuse.rclone"),
}


def network_type(folder: Path) -> str:
    """The type of the network file system that `folder` lies on, such as "nfs4"; "" elsewhere."""
    import psutil

    path = os.path.realpath(folder)
    best, kind = "", ""
    with contextlib.suppress(OSError):  # no list of mounts to be had: taken as local
        for mount in psutil.disk_partitions(all=True):
            point = mount.mountpoint
            below = path == point or path.startswith(point.rstrip(os.sep) + os.sep)
            if below and len(point) >= len(best):
                best, kind = point, mount.fstype.lower()
    return kind if kind in _NETWORK else ""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync(handle: int) -> None:
    """Return once what was written to an open file is on the disk."""
    if sys.platform == "darwin":
        import fcntl

        # fsync leaves data in the disk's own cache; not every file system has F_FULLFSYNC.
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably; one that is there stays.

    Raises:
        OSError: it can't be made.
    """
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for parent in missing:
        sync_folder(parent.parent)


def vectors_folder(database: Path) -> Path:
    """The folder of the vectors files of the database at that path."""
    return database.with_name(f"{database.name}-vectors")
