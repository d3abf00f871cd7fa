"""What the global options give every command: settings and output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipstack import settings
from clipstack.cli.option_groups import OptionGroup
from clipstack.output.out import Out, tilde
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.encoders.models.catalog import ModelFolder


@dataclass(frozen=True, slots=True)
class State:
    """What every command gets from the global options.

    Attributes:
        arguments: the command line.
    """

    out: Out
    config: Path | None
    target: str | None
    arguments: tuple[str, ...] = ()

    def settings(self, *groups: OptionGroup, **flags: Any) -> Settings:
        """Settings of all layers, with options on top.

        Args:
            groups: of options that are all settings.
            flags: options by the name of the setting; None if not given.
        """
        for group in groups:
            flags |= vars(group)
        return settings.load({"target": self.target, **flags}, config=self.config)


def state_of(ctx: typer.Context) -> State:
    """The State that the root command made."""
    state = ctx.find_object(State)
    assert state is not None
    return state


def announce(state: State, loaded: Settings, collection: str | None = None) -> None:
    """Say on stderr which target, collection and encoder a command works with."""
    message = f"{loaded.target}: {tilde(loaded.location)}"
    if collection:
        message += f", collection {collection}"
    if loaded.encoder_urls:
        message += f", encoder {' '.join(loaded.encoder_urls)}"
    state.out.note(message)


def model_folder(state: State, loaded: Settings) -> ModelFolder:
    """The folder of the settings' model, which is fetched if it is not on this machine."""
    from clipstack.encoders.models.catalog import resolve
    from clipstack.output.progress import Progress

    with Progress(state.out) as progress:
        return resolve(loaded.model, download=True, events=progress)
