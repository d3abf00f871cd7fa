"""A model, an address and a number of workers in, the service in this process out."""

from __future__ import annotations

import errno
import os
import socket
import sys
from dataclasses import dataclass
from typing import NoReturn

from clipstack import encoders
from clipstack.encoders.choice import choose
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.errors import PrerequisiteError, UsageError
from clipstack.service import configuration
from clipstack.service import served_model as served
from clipstack.stack.build_context import environment, home


@dataclass(frozen=True, slots=True)
class Serving:
    """A service that can be started: its address, model, worker processes and engine."""

    host: str
    port: int
    model: ModelFolder
    workers: int
    device: str
    engine: str
    precision: str

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}"


def prepare(
    model: ModelFolder,
    host: str,
    port: int,
    workers: int | None,
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
) -> Serving:
    """Check that the service can be started.

    Args:
        model: what `encoders.models.resolve` returned.
        host: the address or name to listen on.
        port: the TCP port to listen on.
        workers: processes, each with its own copy of the model; None for what the environment says.
        device, engine, precision: as for `encoders.load`.

    Raises:
        PrerequisiteError: the port is taken, or this user may not listen on it; int8 was asked for
            and none was accepted.
        UsageError: this machine has no such address, or there is no such engine.
    """
    home()
    choose(engine, device)
    if precision == "int8":
        encoders.int8(describe(model), engine)
    wanted = workers if workers is not None else configuration.from_environment().workers
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise PrerequisiteError(
                f"this user may not listen on port {port}", hint="Add --port 3000."
            ) from None
        except socket.gaierror:
            raise UsageError(f"{host!r} is no address of this machine") from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UsageError(f"can't listen on {host}: {error.strerror}") from None
            raise PrerequisiteError(
                f"port {port} is taken",
                hint=f"Add `--port {port + 1}`, or stop what uses it: `lsof -i :{port}` names it.",
            ) from None
    return Serving(host, port, model, wanted, device, engine, precision)


def start(serving: Serving) -> NoReturn:
    """Become `bentoml serve`. What it prints goes to stderr: stdout is for data."""
    name = serving.model.name
    if serving.model.source == "folder":
        name = str(serving.model.path)
    variables = environment(
        **{
            served.MODEL_VARIABLE: name,
            f"{configuration.PREFIX}WORKERS": str(serving.workers),
            "CLIPSTACK_DEVICE": serving.device,
            "CLIPSTACK_ENGINE": serving.engine,
            "CLIPSTACK_PRECISION": serving.precision,
        }
    )
    command = [sys.executable, "-m", "bentoml", "serve", "service:svc"]
    command += ["--working-dir", str(home()), "--host", serving.host, "--port", str(serving.port)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(2, 1)
    os.execve(sys.executable, command, variables)
