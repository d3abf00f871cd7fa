"""The address of the search page: its host, port and token, and a socket that listens there."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from clipstack import net
from clipstack.errors import UsageError

_TOKEN_BYTES = 24
_MIN_TOKEN_LENGTH = 8


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where the page is served.

    Attributes:
        host: address or name to listen on.
        port: TCP port.
        token: secret that a browser must send once, or "" for none.
    """

    host: str
    port: int
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The page's URL on this machine, without the token."""
        return f"{net.url_of(self.host, self.port)}/"

    @property
    def url_with_token(self) -> str:
        """The URL with the token as its fragment, which browsers put into no request."""
        return f"{self.url}#token={quote(self.token, safe='')}" if self.token else self.url

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return net.is_loopback(self.host)

    @property
    def cookie_name(self) -> str:
        """Name of the cookie, with the port: browsers send a cookie to every port of a host."""
        return f"clipstack-{self.port}"

    @property
    def cookie_value(self) -> str:
        """Value of the cookie: a hash of the token."""
        return hashlib.blake2b(
            b"clipstack page", key=self.token.encode()[:64], digest_size=32
        ).hexdigest()

    def accepts_token(self, token: str) -> bool:
        """Whether `token` is the page's token, in constant time."""
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def accepts_cookie(self, value: str) -> bool:
        """Whether `value` is the cookie's value, in constant time."""
        return hmac.compare_digest(value.encode(errors="replace"), self.cookie_value.encode())

    def accepts_host(self, host: str) -> bool:
        """Whether `host`, a Host header, names this page.

        Other names are refused, as anybody can make a name of theirs resolve to this machine (DNS
        rebinding). A page that listens on all interfaces accepts any IP address.
        """
        name, port = _split(host)
        if port != self.port:
            return False
        if name in {"localhost", "127.0.0.1", "::1", self.host.lower()}:
            return True
        if not net.is_unspecified(self.host):
            return False
        return net.ip_address(name) is not None or name in _own_names()


def page_address(host: str, port: int, token: str = "") -> PageAddress:
    """An address, with a new token if one is needed and none is given.

    Raises:
        UsageError: the token is too short, or has characters other than visible ASCII.
    """
    if token:
        if len(token) < _MIN_TOKEN_LENGTH or not all(
            33 <= ord(character) < 127 for character in token
        ):
            raise UsageError(
                f"the token must be at least {_MIN_TOKEN_LENGTH} visible ASCII characters",
                hint="Leave it out, and one is made.",
            )
    elif not net.is_loopback(host):
        token = secrets.token_urlsafe(_TOKEN_BYTES)
    return PageAddress(str(net.ip_address(host) or host), port, token)


def listen(address: PageAddress) -> socket.socket:
    """A socket that listens on the page's host and port.

    Raises:
        PrerequisiteError: the port is taken, or this user may not listen on it.
        UsageError: this machine has no such address.
    """
    return net.listening_socket(address.host, address.port, usual_port=8899)


def _split(host: str) -> tuple[str, int]:
    """The name in lower case and the port of a Host header; ("", 0) if it is invalid."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return "", 0
    if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
        return "", 0
    return name, 80 if port is None else port


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local"}
