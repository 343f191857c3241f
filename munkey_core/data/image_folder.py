"""A folder of one's own images: one sub-folder a class, and perhaps an owners.csv.

Also understood: `train/<class>/…`, `test/<class>/…` and `val/<class>/…` (which joins train), and
a folder that holds nothing but such a folder, as archives often do.
"""

import contextlib
import itertools
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from munkey_core.data.base import ImageDataset
from munkey_core.data.images import FORMATS, SUFFIXES, check_size, decode_image, printable
from munkey_core.data.naming import id_of
from munkey_core.data.owner_table import is_owner_table, owners_of, unread_tables_first
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.limits import at_most, limits
from munkey_core.files.machine import free_memory, readable_bytes

MAX_SIDE = 128  # of images whose size nobody asked for
MIN_SIDE = 16

_TRAIN, _TEST, _VALIDATION = "train", "test", ("val", "valid", "validation")
_WANTED = "one sub-folder a class with images in it, for two classes or more"
_WRAPPERS = 3  # folders around the folder at most
_LOOKED_AT = 64  # images whose size is looked at


@dataclass(frozen=True)
class _File:
    """One file of the folder: where it lies, and its path inside the folder (NFC)."""

    path: Path
    name: str


@dataclass
class _Found:
    """What a walk through the folder collects."""

    files: list[_File] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def load(folder: Path, image_size: int | None = None) -> ImageDataset:
    """Load a folder of images; images uint8 (n, image_size, image_size, 3), or without the last
    axis if all of them are grey. image_size: None takes the median of their shorter sides, but 16
    at least and 128 at most.

    An id is the file's path inside the folder, percent-encoded: `cats/img%201.jpg`. Files come in
    the order of their paths; hidden ones are passed over. Unreadable files and links that lead out
    of the folder are left out and listed in `skipped`. `owners.csv` in the folder (columns `file`
    and `owner`, paths as they are on disk) names owners; files it doesn't list have the owner "".
    A table of owners anywhere else, or of another ending, is not read and heads `skipped`.

    Raises DataError if there are not two classes with a readable image each, owners.csv is wrong
    (with the line), or the images don't fit into the memory.
    """
    if image_size is not None:
        check_size(image_size)
    if not folder.is_dir():
        raise DataError(f"{folder}: wanted a folder with {_WANTED}, got no folder")
    title = printable(folder.resolve().name)
    folder = _unwrapped(folder)
    found = _walk(folder)
    has_parts = _has_parts(found.files)
    usable = _in_classes(found, depth=3 if has_parts else 2)
    known = {file.name for file in found.files} | {name for name, _ in found.skipped}
    size = min(MAX_SIDE, max(MIN_SIDE, _median_side(usable))) if image_size is None else image_size
    if len(usable) > limits().own_images:
        raise DataError(f"{folder}: wanted {at_most('own_images', 'images')}, got {len(usable):,}")
    _check_memory(folder, len(usable), size)
    images, files = _decode(usable, size, found)
    kinds = [file.name.split("/")[1 if has_parts else 0] for file in files]
    classes = sorted(set(kinds))
    if len(classes) < 2:
        raise DataError(f"{folder}: wanted {_WANTED}, got {_what_came(classes, found.skipped)}")
    return ImageDataset(
        name="image_folder",
        title=title or "Images",
        licence="unknown",
        attribution=f"Images of the folder {title}",
        classes=tuple(printable(kind) for kind in classes),
        ids=tuple(id_of(file.name) for file in files),
        images=images,
        labels=np.array([classes.index(kind) for kind in kinds], dtype=np.int64),
        is_test=np.array([has_parts and file.name.startswith("test/") for file in files]),
        owners=owners_of(folder, [file.name for file in files], known),
        may_ship_images=False,
        skipped=tuple(unread_tables_first(found.skipped)),
    )


def files(folder: Path) -> dict[str, Path]:
    """Ids and paths of all files that `load` would try to read; nothing is opened."""
    folder = _unwrapped(folder)
    found = _walk(folder)
    usable = _in_classes(found, depth=3 if _has_parts(found.files) else 2)
    return {id_of(file.name): file.path for file in usable}


def looks_like_classes(folder: Path, unwrap: bool = True) -> bool:
    """Whether a folder has the form that `load` wants, by the names of its first files only.

    unwrap: whether the folder may hold nothing but such a folder.
    """
    with contextlib.suppress(OSError):
        folder = _unwrapped(folder) if unwrap else folder
        tops = _inside(folder)
        if _TRAIN in {top.name for top in tops}:
            tops += _inside(folder / _TRAIN)
        return sum(top.is_dir() and _holds_image(top) for top in tops) >= 2
    return False


