"""The file system that a database is on: its type, durable writes, the folder of vectors."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

# The WAL index is in memory that processes of one machine share.
# Source: https://www.sqlite.org/wal.html, "must be on the same host computer".
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "webdav"),
    *("9p", "drvfs", "ceph", "lustre", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "sshfs"),
    *("fuse.davfs", "davfs", "beegfs", "gpfs", "ocfs2", "gfs2", "vboxsf", "fuse.rclone"),
}


def network_filesystem(folder: Path) -> str:
    """The type of the network file system that `folder` is on, such as "nfs4", or ""."""
    import psutil

    path = os.path.realpath(folder)
    mount_point, kind = "", ""
    with contextlib.suppress(OSError):  # without a list of mounts, it counts as local
        for mount in psutil.disk_partitions(all=True):
            point = mount.mountpoint
            contains = path == point or path.startswith(point.rstrip(os.sep) + os.sep)
            if contains and len(point) >= len(mount_point):
                mount_point, kind = point, mount.fstype.lower()
    return kind if kind in _NETWORK else ""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    with contextlib.suppress(OSError):  # Windows can't open folders
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync(fd: int) -> None:
    """Flush an open file to the disk."""
    if sys.platform == "darwin":
        import fcntl

        # fsync leaves data in the disk's own cache; not every file system supports F_FULLFSYNC.
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, durably.

    Raises:
        OSError: it can't be created.
    """
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for parent in missing:
        sync_folder(parent.parent)


def vectors_folder(database: Path) -> Path:
    """The folder with the vector files of the database at that path."""
    return database.with_name(f"{database.name}-vectors")
