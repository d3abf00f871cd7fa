"""Views of where the search page is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipstack.output.out import View, printable
from clipstack.output.progress import Progress
from clipstack.output.tables import key_value_view
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.page.address import PageAddress


class PageProgress(Progress):
    """Progress of the search page, with a warning for each refused request."""

    def warn(self, text: str) -> None:
        self._out.warn(printable(text))  # it quotes the request


def page(address: PageAddress, settings: Settings) -> View:
    """The page's address, with its token where it has one."""
    values = {
        "url": address.url_with_token,
        "target": settings.target,
        "collection": settings.collection,
    }
    return View(
        json=values,
        lines=[address.url_with_token],
        quiet=[address.url_with_token],
        human=key_value_view(values).human,
    )


def hints(address: PageAddress) -> str:
    """What to do with the address."""
    if not address.token:
        return "Open it in a browser on this machine. Ctrl-C ends it."
    return (
        "Open it once with its token; the browser then remembers it. What passes between them is "
        "not encrypted. Ctrl-C ends it."
    )
