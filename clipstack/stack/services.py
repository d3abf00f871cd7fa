"""The services of a stack: their order, ports and images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clipstack.errors import NotFoundError

EXTERNAL_S3 = "CLIPSTACK_S3_ADDRESS"
GPUS = "CLIPSTACK_BENTOML_GPUS"
_MB = 1024**2


@dataclass(frozen=True, slots=True)
class Port:
    """A published port of a service: the variable with its number, and its purpose."""

    variable: str
    purpose: str


@dataclass(frozen=True, slots=True)
class StackService:
    """One service of compose.yaml.

    Attributes:
        name: in compose.yaml.
        title: as its makers write it.
        image_variable: the variable that names its image.
        depends_on: services that must be ready before it starts.
        memory_needed: bytes that it uses while little is stored, for a warning.
        optional: whether it runs only on request.
    """

    name: str
    title: str
    image_variable: str
    ports: tuple[Port, ...]
    depends_on: tuple[str, ...] = ()
    memory_needed: int = 256 * _MB
    optional: bool = field(default=False, kw_only=True)

    @property
    def memory_variable(self) -> str:
        """The variable with its memory limit."""
        return f"CLIPSTACK_{self.name.upper()}_MEMORY"


SERVICES: dict[str, StackService] = {
    service.name: service
    for service in (
        StackService(
            "etcd",
            "etcd",
            "CLIPSTACK_ETCD_IMAGE",
            (Port("CLIPSTACK_ETCD_PORT", "Milvus' metadata"),),
            memory_needed=128 * _MB,
        ),
        StackService(
            "minio",
            "MinIO",
            "CLIPSTACK_MINIO_IMAGE",
            (Port("CLIPSTACK_MINIO_PORT", "objects, S3"),),
        ),
        StackService(
            "milvus",
            "Milvus",
            "CLIPSTACK_MILVUS_IMAGE",
            (
                Port("CLIPSTACK_MILVUS_PORT", "collections, gRPC"),
                Port("CLIPSTACK_MILVUS_HEALTH_PORT", "health and metrics"),
            ),
            ("etcd", "minio"),
            2048 * _MB,
        ),
        StackService(
            "bentoml",
            "BentoML",
            "CLIPSTACK_BENTOML_IMAGE",
            (Port("CLIPSTACK_BENTOML_PORT", "vectors of pictures and texts"),),
            memory_needed=1024 * _MB,
        ),
        StackService(
            "attu",
            "Attu",
            "CLIPSTACK_ATTU_IMAGE",
            (Port("CLIPSTACK_ATTU_PORT", "Milvus in a browser"),),
            ("milvus",),
            optional=True,
        ),
    )
}


def stack_services(values: Mapping[str, str], *, attu: bool = False) -> list[StackService]:
    """The services of a stack with these variables, each after those it depends on.

    Args:
        attu: whether Attu is one of them.
    """
    return [
        service
        for service in SERVICES.values()
        if (attu or not service.optional)
        and not (service.name == "minio" and values.get(EXTERNAL_S3))
    ]


def selected_services(
    values: Mapping[str, str], names: Sequence[str], *, attu: bool = False
) -> list[StackService]:
    """The services called `names` and those they depend on; without names, all of the stack's.

    Raises:
        NotFoundError: there is no such service.
    """
    check_names(names)
    selected = set(names)
    if not selected:
        return stack_services(values, attu=attu)
    for service in reversed(SERVICES.values()):
        if service.name in selected:
            selected |= set(service.depends_on)
    return [service for service in stack_services(values, attu=True) if service.name in selected]


def added_service(name: str) -> StackService:
    """A service that the user's compose.override.yaml adds."""
    return StackService(name, name, "", (), memory_needed=0)


def check_started(names: Iterable[str], services: Sequence[StackService]) -> None:
    """Raises NotFoundError when one of `names`, to wait for, is not among the services to start."""
    started = [service.name for service in services]
    for name in names:
        if name not in started:
            raise NotFoundError(
                f"--wait-for {name}: this starts no service {name!r}",
                hint=f"It starts {', '.join(started)}.",
            )


def check_names(names: Iterable[str]) -> None:
    """Raises NotFoundError when one of `names` is not a service."""
    for name in names:
        if name not in SERVICES:
            raise NotFoundError(
                f"the stack has no service {name!r}", hint=f"It has {', '.join(SERVICES)}."
            )