def _holds_image(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(
            Path(entry.name).suffix.lower() in SUFFIXES for entry in itertools.islice(entries, 100)
        )


def _unwrapped(folder: Path) -> Path:
    """The folder itself, or the one in it that is all it holds and has folders of its own."""
    for _ in range(_WRAPPERS):
        try:
            inside = _inside(folder)
            if len(inside) != 1 or inside[0].is_symlink() or not inside[0].is_dir():
                return folder
            if not any(path.is_dir() for path in _inside(inside[0])):
                return folder
        except OSError:
            return folder
        folder = inside[0]
    return folder


def _walk(folder: Path) -> _Found:
    found = _Found()
    root = folder.resolve()

    def unreadable(error: OSError) -> None:
        found.skipped.append((_name(Path(error.filename), folder), "folder can't be read"))

    for here, subfolders, names in os.walk(folder, onerror=unreadable):
        subfolders[:] = _visible(subfolders)
        for path in (Path(here, name) for name in [*subfolders, *_visible(names)]):
            name = _name(path, folder)
            if reason := _refusal(path, root):
                found.skipped.append((printable(name), reason))
            elif not path.is_dir() and not is_owner_table(name):
                found.files.append(_File(path, name))
    found.files.sort(key=lambda file: file.name)
    return found


def _inside(folder: Path) -> list[Path]:
    return [folder / name for name in _visible([path.name for path in folder.iterdir()])]


def _visible(names: list[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _refusal(path: Path, root: Path) -> str | None:
    """Why a path is not followed, or None. Opening a pipe would wait for ever."""
    if path.is_symlink():
        if path.is_dir():
            return "a link to a folder"
        if not path.resolve().is_relative_to(root):
            return "a link that leads out of the folder"
    return None if path.is_dir() or path.is_file() else "not a regular file"


def _has_parts(files: list[_File]) -> bool:
    """Whether the top folders are train and test or validation, not classes."""
    paths = [file.name.split("/") for file in files if "/" in file.name]
    tops = {path[0] for path in paths}
    others = tops - {_TRAIN}
    named = _TRAIN in tops and bool(others) and others <= {_TEST, *_VALIDATION}
    return named and any(len(path) > 2 for path in paths)


def _in_classes(found: _Found, depth: int) -> list[_File]:
    usable = []
    for file in found.files:
        if file.name.count("/") + 1 >= depth:
            usable.append(file)
        else:
            found.skipped.append((printable(file.name), "lies outside the class folders"))
    return usable


def _median_side(files: list[_File]) -> int:
    """The median of the images' shorter sides in pixels, as up to 64 of them say; 0 if none can be
    read. No image is decoded."""
    sides = []
    for file in files[:: max(1, len(files) // _LOOKED_AT)]:
        # Whatever is wrong with a file is said when it is decoded.
        with contextlib.suppress(Exception), Image.open(file.path, formats=FORMATS) as image:
            sides.append(min(image.size))
    return int(np.median(sides)) if sides else 0


def _check_memory(folder: Path, count: int, size: int) -> None:
    wanted, free = count * size * size * 3, free_memory()
    if free is not None and wanted > free:
        raise DataError(
            f"{folder}: {count:,} images of {size} × {size} pixels take {readable_bytes(wanted)} "
            f"of memory, {readable_bytes(free)} are free: use fewer, or a recipe with a smaller "
            "image_size"
        )


def _decode(
    files: list[_File], size: int, found: _Found
) -> tuple[npt.NDArray[np.uint8], list[_File]]:
    """The readable ones: images uint8 (n, size, size, 3), (n, size, size) if all are grey, and
    their files."""
    images = np.empty((len(files), size, size, 3), dtype=np.uint8)
    kept: list[_File] = []
    grey = True
    for file in files:
        try:
            image = decode_image(file.path, size)
            images[len(kept)] = image
            grey = grey and bool((image == image[..., :1]).all())
            kept.append(file)
        except BadInputError as error:
            reason = str(error).removeprefix(f"{printable(file.path.name)}: ")
            found.skipped.append((printable(file.name), reason))
    images = images[: len(kept)]
    return (images[..., 0].copy() if grey and kept else images), kept


def _name(path: Path, folder: Path) -> str:
    """The path inside the folder. macOS decomposes accents; one form keeps the ids the same."""
    return unicodedata.normalize("NFC", path.relative_to(folder).as_posix())


def _what_came(classes: list[str], skipped: list[tuple[str, str]]) -> str:
    reason = f"; first skipped: {skipped[0][0]} ({skipped[0][1]})" if skipped else ""
    return f"{len(classes)} with {len(skipped)} files skipped{reason}"
