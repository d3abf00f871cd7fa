"""Scanning finds every picture once, in a fixed order, and says what it can't read."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest

from clipstack.errors import ImageError, NotFoundError, Reason, UsageError
from clipstack.images.scan import ImageFile, scan


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))


def found(*sources, base: Path | None = None, **options) -> list[str]:
    """Paths below `base`, or file names, in the order of the scan."""
    paths = [Path(file.path) for file in scan(sources, **options)]
    return [str(path.relative_to(base)) if base else path.name for path in paths]


def with_errors(*sources, **options) -> tuple[list[ImageFile], list[ImageError]]:
    errors: list[ImageError] = []
    return list(scan(sources, on_error=errors.append, **options)), errors


def test_a_record_has_path_size_and_time(tmp_path):
    make(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    (file,) = scan([tmp_path])
    assert file == ImageFile(str(tmp_path / "a.jpg"), 5, 1_234_567_890_123_456_789)


def test_files_come_before_subfolders_and_all_are_sorted(tmp_path):
    make(tmp_path, "b.jpg", "a.png", "z.gif", "c/2.jpg", "c/1.jpg", "a/x.jpg", "c/d/0.jpg")
    assert found(tmp_path, base=tmp_path) == [
        "a.png", "b.jpg", "z.gif", "a/x.jpg", "c/1.jpg", "c/2.jpg", "c/d/0.jpg",
    ]  # fmt: skip


def test_only_pictures_are_taken_from_folders(tmp_path):
    make(tmp_path, "a.jpg", "b.txt", "c", "d.JPG", "e.jpg.bak", "f.jpeg")
    assert found(tmp_path) == ["a.jpg", "d.JPG", "f.jpeg"]
    assert found(tmp_path, extensions={".txt"}) == ["b.txt"]


def test_hidden_and_generated_files_are_left_out(tmp_path):
    make(
        tmp_path, "a.jpg", ".b.jpg", "._a.jpg", ".thumbnails/c.jpg", "@eaDir/d.jpg",
        "__MACOSX/e.jpg", "f/@eaDir/g.jpg", "#recycle/h.jpg", "f/ok.jpg",
    )  # fmt: skip
    assert found(tmp_path, base=tmp_path) == ["a.jpg", "f/ok.jpg"]


def test_hidden_files_and_folders_that_are_named_are_taken(tmp_path):
    make(tmp_path, ".hidden.jpg", ".folder/a.jpg", ".folder/.b.jpg", "@eaDir/c.jpg")
    assert found(tmp_path / ".hidden.jpg") == [".hidden.jpg"]
    assert found(tmp_path / ".folder", tmp_path / "@eaDir") == ["a.jpg", "c.jpg"]


def test_without_subfolders(tmp_path):
    make(tmp_path, "a.jpg", "b/c.jpg")
    (tmp_path / "d").symlink_to("b")
    assert found(tmp_path, recursive=False) == ["a.jpg"]


def test_a_named_file_is_taken_whatever_its_extension(tmp_path):
    make(tmp_path, "a.dat", "b")
    assert found(tmp_path / "a.dat", tmp_path / "b") == ["a.dat", "b"]


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    make(tmp_path, "x/a.jpg")
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in scan(["x/../x/./a.jpg"])] == [str(tmp_path / "x/a.jpg")]
    assert [file.path for file in scan(["x"])] == [str(tmp_path / "x/a.jpg")]


class TestLinks:
    def test_links_to_files_and_folders_are_followed(self, tmp_path):
        make(tmp_path, "real/a.jpg", "other/b.jpg")
        (tmp_path / "real/link.png").symlink_to("../other/b.jpg")
        (tmp_path / "real/more").symlink_to("../other")
        assert found(tmp_path / "real") == ["a.jpg", "link.png", "b.jpg"]

    def test_loops_end(self, tmp_path):
        make(tmp_path, "a/b/x.jpg")
        (tmp_path / "a/b/up").symlink_to("..")
        (tmp_path / "a/b/top").symlink_to(tmp_path)
        (tmp_path / "a/self").symlink_to(".")
        assert found(tmp_path, base=tmp_path) == ["a/b/x.jpg"]

    def test_two_folders_that_link_to_each_other(self, tmp_path):
        make(tmp_path, "a/1.jpg", "b/2.jpg")
        (tmp_path / "a/b").symlink_to("../b")
        (tmp_path / "b/a").symlink_to("../a")
        assert found(tmp_path, base=tmp_path) == ["a/1.jpg", "b/2.jpg"]
        assert found(tmp_path / "a", base=tmp_path) == ["a/1.jpg", "a/b/2.jpg"]

    def test_the_real_path_of_a_folder_comes_before_that_through_a_link(self, tmp_path):
        make(tmp_path, "z/deep/x.jpg")
        (tmp_path / "a").symlink_to("z/deep")
        assert found(tmp_path, base=tmp_path) == ["z/deep/x.jpg"]

    def test_a_link_to_itself_and_one_to_nothing_are_reported(self, tmp_path):
        make(tmp_path, "a.jpg")
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        (tmp_path / "gone.jpg").symlink_to("nowhere")
        (tmp_path / "gone.txt").symlink_to("nowhere")
        files, errors = with_errors(tmp_path)
        assert len(files) == 1
        assert {(Path(e.path).name, e.reason) for e in errors} == {
            ("loop.jpg", Reason.UNREADABLE),
            ("gone.jpg", Reason.VANISHED),
        }


class TestGlobs:
    @pytest.fixture
    def tree(self, tmp_path):
        make(
            tmp_path, "a.jpg", "b.png", "c.dat", "2023/x.jpg", "2024/y.jpg", "2024/may/z.jpg",
            "2024/.hidden/h.jpg", "@eaDir/e.jpg", ".dot.jpg",
        )  # fmt: skip
        return tmp_path

    @pytest.mark.parametrize(
        ("pattern", "wanted"),
        [
            ("*.jpg", ["a.jpg"]),
            ("*", ["x.jpg", "y.jpg", "z.jpg", "a.jpg", "b.png"]),
            ("*.dat", ["c.dat"]),
            ("202?/*.jpg", ["x.jpg", "y.jpg"]),
            ("2024*", ["y.jpg", "z.jpg"]),
            ("20[12]4/**/*.jpg", ["y.jpg", "z.jpg"]),
            ("**/*.jpg", ["a.jpg", "x.jpg", "y.jpg", "z.jpg"]),
            ("**/may", ["z.jpg"]),
            ("**/may/*", ["z.jpg"]),
            (".*.jpg", [".dot.jpg"]),
            ("[ab].*", ["a.jpg", "b.png"]),
        ],
    )
    def test_patterns(self, tree, pattern, wanted):
        assert found(tree / pattern) == wanted

    def test_everything_below(self, tree):
        assert sorted(found(tree / "**")) == ["a.jpg", "b.png", "x.jpg", "y.jpg", "z.jpg"]

    def test_a_file_whose_name_looks_like_a_pattern(self, tmp_path):
        make(tmp_path, "x[1].jpg", "x1.jpg", "what?.jpg")
        assert found(tmp_path / "x[1].jpg") == ["x[1].jpg"]
        assert found(tmp_path / "what?.jpg") == ["what?.jpg"]

    def test_a_pattern_below_a_loop_ends(self, tree):
        (tree / "2024/loop").symlink_to("..")
        names = found(tree / "**/*.jpg")
        assert set(names) == {"a.jpg", "x.jpg", "y.jpg", "z.jpg"}

    def test_a_pattern_that_matches_nothing(self, tree):
        with pytest.raises(NotFoundError, match=r"\*\.gif"):
            scan([tree / "*.gif"])


class TestOverlaps:
    def test_a_source_that_comes_twice(self, tmp_path):
        make(tmp_path, "a.jpg", "b/c.jpg")
        assert found(tmp_path, tmp_path, f"{tmp_path}/", tmp_path / "b" / "..") == [
            "a.jpg",
            "c.jpg",
        ]

    def test_a_folder_and_what_is_in_it(self, tmp_path):
        make(tmp_path, "a.jpg", "b/c.jpg", "b/d.dat")
        sources = (tmp_path / "b" / "c.jpg", tmp_path / "b", tmp_path, tmp_path / "a.jpg")
        assert sorted(found(*sources)) == ["a.jpg", "c.jpg"]
        assert sorted(found(*sources, tmp_path / "b/d.dat")) == ["a.jpg", "c.jpg", "d.dat"]

    def test_what_the_folder_leaves_out_is_taken_when_named(self, tmp_path):
        make(tmp_path, "a.jpg", ".hidden.jpg", ".folder/x.jpg", "sub/y.jpg")
        sources = (tmp_path, tmp_path / ".hidden.jpg", tmp_path / ".folder")
        assert sorted(found(*sources)) == [".hidden.jpg", "a.jpg", "x.jpg", "y.jpg"]
        flat = found(tmp_path, tmp_path / "sub", tmp_path / "sub/y.jpg", recursive=False)
        assert flat == ["a.jpg", "y.jpg"]

    def test_a_folder_whose_name_begins_with_that_of_another(self, tmp_path):
        make(tmp_path, "a/1.jpg", "ab/2.jpg")
        assert found(tmp_path / "a", tmp_path / "ab") == ["1.jpg", "2.jpg"]

    def test_patterns(self, tmp_path):
        make(tmp_path, "a.jpg", "b.jpg", "c/d.jpg", "c/.h.jpg", "e.dat")
        sources = [
            tmp_path / "*.jpg",
            tmp_path / "a*",
            tmp_path / "**/*.jpg",
            tmp_path / "a.jpg",
            tmp_path / "*",
            tmp_path / "e.dat",
            tmp_path / "c/.h.jpg",
        ]
        assert sorted(found(*sources)) == [".h.jpg", "a.jpg", "b.jpg", "d.jpg", "e.dat"]
        assert sorted(found(*sources, tmp_path / "c")) == [
            ".h.jpg", "a.jpg", "b.jpg", "d.jpg", "e.dat",
        ]  # fmt: skip


class TestLists:
    def listed(self, data: bytes, *more, **options):
        return with_errors("-", *more, stdin=io.BytesIO(data), **options)

    def test_newlines(self, tmp_path):
        make(tmp_path, "a b.jpg", "c.dat")
        files, errors = self.listed(f"{tmp_path}/a b.jpg\n\n{tmp_path}/c.dat".encode())
        assert [Path(f.path).name for f in files] == ["a b.jpg", "c.dat"]
        assert not errors

    def test_nuls_allow_newlines_in_names(self, tmp_path):
        make(tmp_path, "a\nb.jpg", "c.jpg")
        files, errors = self.listed(f"{tmp_path}/a\nb.jpg\0{tmp_path}/c.jpg\0".encode())
        assert [Path(f.path).name for f in files] == ["a\nb.jpg", "c.jpg"]
        assert not errors

    def test_names_across_the_pieces_that_are_read(self, tmp_path):
        names = [f"{i:05d}-{'x' * 190}.jpg" for i in range(1000)]
        make(tmp_path, *names)
        text = "".join(f"{tmp_path}/{name}\n" for name in names)
        assert len(text) > 1 << 17
        files, errors = self.listed(text.encode())
        assert [Path(f.path).name for f in files] == names
        assert not errors

    def test_a_missing_path_is_reported(self, tmp_path):
        make(tmp_path, "a.jpg")
        files, errors = self.listed(f"{tmp_path}/no.jpg\n{tmp_path}/a.jpg\n".encode())
        assert [Path(f.path).name for f in files] == ["a.jpg"]
        assert [(Path(e.path).name, e.reason) for e in errors] == [("no.jpg", Reason.VANISHED)]

    def test_repeated_paths_and_folders_that_are_listed(self, tmp_path):
        """As `find folder` prints them, and once more."""
        make(tmp_path, "x/a.jpg", "x/y/b.jpg")
        lines = f"{tmp_path}/x\n{tmp_path}/x/a.jpg\n{tmp_path}/x/y\n{tmp_path}/x/y/b.jpg\n"
        files, _ = self.listed(lines.encode() * 2)
        assert [Path(f.path).name for f in files] == ["a.jpg", "b.jpg"]
        backwards = "".join(f"{line}\n" for line in reversed(lines.split()))
        files, _ = self.listed(backwards.encode())
        assert sorted(Path(f.path).name for f in files) == ["a.jpg", "b.jpg"]
        files, _ = self.listed(lines.encode(), tmp_path)
        assert sorted(Path(f.path).name for f in files) == ["a.jpg", "b.jpg"]

    def test_without_a_stream(self):
        with pytest.raises(UsageError):
            scan(["-"])


class TestOddNames:
    @pytest.mark.parametrize(
        "name",
        ["a b.jpg", "a\nb.jpg", "[x]*?.jpg", "猫 🐈.jpg", "-.jpg", "a'\"$`\\.jpg", "e\u0301.jpg"],
    )
    def test_any_name_is_kept(self, name, tmp_path):
        make(tmp_path, name)
        assert [Path(f.path).name for f in scan([tmp_path])] == [name]
        assert [Path(f.path).name for f in scan([tmp_path / name])] == [name]

    def test_a_file_name_that_is_not_utf_8_is_reported(self, tmp_path):
        make(tmp_path, "ok.jpg")
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")).write_bytes(b"x")
        files, errors = with_errors(tmp_path)
        assert [Path(f.path).name for f in files] == ["ok.jpg"]
        (error,) = errors
        assert error.reason is Reason.UNREADABLE
        assert "UTF-8" in error.detail
        assert error.path == f"{tmp_path}/\\xff\\xfe.jpg"
        error.message.encode()

    def test_a_folder_name_that_is_not_utf_8_is_reported_once(self, tmp_path):
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9"))
        make(folder, "a.jpg", "b.jpg")
        files, errors = with_errors(tmp_path)
        assert not files
        assert [e.path for e in errors] == [f"{tmp_path}/\\xe9t\\xe9"]


class TestFaults:
    def test_a_missing_source_is_an_error_at_once(self, tmp_path):
        with pytest.raises(NotFoundError, match="no-such-folder"):
            scan([tmp_path / "no-such-folder"])

    def test_a_file_that_vanishes_during_the_scan(self, tmp_path):
        make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
        errors: list[ImageError] = []
        files = scan([tmp_path], on_error=errors.append)
        assert next(files).path.endswith("a.jpg")
        (tmp_path / "b.jpg").unlink()
        assert [Path(f.path).name for f in files] == ["c.jpg"]
        assert [(Path(e.path).name, e.reason) for e in errors] == [("b.jpg", Reason.VANISHED)]

    def test_a_folder_that_vanishes_during_the_scan(self, tmp_path):
        make(tmp_path, "a.jpg", "x/b.jpg", "y/c.jpg")
        errors: list[ImageError] = []
        files = scan([tmp_path], on_error=errors.append)
        next(files)
        (tmp_path / "x/b.jpg").unlink()
        (tmp_path / "x").rmdir()
        assert [Path(f.path).name for f in files] == ["c.jpg"]
        assert [(Path(e.path).name, e.reason) for e in errors] == [("x", Reason.VANISHED)]

    def test_pipes_and_devices_are_reported_and_not_opened(self, tmp_path):
        make(tmp_path, "a.jpg")
        os.mkfifo(tmp_path / "b.jpg")
        (tmp_path / "c.jpg").symlink_to("/dev/zero")
        files, errors = with_errors(tmp_path)
        assert len(files) == 1
        assert [e.reason for e in errors] == [Reason.UNREADABLE] * 2

    def test_a_folder_that_is_named_like_a_picture_is_entered(self, tmp_path):
        make(tmp_path, "x.jpg/y.jpg")
        files, errors = with_errors(tmp_path)
        assert [Path(f.path).name for f in files] == ["y.jpg"]
        assert not errors

    def test_a_folder_without_permission(self, open_folder, ordinary_user):
        make(open_folder, "a.jpg", "secret/b.jpg")
        (open_folder / "secret").chmod(0)
        with ordinary_user:
            files, errors = with_errors(open_folder)
        (open_folder / "secret").chmod(0o700)
        assert [Path(f.path).name for f in files] == ["a.jpg"]
        assert [e.reason for e in errors] == [Reason.PERMISSION]

    def test_a_name_longer_than_the_system_allows(self):
        files, errors = with_errors("-", stdin=io.BytesIO(b"x" * 5000))
        assert not files
        assert [e.reason for e in errors] == [Reason.UNREADABLE]


def test_memory_does_not_grow_with_the_number_of_folders(tmp_path):
    for i in range(100):
        make(tmp_path, *(f"{i:03d}/{j:03d}-{'x' * 60}.jpg" for j in range(50)))
    files = scan([tmp_path])
    next(files)
    tracemalloc.start()
    count = sum(1 for _ in files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4999
    assert peak < 200_000
