"""Pixels of every mode, depth and colour space become the right RGB."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.unit.images import samples
from tests.unit.images.decoding import assert_close, over_white, pixels, saved, tiff

Y, X = np.mgrid[0 : samples.HEIGHT, 0 : samples.WIDTH]
ALPHA = (X * 5).astype(np.uint8)


class TestAlpha:
    def test_rgba_png(self):
        rgba = np.dstack([samples.pattern()[:, :, ::-1], ALPHA])
        done, data = cv2.imencode(".png", rgba)
        assert done
        assert_close(pixels(data.tobytes()), over_white(samples.pattern(), ALPHA))

    def test_rgba_webp(self):
        rgba = np.dstack([samples.pattern()[:, :, ::-1], np.where(ALPHA > 99, 255, 0)])
        done, data = cv2.imencode(".webp", rgba.astype(np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])
        assert done
        assert_close(pixels(data.tobytes()), over_white(samples.pattern(), rgba[:, :, 3]))

    @pytest.mark.parametrize("depth", [8, 16])
    def test_grey_with_alpha_png(self, depth):
        rows = np.dstack([samples.grey(), ALPHA])
        if depth == 16:
            rows = (rows.astype(np.uint16) * 257).astype(">u2")
        data = samples.png(rows.tobytes(), depth=depth, colour=4)
        assert_close(pixels(data), over_white(samples.as_rgb(samples.grey()), ALPHA))

    def test_16_bit_rgba_png(self):
        rows = np.dstack([samples.pattern(), ALPHA]).astype(np.uint16) * 257
        data = samples.png(rows.astype(">u2").tobytes(), depth=16, colour=6)
        assert_close(pixels(data), over_white(samples.pattern(), ALPHA))

    def test_palette_with_alpha_for_every_colour(self):
        colours, indices = samples.palette()
        shares = np.arange(len(colours), dtype=np.uint8) * 2
        data = samples.png(
            indices.tobytes(),
            colour=3,
            before=(
                samples.chunk(b"PLTE", colours.tobytes()),
                samples.chunk(b"tRNS", shares.tobytes()),
            ),
        )
        assert_close(pixels(data), over_white(samples.pattern(), shares[indices]))

    @pytest.mark.parametrize("depth", [8, 16])
    def test_one_transparent_colour_of_rgb(self, depth):
        rows, key = samples.pattern(), samples.pattern()[20, 30]
        clear = (samples.pattern() == key).all(axis=2)
        values = key.astype(np.uint16)
        if depth == 16:
            rows, values = (rows.astype(np.uint16) * 257).astype(">u2"), values * 257
        transparent = samples.chunk(b"tRNS", values.astype(">u2").tobytes())
        data = samples.png(rows.tobytes(), depth=depth, before=(transparent,))
        assert clear.any()
        assert_close(pixels(data), np.where(clear[:, :, None], 255, samples.pattern()))

    @pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
    def test_one_transparent_level_of_grey(self, depth):
        top = (1 << depth) - 1
        levels = (X * top // (samples.WIDTH - 1)).astype(np.uint32)
        key = int(levels[0, 0])
        if depth == 16:
            rows = levels.astype(">u2").tobytes()
        else:
            spread = (levels[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
            rows = np.packbits(spread.reshape(samples.HEIGHT, -1).astype(np.uint8), axis=1)
            rows = rows.tobytes()
        transparent = samples.chunk(b"tRNS", struct.pack(">H", key))
        data = samples.png(rows, depth=depth, colour=0, before=(transparent,))
        wanted = np.where(levels == key, 255, np.rint(levels * (255 / top)))
        assert_close(pixels(data), samples.as_rgb(wanted), at_most=0)

    def test_premultiplied_tiff(self):
        share = ALPHA.astype(float)[:, :, None] / 255
        rgba = np.dstack([np.rint(samples.pattern() * share).astype(np.uint8), ALPHA])
        data = tiff(rgba, photometric="rgb", extrasamples=["assocalpha"])
        got, wanted = pixels(data), over_white(samples.pattern(), ALPHA)
        assert_close(got[:, 6:], wanted[:, 6:], at_most=4)

    def test_transparent_gif(self):
        data = samples.gif()
        indices = samples.palette()[1]
        control = b"!\xf9\x04\x01\0\0" + bytes([int(indices[0, 0])]) + b"\0"
        at = data.index(b",", 13 + 3 * 128)
        wanted = np.where((indices == indices[0, 0])[:, :, None], 255, samples.pattern())
        assert_close(pixels(data[:at] + control + data[at:]), wanted, at_most=0)

    def test_icon_mask(self):
        """24 bits: where the mask that follows the colours is set, nothing is painted."""
        header = struct.pack("<IiiHHIIiiII", 40, 32, 64, 1, 24, 0, 0, 0, 0, 0, 0)
        colours = np.full((32, 32, 3), (200, 100, 0), np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        mask[:, :8] = 1
        body = header + colours.tobytes() + np.packbits(mask, axis=1)[::-1].tobytes()
        entry = struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, 24, len(body), 22)
        wanted = np.where(mask[:, :, None], 255, colours[:, :, ::-1])
        got = pixels(struct.pack("<HHH", 0, 1, 1) + entry + body)
        assert_close(got, wanted, at_most=0)


class TestDepths:
    def test_16_bit_grey_png_is_divided_by_257(self):
        levels = np.arange(samples.WIDTH * samples.HEIGHT, dtype=np.uint16).reshape(X.shape) * 42
        data = samples.png(levels.astype(">u2").tobytes(), depth=16, colour=0)
        assert_close(pixels(data), samples.as_rgb(np.floor(levels / 257 + 0.5)), at_most=0)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_16_bit_grey_tiff(self, order):
        levels = (X * 1000 + Y).astype(np.uint16)
        data = tiff(levels, byteorder=order)
        assert_close(pixels(data), samples.as_rgb(np.floor(levels / 257 + 0.5)), at_most=0)

    def test_16_bit_rgb_tiff(self):
        levels = samples.pattern().astype(np.uint16) * 257
        assert_close(pixels(tiff(levels, photometric="rgb")), samples.pattern(), at_most=0)

    def test_16_bit_pgm(self):
        levels = (X * 1000 + Y).astype(np.uint16)
        done, data = cv2.imencode(".pgm", levels)
        assert done
        wanted = samples.as_rgb(np.floor(levels / 257 + 0.5))
        assert_close(pixels(data.tobytes()), wanted, at_most=0)

    @pytest.mark.parametrize(
        ("low", "high", "shown"),
        [(0.0, 1.0, (0, 255)), (0.25, 0.5, (64, 128)), (-3.0, 7.0, (0, 255)), (0, 900, (0, 255))],
    )
    def test_float_tiff(self, low, high, shown):
        values = np.linspace(low, high, X.size, dtype=np.float32).reshape(X.shape)
        got = pixels(tiff(values))
        assert (got.min(), got.max()) == shown
        assert np.abs(np.diff(got[:, :, 0].ravel().astype(int))).max() <= 1

    def test_float_tiff_with_holes(self):
        values = np.linspace(0, 500, X.size, dtype=np.float32).reshape(X.shape)
        values[3, 4], values[5, 6], values[7, 8] = np.nan, np.inf, -np.inf
        got = pixels(tiff(values))
        assert got[3, 4].tolist() == got[5, 6].tolist() == got[7, 8].tolist() == [0, 0, 0]
        assert got.max() == 255

    def test_32_bit_integers_are_stretched(self):
        values = (X * 1000 - 5000).astype(np.int32)
        got = pixels(tiff(values))
        wanted = np.floor((values - values.min()) * 255 / np.ptp(values) + 0.5)
        assert_close(got, samples.as_rgb(wanted), at_most=0)

    def test_constant_float_tiff(self):
        assert pixels(tiff(np.full((9, 9), 5.0, np.float32))).max() == 0

    def test_1_bit_tiff(self):
        data = tiff(samples.bits() > 0, photometric="minisblack")
        assert_close(pixels(data), samples.as_rgb(samples.bits()), at_most=0)

    def test_white_is_zero_tiff(self):
        data = tiff(255 - samples.grey(), photometric="miniswhite")
        assert_close(pixels(data), samples.as_rgb(samples.grey()), at_most=0)

    @pytest.mark.parametrize("greatest", [15, 100, 1023, 40000])
    def test_pnm_of_any_range(self, greatest):
        levels = (samples.pattern().astype(float) / 255 * greatest).round().astype(np.uint16)
        body = levels.astype(np.uint8 if greatest < 256 else ">u2").tobytes()
        head = f"P6\n# comment\n{samples.WIDTH} {samples.HEIGHT}\n{greatest}\n".encode()
        wanted = np.rint(levels * (255 / greatest))
        assert_close(pixels(head + body), wanted, at_most=0)
        text = " ".join(map(str, levels.ravel().tolist())).encode()
        assert_close(pixels(head.replace(b"P6", b"P3") + text), wanted, at_most=0)

    def test_plain_bitmap_with_comments_and_without_spaces(self):
        assert pixels(b"P1\n4 2\n01#one\n01\n1 0 1 0")[:, :, 0].tolist() == [
            [255, 0, 255, 0],
            [0, 255, 0, 255],
        ]


class TestColourSpaces:
    def test_cmyk_tiff(self):
        ink = np.dstack([255 - samples.pattern(), np.zeros_like(samples.grey())])
        data = tiff(ink, photometric="separated")
        assert_close(pixels(data), samples.pattern())

    def test_cmyk_jpeg_is_inverted_as_adobe_does(self):
        flat = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
        data = saved(flat, "JPEG", quality=95)
        assert_close(pixels(data), np.full((32, 32, 3), (255, 0, 0)), at_most=6)

    def test_lab_tiff(self):
        """CIELAB of sRGB red, by the formulas of CIE 15 and the D50 white of ICC profiles."""
        flat = Image.frombytes("LAB", (8, 8), bytes((138, 81 + 128 - 128, 70)) * 64)
        got = pixels(saved(flat, "TIFF"))
        assert_close(got, np.full((8, 8, 3), (255, 0, 0)), at_most=12)

    def test_palette_tiff(self):
        colours, indices = samples.palette()
        table = np.zeros((3, 256), np.uint16)
        table[:, : len(colours)] = colours.T.astype(np.uint16) * 257
        data = tiff(indices, photometric="palette", colormap=table)
        assert_close(pixels(data), samples.pattern(), at_most=0)

    def test_planar_and_tiled_tiff(self):
        rgb = samples.pattern()
        planar = tiff(np.moveaxis(rgb, 2, 0), photometric="rgb", planarconfig="separate")
        tiled = tiff(rgb, photometric="rgb", tile=(16, 16), compression="zlib")
        assert_close(pixels(planar), rgb, at_most=0)
        assert_close(pixels(tiled), rgb, at_most=0)

    @pytest.mark.parametrize(
        ("bits", "masks"),
        [
            (16, (0xF800, 0x07E0, 0x001F)),
            (16, (0x7C00, 0x03E0, 0x001F)),
            (32, (0xFF, 0xFF00, 0xFF0000)),
            (32, (0x3FF00000, 0xFFC00, 0x3FF)),
        ],
    )
    def test_dds_of_any_masks(self, bits, masks):
        data = bytearray(samples.dds()[:128])
        struct.pack_into("<4I", data, 4 + 84, bits, *masks)
        values = np.zeros(X.shape, np.uint64)
        wanted = []
        for channel, mask in enumerate(masks):
            shift = (mask & -mask).bit_length() - 1
            level = samples.pattern()[:, :, channel].astype(np.uint64) * (mask >> shift) // 255
            values |= level << np.uint64(shift)
            wanted.append(level * 255 // (mask >> shift))
        body = values.astype(f"<u{bits // 8}").tobytes()
        assert_close(pixels(bytes(data) + body), np.dstack(wanted), at_most=0)

    def test_compressed_dds(self):
        """One BC1 block of the colour 0xF800 (red), all indices 0."""
        data = bytearray(samples.dds()[:128])
        struct.pack_into("<2I", data, 12, 4, 4)
        struct.pack_into("<2I", data, 4 + 76, 4, int.from_bytes(b"DXT1", "little"))
        block = struct.pack("<HHI", 0xF800, 0, 0)
        assert_close(pixels(bytes(data) + block), np.full((4, 4, 3), (255, 0, 0)), at_most=0)

    def test_run_length_tga_from_the_top(self):
        head = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 8, 2, 24, 0x20)
        body = bytes((0x87, 0, 0, 255, 0x07)) + bytes((1, 2, 3)) * 8
        got = pixels(head + body)
        assert got[0].tolist() == [[255, 0, 0]] * 8
        assert got[1].tolist() == [[3, 2, 1]] * 8
