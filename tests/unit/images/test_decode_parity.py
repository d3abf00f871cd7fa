"""The pixels are those of Hugging Face transformers' image processors with the Pillow backend."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clipstack.images.decode import decode
from clipstack.images.geometry import Geometry
from tests.unit.images import samples

transformers = pytest.importorskip("transformers")
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # noqa: E402
from transformers.models.siglip.image_processing_pil_siglip import (  # noqa: E402
    SiglipImageProcessorPil,
)

RAW = {"do_rescale": False, "do_normalize": False}

CASES = {
    "clip": (
        CLIPImageProcessorPil(**RAW),
        Geometry("shortest", (224, 224), (224, 224), Image.Resampling.BICUBIC),
    ),
    "clip-336": (
        CLIPImageProcessorPil(
            size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}, **RAW
        ),
        Geometry("shortest", (336, 336), (336, 336), Image.Resampling.BICUBIC),
    ),
    "uncut": (
        CLIPImageProcessorPil(size={"height": 96, "width": 64}, do_center_crop=False, **RAW),
        Geometry("exact", (96, 64), None, Image.Resampling.BICUBIC),
    ),
    "padded": (
        CLIPImageProcessorPil(
            size={"shortest_edge": 50}, crop_size={"height": 65, "width": 80}, **RAW
        ),
        Geometry("shortest", (50, 50), (65, 80), Image.Resampling.BICUBIC),
    ),
    "siglip": (
        SiglipImageProcessorPil(size={"height": 256, "width": 256}, **RAW),
        Geometry("exact", (256, 256), None, Image.Resampling.BICUBIC),
    ),
    "siglip-bilinear": (
        SiglipImageProcessorPil(resample=Image.Resampling.BILINEAR, **RAW),
        Geometry("exact", (224, 224), None, Image.Resampling.BILINEAR),
    ),
}


def reference(processor, im: Image.Image) -> np.ndarray:
    """uint8 [height, width, 3] as the processor would hand to the model, but not normalised."""
    values = processor(im.convert("RGB"), return_tensors="np")["pixel_values"][0]
    return np.moveaxis(values, 0, 2)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    generator = np.random.default_rng(width * 10_007 + height)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8))


def encoded(im: Image.Image, kind: str, **settings) -> bytes:
    out = io.BytesIO()
    im.save(out, kind, **settings)
    return out.getvalue()


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize(
    "size",
    [(500, 375), (375, 500), (224, 224), (225, 224), (37, 61), (1, 1), (3, 400), (640, 427)],
)
def test_pictures_of_ordinary_size_are_the_same_to_the_bit(case, size):
    processor, geometry = CASES[case]
    im = noise(*size)
    got = decode(encoded(im, "PNG"), geometry).pixels
    assert np.array_equal(got, reference(processor, im))


@pytest.mark.parametrize("case", ["clip", "siglip"])
@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_other_modes_without_alpha_are_the_same_to_the_bit(case, mode):
    processor, geometry = CASES[case]
    data = encoded(noise(300, 200).convert(mode), "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    got = decode(data, geometry).pixels
    assert np.array_equal(got, reference(processor, Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("case", ["clip", "siglip"])
def test_ordinary_jpegs_are_the_same_to_the_bit(case, shared_pictures):
    processor, geometry = CASES[case]
    for name in ("progressive/cat.jpg", "progressive/3.jpg", "iptc.jpg"):
        path = shared_pictures / "image-rs/jpg" / name
        with Image.open(path) as im:
            wanted = reference(processor, im)
        assert np.array_equal(decode(path.read_bytes(), geometry).pixels, wanted)


@pytest.mark.parametrize("case", ["clip", "clip-336", "siglip"])
@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_large_pictures_that_are_decoded_to_a_fraction_are_close(case, kind, shared_pictures):
    processor, geometry = CASES[case]
    with Image.open(shared_pictures / "exif-orientation/Landscape_1.jpg") as im:
        large = im.convert("RGB").resize((4000, 2667), Image.Resampling.BICUBIC)
    data = encoded(large, kind, **({"quality": 92} if kind == "JPEG" else {}))
    wanted = reference(processor, Image.open(io.BytesIO(data)))
    difference = np.abs(decode(data, geometry).pixels.astype(int) - wanted)
    assert difference.mean() < 0.5
    assert difference.max() < 24


@pytest.mark.parametrize("case", ["clip", "siglip"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_very_large_pictures_that_are_averaged_first_are_close(case, mode, shared_pictures):
    processor, geometry = CASES[case]
    with Image.open(shared_pictures / "exif-orientation/Landscape_1.jpg") as im:
        large = im.convert("RGB").resize((5200, 3400), Image.Resampling.BICUBIC).convert(mode)
    data = encoded(large, "TIFF", compression=None)
    difference = np.abs(decode(data, geometry).pixels.astype(int) - reference(processor, large))
    assert difference.mean() < 0.5
    assert difference.max() < 24


@pytest.mark.parametrize("size", [(90_000, 200), (200, 90_000), (300_000, 2), (1, 70_000)])
@pytest.mark.parametrize("case", ["clip", "siglip"])
def test_very_long_pictures_keep_their_shape(case, size):
    """A bar in the middle of the long edge stays in the middle."""
    values = np.zeros((size[1], size[0]), np.uint8)
    axis = 1 if size[0] > size[1] else 0
    middle, half = max(size) // 2, max(size) // 4
    index = [slice(None), slice(None)]
    index[axis] = slice(middle - half, middle + half)
    values[tuple(index)] = 255
    geometry = CASES[case][1]
    got = decode(encoded(Image.fromarray(values), "PNG"), geometry).pixels
    profile = got[:, :, 0].mean(axis=1 - axis)
    edge = len(profile)
    assert profile[edge // 2 - 4 : edge // 2 + 4].min() > 250
    if case == "siglip":
        assert profile[: edge // 8].max() < 5


def test_the_whole_picture_of_a_very_large_one(shared_pictures):
    """It is converted in strips; their seams must not show."""
    data = encoded(noise(4100, 4100), "BMP")
    assert np.array_equal(decode(data, None).pixels, np.asarray(noise(4100, 4100)))


def test_other_tools_agree_on_the_shared_pictures(shared_pictures):
    """OpenCV's decoders, except where they are known to differ: palettes of OS/2, 5-bit scales."""
    import cv2

    strange = ("Core_", "pal8os2", "rgb16", "X1_R5", "A1_R5", "ycbcr", "hpredict", "bmp_v5")
    compared = 0
    for path in sorted(shared_pictures.glob("image-rs/*/**/*.*")):
        if path.suffix not in (".png", ".bmp", ".tif", ".tiff", ".webp", ".pbm"):
            continue
        if any(part in path.name for part in strange) or "lenient" in path.parts:
            continue
        theirs = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if theirs is None:
            continue
        try:
            ours = decode(path.read_bytes(), None).pixels
        except Exception:
            assert path.suffix in (".bmp", ".tiff"), path
            continue
        assert np.abs(ours - over_white(theirs)).max() <= 1.01, path
        compared += 1
    assert compared > 60


def over_white(bgr: np.ndarray) -> np.ndarray:
    """What OpenCV decoded, as RGB of 0 to 255 over white."""
    values = bgr / (257.0 if bgr.dtype == np.uint16 else 1.0)
    if values.ndim == 2:
        return samples.as_rgb(values)
    if values.shape[2] == 4:
        share = values[:, :, 3:] / 255
        values = values[:, :, :3] * share + 255 * (1 - share)
    return values[:, :, ::-1]


@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_the_examples_of_every_orientation_stand_upright(name, shared_pictures):
    geometry = CASES["clip"][1]
    folder = shared_pictures / "exif-orientation"
    upright = decode((folder / f"{name}_1.jpg").read_bytes(), geometry)
    for orientation in range(2, 9):
        turned = decode((folder / f"{name}_{orientation}.jpg").read_bytes(), geometry)
        assert (turned.width, turned.height) == (upright.width, upright.height)
        # Each example has its own number written on it, in a few per cent of its pixels.
        difference = np.abs(turned.pixels.astype(int) - upright.pixels).max(axis=2)
        assert np.mean(difference > 40) < 0.05
