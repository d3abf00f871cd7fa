"""Where the search page is in, what a person or a program reads of it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipstack.output.out import View
from clipstack.output.tables import key_value_view
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.page.address import PageAddress


def page(where: PageAddress, settings: Settings) -> View:
    """The page's address, with its token where it has one."""
    facts = {"url": where.address, "target": settings.target, "collection": settings.collection}
    return View(
        json=facts, lines=[where.address], quiet=[where.address], human=key_value_view(facts).human
    )


def hints(where: PageAddress) -> str:
    """What to do with it."""
    if not where.token:
        return "Open it in a browser on this machine. Ctrl-C ends it."
    return (
        "Open it once with its token; the browser then remembers it. What passes between them is "
        "not encrypted. Ctrl-C ends it."
    )
