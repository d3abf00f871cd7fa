"""The bytes of a Radiance HDR picture in, tone-mapped 8-bit RGB out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipstack.images.headers import hdr_size

KEY = 0.18
GAMMA = 2.2

BYTES_PER_PIXEL = 26
"""Peak memory of `read_hdr`: OpenCV holds the floats twice while decoding."""

_BRIGHTEST = 1e30
_OLD_MAX_PIXELS = 16_000_000
_ROWS_OF_PIXELS = 1 << 18


def read_hdr(data: bytes) -> NDArray[np.uint8]:
    """Decodes and tone-maps a Radiance picture.

    The map is Reinhard's global operator: luminance is scaled so that its log-average becomes
    middle grey (0.18), compressed by L / (1 + L), and encoded with gamma 2.2.
    Source: Reinhard et al., Photographic Tone Reproduction for Digital Images, SIGGRAPH 2002,
    equations 1 to 3.

    Returns:
        uint8 of shape [height, width, 3], RGB.

    Raises:
        ValueError: the picture is broken or cut off.
    """
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    light = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if light is None:
        light = _in_old_runs(data)
    if light.ndim != 3 or light.dtype != np.float32:
        raise ValueError("the pixels are broken or cut off")
    if hdr_size(data) != (light.shape[1], light.shape[0]):
        raise ValueError("the size is not what the header says")
    return _tone_map(light.astype(np.float32, copy=False))


def _in_old_runs(data: bytes) -> NDArray[np.float32]:
    """Linear BGR [height, width, 3] of a picture in the run-length code of before 1991.

    A pixel of (1, 1, 1, n) repeats the one before it n times; the count of a second such pixel
    in a row is shifted by 8 bits. OpenCV does not read it.
    """
    size = hdr_size(data)
    assert size is not None
    start = data.index(b"\n", data.index(b"\n\n") + 2) + 1
    if size[0] * size[1] > _OLD_MAX_PIXELS or data.startswith(b"\2\2", start):
        raise ValueError("the pixels are broken or cut off")
    pixels = bytearray()
    shift = 0
    for at in range(start, len(data) - 3, 4):
        if len(pixels) >= 4 * size[0] * size[1]:
            break
        if data.startswith(b"\1\1\1", at):
            pixels += pixels[-4:] * min(data[at + 3] << shift, size[0] * size[1])
            shift += 8
        else:
            pixels += data[at : at + 4]
            shift = 0
    if len(pixels) != 4 * size[0] * size[1]:
        raise ValueError("the pixels are broken or cut off")
    rgbe = np.frombuffer(pixels, np.uint8).reshape(size[1], size[0], 4)
    exponents = rgbe[:, :, 3:].astype(np.int32) - 136
    return np.ldexp(rgbe[:, :, 2::-1].astype(np.float32), exponents)


def _tone_map(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 RGB [height, width, 3] from linear BGR of the same shape."""
    height, width = light.shape[:2]
    step = max(1, _ROWS_OF_PIXELS // width)
    total = 0.0
    for top in range(0, height, step):
        piece = light[top : top + step]
        np.nan_to_num(piece, copy=False, nan=0.0)
        np.clip(piece, 0, _BRIGHTEST, out=piece)
        total += float(np.log(_luminance(piece) + 1e-6).sum(dtype=np.float64))
    exposure = np.float32(KEY / np.exp(total / (height * width)))
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, step):
        piece = light[top : top + step] * exposure
        shown = (piece / (1 + _luminance(piece))[:, :, None])[:, :, ::-1]
        out[top : top + step] = np.clip(shown, 0, 1) ** (1 / GAMMA) * 255 + 0.5
    return out


def _luminance(bgr: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative luminance [height, width] (Rec. 709) of linear BGR [height, width, 3]."""
    luminance: NDArray[np.float32] = bgr @ np.array([0.0722, 0.7152, 0.2126], np.float32)
    return luminance
