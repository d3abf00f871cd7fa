"""Where Docker's engine is.

The `docker` program says so, once for a process; Docker's library and every child process get the
same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from clipstack import net
from clipstack.errors import PrerequisiteError
from clipstack.stack import docker_cli

_TLS = ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", *_TLS, "PATH", "HOME")
_DEFAULT = "default"
_NOT_RUNNING = (
    *("cannot connect", "refused", "filenotfounderror", "no such file"),
    "is the docker daemon running",
)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Docker's engine is.

    Attributes:
        host: its URL, such as unix:///var/run/docker.sock, tcp://10.0.0.5:2376 or ssh://me@host.
        context: the name of the Docker context, "default" for none.
        origin: the variable that chose it, "the current context", or "" for Docker's default.
    """

    host: str
    context: str
    origin: str

    def __str__(self) -> str:
        if self.origin == "DOCKER_HOST":
            return f"{self.host} (from DOCKER_HOST)"
        source = f", from {self.origin}" if self.origin == "DOCKER_CONTEXT" else ""
        return f"{self.host} (context {self.context}{source})"

    @property
    def is_local(self) -> bool:
        """Whether it is reached by a socket of this machine."""
        return self.host.startswith(("unix:", "npipe:"))

    @property
    def is_default(self) -> bool:
        """Whether it is the one that Docker uses when nobody chose another."""
        return not self.origin and self.is_local

    @property
    def remote_host(self) -> str:
        """The name or address of the other machine that it runs on; "" for this machine."""
        parts = urlsplit(self.host)
        if self.is_local or not parts.hostname:
            return ""
        ssh_target = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
        host = docker_cli.ssh_host_name(ssh_target) if parts.scheme == "ssh" else parts.hostname
        return "" if _is_this_machine(host) else host

    @property
    def ssh_target(self) -> str:
        """What to give `ssh` to log in to its machine."""
        parts = urlsplit(self.host)
        if parts.scheme != "ssh":
            return f"USER@{parts.hostname}"
        port = f"-p {parts.port} " if parts.port else ""
        return f"{port}{parts.netloc.rpartition(':')[0] if parts.port else parts.netloc}"

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The variables with which a child process uses this engine, and no other."""
        chosen = {"DOCKER_CONTEXT": self.context}
        others = {"DOCKER_HOST", *_TLS} if self.context != _DEFAULT else {"DOCKER_HOST"}
        if self.origin == "DOCKER_HOST":
            chosen = {"DOCKER_HOST": os.environ["DOCKER_HOST"]}
            others = {"DOCKER_CONTEXT"}
        return {name: value for name, value in variables.items() if name not in others} | chosen

    def error(self, message: str) -> PrerequisiteError:
        """The error for a message by which Docker, or its client, says that it can't be used."""
        if self.is_local:
            error = _local_error(message)
            hint = f"{error.hint} {self._other_hint}".strip()
            return PrerequisiteError(error.message, hint=hint)
        response = re.search(r'Client Error .*\("(.+)"\)', message)
        reason = " ".join((response.group(1) if response else message).split())[:300]
        reason = "no answer" if "timed out" in reason.lower() else reason
        return PrerequisiteError(
            f"Docker at {self} can't be reached: {reason}",
            hint=f"`docker version` has to reach it first. {self._other_hint}",
        )

    @property
    def _other_hint(self) -> str:
        if self.origin.startswith("DOCKER_"):
            return f"{self.origin} chose {self.host}: unset it for the engine of `docker context`."
        if self.origin:
            return f"`docker context use` chooses another engine than that of {self.context}."
        return ""


def current() -> Endpoint:
    """The engine that `docker` uses: that of DOCKER_HOST, DOCKER_CONTEXT or the current context.

    Raises:
        PrerequisiteError: `docker` is not installed or says that there is no such engine.
    """
    with _lock:
        return _resolve(tuple(os.environ.get(name, "") for name in _VARIABLES))


def overridden_context() -> str:
    """The context that DOCKER_HOST takes the place of, or ""."""
    if not os.environ.get("DOCKER_HOST"):
        return ""
    variables = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    process = docker_cli.run_docker(
        "context", "inspect", "--format", "{{.Name}}", environment=variables
    )
    name = process.stdout.strip() if process else ""
    return "" if name == _DEFAULT else name


@cache
def _resolve(_: tuple[str, ...]) -> Endpoint:
    if not shutil.which("docker"):
        raise PrerequisiteError(
            "Docker is not installed", hint="Install Docker Engine or Docker Desktop."
        )
    host, context = os.environ.get("DOCKER_HOST", ""), os.environ.get("DOCKER_CONTEXT", "")
    has_tls = any(os.environ.get(name) for name in _TLS)
    if host.startswith(("unix://", "npipe://")) and not has_tls:
        return Endpoint(host, _DEFAULT, "DOCKER_HOST")
    process = docker_cli.run_docker("context", "inspect")
    if process is None:
        raise _local_error("timed out")
    # With a config.json that can't be read, `docker` warns, and uses the default engine.
    if process.returncode or "config file" in process.stderr:
        raise _resolution_error(process.stderr, host, context)
    try:
        inspected = json.loads(process.stdout)[0]
        name, url = str(inspected["Name"]), str(inspected["Endpoints"]["docker"]["Host"])
    except (ValueError, LookupError, TypeError):
        raise _local_error(process.stdout + process.stderr) from None
    origin = "DOCKER_HOST" if host else "DOCKER_CONTEXT" if context else ""
    return Endpoint(url, name, origin or ("the current context" if name != _DEFAULT else ""))


def _resolution_error(output: str, host: str, context: str) -> PrerequisiteError:
    message = " ".join(output.split())
    missing = re.search(r'context "(.+?)": context not found', message)
    if missing:
        source = "DOCKER_CONTEXT names" if context else "Docker's config.json names"
        return PrerequisiteError(
            f"there is no Docker context {missing.group(1)!r}, which {source}",
            hint="`docker context ls` lists them. "
            + ("Set DOCKER_CONTEXT to one of them." if context else "`docker context use` one."),
        )
    if "config file" in message or message.startswith("context "):
        return PrerequisiteError(
            f"Docker's settings can't be read: {message[:300]}",
            hint="Mend or remove that file, or set DOCKER_HOST.",
        )
    if host or any(os.environ.get(name) for name in _TLS):
        names = [name for name in ("DOCKER_HOST", *_TLS) if os.environ.get(name)]
        return PrerequisiteError(
            f"Docker can't use {', '.join(names)}: {message[:300]}",
            hint=f"Correct or unset {', '.join(names)}.",
        )
    return _local_error(message)


def _local_error(message: str) -> PrerequisiteError:
    message = " ".join(message.split())
    lower = message.lower()
    if "permission denied" in lower or "permissionerror" in lower:
        return PrerequisiteError(
            "this user may not use Docker",
            hint="Type `sudo usermod -aG docker $USER` and log in again.",
        )
    if any(words in lower for words in _NOT_RUNNING):
        return PrerequisiteError(
            "Docker is not running",
            hint="Start Docker Desktop, or type `sudo systemctl start docker`.",
        )
    if "timed out" in lower:
        return PrerequisiteError("Docker does not answer", hint="Restart Docker.")
    return PrerequisiteError(f"Docker can't be used: {message[:300]}", hint="See `docker version`.")


def _is_this_machine(host: str) -> bool:
    if net.is_loopback(host):
        return True
    try:
        net.bound_socket(host, 0).close()
    except OSError:
        return False
    return True
