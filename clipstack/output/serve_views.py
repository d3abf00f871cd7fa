"""Views of a service that runs on this machine."""

from __future__ import annotations

from clipstack.output.out import View
from clipstack.stack.local_service import LocalService


def serving(service: LocalService) -> View:
    """Where a service that is about to start will be."""
    values = {
        "url": service.url,
        "docs": f"{service.url}/",
        "ready": f"{service.url}/readyz",
        "model": service.model.name,
        "workers": service.workers,
    }
    return View(json=values, quiet=[service.url])


def hints(service: LocalService) -> str:
    """Where it is for a person, with commands to try."""
    url, post = service.url, f"curl {service.url}"
    return (
        f"The model {service.model.name} on {url}, described at {url}/. Ctrl-C stops it.\n"
        f"Try, once {url}/readyz answers 200:\n"
        f"  {post}/vectorize_text -H 'Content-Type: text/plain' -d dog\n"
        f"  {post}/vectorize -H 'Content-Type: image/jpeg' --data-binary @image.jpg\n"
    )
