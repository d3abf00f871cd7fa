"""Vectors against transformers' own pipeline: processor, tokenizer and model, family by family."""

from __future__ import annotations

import io
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from transformers import AutoModel, AutoProcessor

from clipstack import encoders
from clipstack.encoders.torch.encoder import TorchEncoder
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError
from clipstack.images.decode import decode
from tests import models
from tests.unit.encoders import pictures

FAMILIES = ["clip", "siglip", "siglip2"]
# As transformers' zero-shot pipeline calls the tokenizers (zero_shot_image_classification.py).
PADDING = {
    "clip": {"padding": True, "truncation": True},
    "siglip": {"padding": "max_length", "max_length": 64, "truncation": True},
    "siglip2": {"padding": "max_length", "max_length": 64, "truncation": True},
}


def load(model, **options):
    return encoders.load(model, engine="torch", **options)


class Reference:
    """transformers' pipeline, Pillow backend, float32."""

    def __init__(self, folder):
        self.processor = AutoProcessor.from_pretrained(folder, backend="pil")
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def images(self, files):
        opened = [ImageOps.exif_transpose(Image.open(io.BytesIO(file))) for file in files]
        inputs = self.processor(images=[im.convert("RGB") for im in opened], return_tensors="pt")
        with torch.inference_mode():
            return self.model.get_image_features(**inputs).pooler_output.numpy()

    def texts(self, texts, **padding):
        inputs = self.processor(text=texts, return_tensors="pt", **padding)
        with torch.inference_mode():
            return self.model.get_text_features(**inputs).pooler_output.numpy()


def pixels_of(encoder, files):
    return np.stack([decode(file, encoder.info.geometry).pixels for file in files])


def cosines(left, right):
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / norms


def assert_same(got, expected, cosine):
    """Same direction and length; and closer than any two different inputs are, by far."""
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert cosines(got, expected).min() >= cosine
    lengths = np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=5e-3)
    apart = np.linalg.norm(expected[:, None] - expected[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.linalg.norm(got - expected, axis=1).max() < apart.min() / 5


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_give_the_vectors_of_transformers(family, request):
    folder = request.getfixturevalue(family)
    encoder = load(str(folder))
    assert encoder.info.family == family
    files = list(pictures.ordinary(("PNG",)).values())
    got = encoder.encode_images(pixels_of(encoder, files))
    assert_same(got, Reference(folder).images(files), 0.9999)


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_give_the_vectors_of_transformers(family, request):
    folder = request.getfixturevalue(family)
    encoder = load(str(folder))
    texts = [*models.SENTENCES, "x", "a very long text " * 60, "Ünïcödé 犬 🐕"]
    if family == "siglip2":  # its tokenizer there does not put texts in lower case, this one does
        texts = [text.lower() for text in texts]
    expected = Reference(folder).texts(texts, **PADDING[family])
    assert_same(encoder.encode_texts(texts), expected, 0.99999)
    assert not np.allclose(np.linalg.norm(expected, axis=1), 1, atol=0.01)


def test_texts_are_cut_where_the_model_ends_not_where_the_tokenizer_says(clip, copied):
    texts = ["a very long text " * 60]
    expected = load(str(clip)).encode_texts(texts)
    for length in (1000000000000000019884624838656, 77, 8):
        models.edit_json(copied / "tokenizer_config.json", model_max_length=length)
        encoder = load(str(copied))
        ids = encoder.token_ids(texts)["input_ids"][0]
        assert len(ids) == encoder.info.context_length == 32
        assert ids[-1] == encoder.token_ids([""])["input_ids"][0, -1]
        np.testing.assert_array_equal(encoder.encode_texts(texts), expected)


def test_siglip2_puts_texts_in_lower_case_as_its_own_tokenizer_does(siglip2, tmp_path):
    named = models.tiny_siglip2(tmp_path / "named", tokenizer_class="Siglip2Tokenizer")
    texts = ["A Photo Of A DOG", "ÜBER den See"]
    ids = load(str(named)).token_ids(texts)["input_ids"]
    assert torch.equal(ids, load(str(siglip2)).token_ids(texts)["input_ids"])
    reference = Reference(named).processor(text=texts, return_tensors="pt", **PADDING["siglip2"])
    assert torch.equal(ids, reference["input_ids"])
    lower = load(str(siglip2)).token_ids([text.lower() for text in texts])["input_ids"]
    assert torch.equal(ids, lower)


def test_only_clip_is_told_what_is_padding(clip, siglip, siglip2):
    """SigLIP was trained without a mask, whatever its tokenizer offers."""
    models_and_inputs = [
        (clip, {"input_ids", "attention_mask"}),
        (siglip, {"input_ids"}),
        (siglip2, {"input_ids"}),
    ]
    for folder, names in models_and_inputs:
        batch = load(str(folder)).token_ids(["a dog", "a longer text about a dog"])
        assert batch.keys() == names


def test_clip_pools_where_the_config_says(tmp_path):
    """eos_token_id 2 is the old rule: the highest id; any other the first of that id."""
    vectors = []
    for eos in (2, None):
        folder = models.tiny_clip(tmp_path / str(eos), eos_token_id=eos)
        texts = ["a dog", "a photo of a cat on the grass"]
        got = load(str(folder)).encode_texts(texts)
        assert_same(got, Reference(folder).texts(texts, **PADDING["clip"]), 0.99999)
        vectors.append(got)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_vector_does_not_depend_on_its_neighbours(family, request):
    encoder = load(str(request.getfixturevalue(family)))
    texts = ["a dog", "a very long text " * 60, "", "two red boats by the quay"]
    together = encoder.encode_texts(texts)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
    pixels = pixels_of(encoder, list(pictures.ordinary().values()))
    alone = np.concatenate([encoder.encode_images(one[None]) for one in pixels])
    np.testing.assert_allclose(encoder.encode_images(pixels), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 65, 130])
def test_batches_of_any_size(clip, count):
    encoder = load(str(clip))
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    vectors = encoder.encode_images(pixels)
    assert vectors.shape == (count, 24)
    assert vectors.dtype == np.float32
    if count:
        np.testing.assert_allclose(vectors[-1:], encoder.encode_images(pixels[-1:]), atol=1e-4)
    texts = [f"text {number}" for number in range(count * 3)]
    vectors = encoder.encode_texts(texts)
    assert vectors.shape == (count * 3, 24)
    if count:
        np.testing.assert_allclose(vectors[-1:], encoder.encode_texts(texts[-1:]), atol=1e-4)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 32, 31, 3), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((1, 3, 32, 32), np.uint8),
        np.zeros((1, 32, 32, 3), np.float32),
    ],
)
def test_pixels_of_another_shape_or_type_are_refused(clip, pixels):
    with pytest.raises(ValueError, match="uint8 of shape"):
        load(str(clip)).encode_images(pixels)


