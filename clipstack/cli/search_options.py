"""The options of `clipstack search`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from clipstack.cli.option_groups import OptionGroup
from clipstack.cli.options import Collection, Option
from clipstack.errors import UsageError

if TYPE_CHECKING:
    from clipstack.search.query import Term


class TermOptions(OptionGroup):
    """What to look for."""

    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="What to look for, in words.", show_default=False),
    ] = None
    image: Annotated[
        list[str] | None,
        Option(
            "--image", "-i", help="Look for pictures like this one; or several.", metavar="FILE|URL"
        ),
    ] = None
    like: Annotated[
        list[str] | None,
        Option(
            help="Look for pictures like this indexed one, which is left out of the hits.",
            metavar="ID|PATH",
        ),
    ] = None
    and_: Annotated[
        list[str] | None,
        Option(
            "--and",
            help="Something else they should be like: a picture's file, URL or id, else words. "
            "`text:`, `file:` or `id:` in front says which; a weight such as 0.5: goes before "
            "that.",
            metavar="[WEIGHT:]WHAT",
        ),
    ] = None
    not_: Annotated[
        list[str] | None,
        Option("--not", help="Something they should not be like.", metavar="[WEIGHT:]WHAT"),
    ] = None
    queries: Annotated[
        str | None,
        Option(
            help="Many queries, a text or a picture's file on each line; - is stdin. "
            "Writes a line of JSON for each.",
            metavar="FILE",
        ),
    ] = None
    prompt: Annotated[
        str,
        Option(
            help='Words around each text: none, photo ("a photo of a ..."), ensemble (the mean of '
            "seven), or a template with {}.",
            metavar="PROMPT",
        ),
    ] = "none"

    def terms(self) -> tuple[Term, ...]:
        """The terms of a query.

        Raises:
            NotFoundError: there is no such picture file.
            UsageError: a term is empty, or its weight is not above 0.
        """
        from clipstack.search import term_parsing
        from clipstack.search.query import Term

        text = " ".join(self.text or []).strip()
        return (
            *([Term(text)] if text else []),
            *(term_parsing.picture(name) for name in self.image or ()),
            *(term_parsing.like(name) for name in self.like or ()),
            *(term_parsing.weighted(name) for name in self.and_ or ()),
            *(term_parsing.weighted(name, -1) for name in self.not_ or ()),
        )


class HitOptions(OptionGroup):
    """Which hits are shown."""

    limit: Annotated[
        int | None, Option("--limit", "-k", metavar="N", help="How many hits.", show_default="10")
    ] = None
    offset: Annotated[int, Option(help="Leave out the N best: the pages before.", metavar="N")] = 0
    collection: Collection = None
    min_score: Annotated[
        str | None,
        Option(
            metavar="SCORE", help="Leave out worse hits: lower scores; for L2, greater distances."
        ),
    ] = None

    def lowest_score(self) -> float | Literal["auto"] | None:
        """The value of --min-score.

        Raises:
            UsageError: it is neither a number nor "auto".
        """
        text = self.min_score
        if text is None or text == "auto":
            return cast("Literal['auto'] | None", text)
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise UsageError(
                f"--min-score {text}: it is a number, or auto", hint="Try --min-score auto."
            )
        return score


class RankingOptions(OptionGroup):
    """How hits are chosen and ordered."""

    diverse: Annotated[bool, Option("--diverse", help="Hits that also differ from each other.")] = (
        False
    )
    group_by: Annotated[
        str | None, Option(help="Only the best hit of each folder or day.", metavar="folder|day")
    ] = None
    sort: Annotated[
        str, Option(help="Order of the hits found: score, date or path.", metavar="ORDER")
    ] = "score"
