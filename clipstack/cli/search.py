"""`clipstack search`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import typer

from clipstack.cli import filter_options as only
from clipstack.cli import search_options as options
from clipstack.cli.options import (
    Collection,
    Device,
    EncoderUrl,
    Engine,
    Model,
    Null,
    Precision,
    Wait,
)
from clipstack.cli.picture_options import Html, OpenPage, Pictures, Preview
from clipstack.cli.picture_options import show as show_pictures
from clipstack.cli.state import State, announce, state_of
from clipstack.errors import UsageError
from clipstack.units import format_duration

if TYPE_CHECKING:
    from clipstack.search import Query, SearchResult, Term
    from clipstack.search.query import GroupBy, Sort
    from clipstack.settings import Settings


def search(
    ctx: typer.Context,
    text: options.Text = None,
    image: options.Image = None,
    like: options.Like = None,
    and_: options.And = None,
    not_: options.Not = None,
    queries: options.Queries = None,
    prompt: options.Prompt = "none",
    limit: options.Limit = None,
    offset: options.Offset = 0,
    collection: Collection = None,
    min_score: options.MinScore = None,
    under: only.Under = None,
    since: only.Since = None,
    until: only.Until = None,
    camera: only.Camera = None,
    format: only.Format = None,
    min_width: only.MinWidth = None,
    min_height: only.MinHeight = None,
    tag: only.Tags = None,
    near: only.Near = None,
    filter: only.Expr = None,
    diverse: options.Diverse = False,
    group_by: options.GroupBy = None,
    sort: options.Sort = "score",
    preview: Preview = None,
    html: Html = None,
    open_page: OpenPage = False,
    null: Null = False,
    model: Model = None,
    device: Device = None,
    engine: Engine = None,
    precision: Precision = None,
    encoder_url: EncoderUrl = None,
    search_params: options.SearchParams = None,
    wait: Wait = None,
) -> None:
    """Find pictures by words, by pictures, or by both, added up and taken away."""
    state = state_of(ctx)
    from clipstack.search import Query, check_limit

    if limit is not None:
        check_limit(limit, offset)
    settings = state.settings(
        collection=collection,
        limit=limit,
        model=model,
        device=device,
        engine=engine,
        precision=precision,
        encoder_url=encoder_url,
        search_params=search_params,
        wait=wait,
    )
    filters = only.filters_of(
        under=under,
        since=since,
        until=until,
        camera=camera,
        format=format,
        min_width=min_width,
        min_height=min_height,
        tags=tag,
        near=near,
        expr=filter,
    )
    query = Query(
        _terms(text, image, like, and_, not_),
        filters,
        _min_score(min_score),
        prompt,
        offset,
        sort=cast("Sort", sort),
        diverse=diverse,
        group_by=cast("GroupBy", group_by or ""),
        stands_out=state.out.verbose,
    )
    pictures = Pictures(preview, html, open_page)
    if queries is not None:
        if text or image or like or pictures.asked:
            raise UsageError(
                "--queries has the texts and pictures; only --and and --not go with it"
            )
        from clipstack.cli.search_many import search_many

        search_many(state, settings, query, queries, null=null)
        return
    query.check()
    check_limit(settings.limit, offset)
    if text and Path(text[0]).is_file():
        state.out.hint(f"Looking for words. For the picture: clipstack search --image {text[0]}")
    pictures.check()
    result = _found(state, settings, query)
    _show(state, settings, result, null=null)
    if not null:
        show_pictures(ctx, state, settings, result, pictures)


def _terms(
    text: list[str] | None,
    image: list[str] | None,
    like: list[str] | None,
    and_: list[str] | None,
    not_: list[str] | None,
) -> tuple[Term, ...]:
    from clipstack.search import Term, term_parsing

    said = " ".join(text or []).strip()
    return (
        *([Term(said)] if said else []),
        *(term_parsing.picture(one) for one in image or ()),
        *(term_parsing.like(one) for one in like or ()),
        *(term_parsing.weighted(one) for one in and_ or ()),
        *(term_parsing.weighted(one, -1) for one in not_ or ()),
    )


def _min_score(text: str | None) -> float | Literal["auto"] | None:
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


def _found(state: State, settings: Settings, query: Query) -> SearchResult:
    from clipstack.output.progress import DownloadProgress
    from clipstack.search import search as run

    announce(state, settings, settings.collection)
    with DownloadProgress(state.out, settings.model) as download:
        return run(settings, query, progress=download, note=state.out.note)


def _show(state: State, settings: Settings, result: SearchResult, *, null: bool) -> None:
    from clipstack.output import hit_views, views
    from clipstack.output.out import Mode

    metric = result.collection.metric
    if metric == "L2":
        state.out.note(hit_views.L2_NOTE)
    if not result.hits and result.query.min_score == "auto" and not result.query.offset:
        state.out.note(f"Nothing here stands out for {hit_views.query_words(result.query)}.")
    elif not result.hits:
        state.out.note("No picture fits." if not result.query.offset else "No more pictures fit.")
    elif state.out.mode is not Mode.HUMAN:  # a table says it itself
        state.out.note(f"Score: {metric}, {views.better(metric)} is better.")
    state.out.detail(f"{format_duration(result.seconds)}, model {result.collection.model}")
    state.out.show(hit_views.hits(result, settings.target), null=null)
