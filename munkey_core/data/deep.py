"""Pictures of more than 8 bits a channel: which value of theirs is white.

X-ray and CT images are of 10 to 14 bits, stored in 16: scaled as 16 bits they would come out black.
What the file says counts (sBIT of a PNG, MaxSampleValue of a TIFF), then its largest value.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from munkey_core.errors import BadInputError

EIGHT, SIXTEEN = 255, 65_535
_BITS = (8, 10, 12, 14)
_MAX_SAMPLE_VALUE = 281  # tag of a TIFF file
_LOW_BYTE = {";16B": ";16L", ";16L": ";16B"}


def is_deep_grey(image: Image.Image) -> bool:
    """Whether a picture is grey and of 16 or 32 bits."""
    return image.mode[0] in "IF"


def deep_mode(image: Image.Image) -> str:
    """How the file of a colour picture of 16 bits a channel packs its pixels, such as "RGB;16B";
    empty for other pictures. Pillow keeps the upper 8 bits only."""
    packings = {_packing(tile[3]) for tile in image.tile} if hasattr(image, "tile") else set()
    packing = packings.pop() if len(packings) == 1 else ""
    native = ";16L" if sys.byteorder == "little" else ";16B"
    return packing.replace(";16N", native) if ";16" in packing and image.mode[0] == "R" else ""


def grey_to_eight(image: Image.Image, largest_stated: int, name: str) -> tuple[Image.Image, int]:
    """A deep grey picture with 8 bits, and the value that became white: 255 to 65,535.

    largest_stated: what the file says that white is, 0 if nothing. Raises BadInputError for
    negative values, ones above 65,535, and floats.
    """
    values = np.asarray(ImageOps.exif_transpose(image))
    # Older Pillows open a 16-bit PNG in mode `I` (32 bits), so the values decide, not the mode.
    if image.mode == "F" or values.min() < 0 or values.max() > SIXTEEN:
        raise BadInputError(f"{name}: wanted 8 or 16 bits a channel, got mode {image.mode}")
    # A netpbm file says what is white, and Pillow has scaled it to 16 bits.
    stated = SIXTEEN if image.format == "PPM" else largest_stated
    white = _white(values, stated)
    return Image.fromarray(_scaled(values, white)), white


def colour_to_eight(
    image: Image.Image, again: Callable[[], ImageFile.ImageFile], mode: str, stated: int, name: str
) -> tuple[Image.Image, int]:
    """A colour picture of 16 bits a channel with 8, and the value that became white.

    again: opens the same file. mode: what `deep_mode` says. Raises BadInputError where the lower
    bits are needed and can't be had.
    """
    upper = ImageOps.exif_transpose(image)
    colours = np.asarray(upper)[..., :3]
    if int(colours.max()) >= 1 << (_BITS[-1] - 8):
        return upper, SIXTEEN
    form = mode.removeprefix(image.mode)
    low = image.mode + _LOW_BYTE[form] if form in _LOW_BYTE else ""
    if not low:
        raise BadInputError(
            f"{name}: wanted 8 bits a channel, or 16 that are used: got 16 of which the upper two "
            "are empty, in a form whose lower bits can't be read; save it as 16-bit grey or RGB PNG"
        )
    with again() as other:
        other.tile = [_repacked(tile, low) for tile in other.tile]
        lower = np.asarray(ImageOps.exif_transpose(other))
    values = np.asarray(upper).astype(np.uint32) * 256 + lower
    white = _white(values[..., :3], stated)
    scaled = _scaled(values, white)
    if scaled.shape[-1] == 4:
        scaled[..., 3] = np.asarray(upper)[..., 3]  # opacity is of 16 bits, whatever colours are
    return Image.fromarray(scaled), white


def largest_stated(image: Image.Image, start: bytes) -> int:
    """The value that a file says is white, or the bits that it says are used, as the largest value
    of so many; 0 if it says nothing. start: its first bytes."""
    if image.format == "TIFF":
        found = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE, 0)
        largest = max(found) if isinstance(found, tuple) and found else found
        return int(largest) if isinstance(largest, int) and EIGHT <= largest <= SIXTEEN else 0
    if image.format == "PNG" and (at := start.split(b"IDAT", 1)[0].find(b"sBIT")) > 0:
        length = int.from_bytes(start[at - 4 : at], "big")
        bits = max(start[at + 4 : at + 4 + min(length, 3)], default=0)
        return (1 << bits) - 1 if 8 <= bits <= 16 else 0
    return 0


def _packing(arguments: object) -> str:
    """Of one of Pillow's tiles."""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _repacked(tile: Any, packing: str) -> Any:
    """One of Pillow's tiles, which older ones give as plain tuples, with another packing."""
    arguments = (packing, *tile[3][1:]) if isinstance(tile[3], tuple) else packing
    named = hasattr(tile, "_replace")
    return tile._replace(args=arguments) if named else (*tile[:3], arguments)


def _white(values: npt.NDArray[np.generic], stated: int) -> int:
    largest = int(values.max())  # type: ignore[call-overload]
    if stated:
        return stated if largest <= stated else SIXTEEN
    return next(((1 << bits) - 1 for bits in _BITS if largest < 1 << bits), SIXTEEN)


def _scaled(values: npt.NDArray[np.generic], white: int) -> npt.NDArray[np.uint8]:
    wide = values.astype(np.uint32)
    if white == SIXTEEN:
        return (wide // 257).astype(np.uint8)
    return ((wide * 255 + white // 2) // white).astype(np.uint8)
