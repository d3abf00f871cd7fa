"""What the documentation says is what the code does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from clipstack.images.formats import markdown_table

ROOT = Path(__file__).parent.parent.parent


def test_cli_reference_is_current() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tools'); import cli_reference as r; print(r.reference())"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    kept = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert made.strip() == kept.strip(), "run `python tools/cli_reference.py`"


def test_readme_has_the_table_of_formats() -> None:
    assert markdown_table().strip() in (ROOT / "README.md").read_text("utf-8")


def test_readme_links_lead_somewhere() -> None:
    import re

    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
