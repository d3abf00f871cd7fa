"""The global options in; the settings, the output and the model of one run out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipstack import settings
from clipstack.output.out import Out, tilde
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.encoders.models.catalog import ModelFolder


@dataclass(frozen=True, slots=True)
class State:
    """What every command gets from the options before it."""

    out: Out
    config: Path | None
    target: str | None
    debug: bool

    def settings(self, **flags: Any) -> Settings:
        """Settings of all layers, `flags` (None for those not given) on top."""
        return settings.load({"target": self.target, **flags}, config=self.config)


def state_of(ctx: typer.Context) -> State:
    """The run's State, made by the root command."""
    state = ctx.find_object(State)
    assert state is not None
    return state


def announce(state: State, loaded: Settings, collection: str | None = None) -> None:
    """Say on stderr which target, and which collection in it, the answer comes from."""
    where = f"{loaded.target}: {loaded.milvus_uri or tilde(str(loaded.database))}"
    if collection:
        where += f", collection {collection}"
    state.out.note(f"{where}, encoder {loaded.encoder_url}" if loaded.encoder_url else where)


def model_folder(state: State, loaded: Settings) -> ModelFolder:
    """Where the model of the settings is, fetched first when it is not on this machine."""
    from clipstack.encoders.models.catalog import resolve
    from clipstack.output.progress import DownloadProgress

    with DownloadProgress(state.out, loaded.model) as download:
        return resolve(loaded.model, download=True, progress=download)
