"""The service, this process and transformers give the same vectors for every format."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clipstack.encoders.models.catalog import resolve
from tests.unit.images import samples


@pytest.fixture(scope="module")
def transformers_vector():
    """The vector of a picture by transformers alone, with its Pillow image processor."""
    import torch
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = resolve("shapes", download=False).path
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPImageProcessorPil.from_pretrained(folder)

    def vector(im: Image.Image) -> np.ndarray:
        values = processor(im, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            output = model.get_image_features(pixel_values=values)
        return getattr(output, "pooler_output", output)[0].numpy()

    return vector


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("extension", sorted(samples.SAMPLES))
def test_the_vector_of(extension, service, vector_of, transformers_vector):
    sample = samples.SAMPLES[extension]()
    served = np.array(service.post("/vectorize", sample.data).json()["vector"])
    assert cosine(served, vector_of(sample.data)) >= 0.99999
    # The pixels of lossless formats are known; for the others Pillow is the reference, except for
    # Radiance HDR, which it can't read.
    is_exact = sample.tolerance == 0 or extension == ".hdr"
    reference = (
        Image.fromarray(sample.expected) if is_exact else Image.open(io.BytesIO(sample.data))
    )
    assert cosine(served, transformers_vector(reference.convert("RGB"))) >= 0.9999


@pytest.mark.parametrize("text", ["a dog", "two small red circles", "Ünïcödé, 😀!", "x " * 500])
def test_the_vector_of_a_text(text, service, encoder):
    served = np.array(service.post("/vectorize_text", text, "text/plain").json()["vector"])
    assert cosine(served, encoder.encode_texts([text])[0]) >= 0.99999
