"""The service, started once for all tests, and a second one with a token and small limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipstack.encoders import load
from clipstack.encoders.torch.encoder import TorchEncoder
from clipstack.images.decode import decode
from tests.serving import Served, served

TOKEN = "s3cret-token"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`service:svc`, with the model `shapes`."""
    with served(tmp_path_factory.mktemp("svc"), "service:svc", port=3000) as service:
        yield service


@pytest.fixture(scope="session")
def strict_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with a token and small limits."""
    limits = {"MAX_BYTES": "300000", "MAX_ITEMS": "8", "QUEUE": "8", "MAX_TEXT": "2000"}
    limits |= {"PATIENCE": "4", "TOKEN": TOKEN, "MAX_PIXELS": "1000000"}
    variables = {f"CLIPSTACK_SERVICE_{name}": value for name, value in limits.items()}
    with served(tmp_path_factory.mktemp("strict"), **variables) as service:
        yield service


@pytest.fixture(scope="session")
def encoder() -> TorchEncoder:
    """The same model in this process."""
    return load("shapes")


@pytest.fixture(scope="session")
def vector_of(encoder: TorchEncoder):
    """Computes the vector of a picture file in this process."""

    def vector(data: bytes) -> np.ndarray:
        return encoder.encode_images(np.stack([decode(data, encoder.info.geometry).pixels]))[0]

    return vector


@pytest.fixture
def picture() -> bytes:
    """A JPEG."""
    from tests.unit.images import samples

    return samples.jpeg()


@pytest.fixture
def image_jpg(picture: bytes) -> Path:
    """`image.jpg` in this folder."""
    path = Path("image.jpg")
    path.write_bytes(picture)
    return path
