"""What every source of images gives: one frozen, checked :class:`ImageDataset`."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from munkey_core.errors import DataError
from munkey_core.files.names import spelled_once
from munkey_core.files.untrusted import MAX_NAME, is_name, shown

# An id goes unchanged into URLs, CSV cells and comma lists; `@` and `:` mean other things there.
_ID = re.compile(r"[A-Za-z0-9._/~%-]+")
MAX_ID = 4_000  # characters: a path of 1,000 bytes, percent-encoded
ID_WANTED = f"made of letters, digits and ._/~%- only, at most {MAX_ID:,} of them"


MIN_CLASSES, MAX_CLASSES = 2, 10_000


def classes_problem(names: Sequence[str], fewest: int = MIN_CLASSES) -> str:
    """Why these can't be the names of a model's classes; empty if they can. fewest: of them."""
    odd = next((name for name in names if not name or not is_name(name)), None)
    twice = [name for name, count in Counter(names).items() if count > 1]
    got = f"{len(names):,}"
    if odd is not None:
        got = shown(odd) if len(odd) <= MAX_NAME else f"{shown(odd)} of {len(odd):,} characters"
    elif twice:
        got = f"{shown(twice[0])} more than once"
    if fewest <= len(names) <= MAX_CLASSES and odd is None and not twice:
        return ""
    return (
        f"must be different names, {fewest} to {MAX_CLASSES:,}, each of one line and at most "
        f"{MAX_NAME} characters, got {got}"
    )


def all_alike(images: npt.NDArray[np.uint8], rows: Iterable[int]) -> bool:
    """Whether the images in these rows, one at least, are the same, pixel for pixel."""
    first, *others = rows
    return all(bool((images[row] == images[first]).all()) for row in others)


def is_id(text: str) -> bool:
    """Whether a text can be an image's id."""
    return len(text) <= MAX_ID and _ID.fullmatch(text) is not None


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images with stable ids, and what their licence allows.

    name: the source's short name, such as `fashion_mnist`. title: for people.
    licence: an SPDX-like id or `unknown`. attribution: a notice of one line.
    classes: the class names, 1 to 10,000; a label is a position in it.
    ids: one an image: unique, stable, never reused; only letters, digits and `._/~%-`.
    images: uint8 (n, H, W) if grey, (n, H, W, 3) if colour; see :func:`to_rgb`.
    labels: int64 (n,), each from 0 to len(classes) - 1.
    is_test: bool (n,), the source's own held-out part; all False if it has none.
    owners: one name an image ("" where the source names nobody), or None if it names no owners;
    tidied, and spellings of one name made one.
    may_ship_images: whether the licence allows images inside a bundle.
    skipped: (file name, reason) of each file that couldn't be used.
    notice: the licence's text where it must accompany copies of the images.
    differs: how the images differ from those that the source publishes, as a half sentence; empty
    if they don't.
    remarks: sentences for whoever trains on them, about how they were read.

    Raises DataError, naming the field, what it should be and what came.
    """

    name: str
    title: str
    licence: str
    attribution: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    is_test: npt.NDArray[np.bool_]
    owners: tuple[str, ...] | None
    may_ship_images: bool
    skipped: tuple[tuple[str, str], ...] = ()
    notice: str = ""
    differs: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._require(is_name(self.title), "title", "a name of one line", shown(self.title))
        self._check_images()
        self._check_column("labels", self.labels, np.dtype(np.int64))
        self._check_column("is_test", self.is_test, np.dtype(np.bool_))
        self._check_classes()
        self._check_ids()
        if self.owners is not None:
            self._require(len(self.owners) == len(self), "owners", len(self), len(self.owners))
            object.__setattr__(self, "owners", spelled_once(self.owners))

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def _require(self, ok: bool, field: str, wanted: object, got: object) -> None:
        if not ok:
            raise DataError(f"{self.name}: {field} must be {wanted}, got {got}")

    def _check_images(self) -> None:
        shape, dtype = self.images.shape, self.images.dtype
        wanted = "uint8 of shape (n, H, W) or (n, H, W, 3), none of them 0"
        grey_or_colour = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        ok = grey_or_colour and min(shape) > 0 and dtype == np.uint8
        self._require(ok, "images", wanted, f"{dtype} of shape {shape}")

    def _check_column(self, field: str, values: npt.NDArray[np.generic], kind: np.dtype) -> None:
        ok = values.shape == (len(self),) and values.dtype == kind
        got = f"{values.dtype} of shape {values.shape}"
        self._require(ok, field, f"{kind} of shape ({len(self)},)", got)

    def _check_classes(self) -> None:
        names = self.classes
        if problem := classes_problem(names, fewest=1):
            raise DataError(f"{self.title}: classes {problem}")
        low, high = int(self.labels.min()), int(self.labels.max())
        wanted = f"between 0 and {len(names) - 1}"
        self._require(low >= 0 and high < len(names), "labels", wanted, f"{low} to {high}")

    def _check_ids(self) -> None:
        self._require(len(self.ids) == len(self), "ids", f"{len(self)} ids", len(self.ids))
        odd = next((i for i in self.ids if not is_id(i)), None)
        self._require(odd is None, "ids", ID_WANTED, repr(odd))
        twice = [i for i, count in Counter(self.ids).items() if count > 1]
        self._require(not twice, "ids", "unique", f"{twice[:1]} more than once")


def to_rgb(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give images three channels: uint8 (n, H, W) or (n, H, W, 3) to uint8 (n, H, W, 3).

    Grey images come back as a read-only view that repeats the one channel, so nothing is copied;
    colour images come back as they are. Raises DataError for any other shape.
    """
    if images.ndim == 4 and images.shape[3] == 3:
        return images
    if images.ndim == 3:
        return np.broadcast_to(images[..., None], (*images.shape, 3))
    raise DataError(f"images must be of shape (n, H, W) or (n, H, W, 3), got {images.shape}")
