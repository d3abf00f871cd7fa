"""More Docker engines, each a `dockerd` with folders of its own, and ways to reach them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import Ran
from tests.serving import free_port
from tests.stack.stacks import Stack

LABEL = "com.docker.compose.project"
VOLUMES = ("etcd", "minio", "milvus")


@dataclass
class Engine:
    """A running engine: its socket, its TCP port, and the folder with a client's TLS files."""

    socket: str
    tcp: str
    certificates: Path
    docker_config: Path = field(default_factory=Path)

    def docker(self, *args: str) -> str:
        """`docker ARGS` on this engine; what it prints."""
        return docker_on(self.socket, *args)

    def make_volumes(self, project: str) -> None:
        for name in VOLUMES:
            self.docker("volume", "create", "--label", f"{LABEL}={project}", f"{project}_{name}")

    def remove(self, project: str) -> None:
        """Away with a project's containers, networks and volumes."""
        label = ("--filter", f"label={LABEL}={project}")
        for kind, options in (("container", ("-a",)), ("network", ()), ("volume", ())):
            force = () if kind == "network" else ("--force",)
            for name in self.docker(kind, "ls", "-q", *options, *label).split():
                self.docker(kind, "rm", *force, name)

    def volumes(self, project: str) -> set[str]:
        return set(
            self.docker("volume", "ls", "-q", "--filter", f"label={LABEL}={project}").split()
        )


def docker_on(host: str, *args: str) -> str:
    """`docker ARGS` on the engine at `host`; what it prints."""
    environment = {name: value for name, value in os.environ.items() if name[:7] != "DOCKER_"}
    environment["DOCKER_HOST"] = host
    line = ["docker", *args]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout.strip()


@contextlib.contextmanager
def running_engine(
    folder: Path, *options: str, address: str = "127.0.0.1", namespace: str = ""
) -> Iterator[Engine]:
    """An engine that listens on a socket in `folder`, and with TLS on `address`.

    Args:
        options: of dockerd.
        namespace: the network namespace that it is in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server, client = make_certificates(folder, address)
    engine = Engine(f"unix://{folder}/docker.sock", f"tcp://{address}:{free_port()}", client)
    line = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
    line += ["dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    line += ["--pidfile", str(folder / "pid"), "--host", engine.socket, "--host", engine.tcp]
    line += ["--tlsverify", "--tlscacert", str(server / "ca.pem")]
    line += ["--tlscert", str(server / "cert.pem"), "--tlskey", str(server / "key.pem")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*line, *options], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(AssertionError):
                engine.docker("version")
                break
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
        yield engine
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def make_certificates(folder: Path, address: str) -> tuple[Path, Path]:
    """Folders with ca.pem, cert.pem and key.pem of a server at `address`, and of a client."""
    ca, ca_key = folder / "ca.pem", folder / "ca-key.pem"
    openssl("req", "-x509", "-subj", "/CN=ca", "-days", "2", *key(ca_key), "-out", ca)
    folders = []
    for name in ("server", "client"):
        files = folder / name
        files.mkdir(exist_ok=True)
        (files / "ca.pem").write_bytes(ca.read_bytes())
        request, extensions = files / "request.pem", files / "extensions"
        extensions.write_text(
            f"subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        openssl("req", "-subj", f"/CN={name}", *key(files / "key.pem"), "-out", request)
        signed = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2")
        openssl("x509", "-req", "-in", request, *signed, "-extfile", extensions, "-out",
                files / "cert.pem")  # fmt: skip
        folders.append(files)
    return folders[0], folders[1]


def key(file: Path) -> tuple[object, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-keyout", file)


def openssl(*args: object) -> None:
    line = ["openssl", *map(str, args)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_context(config: Path, name: str, endpoint: str) -> None:
    """A Docker context in a folder for DOCKER_CONFIG, as `docker context create` makes it."""
    context_command(config, "create", name, "--docker", endpoint)


def context_command(config: Path, *args: str) -> None:
    config.mkdir(parents=True, exist_ok=True)
    line = ["docker", "--config", str(config), "context", *args]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def fake_ssh(folder: Path, engine: Engine, address: str) -> Path:
    """A folder with an `ssh` that runs the command here, where `docker` uses that engine.

    Its log has the process ids of its connections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "ssh"
    program.write_text(
        f"""#!/bin/sh
if [ "$1" = -G ]; then echo "hostname {address}"; exit; fi
while [ "$1" != -- ]; do shift; done
shift 2
echo $$ >>{folder}/log
unset DOCKER_CONTEXT DOCKER_CONFIG
DOCKER_HOST={engine.socket} exec sh -c "$*"
"""
    )
    program.chmod(0o755)
    return folder


def ran(stack: Stack, variables: dict[str, str], *args: object) -> Ran:
    """`clipstack ARGS` for a stack, with these variables alone to say which engine is used."""
    before = stack.variables
    stack.variables = before | variables
    try:
        return stack.clipstack(*args)
    finally:
        stack.variables = before
