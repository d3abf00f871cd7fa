"""Views of a service that runs on this machine."""

from __future__ import annotations

from clipstack.output.out import View
from clipstack.stack.local_service import Serving


def serving(one: Serving) -> View:
    """Where a service that is about to start will be."""
    facts = {
        "url": one.url,
        "docs": f"{one.url}/",
        "ready": f"{one.url}/readyz",
        "model": one.model.name,
        "workers": one.workers,
    }
    return View(json=facts, quiet=[one.url])


def hints(one: Serving) -> str:
    """The same for a person, with lines to try."""
    post = f"curl {one.url}"
    return (
        f"The model {one.model.name} on {one.url}, described at {one.url}/. Ctrl-C stops it.\n"
        f"Try, once {one.url}/readyz answers 200:\n"
        f"  {post}/vectorize_text -H 'Content-Type: text/plain' -d dog\n"
        f"  {post}/vectorize -H 'Content-Type: image/jpeg' --data-binary @image.jpg\n"
    )
