"""Pixels of any mode become the colours a viewer would show."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from worker.contract.errors import UnsupportedImage
from worker.vision.images.decoding import decode

RAMP = np.linspace(0, 1, 35).reshape(5, 7)


def rgb_of(data: bytes) -> np.ndarray:
    return decode(data, max_bytes=2**20, max_pixels=2**20).rgb


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encoded(kind: str, array: np.ndarray) -> bytes:
    return cv2.imencode(kind, array)[1].tobytes()


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    rgb = rgb_of(encoded(kind, np.rint(RAMP * 65535).astype(np.uint16)))
    for channel in range(3):
        np.testing.assert_allclose(rgb[..., channel], RAMP * 255, atol=0.51)


def test_big_endian_sixteen_bit_tiff_is_read_in_its_order() -> None:
    grey = np.rint(RAMP * 65535).astype(">u2")
    image = Image.frombytes("I;16B", (7, 5), grey.tobytes())
    np.testing.assert_allclose(rgb_of(saved(image, "TIFF"))[..., 0], RAMP * 255, atol=0.51)


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_sixteen_bit_colour_is_scaled_not_clipped(kind: str) -> None:
    bgr = np.stack([RAMP, RAMP * 0.5, 1 - RAMP], axis=-1)
    rgb = rgb_of(encoded(kind, np.rint(bgr * 65535).astype(np.uint16)))
    np.testing.assert_allclose(rgb[..., ::-1], bgr * 255, atol=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RAMP, RAMP),  # 0..1
        (RAMP * 200, RAMP * 200 / 255),  # 0..255
        (RAMP * 60_000, RAMP * 60_000 / 65535),  # 0..65535
        (RAMP * 1e6 - 5e5, RAMP),  # anything else: minimum to maximum
        (RAMP * 0 - 3.5, RAMP * 0),
    ],
)
def test_float_tiff_takes_the_least_span_that_holds_it(
    values: np.ndarray, expected: np.ndarray
) -> None:
    rgb = rgb_of(saved(Image.fromarray(values.astype(np.float32)), "TIFF"))
    np.testing.assert_allclose(rgb[..., 0], expected * 255, atol=0.51)


def test_float_tiff_with_nan_and_infinity_is_read() -> None:
    values = RAMP.astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    rgb = rgb_of(saved(Image.fromarray(values), "TIFF"))
    assert rgb[0, :3, 0].tolist() == [0, 255, 0]
    assert rgb[-1, -1, 0] == 255


@pytest.mark.parametrize(("top", "span"), [(200, 255), (60_000, 65535)])
def test_32_bit_integers_take_the_least_span_that_holds_them(top: int, span: int) -> None:
    values = np.rint(RAMP * top).astype(np.int32)
    rgb = rgb_of(saved(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(rgb[..., 0], values / span * 255, atol=0.51)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_red_is_red(kind: str) -> None:
    rgb = rgb_of(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind))
    assert (np.abs(rgb[8, 8].astype(int) - (255, 0, 0)) <= 3).all()


def test_ycbcr_and_one_bit_pictures_are_read() -> None:
    assert rgb_of(saved(Image.new("YCbCr", (4, 4), (77, 128, 128)), "TIFF"))[0, 0].tolist() == [
        77,
        77,
        77,
    ]
    for kind in ("PNG", "TIFF", "BMP"):
        one_bit = Image.new("1", (9, 3), 1)
        one_bit.putpixel((8, 2), 0)
        rgb = rgb_of(saved(one_bit, kind))
        assert rgb[0, 0].tolist() == [255, 255, 255]
        assert rgb[2, 8].tolist() == [0, 0, 0]


def test_half_transparent_red_lies_on_white() -> None:
    rgb = rgb_of(saved(Image.new("RGBA", (4, 4), (255, 0, 0, 128))))
    np.testing.assert_allclose(rgb[0, 0], (255, 127, 127), atol=1)


def transparent_pictures() -> list[tuple[str, bytes]]:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    grey = np.full((4, 4), 515, np.uint16)
    return [
        ("RGBA PNG", saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0)))),
        ("LA PNG", saved(Image.new("LA", (4, 4), (9, 0)))),
        ("RGBA WebP", saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "WEBP")),
        ("RGBA TIFF", saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "TIFF")),
        ("RGBA AVIF", saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "AVIF")),
        ("16-bit RGBA PNG", encoded(".png", np.zeros((4, 4, 4), np.uint16))),
        ("palette PNG", saved(palette, transparency=b"\xff\x00")),
        ("palette GIF", saved(palette, "GIF", transparency=1)),
        ("colour key, grey", saved(Image.new("L", (4, 4), 7), transparency=7)),
        ("colour key, 1 bit", saved(Image.new("1", (4, 4), 0), transparency=0)),
        ("colour key, RGB", saved(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3))),
        ("colour key, 16-bit grey", saved(Image.fromarray(grey), transparency=515)),
        ("colour key, 16-bit RGB", colour_keyed_deep_png()),
    ]


def colour_keyed_deep_png() -> bytes:
    """RGB of 16 bits, all pixels of the colour that tRNS makes transparent."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    colour = bytes.fromhex("1234 5678 9abc")
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress((b"\0" + colour * 4) * 4))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tRNS", colour) + rows + chunk(b"IEND", b"")


@pytest.mark.parametrize(("name", "data"), transparent_pictures(), ids=lambda v: str(v)[:24])
def test_what_is_transparent_is_white(name: str, data: bytes) -> None:
    assert rgb_of(data)[1:3, 1:3].min() == 255, name


def test_the_opaque_part_of_a_palette_keeps_its_colours() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert rgb_of(saved(palette, transparency=b"\x00\xff"))[0, 0].tolist() == [10, 20, 30]
    assert rgb_of(saved(palette))[0, 0].tolist() == [10, 20, 30]


def test_lab_is_refused_with_a_remedy() -> None:
    with pytest.raises(UnsupportedImage, match=r"LAB.*save it as RGB"):
        rgb_of(saved(Image.new("LAB", (4, 4)), "TIFF"))
