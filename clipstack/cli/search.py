"""`clipstack search`."""

from __future__ import annotations

from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from clipstack.cli import picture_options
from clipstack.cli.option_groups import OptionGroup, expand_groups
from clipstack.cli.options import EncoderOptions, Model, Null, Option, SearchParams, Wait
from clipstack.cli.picture_options import PictureOptions
from clipstack.cli.search_options import HitOptions, RankingOptions, TermOptions
from clipstack.cli.state import State, announce, state_of
from clipstack.errors import UsageError
from clipstack.search.filters import FILTERS, Filter, Filters

if TYPE_CHECKING:
    from clipstack.search.query import GroupBy, Query, Sort
    from clipstack.search.searcher import SearchResult
    from clipstack.settings import Settings

_PANEL = "Only pictures that"


def _type(filter: Filter) -> Any:
    return list[filter.value_type] if filter.repeats else filter.value_type  # type: ignore[name-defined]


def _option(filter: Filter) -> Any:
    least = 1 if filter.value_type is int else None
    return Option(
        filter.option, min=least, metavar=filter.metavar, help=filter.help, rich_help_panel=_PANEL
    )


class FilterOptions(OptionGroup):
    """What was typed for each filter."""

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """An option for each filter."""
        return [
            Parameter(
                filter.name,
                Parameter.KEYWORD_ONLY,
                annotation=Annotated[_type(filter) | None, _option(filter)],
                default=None,
            )
            for filter in FILTERS
        ]

    def filters(self) -> Filters:
        """The filters that are set.

        Raises:
            UsageError: a value is wrong; its hint points at the mistake.
        """
        return Filters.parse(vars(self))


@expand_groups
def search(
    ctx: typer.Context,
    *,
    terms: TermOptions,
    hits: HitOptions,
    filters: FilterOptions,
    ranking: RankingOptions,
    pictures: PictureOptions,
    null: Null = False,
    model: Model = None,
    encoder: EncoderOptions,
    search_params: SearchParams = None,
    wait: Wait = None,
) -> None:
    """Find pictures by words, by pictures, or by sums and differences of both."""
    state = state_of(ctx)
    from clipstack.search.query import Query, check_limit

    if hits.limit is not None:
        check_limit(hits.limit, hits.offset)
    settings = state.settings(
        encoder,
        collection=hits.collection,
        limit=hits.limit,
        model=model,
        search_params=search_params,
        wait=wait,
    )
    query = Query(
        filters=filters.filters(),
        terms=terms.terms(),
        min_score=hits.lowest_score(),
        prompt=terms.prompt,
        offset=hits.offset,
        sort=cast("Sort", ranking.sort),
        diverse=ranking.diverse,
        group_by=cast("GroupBy", ranking.group_by or ""),
        with_significance=state.out.verbose,
    )
    if terms.queries is not None:
        if terms.text or terms.image or terms.like or pictures.are_requested:
            raise UsageError(
                "--queries has the texts and pictures; only --and and --not go with it"
            )
        from clipstack.cli.search_many import search_many

        search_many(state, settings, query, terms.queries, null=null)
        return
    query.check()
    check_limit(settings.limit, hits.offset)
    if terms.text and Path(terms.text[0]).is_file():
        state.out.hint(
            f"Looking for words. For the picture: clipstack search --image {terms.text[0]}"
        )
    pictures.check()
    result = _search(state, settings, query)
    _show(state, settings, result, null=null)
    if not null:
        picture_options.show(state, settings, result, pictures)


def _search(state: State, settings: Settings, query: Query) -> SearchResult:
    from clipstack.output.progress import Progress
    from clipstack.search import searcher

    announce(state, settings, settings.collection)
    with Progress(state.out) as progress:
        return searcher.search(settings, query, events=progress)


def _show(state: State, settings: Settings, result: SearchResult, *, null: bool) -> None:
    from clipstack.output import hit_views
    from clipstack.output.out import Mode
    from clipstack.output.scores import better

    metric = result.collection.metric
    if metric == "L2":
        state.out.note(hit_views.L2_NOTE)
    if not result.hits and result.query.min_score == "auto" and not result.query.offset:
        state.out.note(f"Nothing here stands out for {hit_views.query_words(result.query)}.")
    elif not result.hits:
        state.out.note("No picture fits." if not result.query.offset else "No more pictures fit.")
    elif state.out.mode is not Mode.HUMAN:  # a table has it in its caption
        state.out.note(f"Score: {metric}, {better(metric)} is better.")
    state.out.detail(f"{result.seconds:.2f} s, model {result.collection.model}")
    state.out.show(hit_views.hits(result, settings.target), null=null)
