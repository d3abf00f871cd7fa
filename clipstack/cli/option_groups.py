"""Groups of options: a command takes the options of a group as one object."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from inspect import Parameter
from typing import Any


class OptionGroup:
    """Base of groups: each attribute is annotated with a typer option and has its default.

    Args:
        values: of all options.
    """

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """The options as parameters of a function: their names, annotations and defaults."""
        hints = typing.get_type_hints(cls, include_extras=True)
        return [_parameter(name, hint, getattr(cls, name)) for name, hint in hints.items()]


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command that takes groups one that takes their options, for typer to read.

    Args:
        command: a function; parameters annotated with an `OptionGroup` stand for its options,
            which keep their place.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    parameters: list[Parameter] = []
    groups: dict[str, tuple[type[OptionGroup], list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if isinstance(hint, type) and issubclass(hint, OptionGroup):
            options = hint.parameters()
            groups[parameter.name] = hint, [option.name for option in options]
            parameters += options
        else:
            parameters.append(_parameter(parameter.name, hint, parameter.default))

    def expanded(**values: Any) -> None:
        objects = {
            name: group(**{option: values.pop(option) for option in options})
            for name, (group, options) in groups.items()
        }
        command(**values, **objects)

    expanded.__name__, expanded.__doc__ = command.__name__, command.__doc__
    expanded.__annotations__ = {each.name: each.annotation for each in parameters}
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return expanded


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