def test_pixels_may_be_a_view(clip):
    encoder = load(str(clip))
    pixels = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    view = pixels[:, ::2, ::-2]
    expected = encoder.encode_images(np.ascontiguousarray(view))
    np.testing.assert_array_equal(encoder.encode_images(view), expected)


def test_rescaling_and_normalising_follow_the_config(copied):
    pixels = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    files = [pictures._encoded(Image.fromarray(picture), "PNG") for picture in pixels]
    seen = []
    for changes in (
        {},
        {"do_normalize": False},
        {"do_rescale": False, "image_mean": [100.0, 120, 90], "image_std": [60.0, 50, 70]},
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0, 0.9, 1.1], "image_std": [0.5] * 3},
    ):
        config = models.openai_preprocessor(32) | changes
        models.write_json(copied / "preprocessor_config.json", config)
        got = load(str(copied)).encode_images(pixels)
        assert_same(got, Reference(copied).images(files), 0.9999)
        seen.append(got)
    assert len({vectors.tobytes() for vectors in seen}) == len(seen)


def test_weights_in_a_pytorch_file_load(clip, copied):
    model = AutoModel.from_pretrained(clip)
    (copied / "model.safetensors").unlink()
    torch.save(model.state_dict(), copied / "pytorch_model.bin")
    texts = ["a dog", "a cat"]
    expected = load(str(clip)).encode_texts(texts)
    np.testing.assert_array_equal(load(str(copied)).encode_texts(texts), expected)


def test_weights_in_parts_load(clip, copied):
    (copied / "model.safetensors").unlink()
    AutoModel.from_pretrained(clip).save_pretrained(copied, max_shard_size="60KB")
    assert len(list(copied.glob("model-*.safetensors"))) > 1
    texts = ["a dog", "a cat"]
    expected = load(str(clip)).encode_texts(texts)
    np.testing.assert_array_equal(load(str(copied)).encode_texts(texts), expected)


