"""`clipstack build`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from clipstack.cli.options import Engine, Option
from clipstack.cli.stack_options import name_engine
from clipstack.cli.state import State, model_folder, state_of

if TYPE_CHECKING:
    from clipstack.stack.bento_build import BuildResult


def build(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="The model inside: `shapes`, a folder, or a hub id.",
            show_default="the setting",
        ),
    ] = None,
    tag: Annotated[
        str, Option("--tag", "-t", metavar="TAG", help="The image's name and tag.")
    ] = "bentoml:latest",
    containerize: Annotated[
        bool,
        Option(
            "--containerize/--no-containerize", help="Make an image of the bento; needs Docker."
        ),
    ] = True,
    platform: Annotated[
        str | None,
        Option(
            metavar="PLATFORM",
            help="linux/amd64 or linux/arm64.",
            show_default="that of Docker's daemon",
        ),
    ] = None,
    engine: Engine = None,
) -> None:
    """Build the service and an image of it, with the model inside.

    It runs `bentoml build` and `bentoml containerize`. The image needs no network.
    """
    state = state_of(ctx)
    flags = {"model": model, "engine": engine}
    result = make(state, flags, tag=tag, containerize=containerize, platform=platform)
    from clipstack.output import build_views

    state.out.show(build_views.built(result))
    if result.image:
        state.out.hint(f"Run it with `{build_views.run_command(result)}`.")
    else:
        state.out.hint(f"Make an image of it with `bentoml containerize {result.bento} -t {tag}`.")


def make(
    state: State,
    flags: Mapping[str, str | None],
    *,
    tag: str,
    containerize: bool = True,
    platform: str | None = None,
) -> BuildResult:
    """Build the service, with progress on stderr.

    Args:
        flags: settings by name.
    """
    settings = state.settings(**flags)
    from clipstack.output.build_progress import BuildProgress
    from clipstack.stack import bento_build

    if containerize:
        name_engine(state)
    folder = model_folder(state, settings)
    with BuildProgress(state.out) as progress:
        return bento_build.build(
            folder,
            progress,
            tag=tag,
            containerize=containerize,
            platform=platform,
            engine=settings.engine,
        )
