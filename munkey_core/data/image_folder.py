"""A folder of one's own images: one sub-folder a class, and perhaps an owners.csv.

Also understood, as `layout` says: parts for training, validation (which joins training) and test by
any usual name, and a folder in which the classes lie in the only folder with pictures.
"""

import contextlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from munkey_core.data.base import MIN_CLASSES, ImageDataset, classes_problem
from munkey_core.data.deep import EIGHT, SIXTEEN
from munkey_core.data.formats import readable_formats
from munkey_core.data.images import check_size, printable, read_image
from munkey_core.data.layout import Layout, find_layout, holds_picture, inner_name, visible
from munkey_core.data.naming import id_of
from munkey_core.data.owner_table import find_table, is_owner_table, owners_of, unread_tables_first
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.limits import at_most, limits
from munkey_core.files.machine import free_memory, readable_bytes
from munkey_core.files.system_files import added_by_system
from munkey_core.files.untrusted import MAX_NAME, one_line

MAX_SIDE = 128  # of images whose size nobody asked for
MIN_SIDE = 16

_WANTED = "one sub-folder a class with images in it, for two classes or more"
_LOOKED_AT = 64  # images whose size is looked at


@dataclass(frozen=True)
class _File:
    """One file of the folder: where it lies, and its path inside the folder (NFC)."""

    path: Path
    name: str


@dataclass
class _Found:
    """What a walk through the folder collects. owners: the table of owners, if there is one. known:
    names of all files, whatever they are. usable: the files in class folders."""

    layout: Layout
    owners: Path | None
    files: list[_File] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    usable: list[_File] = field(default_factory=list)
    whites: Counter[int] = field(default_factory=Counter)

    def kind(self, file: _File) -> str:
        """The class folder of a usable file."""
        return self.layout.class_of(file.name) or ""


def load(folder: Path, image_size: int | None = None, called: str = "") -> ImageDataset:
    """Load a folder of images; images uint8 (n, image_size, image_size, 3), or without the last
    axis if all of them are grey. image_size: None takes the median of their shorter sides, but 16
    at least and 128 at most. called: what messages call the folder; empty for its path.

    An id is the file's path inside the folder of classes or parts, percent-encoded:
    `cats/img%201.jpg`. Files come in the order of their paths, classes in that of their names,
    where 2 comes before 10. Hidden files are passed over; unreadable ones, links that lead out of
    the folder, and what lies beside the classes are left out and listed in `skipped`. `owners.csv`
    in the folder or beside the folder of classes (columns `file` and `owner`, paths as they are on
    disk) names owners; files it doesn't list have the owner "". A table of owners anywhere else, or
    of another ending, is not read and heads `skipped`.

    Raises DataError if there are not two classes with a readable image each, owners.csv is wrong
    (with the line), or the images don't fit into the memory.
    """
    if image_size is not None:
        check_size(image_size)
    called = called or str(folder)
    found = _survey(folder, called)
    usable = found.usable
    _check_classes(found, usable, called)
    size = min(MAX_SIDE, max(MIN_SIDE, _median_side(usable))) if image_size is None else image_size
    if len(usable) > limits().own_images:
        raise DataError(f"{called}: wanted {at_most('own_images', 'images')}, got {len(usable):,}")
    _check_memory(called, len(usable), size)
    images, files = _decode(usable, size, found)
    classes = _check_classes(found, files, called)
    place = {kind: label for label, kind in enumerate(classes)}
    title = printable(folder.resolve().name)[:MAX_NAME]
    return ImageDataset(
        name="image_folder",
        title=title or "Images",
        licence="unknown",
        attribution=f"Images of the folder {title}",
        classes=tuple(_decoded(kind) for kind in classes),
        ids=tuple(id_of(file.name) for file in files),
        images=images,
        labels=np.array([place[found.kind(file)] for file in files], dtype=np.int64),
        is_test=np.array([found.layout.is_test(file.name) for file in files]),
        owners=owners_of(found.owners, [file.name for file in files], _known(folder, found)),
        may_ship_images=False,
        skipped=tuple(unread_tables_first(found.skipped)),
        remarks=(*found.layout.remarks, *_scaled(found.whites)),
    )


