"""The variables of a stack in; its services, their order and their ports out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clipstack.errors import NotFoundError

EXTERNAL_S3 = "CLIPSTACK_S3_ADDRESS"
GPUS = "CLIPSTACK_BENTOML_GPUS"
_MB = 1024**2


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a service publishes: the variable with its number, and what it is for."""

    variable: str
    purpose: str


@dataclass(frozen=True, slots=True)
class StackService:
    """One service of compose.yaml.

    Attributes:
        name: in compose.yaml; title: as its makers write it.
        image: the variable that names its image.
        depends_on: services that must be ready before it starts.
        address: its key in `settings.variables.addresses`.
        needs: bytes of memory it works with while little is stored, for a warning.
        optional: it runs only when it is asked for.
    """

    name: str
    title: str
    image: str
    ports: tuple[Port, ...]
    depends_on: tuple[str, ...] = ()
    needs: int = 256 * _MB
    optional: bool = field(default=False, kw_only=True)

    @property
    def memory(self) -> str:
        """The variable with its memory limit."""
        return f"CLIPSTACK_{self.name.upper()}_MEMORY"


SERVICES: dict[str, StackService] = {
    one.name: one
    for one in (
        StackService(
            "etcd",
            "etcd",
            "CLIPSTACK_ETCD_IMAGE",
            (Port("CLIPSTACK_ETCD_PORT", "Milvus' metadata"),),
            needs=128 * _MB,
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
            needs=1024 * _MB,
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


def of_stack(values: Mapping[str, str], *, attu: bool = False) -> list[StackService]:
    """The services of a stack with these variables, each after those it depends on.

    Args:
        attu: with the optional one.
    """
    return [
        one
        for one in SERVICES.values()
        if (attu or not one.optional) and not (one.name == "minio" and values.get(EXTERNAL_S3))
    ]


def chosen(
    values: Mapping[str, str], names: Sequence[str], *, attu: bool = False
) -> list[StackService]:
    """The services called `names` and those they depend on; all of the stack's for no names.

    Raises:
        NotFoundError: there is no such service.
    """
    check(names)
    wanted = set(names)
    if not wanted:
        return of_stack(values, attu=attu)
    for one in reversed(SERVICES.values()):
        if one.name in wanted:
            wanted |= set(one.depends_on)
    return [one for one in of_stack(values, attu=True) if one.name in wanted]


def check(names: Iterable[str]) -> None:
    """Raises NotFoundError when one of `names` is no service."""
    for name in names:
        if name not in SERVICES:
            raise NotFoundError(
                f"the stack has no service {name!r}", hint=f"It has {', '.join(SERVICES)}."
            )
