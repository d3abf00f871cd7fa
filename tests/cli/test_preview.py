"""Pictures on the terminal: read back from what is written, and compared with the files."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from rich.text import Text

from tests import terminals
from tests.running import Cli
from tests.terminals import ATTRIBUTES, CELL, KITTY, VERSION, Terminal

SEARCH = ("search", "red star", "-k", "6")
CLIPSTACK = [sys.executable, "-m", "clipstack"]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "STY", "TERM_PROGRAM", "LC_TERMINAL", "SSH_CONNECTION", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


def hit_paths(cli: Cli) -> list[Path]:
    return [Path(path) for path in cli(*SEARCH, mode="quiet").out.splitlines()]


def check_drawn(drawn: list[terminals.Drawn], paths: list[Path], gallery: Path) -> None:
    """Each is the picture at its path, closer to it than to any other of the gallery."""
    assert len(drawn) == len(paths)
    others = sorted(gallery.rglob("*.png"))
    for image, path in zip(drawn, paths, strict=True):
        differences = {
            other: terminals.difference(image.pixels, Image.open(other)) for other in others
        }
        assert differences[path] < 6
        assert min(differences, key=differences.__getitem__) == path


def check_positions(drawn: list[terminals.Drawn], columns: list[int]) -> None:
    """The cursor was moved to these columns and saved before each picture."""
    for image, column in zip(drawn, columns, strict=True):
        across = f"\x1b[{column}C" if column else ""
        assert image.before.endswith(f"\r{across}\x1b7")


def test_kitty(cli: Cli, imported: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = hit_paths(cli)
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    drawn = terminals.kitty(cli(*SEARCH, mode="human").out)
    check_drawn(drawn, paths, gallery)
    check_positions(drawn, [0, 25, 50, 75, 0, 25])
    for image in drawn:
        assert image.control["a"] == "T"
        assert image.control["f"] == "100"
        assert (image.control["c"], image.control["r"]) == ("23", "12")
        assert image.control["C"] == "1", "the cursor stays"
        assert image.control["q"] == "2", "no answer that the shell would read"


def test_iterm(cli: Cli, imported: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = hit_paths(cli)
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "iterm")
    drawn = terminals.iterm(cli(*SEARCH, mode="human").out)
    check_drawn(drawn, paths, gallery)
    check_positions(drawn, [0, 25, 50, 75, 0, 25])
    for image in drawn:
        assert image.control["inline"] == "1"
        assert (image.control["width"], image.control["height"]) == ("23", "12")


def test_sixel(cli: Cli, imported: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = hit_paths(cli)
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "sixel")
    drawn = terminals.sixel(cli(*SEARCH, mode="human").out)
    check_drawn(drawn, paths, gallery)
    check_positions(drawn, [0, 25, 50, 75, 0, 25])
    for image in drawn:
        assert image.pixels.shape[:2] == (230, 230), "23 columns of 10 pixels"


def test_rows_make_room_before_pictures_are_drawn_over_them(
    cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    text = re.sub(r"\x1b_G[^\x1b]*\x1b\\", "", cli(*SEARCH, mode="human").out)
    first = text.index("\x1b[14A")
    room = text[:first].splitlines()[-14:]
    assert [line.strip() for line in room[:12]] == [""] * 12
    assert "1  0." in room[12]
    assert "\r\x1b[14B" in text[first:]


def test_a_wide_picture_keeps_its_shape(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    picture = Image.linear_gradient("L").convert("RGB").resize((600, 200))
    picture.save(folder / "wide.png")
    cli("import", folder, "-m", "shapes")
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    drawn = terminals.kitty(cli("search", "star", mode="human").out)[0]
    columns, rows = int(drawn.control["c"]), int(drawn.control["r"])
    height, width = drawn.pixels.shape[:2]
    assert width / height == pytest.approx(columns * 10 / (rows * 20), rel=0.02)
    opaque = drawn.pixels[..., 3] > 0
    assert opaque.any(0).sum() / opaque.any(1).sum() == pytest.approx(3, rel=0.03)
    assert terminals.difference(drawn.pixels, picture) < 3


def test_a_terminal_is_queried(
    cli: Cli, imported: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process on a terminal that answers as WezTerm, foot or xterm do."""
    paths = hit_paths(cli)
    command = [*CLIPSTACK, *SEARCH]
    attributes = {ATTRIBUTES: b"\x1b[?62;4;22c", CELL: b"\x1b[6;18;9t"}
    kitty = {KITTY: b"\x1b_Gi=31;OK\x1b\\", **attributes}
    wrote = Terminal(kitty).run(command).decode()
    check_drawn(terminals.kitty(wrote), paths, gallery)
    wezterm = {VERSION: b"\x1bP>|WezTerm 20240203\x1b\\", **kitty}
    check_drawn(terminals.iterm(Terminal(wezterm).run(command).decode()), paths, gallery)
    drawn = terminals.sixel(Terminal(attributes).run(command).decode())
    check_drawn(drawn, paths, gallery)
    assert drawn[0].pixels.shape[:2] == (207, 207), "23 columns of 9 pixels, as it said"
    driver = Terminal(attributes, pixels=(1200, 1200)).run(command).decode()
    assert terminals.sixel(driver)[0].pixels.shape[:2] == (276, 276), "as its driver said"


