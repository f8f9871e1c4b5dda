import io

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from worker.vision.rendering import png

RGB, GREY = (31, 47, 3), (31, 47)


@pytest.mark.parametrize("shape", [RGB, GREY, (1, 1, 3), (1, 1), (2, 1, 3), (1, 500)])
def test_a_file_gives_back_every_value(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(png.encoded(pixels))) as image:
        image.verify()
    with Image.open(io.BytesIO(png.encoded(pixels))) as image:
        assert (image.format, image.mode) == ("PNG", "RGB" if len(shape) == 3 else "L")
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_file_of_16_bits_gives_back_every_value() -> None:
    values = np.arange(2**16, dtype=np.uint16).reshape(128, 512)
    buffer = np.frombuffer(png.encoded(values), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED), values)


def test_pixels_that_are_part_of_a_larger_picture_are_written_as_they_are() -> None:
    whole = np.random.default_rng(5).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    part = whole[3:33:2, 50:10:-1, ::-1]
    with Image.open(io.BytesIO(png.encoded(part))) as image:
        np.testing.assert_array_equal(np.asarray(image), part)


def test_smooth_pictures_are_written_small() -> None:
    ramp = np.linspace(0, 255, 512).astype(np.uint8)
    assert len(png.encoded(np.tile(ramp[:, None], (256, 1, 3)))) < 20_000


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 0), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((4, 4), np.float32),
    ],
)
def test_what_is_no_picture_makes_no_png(pixels: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="no PNG can be made"):
        png.encoded(pixels)
