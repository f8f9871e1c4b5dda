import io

import numpy as np
import pytest
from PIL import Image

from worker.vision.rendering.encoding import encoded


def _ramp() -> np.ndarray:
    """Red grows to the right, green downwards."""
    across, down = np.meshgrid(np.arange(256), np.arange(128))
    return np.dstack([across, down, np.full_like(across, 40)]).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "file_format", "most_off"),
    [(".png", "PNG", 0), (".jpg", "JPEG", 12), (".webp", "WEBP", 12)],
)
def test_a_file_shows_the_picture(suffix: str, file_format: str, most_off: int) -> None:
    with Image.open(io.BytesIO(encoded(_ramp(), suffix))) as image:
        assert (image.format, image.mode) == (file_format, "RGB")
        off = np.abs(np.asarray(image).astype(int) - _ramp().astype(int))
    assert off.max() <= most_off


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_files_hold_colours_of_8_bits_alone(suffix: str) -> None:
    for picture in (np.zeros((4, 4), np.uint16), np.zeros((4, 4, 3), np.uint16)):
        with pytest.raises(ValueError, match=suffix):
            encoded(picture, suffix)


def test_other_files_are_not_made() -> None:
    with pytest.raises(ValueError, match="gif"):
        encoded(_ramp(), ".gif")
