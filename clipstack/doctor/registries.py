"""Names of images in; whether the registries they would come from answer, out."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from clipstack.stack import containers
from clipstack.stack.check import Check, Level

_HUB = "registry-1.docker.io"


def host(image: str) -> str:
    """The registry of an image's name, by the rules of
    https://github.com/distribution/reference/blob/main/normalize.go
    """
    first, slash, _ = image.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if named and first not in ("docker.io", "index.docker.io") else _HUB


def checks(images: Iterable[str], seconds: float) -> list[Check]:
    """HEAD https://HOST/v2/ of the registries of those images that are not here, side by side.

    Args:
        images: names with tags.
        seconds: to wait for an answer; any answer counts, as most ask for a token.
    """
    wanted: dict[str, list[str]] = {}
    for image in _missing(images):
        wanted.setdefault(host(image), []).append(image)
    troubles: dict[str, str] = {}
    threads = [
        threading.Thread(target=_ask, args=(name, seconds, troubles), daemon=True)
        for name in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return [
        _check(name, images, troubles.get(name, f"no answer within {seconds:g} s"))
        for name, images in wanted.items()
    ]


def _missing(images: Iterable[str]) -> list[str]:
    from docker.errors import DockerException

    api = containers.client().api
    found = []
    for image in sorted(images):
        try:
            api.inspect_image(image)
        except DockerException:
            found.append(image)
    return found


def _ask(name: str, seconds: float, troubles: dict[str, str]) -> None:
    import httpx

    try:
        httpx.head(f"https://{name}/v2/", timeout=seconds)
    except httpx.HTTPError as error:
        troubles[name] = " ".join(str(error).split()) or type(error).__name__
    else:
        troubles[name] = ""


def _check(name: str, images: list[str], trouble: str) -> Check:
    registry = f"registry {name}"
    if not trouble:
        return Check(registry, Level.OK, f"{name} answers")
    return Check(
        registry,
        Level.WARN,
        f"{name} can't be reached from here ({trouble}), and is to give {', '.join(images)}",
        "Go online, or set CLIPSTACK_..._IMAGE to images that are here or in a mirror.",
    )
