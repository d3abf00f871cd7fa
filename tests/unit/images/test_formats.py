"""Every extension of the table is found by a scan and decoded to the right pixels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from clipstack.images import formats
from clipstack.images.decode import decode, read_file
from clipstack.images.scan import scan
from tests.unit.images.samples import HEIGHT, SAMPLES, WIDTH


@pytest.mark.parametrize("extension", sorted(formats.EXTENSIONS))
def test_a_file_of_every_extension_is_found_and_decoded(extension, tmp_path):
    sample = SAMPLES[extension]()
    (tmp_path / f"picture{extension}").write_bytes(sample.data)

    (found,) = scan([tmp_path])
    picture = decode(read_file(found.path), None, path=found.path)

    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert picture.format == formats.BY_EXTENSION[extension].name
    assert picture.pixels.dtype == np.uint8
    difference = np.abs(picture.pixels.astype(int) - sample.expected)
    assert difference.mean() <= sample.tolerance


@pytest.mark.parametrize("extension", sorted(formats.EXTENSIONS))
def test_capitals_in_the_extension_are_the_same(extension, tmp_path):
    (tmp_path / f"PICTURE{extension.upper()}").write_bytes(b"anything")
    assert len(list(scan([tmp_path]))) == 1


@pytest.mark.parametrize("format_", formats.FORMATS, ids=lambda f: f.name)
def test_the_kind_is_found_from_the_bytes(format_):
    head = SAMPLES[format_.extensions[0]]().data[: formats.HEAD]
    assert formats.sniff(head) is (None if format_ is formats.TGA else format_)


def test_no_extension_belongs_to_two_formats():
    assert sum(len(f.extensions) for f in formats.FORMATS) == len(formats.EXTENSIONS)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\xef\xbb\xbf<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"just some text", "text"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\1\2\3\4\5\6\7", "not a known kind"),
    ],
)
def test_a_stranger_is_named(head, words):
    assert formats.sniff(head) is None
    assert words in formats.describe_unknown(head)


def test_the_table_for_the_readme_has_every_extension():
    table = formats.markdown_table()
    assert all(f"`{extension}`" in table for extension in formats.EXTENSIONS)
    assert len(table.splitlines()) == len(formats.FORMATS) + 2


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("clipstack.images.formats", {"PIL", "numpy"}),
        ("clipstack.images.scan", {"PIL", "numpy"}),
        ("clipstack.images.decode", {"torch", "typer", "rich", "pymilvus"}),
    ],
)
def test_modules_import_nothing_they_do_not_need(module, unwanted):
    code = f"import {module}, sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unwanted & set(done.stdout.split())
