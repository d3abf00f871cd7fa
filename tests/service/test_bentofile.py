"""What a bento and its image carry: modules of clipstack, and of libraries."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clipstack.service import container_image

ROOT = Path(__file__).parents[2]
LIST_MODULES = """
import sys
import clipstack.service.bento
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] == "clipstack":
        print(module.__file__)
"""


def test_bentofile_includes_every_module():
    bentofile = yaml.safe_load((ROOT / "bentofile.yaml").read_text("utf-8"))
    included = [ROOT / path for path in bentofile["include"]]
    command = [sys.executable, "-c", LIST_MODULES]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    modules = [Path(line) for line in output.splitlines()]
    assert modules
    missing = [
        module for module in modules if not any(module.is_relative_to(path) for path in included)
    ]
    assert missing == [], "add these to bentofile.yaml"


@pytest.mark.parametrize("engine", sorted(container_image.WARM_UP))
def test_modules_compiled_in_the_image_exist(engine):
    """One of them is private to BentoML: its web application, which `bentoml serve` imports."""
    names = container_image.WARM_UP[engine].removeprefix("import ").split(", ")
    for name in names:
        assert importlib.util.find_spec(name), f"{name} is gone: change WARM_UP"