def files(folder: Path) -> dict[str, Path]:
    """Ids and paths of all files that `load` would try to read; no image is decoded."""
    return {id_of(file.name): file.path for file in _survey(folder, str(folder)).usable}


def looks_like_classes(folder: Path) -> bool:
    """Whether a folder has the form that `load` wants, as far as names and first bytes tell."""
    with contextlib.suppress(OSError):
        return folder.is_dir() and len(find_layout(folder).classes) >= 2
    return False


def holds_classes_itself(folder: Path) -> bool:
    """Whether a folder is one of classes or parts, and not a shelf on which such folders lie."""
    with contextlib.suppress(OSError):
        found = find_layout(folder, unwrap=False)
        direct = sum(holds_picture(folder / kind, deep=False) for kind in found.classes)
        return len(found.classes) >= 2 and (bool(found.parts) or direct >= 2)
    return False


def check_form(folder: Path, called: str) -> None:
    """Raises the DataError that `load` would, as far as names and first bytes tell. called: what
    the message calls the folder."""
    found = _survey(folder, called)
    kinds = found.layout.classes
    _check_classes(found, [file for file in found.usable if found.kind(file) in kinds], called)


def _survey(folder: Path, called: str) -> _Found:
    """What lies where in the folder. Raises DataError if it is no folder."""
    if not folder.is_dir():
        raise DataError(f"{called}: wanted a folder with {_WANTED}, got no folder")
    try:
        layout = find_layout(folder)
    except OSError as error:
        raise DataError(f"{called}: can't be read ({error.strerror})") from error
    found = _Found(layout, _owners_file(folder, layout))
    found.skipped += [
        (printable(name), reason) for name, reason in layout.beside if found.owners != folder / name
    ]
    _walk(layout.root, found)
    found.known = {file.name for file in found.files} | {name for name, _ in found.skipped}
    _sort_out(found)
    return found


def _walk(folder: Path, found: _Found) -> None:
    root = folder.resolve()

    def unreadable(error: OSError) -> None:
        found.skipped.append((inner_name(Path(error.filename), folder), "folder can't be read"))

    for here, subfolders, names in os.walk(folder, onerror=unreadable):
        for name in (*subfolders, *names):
            if added_by_system([name]) and not name.startswith("."):
                found.skipped.append((inner_name(Path(here, name), folder), "added by the system"))
        subfolders[:] = visible(subfolders)
        for path in (Path(here, name) for name in [*subfolders, *visible(names)]):
            name = inner_name(path, folder)
            if reason := _refusal(path, root):
                found.skipped.append((printable(name), reason))
            elif not path.is_dir() and not is_owner_table(name):
                found.files.append(_File(path, name))
    found.files.sort(key=lambda file: file.name)


def _refusal(path: Path, root: Path) -> str | None:
    """Why a path is not followed, or None. Opening a pipe would wait for ever."""
    if path.is_symlink():
        if path.is_dir():
            return "a link to a folder"
        if not path.resolve().is_relative_to(root):
            return "a link that leads out of the folder"
    return None if path.is_dir() or path.is_file() else "not a regular file"


def _sort_out(found: _Found) -> None:
    """Divide the files into usable ones and those that are left out, folder by folder beside the
    parts."""
    layout = found.layout
    odd: Counter[str] = Counter()
    for file in found.files:
        if layout.is_odd(file.name):
            odd[file.name.split("/", 1)[0]] += 1
        elif layout.class_of(file.name) is None:
            found.skipped.append((printable(file.name), "lies outside the class folders"))
        else:
            found.usable.append(file)
    parts = " and ".join(printable(name) for name in layout.parts)
    found.skipped[:0] = [
        (printable(top), f"a folder beside the parts {parts}: its {count:,} files are left out")
        for top, count in odd.items()
    ]


