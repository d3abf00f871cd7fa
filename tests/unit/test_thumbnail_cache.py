"""Thumbnails: what they look like, when they are made anew, what is refused, how many are kept."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipstack.errors import ImageError, Reason
from clipstack.images.decode import Limits
from clipstack.thumbnail_cache import ExpectedFile, ThumbnailCache


def gradient(path: Path, size: tuple[int, int] = (640, 480), **options: object) -> str:
    Image.linear_gradient("L").convert("RGB").resize(size).save(path, **options)
    return str(path)


def opened(thumbnail: bytes) -> Image.Image:
    return Image.open(io.BytesIO(thumbnail))


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def thumbnails(tmp_path: Path) -> ThumbnailCache:
    return ThumbnailCache(tmp_path / "kept")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "bmp", "gif", "jp2", "tga"])
def test_a_small_webp_of_any_format(
    ending: str, tmp_path: Path, thumbnails: ThumbnailCache
) -> None:
    path = gradient(tmp_path / f"a.{ending}")
    made = opened(thumbnails.get(path, 100))
    assert (made.format, made.size) == ("WEBP", (100, 75))
    expected = np.asarray(Image.open(path).convert("RGB").resize((100, 75)), int)
    assert np.abs(thumbnails.pixels(path, 100).astype(int) - expected).mean() < 3


def test_shapes(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    small = gradient(tmp_path / "small.png", (30, 20))
    assert opened(thumbnails.get(small, 100)).size == (30, 20), "never enlarged"
    wide = gradient(tmp_path / "wide.png", (5000, 5))
    assert opened(thumbnails.get(wide, 100)).size == (100, 1)


def test_upright(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = gradient(tmp_path / "turned.jpg", (640, 480), exif=exif)
    assert opened(thumbnails.get(path, 100)).size == (75, 100)
    row = thumbnails.pixels(path, 100)[50, :, 0]
    assert row[0] > 200 > 50 > row[-1], "what is stored at the bottom is on the left"


def test_made_once_until_the_file_changes(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    path = gradient(tmp_path / "a.png")
    first = thumbnails.get(path, 100)
    file = kept(thumbnails.folder)[0]
    file.write_bytes(b"from the folder")
    assert thumbnails.get(path, 100) == b"from the folder"
    assert ThumbnailCache(thumbnails.folder).get(path, 100) == b"from the folder"
    assert opened(thumbnails.get(path, 50)).size == (50, 38), "another size is another thumbnail"
    facts = Path(path).stat()
    Image.new("RGB", (640, 480), "red").save(path)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert thumbnails.get(path, 100) not in (first, b"from the folder")


def test_what_is_kept_is_only_for_this_user(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    thumbnails.get(gradient(tmp_path / "a.png"), 100)
    modes = {path.stat().st_mode & 0o077 for path in thumbnails.folder.rglob("*")}
    assert modes == {0}
    assert thumbnails.folder.stat().st_mode & 0o077 == 0


def test_another_file_than_expected_is_refused(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    path = gradient(tmp_path / "a.png")
    facts = Path(path).stat()
    expected = ExpectedFile(facts.st_size, facts.st_mtime_ns)
    assert thumbnails.get(path, 100, expected=expected)
    for other in (
        ExpectedFile(facts.st_size + 1, facts.st_mtime_ns),
        ExpectedFile(facts.st_size, 0),
    ):
        with pytest.raises(ImageError) as refused:
            thumbnails.get(path, 100, expected=other)
        assert refused.value.reason is Reason.CHANGED


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    secret = gradient(tmp_path / "secret.png")
    path = tmp_path / "a.png"
    path.symlink_to(secret)
    facts = Path(secret).stat()
    same = ExpectedFile(facts.st_size, facts.st_mtime_ns)
    for expected in (None, same):
        with pytest.raises(ImageError) as refused:
            thumbnails.get(str(path), 100, expected=expected, follow=False)
        assert refused.value.reason is Reason.CHANGED
    assert kept(thumbnails.folder) == []
    assert thumbnails.get(str(path), 100, expected=same), "links are followed where they may be"


def test_a_file_that_becomes_a_link_between_look_and_read(
    tmp_path: Path, thumbnails: ThumbnailCache
) -> None:
    """Swap a file for a link and back while thumbnails are made: the link is never read."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (64, 64), (1, 255, 1)).save(secret)
    path, spare = tmp_path / "a.png", tmp_path / "spare"
    plain = Path(gradient(tmp_path / "plain.png", (64, 64))).read_bytes()
    path.write_bytes(plain)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for target in (secret, None):
                spare.unlink(missing_ok=True)
                if target:
                    spare.symlink_to(target)
                else:
                    spare.write_bytes(plain)
                spare.replace(path)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen: set[str] = set()
        deadline = time.monotonic() + 20
        for edge in itertools.count(20):
            try:
                pixels = thumbnails.pixels(str(path), edge % 300 + 1, follow=False)
                seen.add("picture")
                assert pixels[..., 0].mean() > 60, "the link's picture is green"
            except ImageError as error:
                seen.add(str(error.reason))
            if edge > 300 and seen >= {"picture", "changed"}:
                break
            assert time.monotonic() < deadline, seen
    finally:
        stop.set()
        swapping.join()


