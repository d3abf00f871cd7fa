"""An address in, a MilvusClient on it out, without the pandas and requests it never needs here.

pymilvus imports pandas for callers who hand it data frames, and requests for Zilliz' global
clusters: two thirds of its half second. Inside `imports()` both are stand-ins; whoever calls
something of theirs gets the real thing.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_ABSENT = ("pandas", "pandas.api", "pandas.api.types", "requests", "requests.exceptions")
_LOCK = threading.Lock()


def client(**options: Any) -> MilvusClient:
    """A MilvusClient with these options. Its log stays silent: errors are told by `faults`."""
    with imports():
        from pymilvus import MilvusClient

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return MilvusClient(**options)


def warm_up() -> None:
    """Import pymilvus."""
    with imports():
        importlib.import_module("pymilvus")


@contextmanager
def imports() -> Iterator[None]:
    """Around `from pymilvus import ...`."""
    with _LOCK:
        if "pymilvus" in sys.modules or any(name in sys.modules for name in ("pandas", "requests")):
            yield
            return
        made = {name: _StandIn(name) for name in _ABSENT}
        sys.modules.update(made)
        try:
            yield
        finally:
            for name in made:
                sys.modules.pop(name, None)


class _StandIn(ModuleType):
    """A module whose classes nothing is an instance of, and whose functions are the real ones."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        if full in _ABSENT:
            return sys.modules.get(full) or _StandIn(full)
        found: Any = _class(name) if name[0].isupper() else _function(self.__name__, name)
        setattr(self, name, found)
        return found


def _class(name: str) -> type:
    base = Exception if name.endswith(("Exception", "Error")) else object
    return type(name, (base,), {})


def _function(module: str, name: str) -> Callable[..., Any]:
    def real(*args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **options)

    return real