def _check_classes(found: _Found, files: list[_File], called: str) -> list[str]:
    """The class folders of these files, in their order. Raises DataError if they can't be the
    classes of a model."""
    classes = sorted({found.kind(file) for file in files}, key=_natural)
    if len(classes) < MIN_CLASSES:
        raise DataError(f"{called}: wanted {_WANTED}, got {_what_came(classes, found.skipped)}")
    names = [_decoded(kind) for kind in classes]
    if problem := classes_problem(names):
        raise DataError(f"{called}: the folders' names, which are the classes, {problem}")
    return classes


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key for sorting in which 2 comes before 10."""
    pieces = re.split(r"([0-9]+)", name)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in pieces], name


def _median_side(files: list[_File]) -> int:
    """The median of the images' shorter sides in pixels, as up to 64 of them say; 0 if none can be
    read. No image is decoded."""
    sides = []
    for file in files[:: max(1, len(files) // _LOOKED_AT)]:
        # Whatever is wrong with a file is said when it is decoded.
        with (
            contextlib.suppress(Exception),
            Image.open(file.path, formats=readable_formats()) as image,
        ):
            sides.append(min(image.size))
    return int(np.median(sides)) if sides else 0


def _check_memory(called: str, count: int, size: int) -> None:
    wanted, free = count * size * size * 3, free_memory()
    if free is not None and wanted > free:
        raise DataError(
            f"{called}: {count:,} images of {size} × {size} pixels take {readable_bytes(wanted)} "
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
            decoded = read_image(file.path, size)
            images[len(kept)] = image = decoded.image
            found.whites[decoded.white] += 1
            grey = grey and bool((image == image[..., :1]).all())
            kept.append(file)
        except BadInputError as error:
            reason = str(error).removeprefix(f"{printable(file.path.name)}: ")
            found.skipped.append((printable(file.name), one_line(reason)))
    images = images[: len(kept)]
    return (images[..., 0].copy() if grey and kept else images), kept


def _scaled(whites: Counter[int]) -> Iterator[str]:
    """What is to be said of pictures of more than 8 bits, by the value that is white in them."""
    some = {white: n for white, n in sorted(whites.items()) if EIGHT < white < SIXTEEN}
    if some:
        counts = " and ".join(f"{n:,} up to {white:,}" for white, n in some.items())
        differ = len(some) > 1 or whites[SIXTEEN]
        yield (
            f"{sum(some.values()):,} pictures have 16 bits a channel and use a part of them: "
            f"{counts}, which was taken for white."
            + (" Their brightness can't be compared with that of the others." if differ else "")
        )


def _owners_file(folder: Path, layout: Layout) -> Path | None:
    """Where the table of owners lies: with the classes, or beside the folder of classes."""
    steps = layout.entered.split("/") if layout.entered else []
    return find_table(folder.joinpath(*steps[:depth]) for depth in range(len(steps), -1, -1))


def _known(folder: Path, found: _Found) -> dict[str, str]:
    """The folder's files by what owners.csv may call them: with the folders around the classes
    before their names, or without."""
    around = [unicodedata.normalize("NFC", folder.resolve().name)]
    around += found.layout.entered.split("/") if found.layout.entered else []
    known = {name: name for name in found.known}
    if found.owners is None:
        return known
    for depth in range(len(around)):
        prefix = "/".join(around[depth:])
        for name in found.known:
            known.setdefault(f"{prefix}/{name}", name)
    return known


def _decoded(name: str) -> str:
    """A folder's name as text: bytes that were not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", errors="replace")


def _what_came(classes: list[str], skipped: list[tuple[str, str]]) -> str:
    reason = f"; first skipped: {skipped[0][0]} ({skipped[0][1]})" if skipped else ""
    return f"{len(classes)} with {len(skipped)} files skipped{reason}"
