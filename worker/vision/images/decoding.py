"""Bytes -> upright RGB pixels, within limits."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

from worker.contract.errors import (
    CorruptImage,
    EmptyImage,
    ImageError,
    ImageTooLarge,
    UnsupportedImage,
)
from worker.vision.images.formats import READERS, recognise
from worker.vision.images.pixels import to_rgb

_PARTS = (2, 4, 8)  # of a side, that a JPEG decoder can leave out all but one of
_ON_THEIR_SIDE = range(5, 9)  # EXIF orientations


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        rgb: uint8 (height, width, 3), upright, contiguous; taken as sRGB. Smaller, at the same
            aspect, where the picture was decoded or scaled so.
        sha256: of the file's bytes, hex.
        format: a key of `formats.READERS`, e.g. "JPEG".
        width: px of the file's picture, after EXIF orientation.
        height: px of the file's picture, after EXIF orientation.
        bytes: size of the file.
    """

    rgb: npt.NDArray[np.uint8]
    sha256: str
    format: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Enough:
    """The least size at which a picture may be decoded."""

    long_px: int
    short_px: int


def decode(
    data: bytes, *, max_bytes: int, max_pixels: int, enough: Enough | None = None
) -> Picture:
    """Decode one image file; of an animation or a stack of pages, the first picture.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is `enough`: its decoder then
    computes a part of each block alone.

    Raises:
        EmptyImage: no bytes.
        UnsupportedImage: not in a format, or not in a variety of it, that Guanwu reads.
        CorruptImage: truncated or damaged.
        ImageTooLarge: more than `max_bytes` or `max_pixels`; found before pixels are decoded.
    """
    _check_bytes(len(data), max_bytes)
    kind = recognise(data)
    with _translated(kind):
        image = READERS[kind](io.BytesIO(data))
        _check_pixels(image.width, image.height, max_pixels)
        width, height = image.size
        if enough is not None and kind == "JPEG":
            image.draft(None, _reduced(image.size, enough))
        image.load()
        orientation = _orientation(image)
        rgb = _upright(to_rgb(image), orientation)
    return Picture(
        rgb=rgb,
        sha256=hashlib.sha256(data).hexdigest(),
        format=kind,
        width=height if orientation in _ON_THEIR_SIDE else width,
        height=width if orientation in _ON_THEIR_SIDE else height,
        bytes=len(data),
    )


def _reduced(size: tuple[int, int], enough: Enough) -> tuple[int, int]:
    """(width, height) at the smallest of the decoder's fractions that leaves `enough`."""
    most = min(max(size) // enough.long_px, min(size) // enough.short_px)
    part = max((part for part in _PARTS if part <= most), default=1)
    return size[0] // part, size[1] // part


def _check_bytes(size: int, max_bytes: int) -> None:
    if size == 0:
        raise EmptyImage("the file has no bytes; check that it was written fully, send it again")
    if size > max_bytes:
        raise ImageTooLarge(
            f"the file has {size:,} bytes, more than the limit of {max_bytes:,}; "
            "send a smaller or more compressed file",
            bytes=size,
            max_bytes=max_bytes,
        )


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the picture has {width} x {height} = {width * height:,} pixels, more than the "
            f"limit of {max_pixels:,}; scale it down and send it again",
            pixels=width * height,
            max_pixels=max_pixels,
        )


@contextmanager
def _translated(kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as exc:
        raise ImageTooLarge(
            f"the {kind} picture is too large for its decoder; scale it down and send it again"
        ) from exc
    except Exception as exc:  # damaged bytes make decoders raise almost anything
        if _is_refusal(exc):
            raise UnsupportedImage(
                f"this variety of {kind} is not supported ({_reason(exc)}); "
                "save it again as a plain 8-bit JPEG or PNG"
            ) from exc
        raise CorruptImage(
            f"the file starts as {kind} but is truncated or damaged ({_reason(exc)}); "
            "send the complete file again"
        ) from exc


def _is_refusal(exc: Exception) -> bool:
    """True if the decoder says that it lacks a feature. Pillow says so in words only."""
    words = str(exc).lower()
    return isinstance(exc, NotImplementedError) or any(
        word in words for word in ("unsupported", "not supported", "unknown pixel mode")
    )


def _reason(exc: Exception) -> str:
    return " ".join(str(exc).split())[:120] or type(exc).__name__


def _orientation(image: ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none or the EXIF data is damaged.

    To be asked after `load`: Pillow turns TIFFs itself then, and PNG may carry EXIF at its end.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata must not lose a picture whose pixels are fine
        return 1
    return value if value in range(1, 9) else 1


def _upright(rgb: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    match orientation:
        case 2:
            turned = cv2.flip(rgb, 1)
        case 3:
            turned = cv2.rotate(rgb, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(rgb, 0)
        case 5:
            turned = cv2.transpose(rgb)
        case 6:
            turned = cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.flip(cv2.transpose(rgb), -1)
        case 8:
            turned = cv2.rotate(rgb, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return rgb
    return np.asarray(turned, dtype=np.uint8)
