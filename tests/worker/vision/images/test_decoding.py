"""Any bytes become an upright RGB picture, or one clear error of the image family."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from worker.contract.errors import (
    CorruptImage,
    EmptyImage,
    ImageError,
    ImageTooLarge,
    UnsupportedImage,
)
from worker.vision.images.decoding import Enough, Picture, decode
from worker.vision.images.formats import READERS

MAX_BYTES, MAX_PIXELS = 50 * 2**20, 100_000_000


def decoded(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Picture:
    return decode(data, max_bytes=max_bytes, max_pixels=max_pixels)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """Smooth, with a red corner at the left top, a blue one at the right bottom."""
    y, x = np.mgrid[0:height, 0:width]
    red, blue = 255 - 4 * (x + y), 4 * (x + y) - 65
    rgb = np.clip(np.stack([red, 90 + 0 * x, blue], axis=-1), 0, 255)
    return Image.fromarray(rgb.astype(np.uint8))


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
SEEDS = [
    saved(scene(), "JPEG", exif=oriented(6)),
    saved(scene(), "JPEG", progressive=True),
    saved(scene().convert("CMYK"), "JPEG"),
    saved(scene(), "PNG"),
    saved(scene().quantize(8), "PNG", transparency=b"\0\xff"),
    saved(scene(), "WEBP"),
    saved(scene(), "GIF", save_all=True, append_images=[scene().rotate(180)]),
    saved(scene(), "BMP"),
    saved(scene(), "TIFF", compression="tiff_lzw"),
    saved(scene(), "TIFF"),
    saved(scene(), "AVIF"),
]


@pytest.mark.parametrize("kind", READERS)
def test_every_format_is_read(kind: str) -> None:
    data = saved(scene(), kind, **LOSSLESS.get(kind, {}))
    picture = decoded(data)
    assert picture.format == kind
    assert (picture.width, picture.height, picture.bytes) == (48, 32, len(data))
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.flags.c_contiguous
    assert picture.rgb.flags.writeable
    off = np.abs(picture.rgb.astype(int) - np.asarray(scene()).astype(int))
    assert off.max() == 0 if kind in LOSSLESS else off.mean() < 20


def test_real_photos_equal_pillow_to_the_pixel(shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:8]
    assert photos, "point TEST_DATA at the shared data"
    for photo in photos:
        with Image.open(photo) as expected:
            np.testing.assert_array_equal(decoded(photo.read_bytes()).rgb, np.asarray(expected))


def test_large_pictures_are_copied_whole() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (701, 1003, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "PNG", compress_level=0)
    np.testing.assert_array_equal(decoded(data).rgb, noise)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_whatever_their_exif_says(kind: str, orientation: int) -> None:
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # stored turned left; 6 asks for a turn to the right
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = scene() if undo is None else scene().transpose(undo)
    picture = decoded(saved(stored, kind, exif=oriented(orientation)))
    assert (picture.width, picture.height) == (48, 32)
    assert picture.rgb.shape == (32, 48, 3)
    assert picture.rgb[2, 2, 0] > 200 > picture.rgb[2, 2, 2]
    assert picture.rgb[-3, -3, 2] > 200 > picture.rgb[-3, -3, 0]


@pytest.mark.filterwarnings("ignore:.*EXIF")  # Pillow's, about what this test damages
def test_damaged_exif_loses_no_picture() -> None:
    data = bytearray(saved(scene(), "JPEG", exif=oriented(6)))
    start = data.index(b"Exif\0\0") + 6
    data[start + 8 : start + 14] = b"\xff" * 6
    assert decoded(bytes(data)).format == "JPEG"


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decoded(data).rgb[4, 4].argmax() == 0, kind


def test_no_bytes_are_an_empty_image() -> None:
    with pytest.raises(EmptyImage, match="send it again"):
        decoded(b"")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_truncated_files_are_corrupt(kind: str, share: float) -> None:
    data = saved(scene(120, 90), kind)
    with pytest.raises(CorruptImage, match=rf"{kind} but is truncated or damaged.*send the comp"):
        decoded(data[: max(20, int(len(data) * share))])


def test_a_damaged_png_is_corrupt() -> None:
    data = bytearray(saved(scene(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(CorruptImage):
        decoded(bytes(data))


def test_a_variety_the_decoder_lacks_is_unsupported_not_corrupt() -> None:
    data = bytearray(saved(scene(), "BMP"))
    data[28:30] = struct.pack("<H", 2)
    with pytest.raises(UnsupportedImage, match="variety of BMP"):
        decoded(bytes(data))


def test_too_many_bytes_are_refused_before_anything_is_read() -> None:
    with pytest.raises(ImageTooLarge, match=r"1,001 bytes.*limit of 1,000; send a smaller") as info:
        decoded(b"\xff" * 1001, max_bytes=1000)
    assert info.value.data == {"bytes": 1001, "max_bytes": 1000}


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    shape = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", pixels)


def test_two_hundred_megapixels_are_refused_from_the_header_alone() -> None:
    with pytest.raises(ImageTooLarge, match=r"20000 x 10000 = 200,000,000 pixels.*scale it down"):
        decoded(png_header(20000, 10000))


@pytest.mark.parametrize("kind", READERS)
def test_one_pixel_too_many_is_refused_in_every_format(kind: str) -> None:
    data = saved(scene(), kind)
    assert decoded(data, max_pixels=48 * 32).width == 48
    with pytest.raises(ImageTooLarge):
        decoded(data, max_pixels=48 * 32 - 1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_limit_is_ours_not_the_global_one_of_pillow(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(scene(), kind)
    for limit in (48 * 32 - 1, 48 * 32 // 3):  # where Pillow would warn; where it would refuse
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decoded(data).width == 48


def test_many_threads_decode_at_once() -> None:
    expected = [decoded(data).rgb for data in SEEDS]
    with ThreadPoolExecutor(8) as pool:
        for n, picture in enumerate(pool.map(decoded, SEEDS * 20)):
            np.testing.assert_array_equal(picture.rgb, expected[n % len(SEEDS)])


Edit = tuple[str, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut"]),
        st.one_of(st.integers(0, 100), st.integers(0, 5000)),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"]),
        ),
    ),
    max_size=5,
)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), EDITS)
@example(b"II*\0", [])
@example(b"\x89PNG\r\n\x1a\n", [])
def test_no_bytes_raise_anything_but_an_image_error(seed: bytes, edits: list[Edit]) -> None:
    data = bytearray(seed)
    for how, at, piece in edits:
        at %= len(data) + 1
        if how == "cut":
            del data[max(at, 12) :]
        elif how == "delete":
            del data[at : at + len(piece)]
        else:
            data[at : at + (len(piece) if how == "replace" else 0)] = piece
    found = picture_or_error(bytes(data))
    if isinstance(found, Picture):
        assert found.rgb.shape == (found.height, found.width, 3)
        return
    assert found.code in {"image_empty", "image_unsupported", "image_corrupt", "image_too_large"}
    assert ";" in found.message, "a message says what happened; and the remedy"
    assert not found.retryable


def picture_or_error(data: bytes) -> Picture | ImageError:
    try:
        return decoded(data, max_bytes=2**20, max_pixels=2**20)
    except ImageError as exc:
        return exc


@pytest.mark.parametrize(
    ("long_px", "short_px", "expected"),
    [(1600, 1000, (1000, 1600)), (801, 64, (1000, 1600)), (800, 64, (500, 800)),
     (390, 250, (250, 400)), (390, 251, (500, 800)), (64, 64, (125, 200))],
)  # fmt: skip
def test_a_jpeg_is_decoded_no_smaller_than_enough(
    long_px: int, short_px: int, expected: tuple[int, int]
) -> None:
    file = saved(scene(1600, 1000), "JPEG", quality=95)
    enough = Enough(long_px=long_px, short_px=short_px)
    small = decode(file, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, enough=enough)
    assert small.rgb.shape == (*expected, 3)
    assert (small.width, small.height) == (1600, 1000)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_decoded_small_stands_as_it_does_at_full_size(orientation: int) -> None:
    blocks = scene(48, 32).resize((1203, 802), Image.Resampling.NEAREST)
    file = saved(blocks, "JPEG", quality=95, exif=oriented(orientation))
    enough = Enough(long_px=300, short_px=200)
    whole = decoded(file)
    small = decode(file, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, enough=enough)
    assert (small.width, small.height) == (whole.width, whole.height)
    assert small.rgb.shape[0] < whole.rgb.shape[0] / 3
    size = small.rgb.shape[1], small.rgb.shape[0]
    expected = np.asarray(Image.fromarray(whole.rgb).resize(size, Image.Resampling.BOX))
    assert np.abs(small.rgb.astype(int) - expected).mean() < 4


def test_other_formats_are_decoded_whole() -> None:
    enough = Enough(long_px=64, short_px=64)
    file = saved(scene(640, 480), "PNG")
    picture = decode(file, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, enough=enough)
    assert picture.rgb.shape == (480, 640, 3)
