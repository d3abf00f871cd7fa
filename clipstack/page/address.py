"""Where the page is served: an address and a port in; what may be asked for it by, and its token,
out."""

from __future__ import annotations

import errno
import hashlib
import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from clipstack.errors import PrerequisiteError, UsageError

_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_TOKEN_BYTES = 24
_LEAST_TOKEN = 8


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where the page is.

    Attributes:
        host: the address or name it listens on.
        port: the TCP port.
        token: what a browser must have sent once, or "" for none.
    """

    host: str
    port: int
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Its address for a browser on this machine, without the token."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else "::1" if self.host == "::" else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def address(self) -> str:
        """The same with the token, as a fragment: that goes into no request and no log."""
        return f"{self.url}#token={quote(self.token, safe='')}" if self.token else self.url

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)

    @property
    def cookie(self) -> str:
        """The cookie's name; cookies do not tell ports apart."""
        return f"clipstack-{self.port}"

    @property
    def session(self) -> str:
        """The cookie's value: from the token, which can't be found from it."""
        return hashlib.blake2b(
            b"clipstack page", key=self.token.encode()[:64], digest_size=32
        ).hexdigest()

    def is_token(self, given: str) -> bool:
        """Whether `given` is the token; takes equally long for any."""
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def is_session(self, given: str) -> bool:
        """Whether `given` is the cookie's value."""
        return hmac.compare_digest(given.encode(errors="replace"), self.session.encode())

    def answers_to(self, host: str) -> bool:
        """Whether a request may name `host` (the header) as whom it asks.

        A name that some other server makes point here (DNS rebinding) is none of the page's. Where
        it listens everywhere, any address will do: only a name can be made to point elsewhere.
        """
        parts = _split(host)
        if parts is None or parts[1] != self.port:
            return False
        name = parts[0]
        if name in {"localhost", "127.0.0.1", "::1", self.host.lower()}:
            return True
        if self.host not in _EVERYWHERE:
            return False
        return _is_address(name) or name in _own_names()


def page_address(host: str, port: int, token: str = "") -> PageAddress:
    """The place, with a token made where there must be one and none is given.

    Raises:
        UsageError: the token is too short, or holds more than visible ASCII.
    """
    if token:
        if len(token) < _LEAST_TOKEN or not all(33 <= ord(letter) < 127 for letter in token):
            raise UsageError(
                f"the token must be at least {_LEAST_TOKEN} visible ASCII characters",
                hint="Leave it out, and one is made.",
            )
    elif not is_loopback(host):
        token = secrets.token_urlsafe(_TOKEN_BYTES)
    return PageAddress(host, port, token)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(where: PageAddress) -> socket.socket:
    """A socket that listens there.

    Raises:
        PrerequisiteError: the port is taken, or this user may not listen on it.
        UsageError: this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((where.host, where.port))
        made.listen(128)
    except PermissionError:
        made.close()
        raise PrerequisiteError(
            f"this user may not listen on port {where.port}", hint="Add --port 8899."
        ) from None
    except socket.gaierror:
        made.close()
        raise UsageError(f"{where.host!r} is no address of this machine") from None
    except OSError as error:
        made.close()
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"can't listen on {where.host}: {error.strerror}") from None
        raise PrerequisiteError(
            f"port {where.port} is taken",
            hint=f"Add `--port {where.port % 65535 + 1}`, or stop what uses it: "
            f"`lsof -i :{where.port}` names it.",
        ) from None
    return made


def _split(host: str) -> tuple[str, int] | None:
    """A Host header's name in lower case and its port."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return name, 80 if port is None else port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local"}
