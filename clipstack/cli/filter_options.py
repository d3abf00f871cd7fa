"""The options of `FILTERS`, as a group."""

from __future__ import annotations

from inspect import Parameter
from typing import Annotated, Any

from clipstack.cli.option_groups import OptionGroup
from clipstack.cli.options import Option
from clipstack.search.filters import FILTERS, Filter, Filters

_PANEL = "Only pictures that"


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


def _type(filter: Filter) -> Any:
    return list[filter.value_type] if filter.repeats else filter.value_type  # type: ignore[name-defined]


def _option(filter: Filter) -> Any:
    least = 1 if filter.value_type is int else None
    return Option(
        filter.option, min=least, metavar=filter.metavar, help=filter.help, rich_help_panel=_PANEL
    )