def test_a_terminal_that_shows_no_pictures(cli: Cli, imported: Path) -> None:
    command = [*CLIPSTACK, *SEARCH]
    plain = {ATTRIBUTES: b"\x1b[?62;22c"}
    wrote = Terminal(plain).run(command).decode()
    assert "\u2580" not in wrote
    assert "red" in wrote
    assert "\u2580" in Terminal(plain).run([*command, "--preview"]).decode()
    silent = Terminal().run(command).decode()
    assert "red" in silent, "no answer at all only costs a moment"
    assert "\x1b_G" not in Terminal().run([*command, "--no-preview"]).decode()


def test_keys_typed_ahead_are_left_for_the_shell(imported: Path) -> None:
    terminal = Terminal({ATTRIBUTES: b"\x1b[?62;4c"})
    program = f"from clipstack.cli.app import run\nrun({[*SEARCH]!r})\nprint('NEXT', input())"
    terminal.type(b"next command\n")
    assert "NEXT next command" in terminal.run([sys.executable, "-c", program]).decode()


def test_what_variables_say(
    cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch, gallery: Path
) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    assert len(terminals.kitty(cli(*SEARCH, mode="human").out)) == 6
    monkeypatch.setenv("TERM", "foot")
    assert len(terminals.sixel(cli(*SEARCH, mode="human").out)) == 6
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LC_TERMINAL", "iTerm2")  # ssh passes LC_* on
    assert len(terminals.iterm(cli(*SEARCH, mode="human").out)) == 6
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "off")
    off = cli(*SEARCH, mode="human").out
    assert terminals.iterm(off) == []
    assert len(terminals.iterm(cli(*SEARCH, "--preview", mode="human").out)) == 6
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "postcards")
    ran = cli(*SEARCH)
    assert ran.code == 2
    assert "kitty, iterm, sixel, blocks" in ran.err


