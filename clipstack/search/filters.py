"""What a picture must be, besides like the query, in; a Milvus filter expression out."""

from __future__ import annotations

from dataclasses import dataclass

from clipstack.index.store import Hit, under_filter


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that every hit meets.

    Attributes:
        under: an absolute folder; only pictures in it or below.
    """

    under: str | None = None
    near: object | None = None

    def expression(self) -> str:
        """As a Milvus filter; empty where there is no condition.

        Raises:
            UsageError: one of them can't be said in a filter.
        """
        return under_filter(self.under) if self.under else ""

    def keeps(self, hit: Hit) -> bool:  # noqa: ARG002
        """Whether a hit of `expression` meets what no Milvus filter can say."""
        return True
