"""Which files are pictures, and what the others are: told from their names and first bytes."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import features

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"),
)
# A closed list, because Pillow also opens formats that start other programs (EPS: Ghostscript).
_ALWAYS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_OTHER_PICTURES = (".dcm", ".dicom")  # meant as pictures, though nobody here reads them
_LOOKED_AT = 4096  # bytes of a file
_STARTS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"P%d%c" % (kind, end) for kind in range(1, 7) for end in b" \t\r\n"),
)
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_LFS = b"version https://git-lfs.github.com/spec/"


@cache
def readable_formats() -> tuple[str, ...]:
    """What Pillow may open here, by its own names: AVIF where it was built with it, HEIF where
    pillow-heif is installed."""
    found = list(_ALWAYS)
    if features.check("avif"):
        found.append("AVIF")
    if find_spec("pillow_heif") is not None:
        import_module("pillow_heif").register_heif_opener()
        found.append("HEIF")
    return tuple(found)


def formats_in_words() -> str:
    """ "PNG, JPEG, GIF, BMP, TIFF, WebP or PPM", and what else can be read here."""
    more = [name for name in readable_formats() if name not in _ALWAYS]
    *first, last = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WebP", "PPM", *more]
    return f"{', '.join(first)} or {last}"


def named_as_picture(path: Path) -> bool:
    """Whether a file's ending is a picture's."""
    return path.suffix.lower() in (*SUFFIXES, *_OTHER_PICTURES)


def looks_like_picture(path: Path) -> bool:
    """Whether a plain file is meant as a picture, by its ending, or by its first bytes where the
    ending says nothing. It is not decoded."""
    try:
        # Opening a pipe would wait for ever.
        return path.is_file() and (named_as_picture(path) or _is_picture(first_bytes(path)))
    except OSError:
        return False


def first_bytes(path: Path) -> bytes:
    """Up to 4,096 bytes. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(_LOOKED_AT)


def other_kind(start: bytes) -> str:
    """What a file is that can't be read as a picture, and what to do; empty if nobody knows.
    start: its first bytes."""
    if start.startswith(_LFS):
        return "a Git LFS pointer, which stands for the picture: get it with `git lfs pull`"
    if _is_dicom(start):
        return "a DICOM file: export it as PNG"
    if start[4:8] == b"ftyp" and start[8:12] in (*_HEIC, *_AVIF):
        kind = "an AVIF" if start[8:12] in _AVIF else "a HEIC"
        return f"{kind} picture, which can't be read here: export it as JPEG or PNG"
    if start.startswith(b"%PDF-"):
        return "a PDF document: export its pictures as PNG"
    lower = start.lower()
    if b"<svg" in lower:
        return "an SVG drawing, which has no pixels: export it as PNG"
    if lower.lstrip().startswith((b"<!doctype html", b"<html")):
        return "a web page: the download went wrong"
    return ""


def _is_picture(start: bytes) -> bool:
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    boxed = start[4:8] == b"ftyp" and start[8:12] in (*_HEIC, *_AVIF)
    return webp or boxed or start.startswith(_STARTS) or _is_dicom(start)


def _is_dicom(start: bytes) -> bool:
    return start[128:132] == b"DICM"
