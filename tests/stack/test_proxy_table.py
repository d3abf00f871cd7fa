"""The tables of docs/proxies.md are what real proxies record of real commands."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.proxies import Proxy, recording_proxy
from tests.running import Ran
from tests.stack.stacks import ROOT, Stack
from tests.stack.test_transport import filled, run  # noqa: F401  the fixture is used by name

pytestmark = [pytest.mark.stack, pytest.mark.slow]

COLUMNS = (
    "http_proxy, https_proxy",
    "HTTP_PROXY, HTTPS_PROXY",
    "ALL_PROXY=socks5://",
    "http_proxy, NO_PROXY",
)
STACK = (
    *("up", "status", "health --deep", "doctor", "logs --tail 1", "open bentoml"),
    *("import PICTURES", "search WORDS", "search --image URL", "tag PICTURES --add seen"),
    *("collections list", "collections export images FILE"),
    *("restart bentoml", "stop bentoml", "start bentoml", "down"),
)
REMOTE = (
    *("health --deep", "import PICTURES", "search WORDS", "search --image URL"),
    *("collections list",),
)


@pytest.fixture
def picture(gallery: Path) -> Iterator[int]:
    """The port of a server of the gallery."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(gallery))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_tables(filled: Stack, gallery: Path, picture: int) -> None:  # noqa: F811
    """Run every command with every variable; what differs from the documentation is shown."""
    addresses = {name: _address(filled, name) for name in ("milvus", "bentoml")}
    names = {"milvus": addresses["milvus"], "encoder": addresses["bentoml"]}
    with recording_proxy({"pictures.example": f"127.0.0.1:{picture}"}) as proxy:
        line = partial(_row, filled, proxy, gallery, names)
        remote = {
            "CLIPSTACK_MILVUS_URI": f"http://{names['milvus']}:19530",
            "CLIPSTACK_ENCODER_URL": f"http://{names['encoder']}:3000",
        }
        tables = [
            _table([line(command, remote) for command in REMOTE]),
            _table([line(f"--target stack {command}", {}) for command in STACK]),
        ]
    text = (ROOT / "docs" / "proxies.md").read_text("utf-8")
    missing = [table for table in tables if table not in text]
    assert not missing, "\n\n".join(tables)


def _row(
    stack: Stack,
    proxy: Proxy,
    gallery: Path,
    names: dict[str, str],
    command: str,
    variables: dict[str, str],
) -> list[str]:
    """The command, and in which way it connects with each column's variables."""
    image = f"http://pictures.example/{next(gallery.glob('*.png')).name}"
    words = {
        "PICTURES": str(gallery),
        "WORDS": "red circle",
        "URL": image,
        "FILE": str(stack.folder / "images.npz"),
    }
    arguments = [words.get(word, word) for word in command.split()]
    cells = [f"`{command.removeprefix('--target stack ')}`"]
    http, socks = (f"{scheme}://127.0.0.1:{proxy.port}" for scheme in ("http", "socks5"))
    for column in (
        {"http_proxy": http, "https_proxy": http},
        {"HTTP_PROXY": http, "HTTPS_PROXY": http},
        {"ALL_PROXY": socks},
        {"http_proxy": http, "NO_PROXY": ",".join(names.values())},
    ):
        proxy.requests.clear()
        ran = run(stack, "--yes", *arguments, **variables, **column)
        cells.append(_cell(ran, proxy.hosts, names))
    return cells


def _cell(ran: Ran, hosts: Sequence[str], names: dict[str, str]) -> str:
    services = {address: name for name, address in names.items()} | {"pictures.example": "URL"}
    if ran.code == 0:
        proxied = ", ".join(sorted(services.get(host, host) for host in hosts))
        return f"proxy: {proxied}" if hosts else "direct"
    assert ran.code in (2, 3), ran.err
    assert "gRPC only knows proxies" in ran.err + ran.out
    assert not {names["milvus"]} & {*hosts}
    return "refused: milvus"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [["", *(f"`{column}`" for column in COLUMNS)], ["---"] * (len(COLUMNS) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _address(stack: Stack, service: str) -> str:
    networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return stack.docker("inspect", service, "--format", networks)
