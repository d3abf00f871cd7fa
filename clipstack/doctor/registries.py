"""Checks of the registries that images are fetched from."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from clipstack.errors import UsageError
from clipstack.stack import containers
from clipstack.stack.check import Check, Level

_HUB = "registry-1.docker.io"


def registry_host(image: str) -> str:
    """The host of an image's registry, by the rules of
    https://github.com/distribution/reference/blob/main/normalize.go
    """
    first, slash, _ = image.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if named and first not in ("docker.io", "index.docker.io") else _HUB


def checks(images: Iterable[str], seconds: float) -> list[Check]:
    """HEAD https://HOST/v2/ of the registries of those images that Docker does not have.

    Args:
        images: names with tags.
        seconds: to wait for a response; any counts, as most registries ask for a token.
    """
    client = containers.client()
    by_host: dict[str, list[str]] = {}
    for image in sorted(images):
        if not containers.image_id(client, image):
            by_host.setdefault(registry_host(image), []).append(image)
    errors: dict[str, str] = {}
    threads = [
        threading.Thread(target=_request, args=(host, seconds, errors), daemon=True)
        for host in by_host
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return [
        _check(host, images, errors.get(host, f"no answer within {seconds:g} s"))
        for host, images in by_host.items()
    ]


def _request(host: str, seconds: float, errors: dict[str, str]) -> None:
    import httpx

    from clipstack import http_client

    try:
        with http_client.new_client(timeout=seconds) as client:
            client.head(f"https://{host}/v2/")
    except (httpx.HTTPError, UsageError) as error:
        errors[host] = " ".join(str(error).split()) or type(error).__name__
    else:
        errors[host] = ""


def _check(host: str, images: list[str], error: str) -> Check:
    registry = f"registry {host}"
    if not error:
        return Check(registry, Level.OK, f"{host} answers")
    return Check(
        registry,
        Level.WARN,
        f"{host} can't be reached from here ({error}), and has to provide {', '.join(images)}",
        "Go online, or set CLIPSTACK_..._IMAGE to images that are here or in a mirror.",
    )