def test_unreadable_files(tmp_path: Path, thumbnails: ThumbnailCache) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    cut = Path(gradient(tmp_path / "cut.png"))
    cut.write_bytes(cut.read_bytes()[:300])
    reasons = {}
    for name in ("none.png", "empty.png", "text.png", "pipe.png", "cut.png", "nul\0.png"):
        with pytest.raises(ImageError) as refused:
            thumbnails.get(str(tmp_path / name), 100)
        reasons[name] = refused.value.reason
    assert reasons == {
        "none.png": Reason.VANISHED,
        "empty.png": Reason.EMPTY,
        "text.png": Reason.UNSUPPORTED,
        "pipe.png": Reason.UNREADABLE,
        "cut.png": Reason.TRUNCATED,
        "nul\0.png": Reason.UNREADABLE,
    }


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    small = ThumbnailCache(tmp_path / "kept", limits=Limits(max_pixels=10_000))
    with pytest.raises(ImageError) as refused:
        small.get(gradient(tmp_path / "a.png"), 100)
    assert refused.value.reason is Reason.TOO_LARGE


def test_what_was_used_least_lately_goes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(400):
        paths.append(str(tmp_path / f"{number}.png"))
        pixels = rng.integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    one = len(ThumbnailCache(tmp_path / "measure").get(paths[0]))
    limit = 64 * 4 * one
    thumbnails = ThumbnailCache(tmp_path / "kept", limit)
    thumbnails.get(paths[0])
    favourite = kept(thumbnails.folder)[0]
    for path in paths[1:]:
        thumbnails.get(path)
        thumbnails.get(paths[0])
        assert sum(file.stat().st_size for file in kept(thumbnails.folder)) <= limit
    assert favourite.exists(), "it was used all the time"
    assert len(kept(thumbnails.folder)) > 120


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    thumbnails = ThumbnailCache(tmp_path / "file" / "kept")
    path = gradient(tmp_path / "a.png")
    assert thumbnails.get(path, 100) == thumbnails.get(path, 100)


def test_threads_and_processes_at_once(tmp_path: Path) -> None:
    paths = [gradient(tmp_path / f"{n}.png", (200 + n, 100)) for n in range(20)]
    program = (
        "import sys, pathlib\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from clipstack.thumbnail_cache import ThumbnailCache\n"
        "kept = ThumbnailCache(pathlib.Path(sys.argv[1]), 64 * 3000)\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    for data in pool.map(lambda path: kept.get(path, 64), sys.argv[2:] * 10):\n"
        "        assert data[:4] == b'RIFF' and data[8:12] == b'WEBP'\n"
        "        assert len(data) == int.from_bytes(data[4:8], 'little') + 8\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "kept"), *paths]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for one in running:
        _, err = one.communicate(timeout=60)
        assert one.returncode == 0, err.decode()
    assert not [path for path in kept(tmp_path / "kept") if path.suffix != ".webp"]


def test_a_picture_asked_for_twice_at_once_is_made_once(
    tmp_path: Path, thumbnails: ThumbnailCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipstack.images import thumbnail

    made = []
    original = thumbnail.make
    monkeypatch.setattr(thumbnail, "make", lambda *a, **k: made.append(1) or original(*a, **k))
    path = gradient(tmp_path / "a.png", (3000, 2000))
    threads = [threading.Thread(target=thumbnails.get, args=(path, 64)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
