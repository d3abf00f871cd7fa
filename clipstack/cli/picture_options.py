"""Options that show hits as pictures: on the terminal, and in an HTML file."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from clipstack.cli.option_groups import OptionGroup
from clipstack.cli.options import Option
from clipstack.cli.state import State
from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.output.terminal.detection import Terminal
    from clipstack.search.searcher import SearchResult

Preview = Annotated[
    bool | None,
    Option(
        "--preview/--no-preview",
        help="Draw the pictures on the terminal.",
        show_default="where it speaks Kitty, iTerm2 or Sixel",
    ),
]

_DEFAULT_COUNT = 20
"""Pictures that are drawn without --preview, at most."""
_MANY = 200
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")


class PictureOptions(OptionGroup):
    """How a search shows its hits as pictures."""

    preview: Preview = None
    html: Annotated[
        Path | None,
        Option("--html", metavar="FILE", help="Write a page with the hits, pictures inside."),
    ] = None
    open_page: Annotated[bool, Option("--open", help="Open that page in the browser.")] = False

    @property
    def are_requested(self) -> bool:
        """Whether any of these options is set."""
        return bool(self.preview or self.html or self.open_page)

    def check(self) -> None:
        """Check that the page can be written, before anything is searched.

        Raises:
            UsageError: it can't.
        """
        if self.html is None:
            return
        try:
            if self.html.is_dir():
                raise IsADirectoryError(21, "Is a directory")
            tempfile.TemporaryFile(dir=self.html.parent).close()
        except OSError as error:
            raise _write_error(self.html, error) from None


def show(state: State, settings: Settings, result: SearchResult, options: PictureOptions) -> None:
    """Write the page of a search, open it in a browser, and draw the hits on the terminal.

    Raises:
        ClipstackError: the page can't be written.
    """
    if options.html or options.open_page:
        _write_page(state, settings, result, options)
    if result.hits and (terminal := terminal_for(state, settings, options.preview)):
        _draw(state, settings, result, terminal, draw_all=options.preview is not None)


def terminal_for(state: State, settings: Settings, preview: bool | None) -> Terminal | None:
    """The terminal to draw pictures on; None if it can't show them, or none are wanted.

    Args:
        preview: the option; None leaves it to the setting and the terminal.
    """
    from clipstack.output.out import Mode

    if preview is False or (preview is None and settings.preview == "off"):
        return None
    if state.out.mode is not Mode.HUMAN:
        if preview:
            state.out.note("Pictures are drawn on a terminal only.")
        return None
    from clipstack.output.terminal import detection
    from clipstack.output.terminal.grid import shows_blocks

    protocol = "auto" if settings.preview == "off" else settings.preview
    terminal = detection.detect(state.out.stdout, protocol)
    if terminal is None and preview:
        terminal = detection.detect(state.out.stdout, detection.Protocol.BLOCKS)
    is_blocks = terminal is not None and terminal.protocol is detection.Protocol.BLOCKS
    if is_blocks and not shows_blocks(state.out.console(state.out.stdout)):
        state.out.note("This terminal has too few colours for pictures.")
        return None
    return terminal


def _draw(
    state: State, settings: Settings, result: SearchResult, terminal: Terminal, *, draw_all: bool
) -> None:
    from clipstack.output import captions
    from clipstack.output.terminal.grid import GridPicture, draw_grid
    from clipstack.thumbnail_cache import ThumbnailCache

    shown = [
        GridPicture(hit.path, f"{rank}  {score}") for rank, score, hit in captions.ranked(result)
    ]
    if not draw_all:
        if not any(Path(picture.path).exists() for picture in shown):
            state.out.note("The pictures are not on this machine.")
            return
        shown = shown[:_DEFAULT_COUNT]
    draw_grid(
        state.out.console(state.out.stdout), terminal, ThumbnailCache.from_settings(settings), shown
    )
    if len(shown) < len(result.hits):
        state.out.note(f"The first {len(shown)} of {len(result.hits)}; --preview draws them all.")


def _write_page(
    state: State, settings: Settings, result: SearchResult, options: PictureOptions
) -> None:
    from clipstack.output import gallery
    from clipstack.settings import atomic_file
    from clipstack.thumbnail_cache import ThumbnailCache

    if len(result.hits) > _MANY:
        state.out.note(f"Making thumbnails of {len(result.hits)} pictures")
    text = gallery.gallery_html(
        result,
        command=_command_line(state.arguments),
        target=settings.target,
        thumbnails=ThumbnailCache.from_settings(settings),
    )
    file = (options.html or _temporary_file()).absolute()
    try:
        atomic_file.replace(file, text, mode=0o666 if options.html else 0o600)
    except OSError as error:
        raise _write_error(file, error) from None
    state.out.note(f"Wrote {file}")
    if options.open_page:
        _open(state, file)


def _open(state: State, file: Path) -> None:
    import webbrowser

    from clipstack.stack.console_urls import has_browser

    if not has_browser() or not webbrowser.open(file.as_uri()):
        state.out.note("There is no browser here to open it in.")


def _temporary_file() -> Path:
    return Path(tempfile.mkdtemp(prefix="clipstack-")) / "hits.html"


def _write_error(file: Path, error: OSError) -> ClipstackError:
    return UsageError(
        f"{file}: can't be written ({error.strerror})", hint="Choose another FILE for --html."
    )


def _command_line(arguments: Sequence[str]) -> str:
    """The command line as a shell takes it, without the passwords in URLs."""
    return _PASSWORD.sub("", shlex.join(["clipstack", *arguments]))
