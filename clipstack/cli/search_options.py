"""The options of `clipstack search`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option

Text = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TEXT]...", help="What to look for, in words.", show_default=False),
]
Image = Annotated[
    list[str] | None,
    Option(
        "--image", "-i", help="Look for pictures like this one; or several.", metavar="FILE|URL"
    ),
]
Like = Annotated[
    list[str] | None,
    Option(
        help="Look for pictures like this indexed one, which is left out of the hits.",
        metavar="ID|PATH",
    ),
]
And = Annotated[
    list[str] | None,
    Option(
        "--and",
        help="Something else they should be like: a picture's file, URL or id, else words. "
        "`text:`, `file:` or `id:` in front says which; a weight such as 0.5: goes before that.",
        metavar="[WEIGHT:]WHAT",
    ),
]
Not = Annotated[
    list[str] | None,
    Option("--not", help="Something they should not be like.", metavar="[WEIGHT:]WHAT"),
]
Queries = Annotated[
    str | None,
    Option(
        help="Many queries, a text or a picture's file on each line; - is stdin. "
        "Writes a line of JSON for each.",
        metavar="FILE",
    ),
]
Prompt = Annotated[
    str,
    Option(
        help='Words around each text: none, photo ("a photo of a ..."), ensemble (the mean of '
        "seven), or a template with {}.",
        metavar="PROMPT",
    ),
]
Limit = Annotated[
    int | None, Option("--limit", "-k", metavar="N", help="How many hits.", show_default="10")
]
Offset = Annotated[int, Option(help="Leave out the N best: the pages before.", metavar="N")]
MinScore = Annotated[
    str | None,
    Option(metavar="SCORE", help="Leave out worse hits: lower scores; for L2, greater distances."),
]
Diverse = Annotated[bool, Option("--diverse", help="Hits that also differ from each other.")]
GroupBy = Annotated[
    str | None, Option(help="Only the best hit of each folder or day.", metavar="folder|day")
]
Sort = Annotated[str, Option(help="Order of the hits found: score, date or path.", metavar="ORDER")]
SearchParams = Annotated[
    str | None, Option(metavar="PARAMS", help="Parameters of the index, such as ef=128.")
]
