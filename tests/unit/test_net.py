"""Addresses of this machine, the URLs by which it reaches them, and free ports."""

from __future__ import annotations

import pytest

from clipstack import net
from clipstack.errors import PrerequisiteError, UsageError
from tests.proxies import VARIABLES


@pytest.mark.parametrize(
    ("bind_address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://127.0.0.1:3000"),
        ("", "http://127.0.0.1:3000"),
        ("::", "http://[::1]:3000"),
        ("fe80::1", "http://[fe80::1]:3000"),
        ("[::1]", "http://[::1]:3000"),
        ("encoder", "http://encoder:3000"),
    ],
)
def test_url_of(bind_address: str, url: str) -> None:
    assert net.url_of(bind_address, 3000) == url


def test_is_loopback() -> None:
    assert all(map(net.is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]))
    assert not any(map(net.is_loopback, ["", "0.0.0.0", "::", "10.0.0.1", "example.com"]))


def test_a_port_is_taken_once() -> None:
    with net.listening_socket("127.0.0.1", 0, usual_port=3000) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(PrerequisiteError, match=f"port {port} is taken"):
            net.listening_socket("127.0.0.1", port, usual_port=3000)


def test_an_address_elsewhere() -> None:
    with pytest.raises(UsageError, match="can't listen on 192"):
        net.listening_socket("192.0.2.1", 0, usual_port=3000)


@pytest.mark.parametrize(
    ("bind_address", "url"),
    [
        ("[::]", "http://[::1]:3000"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:3000"),
        ("0:0:0:0:0:0:0:1", "http://[0:0:0:0:0:0:0:1]:3000"),
    ],
)
def test_url_of_other_spellings(bind_address: str, url: str) -> None:
    assert net.url_of(bind_address, 3000) == url


@pytest.mark.parametrize("address", ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
def test_a_port_of_ipv6(address: str) -> None:
    with net.listening_socket(address, 0, usual_port=3000) as listening:
        assert listening.getsockname()[0] == "::1"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable is set that names proxies."""
    for name in VARIABLES:
        for variable in (f"{name}_proxy", f"{name.upper()}_PROXY"):
            monkeypatch.delenv(variable, raising=False)
    return monkeypatch


LOCAL = ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]")


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "grpc_proxy"])
def test_loopback_has_no_proxy(environment: pytest.MonkeyPatch, host: str, variable: str) -> None:
    environment.setenv(variable, "socks4://unusable:1")
    assert net.proxy_for(f"http://{host}:3000/") == ""
    assert net.grpc_proxy_for(net.bare(host), 19530) == ""


def test_the_hosts_of_a_stack_have_no_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setattr(net, "_direct_hosts", set())
    environment.setenv("http_proxy", "http://proxy:3128")
    assert net.proxy_for("http://192.0.2.7:3000") == "http://proxy:3128"
    net.reach_directly("http://192.0.2.7:19530")
    assert net.proxy_for("http://192.0.2.7:3000") == net.grpc_proxy_for("192.0.2.7", 19530) == ""


P, Q = "http://p:1", "http://q:1"


@pytest.mark.parametrize(
    ("variables", "http", "https", "grpc"),
    [
        ({}, "", "", ""),
        ({"http_proxy": P}, P, "", P),
        ({"HTTP_PROXY": "p:1"}, P, "", P),
        ({"https_proxy": P}, "", P, P),
        ({"http_proxy": P, "HTTPS_PROXY": Q}, P, Q, Q),
        ({"ALL_PROXY": P, "http_proxy": Q}, Q, P, Q),
        ({"GRPC_PROXY": P, "all_proxy": "socks5://q:1"}, "socks5://q:1", "socks5://q:1", P),
        ({"http_proxy": "", "HTTP_PROXY": P}, "", "", ""),
    ],
)
def test_the_proxy_of_others(
    environment: pytest.MonkeyPatch, variables: dict[str, str], http: str, https: str, grpc: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert net.proxy_for("http://example.com/x") == http
    assert net.proxy_for("https://example.com/x") == https
    assert net.grpc_proxy_for("example.com", 19530) == grpc


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", ["http://a.example.com", "http://10.1.2.3", "http://[fd00::5]"]),
        ("example.com", ["http://example.com", "http://a.example.com"]),
        (".example.com", ["http://a.example.com"]),
        ("*.example.com, other", ["http://a.example.com", "http://other"]),
        ("example.com:80", ["http://example.com:80"]),
        ("10.0.0.0/8", ["http://10.1.2.3"]),
        ("10.1.2.3", ["http://10.1.2.3:19530"]),
        ("fd00::/8", ["http://[fd00::5]"]),
        ("[fd00::5]", ["http://[fd00::5]:3000"]),
    ],
)
def test_exceptions(environment: pytest.MonkeyPatch, no_proxy: str, direct: list[str]) -> None:
    environment.setenv("http_proxy", "http://p:1")
    for variable in ("no_proxy", "NO_PROXY"):
        environment.setenv(variable, no_proxy)
        assert [net.proxy_for(url) for url in direct] == [""] * len(direct)
        environment.delenv(variable)


@pytest.mark.parametrize(
    "no_proxy", ["example.com", "example.com:81", "10.0.0.0/8, ::1", "*.com.x"]
)
def test_what_is_no_exception(environment: pytest.MonkeyPatch, no_proxy: str) -> None:
    environment.setenv("http_proxy", P)
    environment.setenv("no_proxy", no_proxy)
    for host in ("badexample.com", "example.com.other", "11.0.0.1", "[fd00::1]"):
        assert net.proxy_for(f"http://{host}") == P


def test_exceptions_of_grpc_come_first(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", "http://p:1")
    environment.setenv("no_grpc_proxy", "milvus.test")
    environment.setenv("no_proxy", "encoder.test")
    assert net.grpc_proxy_for("milvus.test", 19530) == net.proxy_for("http://encoder.test") == ""
    assert net.grpc_proxy_for("encoder.test", 1) == net.proxy_for("http://milvus.test")


@pytest.mark.parametrize(
    "proxy", ["socks4://p:1", "ftp://p", "http://", "http://p:x", "http://p:0"]
)
def test_a_proxy_that_can_not_be_used(environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("all_proxy", proxy)
    with pytest.raises(UsageError, match="all_proxy="):
        net.proxy_for("http://example.com")


def test_what_gnome_calls_socks(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks://p:1080/")
    assert net.proxy_for("http://example.com") == "socks5://p:1080/"


def test_grpc_knows_no_socks(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks5h://me:secret@p:1080")
    with pytest.raises(UsageError, match=r"milvus\.test .* socks5h://p:1080") as error:
        net.grpc_proxy_for("milvus.test", 19530)
    assert "no_grpc_proxy=milvus.test" in error.value.hint
    assert "secret" not in error.value.message + error.value.hint
