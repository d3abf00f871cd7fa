"""A Milvus of somebody else's: with a token, TLS and a database of its own."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipstack.index.milvus.connection import MilvusConnection, Tls
from tests.running import Cli, Ran
from tests.serving import free_port
from tests.stack.stacks import Stack, compose_up, docker, removed

NAME = "milvus.test"
TOKEN = "root:Milvus"


@dataclass(frozen=True)
class Remote:
    """A Milvus that asks for a token and speaks TLS, and the folder of its certificates."""

    port: int
    certificates: Path

    @property
    def uri(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def settings(self, **more: str) -> dict[str, str]:
        ca = str(self.certificates / "ca.pem")
        given = {"milvus_uri": self.uri, "tls_ca": ca, "tls_server_name": NAME}
        return {f"CLIPSTACK_{name.upper()}": value for name, value in (given | more).items()}


def openssl(folder: Path, *line: str) -> None:
    subprocess.run(["openssl", *line], cwd=folder, check=True, capture_output=True)


def certify(folder: Path) -> None:
    """An authority of our own, and a certificate that it signed for NAME."""
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    for ca in ("ca", "other"):
        authority = ("-x509", "-days", "2", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
        openssl(folder, *new, f"/CN={ca}", *authority)
    openssl(folder, *new, f"/CN={NAME}", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text(f"subjectAltName=DNS:{NAME}")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    openssl(
        *(folder, "x509", "-req", "-in", "server.csr", *signed),
        *("-extfile", "names", "-out", "server.pem"),
    )
    for file in folder.iterdir():
        file.chmod(0o644)


@pytest.fixture(scope="module")
def remote(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("remote")
    certificates = folder / "certificates"
    certificates.mkdir()
    certify(certificates)
    with removed(Stack(folder, "clipstack-test-remote-target")) as stack:
        compose_up(stack, "etcd", "minio")
        port = free_port()
        variables = {
            "ETCD_ENDPOINTS": "etcd:2379",
            "MINIO_ADDRESS": "minio:9000",
            "MINIO_ACCESS_KEY_ID": stack.variables["CLIPSTACK_MINIO_USER"],
            "MINIO_SECRET_ACCESS_KEY": stack.variables["CLIPSTACK_MINIO_PASSWORD"],
            "COMMON_SECURITY_AUTHORIZATIONENABLED": "true",
            "COMMON_SECURITY_TLSMODE": "1",
            "TLS_SERVERPEMPATH": "/certificates/server.pem",
            "TLS_SERVERKEYPATH": "/certificates/server.key",
        }
        docker(
            *("run", "--detach", "--security-opt", "seccomp:unconfined"),
            *("--network", f"{stack.project}_default", "--publish", f"127.0.0.1:{port}:19530"),
            *("--label", f"com.docker.compose.project={stack.project}"),
            *("--volume", f"{certificates}:/certificates:ro"),
            *(part for name, value in variables.items() for part in ("--env", f"{name}={value}")),
            *(stack.variables["CLIPSTACK_MILVUS_IMAGE"], "milvus", "run", "standalone"),
        )
        remote = Remote(port, certificates)
        tls = Tls(ca=str(certificates / "ca.pem"), server_name=NAME)
        with MilvusConnection(remote.uri, token=TOKEN, tls=tls, wait=120) as server:
            server.client.create_database("photos")
        yield remote


@pytest.fixture
def at(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Remote:
    for name, value in remote.settings(milvus_token=TOKEN, model="shapes", wait="1").items():
        monkeypatch.setenv(name, value)
    return remote


def refused(ran: Ran) -> str:
    assert ran.code == 5, ran.err + ran.out
    assert "Traceback" not in ran.err
    assert TOKEN not in ran.err + ran.out
    return ran.err


def test_import_and_search_through_tls_with_a_token(cli: Cli, at: Remote, gallery: Path) -> None:
    ran = cli("import", gallery)
    assert ran.code == 0, ran.err
    assert at.uri in ran.err
    ran = cli("search", "red circle", "-q", "-k", "3")
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == 3


def test_a_database_of_its_own(
    cli: Cli, at: Remote, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_DATABASE", "photos")
    assert cli("import", gallery, "-c", "only_here").code == 0
    ran = cli("collections", "list")
    assert "only_here" in ran.out, ran.err
    monkeypatch.delenv("CLIPSTACK_MILVUS_DATABASE")
    assert "only_here" not in cli("collections", "list", "-q").out
    monkeypatch.setenv("CLIPSTACK_MILVUS_DATABASE", "nowhere")
    ran = cli("collections", "list")
    assert ran.code == 6
    assert "CLIPSTACK_MILVUS_DATABASE" in ran.err


@pytest.mark.parametrize("token", ["", "root:wrong", "nobody:Milvus", "an-api-key"])
def test_a_wrong_token(cli: Cli, at: Remote, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_TOKEN", token)
    message = refused(cli("collections", "list"))
    assert "token" in message
    assert "CLIPSTACK_MILVUS_TOKEN" in message
    assert not token or token not in message


def test_an_authority_that_did_not_sign(
    cli: Cli, at: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ca in (str(at.certificates / "other.pem"), ""):
        monkeypatch.setenv("CLIPSTACK_TLS_CA", ca)
        message = refused(cli("collections", "list"))
        assert "certificate" in message
        assert "CLIPSTACK_TLS_CA" in message


def test_another_name_in_the_certificate(
    cli: Cli, at: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_TLS_SERVER_NAME", "other.test")
    message = refused(cli("collections", "list"))
    assert "CLIPSTACK_TLS_SERVER_NAME" in message


def test_http_where_tls_is_spoken(cli: Cli, at: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", at.uri.replace("https", "http"))
    refused(cli("collections", "list"))


def test_a_file_that_is_not_there(cli: Cli, at: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_TLS_CA", "/no/such.pem")
    ran = cli("collections", "list")
    assert ran.code == 2
    assert "/no/such.pem" in ran.err


def test_nobody_there(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{free_port()}")
    for line in (["collections", "list"], ["search", "dog"], ["import", "."]):
        message = refused(cli(*line, "--wait", "0.5"))
        assert "refused" in message
        assert "clipstack health" in message


def test_somebody_who_never_answers(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        threading.Thread(target=_accept, args=(silent,), daemon=True).start()
        monkeypatch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "no Milvus answers" in refused(cli("collections", "list", "--wait", "0.5"))


def _accept(listening: socket.socket) -> None:
    kept = []
    try:
        while True:
            kept.append(listening.accept())
    except OSError:
        return
