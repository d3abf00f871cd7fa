"""An installation works without the repository: by pip, uv and pipx, from a clone and a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from clipstack import __version__
from clipstack.stack.build_context import uv_settings
from tests.packaging.repository import ROOT, build, copy_to
from tests.shared import SHARED

PROGRAMS = Path(sys.executable).parent
CONSTRAINTS = ROOT / "constraints.txt"
# They need neither Docker nor files of the repository.
CLI_TESTS = ("help", "demo", "collections", "search", "target", "tag")


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as outside the repository."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command],
        env=environment | {"PIP_NO_COMPILE": "1"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def output_of(*command: object, **variables: str) -> str:
    """Run a program that must succeed; returns its stdout."""
    done = run(*command, **variables)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def by_pip(source: Path, folder: Path) -> Path:
    pip = folder / "bin" / "pip"
    if pip.exists():  # with all dependencies, which take a minute
        output_of(pip, "uninstall", "-q", "-y", "clipstack-search")
    else:
        output_of(sys.executable, "-m", "venv", folder)
    output_of(pip, "install", "-q", "-c", CONSTRAINTS, source)
    return folder / "bin" / "clipstack"


def by_uv(source: Path, folder: Path) -> Path:
    variables = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    command = (PROGRAMS / "uv", "tool", "install", "-c", CONSTRAINTS, source)
    output_of(*command, **variables, **uv_settings(os.environ))
    return folder / "bin" / "clipstack"


def by_pipx(source: Path, folder: Path) -> Path:
    variables = {"PIPX_HOME": str(folder / "home"), "PIPX_BIN_DIR": str(folder / "bin")}
    command = (PROGRAMS / "pipx", "install", "--pip-args", f"--constraint {CONSTRAINTS}", source)
    output_of(*command, **variables, **uv_settings(os.environ))
    return folder / "bin" / "clipstack"


@pytest.fixture(scope="module")
def package_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where packages come from. Where the other test material is, it must be reachable."""
    target = tmp_path_factory.mktemp("download")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        target,
        "hatchling",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not SHARED.is_dir():
        pytest.skip("needs a package index")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_to(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(clone, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def pip_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pip") / "installed"


@pytest.mark.packages
@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("source", ["clone", "wheel"])
@pytest.mark.parametrize("install", [by_pip, by_uv, by_pipx])
def test_an_installation_runs_the_demo(
    install: Callable[[Path, Path], Path],
    source: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    pip_environment: Path,
) -> None:
    folder = pip_environment if install is by_pip else tmp_path / "installed"
    clipstack = install(request.getfixturevalue(source), folder)
    assert output_of(clipstack, "--version") == f"clipstack {__version__}\n"
    assert "circle" in output_of(clipstack, "demo")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel, and the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    output_of(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    output_of(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Files *.pth in that folder, such as that of the editable installation, are not read.
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib"))
    location = output_of(python, "-P", "-c", "import clipstack; print(clipstack.__file__)")
    assert Path(location.strip()).is_relative_to(packages)
    return folder / "bin"


@pytest.fixture
def variables(installed: Path, tmp_path: Path) -> dict[str, str]:
    path = f"{installed}{os.pathsep}{os.environ['PATH']}"
    own = {"BENTOML_HOME": str(tmp_path / "bentoml"), "PATH": path, "CLIPSTACK_MODEL": "shapes"}
    return own | uv_settings(os.environ)


@pytest.mark.parametrize("line", ["--help", "demo"])
def test_the_wheel_alone_runs(line: str, installed: Path, variables: dict[str, str]) -> None:
    assert output_of(installed / "clipstack", line, **variables)


@pytest.mark.packages
@pytest.mark.usefixtures("package_index")
def test_the_wheel_alone_builds_a_bento(installed: Path, variables: dict[str, str]) -> None:
    command = (installed / "clipstack", "build", "--no-containerize", "--quiet")
    assert output_of(*command, **variables).startswith("clip_image_vectorizer:")


def test_the_wheel_alone_plans_a_stack(installed: Path, variables: dict[str, str]) -> None:
    done = run(installed / "clipstack", "up", "--dry-run", **variables)
    # Without Docker, or without the encoder's image, it says what is missing.
    assert done.returncode in (0, 4)
    assert "milvus" in done.stdout or "Docker" in done.stderr
    read = "from clipstack.settings import stack_variables as v; print(*v.defaults())"
    assert "CLIPSTACK_MILVUS_IMAGE" in output_of(installed / "python", "-P", "-c", read)


def test_the_wheel_alone_passes_tests_of_the_command_line(
    installed: Path, clone: Path, tmp_path: Path
) -> None:
    for name in ("tests", "pyproject.toml", "tools"):
        (tmp_path / name).symlink_to(clone / name)
    tests = [tmp_path / "tests" / "cli" / f"test_{name}.py" for name in CLI_TESTS]
    options = ("--rootdir", tmp_path, "-c", tmp_path / "pyproject.toml", "-p", "no:cacheprovider")
    output = output_of(installed / "python", "-m", "pytest", "-q", *options, *tests)
    assert " passed" in output
