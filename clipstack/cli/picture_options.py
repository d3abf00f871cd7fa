"""Options that show what was found; a result in, pictures on the terminal and a page out."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.state import State
from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.output.terminal.detection import Terminal
    from clipstack.search import SearchResult

Preview = Annotated[
    bool | None,
    Option(
        "--preview/--no-preview",
        help="Draw the pictures on the terminal.",
        show_default="where it speaks Kitty, iTerm2 or Sixel",
    ),
]
Html = Annotated[
    Path | None,
    Option("--html", metavar="FILE", help="Write a page with the hits, pictures inside."),
]
OpenPage = Annotated[bool, Option("--open", help="Open that page in the browser.")]

ARGUMENTS = "clipstack.arguments"
"""Where in the root context's `meta` the command line is."""

_MOST_UNASKED = 20
_MANY = 200
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class Pictures:
    """How a command shows pictures.

    Attributes:
        preview: True and False as asked for; None where it is left to the terminal.
        html: the page's file.
        open: whether a browser shows it.
    """

    preview: bool | None = None
    html: Path | None = None
    open: bool = False

    @property
    def asked(self) -> bool:
        """Whether any of it was asked for."""
        return bool(self.preview or self.html or self.open)

    def check(self) -> None:
        """Raises UsageError, before anything is searched, when the page can't be written."""
        if self.html is None:
            return
        try:
            if self.html.is_dir():
                raise IsADirectoryError(21, "Is a directory")
            tempfile.TemporaryFile(dir=self.html.parent).close()
        except OSError as error:
            raise _not_written(self.html, error) from None


def show(
    ctx: typer.Context, state: State, settings: Settings, result: SearchResult, pictures: Pictures
) -> None:
    """After a search: write its page, open it, draw its hits.

    Raises:
        ClipstackError: the page can't be written.
    """
    if pictures.html or pictures.open:
        _page(ctx, state, settings, result, pictures)
    if result.hits and (terminal := terminal_for(state, settings, pictures.preview)):
        _draw(state, settings, result, terminal, unasked=pictures.preview is None)


def terminal_for(state: State, settings: Settings, preview: bool | None) -> Terminal | None:
    """How stdout shows pictures; None where it doesn't, or nobody wants them."""
    from clipstack.output.out import Mode

    if preview is False or (preview is None and settings.preview == "off"):
        return None
    if state.out.mode is not Mode.HUMAN:
        if preview:
            state.out.note("Pictures are drawn on a terminal only.")
        return None
    from clipstack.output.terminal import detection
    from clipstack.output.terminal.grid import shows_blocks

    wanted = "auto" if settings.preview == "off" else settings.preview
    found = detection.find(state.out.stdout, wanted)
    if found is None and preview:
        found = detection.find(state.out.stdout, detection.Protocol.BLOCKS)
    is_blocks = found is not None and found.protocol is detection.Protocol.BLOCKS
    if is_blocks and not shows_blocks(state.out.console(state.out.stdout)):
        state.out.note("This terminal has too few colours for pictures.")
        return None
    return found


def _draw(
    state: State, settings: Settings, result: SearchResult, terminal: Terminal, *, unasked: bool
) -> None:
    from clipstack.output import captions
    from clipstack.output.terminal import grid
    from clipstack.thumbnail_cache import of_user

    shown = [
        grid.Shown(hit.path, f"{rank}  {score}") for rank, score, hit in captions.ranked(result)
    ]
    if unasked:
        if not any(Path(one.path).exists() for one in shown):
            state.out.note("The pictures are not on this machine.")
            return
        shown = shown[:_MOST_UNASKED]
    grid.grid(state.out.console(state.out.stdout), terminal, of_user(settings), shown)
    if len(shown) < len(result.hits):
        state.out.note(f"The first {len(shown)} of {len(result.hits)}; --preview draws them all.")


def _page(
    ctx: typer.Context, state: State, settings: Settings, result: SearchResult, pictures: Pictures
) -> None:
    from clipstack.output import gallery
    from clipstack.settings import atomic_file
    from clipstack.thumbnail_cache import of_user

    if len(result.hits) > _MANY:
        state.out.note(f"Making thumbnails of {len(result.hits)} pictures")
    text = gallery.gallery_html(
        result,
        command=_command(ctx),
        target=settings.target,
        kept=of_user(settings),
    )
    file = (pictures.html or _temporary()).absolute()
    try:
        atomic_file.replace(file, text, mode=0o666 if pictures.html else 0o600)
    except OSError as error:
        raise _not_written(file, error) from None
    state.out.note(f"Wrote {file}")
    if pictures.open:
        _open(state, file)


def _open(state: State, file: Path) -> None:
    import webbrowser

    from clipstack.stack.console_urls import has_browser

    if not has_browser() or not webbrowser.open(file.as_uri()):
        state.out.note("There is no browser here to open it in.")


def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="clipstack-")) / "hits.html"


def _not_written(file: Path, error: OSError) -> ClipstackError:
    return UsageError(
        f"{file}: can't be written ({error.strerror})", hint="Choose another FILE for --html."
    )


def _command(ctx: typer.Context) -> str:
    """The command line as a shell would take it, without passwords in addresses."""
    arguments: Sequence[str] = ctx.find_root().meta.get(ARGUMENTS, ())
    return _PASSWORD.sub("", shlex.join(["clipstack", *arguments]))
