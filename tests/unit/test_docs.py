"""What the documentation says is what the code does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clipstack.images.formats import markdown_table

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *DOCS.glob("**/*.md")]


def test_cli_reference_is_current() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tools'); import cli_reference as r; print(r.reference())"
    )
    generated = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    page = (DOCS / "cli.md").read_text("utf-8")
    assert generated.strip() == page.strip(), "run `python tools/cli_reference.py`"


def test_formats_page_has_the_table_of_formats() -> None:
    assert markdown_table().strip() in (DOCS / "formats.md").read_text("utf-8")


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 700


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = _links(DOCS / "README.md")
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= contents


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _links(page: Path) -> set[str]:
    """The targets of a page's links that are files, with their anchors."""
    links = set(re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")))
    return {link for link in links if "://" not in link}


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, by GitHub's rule."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


NAMED = {
    (page, name)
    for page in [ROOT / "CONTRIBUTING.md", *DOCS.glob("adr/*.md")]
    for name in re.findall(r"`([a-z_0-9.]+/[a-z_0-9./]*|[a-z_0-9]+\.py)`", page.read_text("utf-8"))
    if not name.startswith("..")  # beside the repository
}


@pytest.mark.parametrize(
    ("page", "name"), sorted(NAMED), ids=lambda part: getattr(part, "stem", part)
)
def test_files_that_are_named_exist(page: Path, name: str) -> None:
    folders = (ROOT, ROOT / "clipstack")
    # A name without a path is of a file or folder in the one that the sentence is about.
    below = any(ROOT.glob(f"clipstack/**/{name}")) if "/" not in name.rstrip("/") else False
    assert below or any((folder / name).exists() for folder in folders)


def test_every_room_is_in_the_table_of_rooms() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rooms = [path for path in (ROOT / "clipstack").iterdir() if path.stem[:1] not in "_."]
    names = [f"{path.name}/" if path.is_dir() else path.name for path in rooms]
    assert [name for name in names if f"`{name}`" not in page and name != "py.typed"] == []
