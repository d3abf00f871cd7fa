"""Options that several commands share."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from clipstack.cli.option_groups import OptionGroup

# Every option can be set in the environment (docs/cli.md); saying so for each drowns the help.
Option = partial(typer.Option, show_envvar=False)

Collection = Annotated[
    str | None,
    Option(
        "--collection", "-c", metavar="NAME", help="The collection to use.", show_default="images"
    ),
]
Model = Annotated[
    str | None,
    Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="`shapes` (built in), a folder, or a hub id.",
        show_default="the collection's",
    ),
]
Wait = Annotated[
    float | None,
    Option(
        metavar="SECONDS",
        help="Seconds to wait for another process that writes, or for a server.",
        show_default="10",
    ),
]
Engine = Annotated[
    str | None, Option(metavar="ENGINE", help="auto, openvino or torch.", show_default="auto")
]
SearchParams = Annotated[
    str | None, Option(metavar="PARAMS", help="Parameters of the index, such as ef=128.")
]
Null = Annotated[bool, Option("--null", "-0", help="Paths only, each ended by NUL, for xargs -0.")]


class EngineOptions(OptionGroup):
    """How a model runs on this machine. The fields are settings."""

    device: Annotated[
        str | None, Option(metavar="DEVICE", help="auto, cpu, cuda or mps.", show_default="auto")
    ] = None
    engine: Engine = None
    precision: Annotated[
        str | None,
        Option(metavar="PRECISION", help="auto, fp32, bf16, fp16 or int8.", show_default="auto"),
    ] = None


class EncoderOptions(EngineOptions):
    """How a model runs, here or in a service. The fields are settings."""

    encoder_url: Annotated[
        str | None,
        Option(metavar="URL", help="A service that encodes, from `clipstack serve`; or several."),
    ] = None


class IndexOptions(OptionGroup):
    """The index of a new collection. The fields are settings."""

    index: Annotated[
        str | None,
        Option(
            metavar="INDEX",
            help="AUTOINDEX, HNSW, IVF_FLAT, DISKANN or FLAT, for a new collection.",
            show_default="AUTOINDEX",
        ),
    ] = None
    index_params: Annotated[
        str | None,
        Option(metavar="PARAMS", help="Its parameters, such as M=16,efConstruction=200."),
    ] = None
