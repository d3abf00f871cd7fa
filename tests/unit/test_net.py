"""Addresses of this machine, the URLs by which it reaches them, and free ports."""

from __future__ import annotations

import pytest

from clipstack import net
from clipstack.errors import PrerequisiteError, UsageError


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
