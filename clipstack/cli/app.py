"""The root command: global options anywhere on the line, errors as messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from clipstack import __version__, interrupts
from clipstack.cli.options import Option
from clipstack.cli.state import State
from clipstack.errors import ClipstackError, ExitCode, UsageError
from clipstack.output.out import Mode, Out

# Global options, and whether a value follows.
_GLOBAL = {
    "--json": False,
    "-q": False,
    "--quiet": False,
    "-v": False,
    "--verbose": False,
    "--no-color": False,
    "--yes": False,
    "-y": False,
    "--no-input": False,
    "--debug": False,
    "--target": True,
    "--config": True,
}

_ARGUMENTS = "clipstack.arguments"
"""Key of the command line in the root context's `meta`."""


class RootGroup(TyperGroup):
    """The root command, which takes global options anywhere on the line."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, hoisted(args))


def hoisted(args: Sequence[str]) -> list[str]:
    """`args` with the global options that stand before a `--` moved to the front."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(args)
    for arg in remaining:
        if arg == "--":
            rest += [arg, *remaining]
        elif arg in _GLOBAL:
            front.append(arg)
            if _GLOBAL[arg]:
                front += [value for value in [next(remaining, None)] if value is not None]
        elif arg.startswith("--") and _GLOBAL.get(arg.split("=", 1)[0]):
            front.append(arg)
        else:
            rest.append(arg)
    return front + rest


_PICTURES, _STACK, _SETUP = "Pictures", "The stack", "Set up and look after"
# The name of a command, its module, the function (of a group: the `app`) in it, and its panel.
_COMMANDS = (
    ("import", "import_", "import_", _PICTURES),
    ("search", "search", "search", _PICTURES),
    ("show", "show", "show", _PICTURES),
    ("page", "page", "page", _PICTURES),
    ("tag", "tag", "tag", _PICTURES),
    ("demo", "demo", "demo", _PICTURES),
    ("up", "up", "up", _STACK),
    ("down", "down", "down", _STACK),
    ("start", "services", "start", _STACK),
    ("stop", "services", "stop", _STACK),
    ("restart", "services", "restart", _STACK),
    ("status", "status", "status", _STACK),
    ("logs", "logs", "logs", _STACK),
    ("open", "status", "open_", _STACK),
    ("health", "health", "health", _SETUP),
    ("doctor", "doctor", "doctor", _SETUP),
    ("serve", "serve", "serve", _SETUP),
    ("build", "build", "build", _SETUP),
    ("bench", "bench", "bench", _SETUP),
    ("collections", "collections", "app", _PICTURES),
    ("target", "target", "app", _SETUP),
    ("models", "models", "app", _SETUP),
    ("config", "config", "app", _SETUP),
)

NAMES = tuple(name for name, *_ in _COMMANDS)
"""The names of all commands and groups."""


def tree(only: str | None = None) -> typer.Typer:
    """The root command.

    Args:
        only: the one command to add to it, if there is one of that name: all of them take 25 ms.
    """
    app = typer.Typer(
        name="clipstack",
        cls=RootGroup,
        help="Search your pictures by what is in them.",
        epilog="Start with `clipstack demo`, or `clipstack import FOLDER` and "
        "`clipstack search dog`.",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={
            "help_option_names": ["-h", "--help"],
            "auto_envvar_prefix": "CLIPSTACK",
        },
    )
    app.callback()(root)
    rows = [row for row in _COMMANDS if row[0] == only] or _COMMANDS
    for name, module, attribute, panel in rows:
        command = getattr(import_module(f"clipstack.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)
    return app


def _command_of(args: Sequence[str]) -> str | None:
    """The command that a command line names."""
    remaining = iter(hoisted(args))
    for arg in remaining:
        if _GLOBAL.get(arg):
            next(remaining, None)
        elif not arg.startswith("-"):
            return arg
    return None


def root(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        Option(metavar="NAME", help="Where the vectors live.", show_default="the current one"),
    ] = None,
    json: Annotated[bool, Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Paths or names only.")] = False,
    verbose: Annotated[bool, Option("--verbose", "-v", help="Say more on stderr.")] = False,
    no_color: Annotated[bool, Option("--no-color", help="No colours.")] = False,
    config: Annotated[
        Path | None,
        Option(metavar="FILE", help="Read this settings file instead of the usual ones."),
    ] = None,
    yes: Annotated[bool, Option("--yes", "-y", help="Answer yes to questions.")] = False,
    no_input: Annotated[bool, Option("--no-input", help="Never ask questions.")] = False,
    debug: Annotated[bool, Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 (`_report` reads it)
    version: Annotated[bool, Option("--version", help="Show the version.")] = False,
) -> None:
    """Search your pictures by what is in them."""
    if version:
        sys.stdout.write(f"clipstack {__version__}\n")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        sys.stdout.write(ctx.get_help() + "\n")
        raise typer.Exit
    if json and quiet:
        raise UsageError("--json and --quiet exclude each other")
    mode = Mode.JSON if json else Mode.QUIET if quiet else Mode.HUMAN
    color = False if no_color else None
    out = Out(mode, color=color, verbose=verbose, ask=not no_input, yes=yes)
    ctx.obj = State(out, config, target, ctx.meta[_ARGUMENTS])


def run(args: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit code; see `clipstack.errors.ExitCode`.
    """
    command = typer.main.get_command(tree(_command_of(args)))
    code: object
    try:
        code = command.main(args=list(args), prog_name="clipstack", standalone_mode=False)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.FAILED
    except Exception as error:
        return _report(error, list(args))
    return interrupts.exit_code(code) if isinstance(code, int) else ExitCode.OK


def _report(error: Exception, args: list[str]) -> int:
    reported = _as_clipstack_error(error)
    reported.code = ExitCode(interrupts.exit_code(reported.code))
    options = hoisted(args)
    as_json = "--json" in options or os.environ.get("CLIPSTACK_JSON", "") in {"1", "true", "yes"}
    out = Out(
        Mode.JSON if as_json else Mode.HUMAN, color=False if "--no-color" in options else None
    )
    out.error(reported)
    if "--debug" in options:
        traceback.print_exception(error, file=sys.stderr)
    return reported.code


def _as_clipstack_error(error: Exception) -> ClipstackError:
    if isinstance(error, ClipstackError):
        return error
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "clipstack"
        return UsageError(error.format_message().rstrip("."), hint=f"See `{path} --help`.")
    text = " ".join(str(error).split()) or type(error).__name__
    return ClipstackError(
        f"unexpected: {type(error).__name__}: {text}" if text != type(error).__name__ else text,
        hint="Run it again with --debug to see where, and please report it.",
    )
