"""Imports point down the design's list, and output stays where it belongs."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import clipstack

ROOT = Path(clipstack.__file__).parent
# A room, and the rooms it may import from.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "events": set(),
    "net": {"errors"},
    "interrupts": {"errors"},
    "http_client": {"net"},
    "retry": {"errors", "events"},
    "settings": {"errors", "net"},
    "images": {"errors"},
    "scenes": set(),
    "units": set(),
    "vectors": set(),
    "thumbnail_cache": {"errors", "settings", "images"},
    "encoders": {
        "errors",
        "interrupts",
        "events",
        "http_client",
        "settings",
        "images",
        "retry",
        "vectors",
    },
    "index": {"errors", "interrupts", "events", "net", "settings", "retry", "units"},
    "model_selection": {"errors", "events", "settings", "encoders", "index", "retry"},
    "ingest": {
        *("errors", "interrupts", "events", "settings", "images", "encoders", "index", "retry"),
        "model_selection",
    },
    "search": {
        *("errors", "events", "settings", "images", "encoders", "index", "model_selection"),
        *("http_client", "vectors"),
    },
    "tagging": {"errors", "events", "settings", "index", "model_selection"},
    "web": {"errors"},
    "service": {"errors", "settings", "images", "encoders", "web"},
    "page": {
        *("errors", "events", "net", "settings", "images", "index", "search", "thumbnail_cache"),
        *("web", "units"),
    },
    "demo": {"errors", "scenes", "encoders"},
    "bench": {"errors", "events", "settings", "images", "scenes", "encoders", "index", "units"},
    "stack": {
        *("errors", "events", "net", "http_client", "settings", "encoders", "service", "index"),
        *("interrupts", "retry", "units"),
    },
    "health": {
        *("errors", "net", "http_client", "settings", "encoders", "index", "model_selection"),
        "stack",
    },
    "doctor": {
        *("errors", "settings", "encoders", "index", "model_selection", "stack", "health"),
        *("http_client", "units"),
    },
    "output": {
        *("errors", "events", "settings", "images", "thumbnail_cache", "encoders", "index"),
        "ingest",
        *("search", "bench", "stack", "health", "doctor", "page", "tagging", "units"),
    },
    "cli": {
        *(
            "errors",
            "interrupts",
            "settings",
            "images",
            "encoders",
            "index",
            "model_selection",
            "ingest",
        ),
        *("search", "demo", "bench", "stack", "health", "doctor", "thumbnail_cache", "output"),
        *("page", "tagging", "units", "net"),
    },
}
# A library, and the only rooms, folders or modules that may import it.
ONLY_IN = {
    "typer": {"cli"},
    "rich": {"output"},
    "pymilvus": {"index/milvus"},
    "grpc": {"index/milvus"},
    "sqlite3": {"index/local"},
    "pyarrow": {"index/transfer"},
    "torch": {"encoders/torch", "encoders/openvino"},
    "transformers": {"encoders/torch"},
    "huggingface_hub": {"encoders/models"},
    "httpx": {
        *("encoders/remote", "search/url_fetch", "stack/console_urls", "health/probes"),
        *("doctor/clock_skew", "doctor/registries", "http_client"),
    },
    "openvino": {"encoders/openvino", "bench"},
    "nncf": {"encoders/openvino"},
    "tokenizers": {"encoders"},
    "sentencepiece": {"encoders"},
    "PIL": {"images", "scenes", "output/terminal"},
    "textual_image": {"output/terminal"},
    "bentoml": {"service", "stack/bento_build"},
    "_bentoml_sdk": {"service"},
    "subprocess": {
        *("stack/subprocesses", "stack/docker_cli", "encoders/subprocesses"),
        "output/terminal/detection",
    },
    "docker": {"stack/containers"},
    "requests": {"stack/docker_transport"},
    "urllib3": {"stack/docker_transport"},
    "psutil": {"stack/ports", "stack/stack_lock", "doctor/local", "index/local"},
    "starlette": {"service", "page", "web"},
    "uvicorn": {"page"},
    "python_multipart": {"web"},
    "prometheus_client": {"service"},
}


def _modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem[0] != "_")


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _is_in(path: Path, room: str) -> bool:
    """Whether a module is, or lies in, a room, folder or module such as "index/local"."""
    return path.relative_to(ROOT).with_suffix("").is_relative_to(room)


def _imports(path: Path) -> set[str]:
    """The modules that a module imports anywhere in it, and the names that it imports of them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    importer = _room(path)
    for name in _imports(path):
        top, _, rest = name.partition(".")
        if top == "clipstack":
            other = rest.partition(".")[0]
            allowed = ALLOWED[importer] | {importer, "__version__"}
            assert other in allowed, f"{importer} imports {name}"
        elif top in ONLY_IN:
            assert any(_is_in(path, room) for room in ONLY_IN[top]), f"{path} imports {name}"


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_output_prints_and_only_main_exits(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "input", "exit"}, f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) != ("sys", "exit"), f"line {node.lineno}"


def test_no_import_circles() -> None:
    """Of modules, imports within functions and for types included."""
    modules = {_module(path): path for path in ROOT.rglob("*.py")}
    graph = {
        module: {name if name in modules else name.rpartition(".")[0] for name in _imports(path)}
        & modules.keys() - {module}
        for module, path in modules.items()
    }
    TopologicalSorter(graph).prepare()


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")