@pytest.mark.parametrize("mode", ["plain", "json", "quiet"])
def test_no_pictures_in_a_pipe(
    mode: str, cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = cli(*SEARCH, mode=mode).out
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    monkeypatch.setenv("TERM", "xterm-kitty")
    for extra in ([], ["--preview"]):
        ran = cli(*SEARCH, *extra, mode=mode)
        assert ran.code == 0
        assert "\x1b" not in ran.out
        assert re.sub(r"\d+\.\d+,", "", ran.out) == re.sub(r"\d+\.\d+,", "", without)


def test_no_colours_no_blocks(cli: Cli, imported: Path) -> None:
    ran = cli(*SEARCH, "--preview", "--no-color", mode="human")
    assert ran.code == 0
    assert "\u2580" not in ran.out
    assert "too few colours" in ran.err


def test_a_picture_that_is_gone_leaves_a_frame(
    cli: Cli, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(gallery / "more", mine)
    cli("import", mine, "-m", "shapes")
    first, second, *_ = hit_paths(cli)
    first.unlink()
    second.write_bytes(b"no picture")
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    ran = cli(*SEARCH, mode="human")
    assert ran.code == 0
    assert len(terminals.kitty(ran.out)) == 4
    assert "vanished" in ran.text
    assert "unsupported" in ran.text
    shutil.rmtree(mine)
    ran = cli(*SEARCH, mode="human")
    assert terminals.kitty(ran.out) == []
    assert "not on this machine" in ran.err


def test_names_with_control_characters_draw_nothing(
    cli: Cli, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(next(gallery.glob("*.png")), mine / "a\x1b]0;title\x07\x1b[31m\n.png")
    cli("import", mine, "-m", "shapes")
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    out = cli("search", "star", mode="human").out
    assert "]0;title\x07" not in out
    assert "\x1b[31m\n.png" not in out
    assert len(terminals.kitty(out)) == 1


def test_many_hits_are_drawn_only_when_asked(
    cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    ran = cli("search", "star", "-k", "40", mode="human")
    assert len(terminals.kitty(ran.out)) == 20
    assert "The first 20 of 40" in ran.err
    ran = cli("search", "star", "-k", "40", "--preview", mode="human")
    assert len(terminals.kitty(ran.out)) == 40


needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux")


class Tmux:
    """A tmux server of this test's own, with one window of 100 x 60.

    Args:
        socket: its path is short, as sockets' must be.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = str(socket)
        self("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "60", "sh")

    def __call__(self, *args: str) -> str:
        command = ["tmux", "-S", self.socket, *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, command: str, until: str) -> None:
        """Type a command and wait until a line of the screen begins with `until`."""
        self("send-keys", f"{command}; echo {until[0]}''{until[1:]}", "Enter")
        deadline = time.monotonic() + 30
        while not re.search(f"^{until}", self("capture-pane", "-p"), re.MULTILINE):
            assert time.monotonic() < deadline, self("capture-pane", "-p")
            time.sleep(0.1)


@pytest.fixture
def tmux(imported: Path) -> Iterator[Tmux]:
    with tempfile.TemporaryDirectory() as folder:
        server = Tmux(Path(folder, "tmux"))
        yield server
        server("kill-server")


@needs_tmux
def test_half_blocks_in_tmux(cli: Cli, tmux: Tmux, gallery: Path) -> None:
    paths = hit_paths(cli)
    tmux.type("clear; " + " ".join([*CLIPSTACK, *SEARCH[:1], "red\\ star", "-k", "6"])
              + " --preview", "READY")  # fmt: skip
    lines = [Text.from_ansi(line) for line in tmux("capture-pane", "-pe").splitlines()]
    rows = [number for number, line in enumerate(lines) if line.plain.startswith("\u2580" * 23)]
    assert len(rows) == 24
    console = Console()
    drawn = []
    for index in range(6):
        top, left = rows[index // 4 * 12], index % 4 * 25
        small = Image.new("RGBA", (23, 24))
        for row in range(12):
            line = lines[top + row]
            for column in range(23):
                assert line.plain[left + column] == "\u2580"
                style = line.get_style_at_offset(console, left + column)
                for below, colour in enumerate((style.color, style.bgcolor)):
                    assert colour is not None
                    triplet = colour.get_truecolor()
                    small.putpixel((column, 2 * row + below), (*triplet, 255))
        drawn.append(terminals.Drawn({}, terminals.np.asarray(small), ""))
    check_drawn(drawn, paths, gallery)
    captions = lines[rows[11] + 1].plain.split()
    assert captions[::2] == ["1", "2", "3", "4"]
    assert lines[rows[11] + 2].plain.split()[0][:20] == paths[0].name[:20]


@needs_tmux
def test_kitty_through_tmux(cli: Cli, tmux: Tmux, gallery: Path) -> None:
    """tmux in a terminal that says it is Kitty: pictures reach it, their places are text."""
    paths = hit_paths(cli)
    tmux("set", "-g", "allow-passthrough", "on")
    outer = Terminal({VERSION: b"\x1bP>|kitty(0.35.2)\x1b\\", ATTRIBUTES: b"\x1b[?62c"})
    attached = outer.start(["tmux", "-S", tmux.socket, "attach"])
    try:
        deadline = time.monotonic() + 10
        while "kitty" not in tmux("list-clients", "-F", "#{client_termtype}"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        tmux.type("clear; " + " ".join([*CLIPSTACK, "search", "red\\ star", "-k", "6"]), "READY")
        screen = tmux("capture-pane", "-pe")
        time.sleep(0.3)
    finally:
        attached.send_signal(signal.SIGHUP)
        attached.wait(10)
    drawn = terminals.kitty(outer.written.decode("utf-8", "replace"))
    check_drawn(drawn, paths, gallery)
    rows = [placeholder_rows(screen, image.control) for image in drawn]
    assert rows == [12] * 6, "every row of each picture is on the screen"


def placeholder_rows(screen: str, control: dict[str, str]) -> int:
    """The rows of placeholders on the screen for the picture that `control` sends."""
    marks = _published_diacritics()
    number = int(control["i"])
    high, low = marks[number >> 24], number & 255
    columns = int(control["c"])
    assert control["U"] == "1"
    rows = 0
    for row in range(int(control["r"])):
        first = "\U0010eeee" + marks[row] + marks[0] + high
        rest = "\U0010eeee" * (columns - 1)
        rows += len(
            re.findall(
                f"\x1b\\[[0-9;]*38;5;{low}m(?:\x1b\\[49m)?{first}{rest}(?!\U0010eeee)", screen
            )
        )
    return rows


def _published_diacritics() -> list[str]:
    """The combining characters of Kitty's list, as textual-image has them."""
    spec = importlib.util.find_spec("textual_image")
    assert spec
    assert spec.origin
    source = (Path(spec.origin).parent / "renderable" / "tgp.py").read_text()
    table = source[source.index("_NUMBER_TO_DIACRITIC") :]
    table = table[: table.index("]")]
    return [chr(int(number, 16)) for number in re.findall(r"0x[0-9a-f]+", table)]


def test_row_diacritics_are_those_of_the_list() -> None:
    from clipstack.output.terminal import protocols

    ours = [chr(mark) for mark in protocols._ROW_DIACRITICS]
    assert ours == _published_diacritics()[: protocols.MAX_ROWS]
    assert all(unicodedata.combining(mark) == 230 for mark in ours)


@needs_tmux
def test_tmux_that_hands_nothing_on(cli: Cli, tmux: Tmux) -> None:
    title = tmux("display-message", "-p", "#{pane_title}")
    tmux.type("clear; " + " ".join([*CLIPSTACK, "search", "red\\ star", "-k", "6"]), "READY")
    screen = tmux("capture-pane", "-p")
    assert "\u2580" not in screen
    assert "\U0010eeee" not in screen
    assert tmux("display-message", "-p", "#{pane_title}") == title, "no question became a title"


def test_show_draws_the_picture(
    cli: Cli, imported: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = sorted(gallery.glob("*.png"))[3]
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    ran = cli("show", picture, mode="human")
    check_drawn(terminals.kitty(ran.out), [picture], gallery)
    assert "as imported" in ran.text
    assert terminals.kitty(cli("show", picture, "--no-preview", mode="human").out) == []
    assert os.fspath(picture.name) in ran.text.replace(" ", "")
