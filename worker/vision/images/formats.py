"""Image formats by their first bytes, and names of files that are no images."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from worker.contract.errors import UnsupportedImage


class _Tiff(TiffImageFile):
    """TIFF without Pillow's own pixel limit, which is global; `decode` has checked ours."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


READERS: dict[str, Callable[..., ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "TIFF": _Tiff,
    "AVIF": AvifImageFile,
}
"""Pillow's reader of each format, called directly: `Image.open` would apply Pillow's global
pixel limit with a warning, and try formats that Guanwu does not accept."""

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

_STRANGERS = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"RIFF", "a video or sound file"),
)

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def recognise(data: bytes) -> str:
    """The format's name, a key of `READERS`.

    Raises:
        UnsupportedImage: the bytes start as none of them.
    """
    for start, name in _STARTS:
        if data.startswith(start) and not _is_text(data):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and _brands(data) & {b"avif", b"avis"}:
        return "AVIF"
    raise UnsupportedImage(
        f"the file is {_guess(data)}, not an image Guanwu reads; "
        f"send {', '.join(list(READERS)[:-1])} or {list(READERS)[-1]}"
    )


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO media file (HEIC, AVIF, MP4)."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return {data[8:12], *(data[n : n + 4] for n in range(16, end, 4))}


def _guess(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "a HEIC picture" if _brands(data) & set(_HEIC_BRANDS) else "a video file"
    for start, what in _STRANGERS:
        if data.startswith(start):
            return what
    if not _is_text(data):
        return "of an unknown kind"
    return "an SVG drawing" if b"<svg" in data[:4096] else "text"


def _is_text(data: bytes) -> bool:
    """True for UTF-8 without control characters in the first bytes."""
    try:  # a character cut at the end of the sample is no evidence against text
        text = data[:512].decode("utf-8", "strict" if len(data) <= 512 else "ignore")
    except UnicodeDecodeError:
        return False
    if len(text.encode()) < min(len(data), 512) - 3:
        return False
    return all(c.isprintable() or c in "\t\r\n\f\ufeff" for c in text)