def test_half_precision_weights_are_computed_in_float32(clip, copied):
    AutoModel.from_pretrained(clip, dtype=torch.float16).save_pretrained(copied)
    encoder = load(str(copied))
    assert {parameter.dtype for parameter in encoder.model.parameters()} == {torch.float32}
    assert encoder.encode_texts(["a dog"]).dtype == np.float32


def test_missing_tensors_are_an_error_not_random_numbers(copied):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    name = "vision_model.encoder.layers.1.mlp.fc1.weight"
    del tensors[name]
    save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(PrerequisiteError, match=r"incomplete: 1 tensors .* fc1\.weight|fc1"):
        load(str(copied))


def test_a_tokenizer_that_is_none_is_named(copied):
    (copied / "tokenizer.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="the tokenizer in"):
        load(str(copied))


def test_a_vector_that_is_not_finite_is_an_error(copied):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    tensors["text_projection.weight"][0, 0] = float("nan")
    save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    encoder = load(str(copied))
    with pytest.raises(ClipstackError, match="not finite"):
        encoder.encode_texts(["a dog"])
    assert np.isfinite(encoder.encode_images(np.zeros((1, 32, 32, 3), np.uint8))).all()


def test_a_text_of_broken_characters_is_read(clip):
    assert load(str(clip)).encode_texts(["a dog \udcff", "\x00"]).shape == (2, 24)


def test_a_text_alone_is_refused(clip):
    with pytest.raises(TypeError, match="sequence"):
        load(str(clip)).encode_texts("a dog")


def test_several_threads_share_an_encoder(clip):
    encoder = load(str(clip))
    texts = [["a dog"], ["a very long text " * 20, "x"], ["two red boats by the quay"]] * 20
    expected = [encoder.encode_texts(batch) for batch in texts]
    fresh = load(str(clip))
    with ThreadPoolExecutor(8) as threads:
        for got, alone in zip(threads.map(fresh.encode_texts, texts), expected, strict=True):
            np.testing.assert_allclose(got, alone, atol=1e-5)


def test_loading_says_nothing(clip, copied, capfd):
    shutil.copy(clip / "model.safetensors", copied)
    load(str(copied)).encode_texts(["x" * 500])
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_devices(clip):
    assert TorchEncoder(clip, device="cpu").device.type == "cpu"
    with pytest.raises(UsageError, match="gpu"):
        TorchEncoder(clip, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(PrerequisiteError, match="cuda"):
            TorchEncoder(clip, device="cuda:0")


def test_the_built_in_model_gives_the_vectors_of_transformers():
    encoder = load("shapes")
    assert encoder.info.name == "shapes"
    reference = Reference(encoder.info.folder)
    texts = ["a red circle", "four small blue stars on a black background", "two rings"]
    padding = PADDING["clip"] | {"max_length": encoder.info.context_length}
    assert_same(encoder.encode_texts(texts), reference.texts(texts, **padding), 0.99999)
    files = list(pictures.ordinary(("PNG",)).values())
    got = encoder.encode_images(pixels_of(encoder, files))
    assert_same(got, reference.images(files), 0.9999)


def test_token_ids_of_openais_vocabulary(full_size):
    ids = load(str(full_size)).token_ids(["a photo of a dog"])["input_ids"][0].tolist()
    assert ids == [49406, 320, 1125, 539, 320, 1929, 49407]


def test_full_size_vectors_of_ordinary_pictures(full_size):
    encoder = load(str(full_size))
    files = list(pictures.ordinary().values())
    got = encoder.encode_images(pixels_of(encoder, files))
    assert_same(got, Reference(full_size).images(files), 0.9999)


def test_full_size_vectors_of_large_jpegs(full_size):
    encoder = load(str(full_size))
    files = list(pictures.large().values())
    got = encoder.encode_images(pixels_of(encoder, files))
    assert_same(got, Reference(full_size).images(files), 0.999)


def test_full_size_vectors_of_texts(full_size):
    encoder = load(str(full_size))
    expected = Reference(full_size).texts(models.SENTENCES, **PADDING["clip"])
    assert_same(encoder.encode_texts(models.SENTENCES), expected, 0.99999)
