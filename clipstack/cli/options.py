"""Options that several commands share."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

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
Device = Annotated[
    str | None, Option(metavar="DEVICE", help="auto, cpu, cuda or mps.", show_default="auto")
]
Engine = Annotated[
    str | None, Option(metavar="ENGINE", help="auto, openvino or torch.", show_default="auto")
]
Precision = Annotated[
    str | None,
    Option(metavar="PRECISION", help="auto, fp32, bf16, fp16 or int8.", show_default="auto"),
]
EncoderUrl = Annotated[
    str | None,
    Option(metavar="URL", help="A service that encodes, from `clipstack serve`; or several."),
]
Index = Annotated[
    str | None,
    Option(
        metavar="INDEX",
        help="AUTOINDEX, HNSW, IVF_FLAT, DISKANN or FLAT, for a new collection.",
        show_default="AUTOINDEX",
    ),
]
IndexParams = Annotated[
    str | None,
    Option(metavar="PARAMS", help="Its parameters, such as M=16,efConstruction=200."),
]
Null = Annotated[bool, Option("--null", "-0", help="Paths only, each ended by NUL, for xargs -0.")]
