"""The encoder service on this machine, without Docker."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from clipstack import encoders, net
from clipstack.encoders.choice import choose
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.service import configuration
from clipstack.service import served_model as served
from clipstack.stack import subprocesses
from clipstack.stack.build_context import bentoml_environment, service_folder


@dataclass(frozen=True, slots=True)
class LocalService:
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
        """The URL by which this machine reaches it."""
        return net.url_of(self.host, self.port)


def prepare(
    model: ModelFolder,
    host: str,
    port: int,
    workers: int | None,
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
) -> LocalService:
    """Check that the service can be started.

    Args:
        model: what `encoders.models.resolve` returned.
        host: the address or name to listen on.
        port: the TCP port to listen on.
        workers: processes, each with its own copy of the model; None for the environment's number.
        device, engine, precision: as for `encoders.load`.

    Raises:
        PrerequisiteError: the port is taken, or this user may not listen on it; `precision`
            is int8, and no int8 model was accepted.
        UsageError: this machine has no such address, or there is no such engine.
    """
    service_folder()  # raises where the installation is incomplete
    choose(engine, device)
    if precision == "int8":
        encoders.int8(describe(model), engine)
    if workers is None:
        workers = configuration.from_environment().workers
    net.listening_socket(host, port, usual_port=3000).close()
    return LocalService(net.bare(host), port, model, workers, device, engine, precision)


def run(service: LocalService) -> None:
    """Run `bentoml serve`, whose output goes to stderr: stdout is for data.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after it has ended.
        ClipstackError: it failed.
    """
    name = service.model.name
    if service.model.source == "folder":
        name = str(service.model.path)
    variables = bentoml_environment(
        **{
            served.MODEL_VARIABLE: name,
            f"{configuration.PREFIX}WORKERS": str(service.workers),
            "CLIPSTACK_DEVICE": service.device,
            "CLIPSTACK_ENGINE": service.engine,
            "CLIPSTACK_PRECISION": service.precision,
        }
    )
    command = [sys.executable, "-m", "bentoml", "serve", "service:svc"]
    command += [
        "--working-dir",
        str(service_folder()),
        "--host",
        service.host,
        "--port",
        str(service.port),
    ]
    subprocesses.serve(command, "bentoml serve", variables)
