"""One image in, one small square of bytes out: for folders, archives and the app's upload."""

import io
import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from munkey_core.data.deep import (
    EIGHT,
    colour_to_eight,
    deep_mode,
    grey_to_eight,
    is_deep_grey,
    largest_stated,
)
from munkey_core.data.formats import first_bytes, formats_in_words, other_kind, readable_formats
from munkey_core.errors import BadInputError
from munkey_core.files.limits import at_most, limits, variable
from munkey_core.files.untrusted import one_line

MAX_SIZE = 4096

_LARGE = 4_000_000  # pixels
_one_large = Lock()  # decoding takes up to 16 bytes a pixel: never for many people at once
_WANTED = f"wanted a {formats_in_words()} image"


@dataclass(frozen=True, eq=False)
class Decoded:
    """image: uint8 (size, size, 3). white: the file's value that became 255: 255 for 8 bits a
    channel, up to 65,535 for 16."""

    image: npt.NDArray[np.uint8]
    white: int


def decode_image(
    source: bytes | Path, size: int, *, max_pixels: int | None = None, grey: bool = False
) -> npt.NDArray[np.uint8]:
    """Read one image as uint8 (size, size, 3), values 0 to 255.

    The image is turned as its EXIF data says, laid on white where it is transparent, cut to its
    central square and resized with antialiasing. More than 8 bits a channel are scaled to 8, those
    that are used: of 12 bits stored in 16, 4,095 is white, and values up to 255 stay as they are.
    An animation gives its first frame. With `grey` the three channels are equal: the luminance.
    An image with more than `max_pixels` pixels (usually $MUNKEY_MAX_PICTURE_PIXELS) is refused
    before it is decoded, and a file larger than $MUNKEY_MAX_PICTURE_BYTES before it is read.

    Raises BadInputError with one line: the file, what is wanted and what came.
    """
    return read_image(source, size, max_pixels=max_pixels, grey=grey).image


def read_image(
    source: bytes | Path, size: int, *, max_pixels: int | None = None, grey: bool = False
) -> Decoded:
    """What `decode_image` gives, and how its values were scaled."""
    check_size(size)
    name = printable(source.name) if isinstance(source, Path) else "image"
    if isinstance(source, Path) and not source.is_file():
        raise BadInputError(f"{name}: {_WANTED}, got no regular file")
    most = limits().picture_pixels if max_pixels is None else max_pixels
    try:
        _check_bytes(source, name)
        with _opened(source) as opened:
            _check_pixels(opened, most, name)
            with _one_large if opened.width * opened.height > _LARGE else nullcontext():
                upright, white = _eight_bit(opened, source, name)
                square = _square(upright, size)
    except BadInputError:
        raise
    except Image.DecompressionBombError as error:
        raise BadInputError(f"{name}: {_WANTED} of at most {most:,} pixels") from error
    except Exception as error:  # Pillow's decoders raise nearly anything when the bytes are bad
        raise BadInputError(f"{name}: {_WANTED}, got {_what_came(error, source)}") from error
    square = square.convert("L").convert("RGB") if grey else square
    return Decoded(np.array(square, dtype=np.uint8), white)


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Write an image, uint8 (H, W) or (H, W, 3), as a PNG file's bytes.

    Raises BadInputError for another dtype or shape.
    """
    grey_or_colour = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not grey_or_colour or image.size == 0:
        got = f"{image.dtype} of shape {image.shape}"
        raise BadInputError(f"image must be uint8 of shape (H, W) or (H, W, 3), got {got}")
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, format="PNG")
    return out.getvalue()


def resize_images(images: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Cut and resize images as :func:`decode_image` does.

    uint8 (n, H, W) to (n, size, size), or uint8 (n, H, W, 3) to (n, size, size, 3).
    Images that have the size already come back as they are.
    """
    check_size(size)
    if images.shape[1:3] == (size, size):
        return images
    out = np.empty((len(images), size, size, *images.shape[3:]), dtype=np.uint8)
    for position, image in enumerate(images):
        out[position] = _square(Image.fromarray(image), size)
    return out


def check_size(size: int) -> None:
    """Raise BadInputError unless `size` can be an image's side: 1 to 4096 pixels."""
    if not 1 <= size <= MAX_SIZE:
        raise BadInputError(f"image size must be between 1 and {MAX_SIZE}, got {size}")


def printable(name: str) -> str:
    """A file name that can be shown and stored: bytes that were not UTF-8 are replaced, and
    characters that a terminal would obey or that turn the direction of writing."""
    return one_line(os.fsencode(name).decode("utf-8", errors="replace"))


def _check_bytes(source: bytes | Path, name: str) -> None:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > limits().picture_bytes:
        raise BadInputError(f"{name}: wanted {at_most('picture_bytes', 'bytes')}, got {size:,}")


def _check_pixels(image: Image.Image, max_pixels: int, name: str) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        got = f"got {image.width:,} x {image.height:,}"
        raise BadInputError(
            f"{name}: {_WANTED} of at most {max_pixels:,} pixels, {got}; "
            f"${variable('picture_pixels')} sets the limit"
        )


def _opened(source: bytes | Path) -> ImageFile.ImageFile:
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    return Image.open(stream, formats=readable_formats())


def _eight_bit(image: Image.Image, source: bytes | Path, name: str) -> tuple[Image.Image, int]:
    """Any of Pillow's modes to RGB, upright, 8 bits a channel; and what became white."""
    mode, white = deep_mode(image), EIGHT
    if not mode and not is_deep_grey(image):
        return _on_white(ImageOps.exif_transpose(image)), white
    stated = largest_stated(image, _start(source))
    if mode:
        image, white = colour_to_eight(image, lambda: _opened(source), mode, stated, name)
        return _on_white(image), white
    scaled, white = grey_to_eight(image, stated, name)
    return scaled.convert("RGB"), white


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")


def _start(source: bytes | Path) -> bytes:
    with suppress(OSError):
        return source if isinstance(source, bytes) else first_bytes(source)
    return b""


def _square(image: Image.Image, size: int) -> Image.Image:
    return ImageOps.fit(image, (size, size), method=Image.Resampling.BICUBIC)


def _what_came(error: Exception, source: bytes | Path) -> str:
    if isinstance(error, UnidentifiedImageError):
        return other_kind(_start(source)) or "something else"
    if isinstance(error, MemoryError):
        return "one too large for the memory"
    said = str(error)
    if isinstance(source, Path):  # which may lie in a temporary folder
        said = said.replace(str(source), source.name)
    reason = " ".join(said.split()) or type(error).__name__
    return f"a damaged or unsupported one ({reason})"
