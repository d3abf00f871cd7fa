"""The Sixel encoder of textual-image, which is not among its public names."""

from __future__ import annotations

import importlib
import importlib.metadata

import numpy as np
import pytest
from PIL import Image

from clipstack.output.terminal import image_encoding
from tests import terminals


@pytest.fixture
def picture() -> Image.Image:
    return Image.radial_gradient("L").convert("RGB").resize((40, 27))


def test_textual_image_still_has_its_encoder(picture: Image.Image) -> None:
    """Fails when a new textual-image moves or changes the function that `image_encoding` calls."""
    version = importlib.metadata.version("textual-image")
    advice = (
        f"textual-image {version} has changed its private textual_image._sixel.image_to_sixels: "
        "adapt clipstack/output/terminal/image_encoding.py, or lower the bound in pyproject.toml"
    )
    try:
        sequence = importlib.import_module("textual_image._sixel").image_to_sixels(picture)
    except (ImportError, AttributeError, TypeError) as error:
        pytest.fail(f"{advice} ({error})")
    header = image_encoding._SIXEL_HEADER.match(sequence) if isinstance(sequence, str) else None
    assert header, advice
    assert image_encoding._SIXEL_COLOUR.search(sequence, header.end()), advice


def test_sixel_draws_the_picture(picture: Image.Image) -> None:
    pixels = np.asarray(picture)
    (drawn,) = terminals.sixel(image_encoding.sixel(pixels, (80, 80)))
    assert drawn.pixels.shape[:2] == (54, 80), "the largest size of this shape"
    assert terminals.difference(drawn.pixels, picture) < 6
