"""A file is told by its first bytes, and a stranger is called by its name."""

from __future__ import annotations

import pytest

from worker.contract.errors import UnsupportedImage
from worker.vision.images.formats import recognise


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"hello, these are words\n" * 50, "text"),
        ("这是文字，不是图片。".encode() * 100, "text"),
        (b"BMW makes cars", "text"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99, "a HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + b"\0" * 99, "a video file"),
        (b"PK\3\4\x14\0", "a ZIP archive"),
        (b"\0" * 100, "of an unknown kind"),
        (b"\xff", "of an unknown kind"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, what: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"{what}, not an image.*send JPEG, PNG"):
        recognise(data)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF87a\x01\0", "GIF"),
        (b"BM\x46\0\0\0\0\0", "BMP"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "WEBP"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
    ],
)
def test_known_starts_are_recognised(start: bytes, kind: str) -> None:
    assert recognise(start) == kind
