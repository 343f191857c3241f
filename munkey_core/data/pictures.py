"""The images of a bundle that carries none: looked up by id where they lie, and checked.

A licence may let a model be shipped but not the images it was made of. Whoever has those gives
them; they must be the bundle's own: a fixed sample of private images is encoded, and most must
come out near their own stored keys. A lossy copy passes, another data set does not.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import Protocol

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from munkey_core.data.base import ImageDataset
from munkey_core.data.images import decode_image, encode_png
from munkey_core.data.places import PictureSource, Place, places, read_place
from munkey_core.data.seeding import permutation
from munkey_core.errors import BundleError, DataError, MunkeyError, UnknownIdError
from munkey_core.results import ImageArray


@dataclass(frozen=True)
class PictureMatch:
    """How well images that were found elsewhere fit a bundle's stored keys.

    checked: private images that were encoded. matched: those whose own key is among the nearest
    hundredth of all keys. nearest: those whose own key is the very nearest. median: cosine of an
    image with its own key, the median over them. same: whether it is the very copy that the bundle
    was made of, as far as keys can tell.
    """

    checked: int
    matched: int
    nearest: int
    median: float
    same: bool

    @property
    def words(self) -> str:
        return (
            f"{self.matched} of {self.checked} sampled pictures are near their own key "
            f"({self.nearest} nearer than to any other), median cosine {self.median:.3f}"
        )


@dataclass(frozen=True)
class PictureStatus:
    """Whether the images of a bundle are at hand.

    state: "carried" (they are in the bundle), "found" (elsewhere, and they fit), "missing",
    "refused" (what lies there is not the bundle's), "searching" or "unsearched". place: where they
    come from, or what was refused. match: for those found. lacking: images of the bundle that the
    place lacks. problem: one sentence if they are missing or refused.
    """

    state: str
    place: str = ""
    match: PictureMatch | None = None
    lacking: int = 0
    problem: str = ""

    @property
    def ready(self) -> bool:
        return self.state in ("carried", "found")


SAMPLE = 64
_SEED = 64
# How near, and how many of them. Seen with a weak encoder on CIFAR-10: of 64 images of a JPEG copy,
# 7 grey levels off, 58 were among the nearest hundredth and 41 the very nearest; of images swapped
# within their class 7 and none, of images swapped at random none at all.
_NEAREST = 0.01
_ENOUGH = 0.75
_KEPT_BYTES = 64 << 20  # of decoded files
_LOOK_AGAIN = 5.0  # seconds after which a search that found nothing is worth another,
_TRY_AGAIN = 60.0  # and one that found what doesn't fit
_SAME_COPY = 0.9999  # median cosine: floats may differ from machine to machine


class Pictures(Protocol):
    """Images by id: uint8 (n, H, W) or (n, H, W, 3), or one as a PNG file.

    Raises UnknownIdError for an id without an image.
    """

    def array(self, ids: Iterable[str]) -> ImageArray: ...

    def png(self, id_: str) -> bytes:
        return encode_png(self.array([id_])[0])


class PictureFiles(Pictures):
    """Images that are files of their own, decoded when asked for; the latest are kept.

    files: paths, or contents held in memory, by id. Images are cut and resized to `size` pixels
    square. A file that can't be read raises BadInputError when it is asked for.
    """

    def __init__(self, files: Mapping[str, Path | bytes], size: int, grey: bool) -> None:
        self._files = files
        self._size = size
        self._grey = grey
        room = max(1, _KEPT_BYTES // (size * size * (1 if grey else 3)))
        self._kept: LRUCache[str, ImageArray] = LRUCache(room)
        self._lock = Lock()

    def __contains__(self, id_: object) -> bool:
        return id_ in self._files

    def array(self, ids: Iterable[str]) -> ImageArray:
        """uint8 (n, size, size), with colours (n, size, size, 3)."""
        images = [self._image(id_) for id_ in ids]
        shape = (self._size, self._size) if self._grey else (self._size, self._size, 3)
        return np.stack(images) if images else np.empty((0, *shape), np.uint8)

    def _image(self, id_: str) -> ImageArray:
        with self._lock:
            image = self._kept.get(id_)
        if image is not None:
            return image
        if id_ not in self._files:
            raise UnknownIdError(f"there is no picture of {id_!r} where this bundle's lie")
        # Not under the lock: two sessions may decode the same file, none waits for another's.
        image = decode_image(self._files[id_], self._size, grey=self._grey)
        image = image[..., 0].copy() if self._grey else image
        image.setflags(write=False)
        with self._lock:
            self._kept[id_] = image
        return image


class HeldPictures(Pictures):
    """Images that can only be read all at once; those of `ids` are held in memory."""

    def __init__(self, dataset: ImageDataset, ids: Sequence[str]) -> None:
        rows = {id_: row for row, id_ in enumerate(dataset.ids)}
        held = [id_ for id_ in ids if id_ in rows]
        self._images = dataset.images[[rows[id_] for id_ in held]]
        self._images.setflags(write=False)
        self._rows = {id_: row for row, id_ in enumerate(held)}

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def array(self, ids: Iterable[str]) -> ImageArray:
        """uint8 (n, H, W) or (n, H, W, 3)."""
        images: ImageArray = self._images[[self._row(id_) for id_ in ids]]
        return images

    def _row(self, id_: str) -> int:
        if id_ not in self._rows:
            raise UnknownIdError(f"there is no picture of {id_!r} where this bundle's lie")
        return self._rows[id_]


class SourcePictures(Pictures):
    """The images of one bundle, looked for at the first need, checked and then looked up by id.

    ids: of all images of the bundle, the private ones first, in the order of `keys`.
    keys: (N, d) stored keys of the private images. encode: uint8 images → (n, d) keys.

    Several sessions share one. What isn't found is looked for again some seconds later, so a
    server finds what was put there meanwhile.
    """

    def __init__(
        self,
        source: PictureSource,
        ids: Sequence[str],
        keys: Tensor,
        encode: Callable[[ImageArray], Tensor],
    ) -> None:
        self.source = source
        self._ids = ids
        self._keys = keys
        self._encode = encode
        self._found: PictureFiles | HeldPictures | None = None
        self._status = PictureStatus("unsearched")
        self._next_search = 0.0
        self._lock = RLock()

    @property
    def status(self) -> PictureStatus:
        """What is known by now; never waits for a search that is going on."""
        return self._status

    def search(self) -> PictureStatus:
        """Find, read and check the images, unless that was done or tried just now. Waits for a
        search that is going on."""
        with self._lock:
            if self._found is None and time.monotonic() >= self._next_search:
                status = PictureStatus("unsearched")
                try:
                    status = self._search()
                finally:
                    self._status = status
                wait = _TRY_AGAIN if status.state == "refused" else _LOOK_AGAIN
                self._next_search = time.monotonic() + wait
            return self._status

    def array(self, ids: Iterable[str]) -> ImageArray:
        """uint8 (n, H, W) or (n, H, W, 3). Raises BundleError if there are no images that fit,
        UnknownIdError for an id without one."""
        return self._pictures().array(ids)

    def _pictures(self) -> PictureFiles | HeldPictures:
        if self._found is None:
            self.search()
        if self._found is None:
            raise BundleError(self._status.problem)
        return self._found

    def _search(self) -> PictureStatus:
        where = places(self.source)
        refused = ""
        for place in where:
            self._status = PictureStatus("searching", str(place))
            try:
                self._found, match = self._open(place)
            except MunkeyError as error:
                refused = refused or str(error)
                continue
            lacking = sum(id_ not in self._found for id_ in self._ids)
            return PictureStatus("found", str(place), match, lacking=lacking)
        if refused:
            return PictureStatus("refused", str(where[0]), problem=refused)
        return PictureStatus("missing", problem=no_pictures(self.source.bundle))

    def _open(self, place: Place) -> tuple[PictureFiles | HeldPictures, PictureMatch]:
        """Raises MunkeyError if this place holds other images, too few of them, or none."""
        source = self.source
        read = read_place(source, place)
        pictures: PictureFiles | HeldPictures
        if isinstance(read, ImageDataset):
            if (read.images.ndim == 3) != source.grey:
                raise _refusal(place, source, "they are not both grey or both in colour")
            pictures = HeldPictures(read, self._ids)
        else:
            files = {id_: read[id_] for id_ in self._ids if id_ in read}
            pictures = PictureFiles(files, source.image_size, source.grey)
        n = len(self._keys)
        private = [(row, id_) for row, id_ in enumerate(self._ids[:n]) if id_ in pictures]
        # Some files may be gone for good reasons; where most are, these are other images.
        if 2 * len(private) < n or not private:
            raise _refusal(place, source, f"{len(private):,} of its {n:,} private ids are there")
        rows = [private[i] for i in permutation(len(private), _SEED)[:SAMPLE]]
        match = self._match([row for row, _ in rows], pictures.array([id_ for _, id_ in rows]))
        if match.matched < _ENOUGH * match.checked:
            raise _refusal(place, source, match.words)
        return pictures, match

    def _match(self, rows: Sequence[int], images: ImageArray) -> PictureMatch:
        """How close images come to the stored keys of these rows. An image matches if its own is
        among the nearest hundredth of all keys."""
        cosines = self._encode(images) @ self._keys.T
        own = cosines[torch.arange(len(rows)), torch.tensor(rows)]
        nearer = (cosines > own[:, None]).sum(dim=1)
        matched = int((nearer < max(1.0, _NEAREST * len(self._keys))).sum())
        median = float(own.median().clamp(-1, 1))
        nearest = int((nearer == 0).sum())
        return PictureMatch(len(rows), matched, nearest, median, median >= _SAME_COPY)


def no_pictures(bundle: str) -> str:
    """What to say where a bundle's images are nowhere to be found."""
    return (
        f"bundle {bundle} came without its pictures, and they were not found on this machine; "
        f"`munkey images {bundle}` tells how to get them"
    )


def _refusal(place: Place, source: PictureSource, why: str) -> DataError:
    return DataError(f"{place} does not hold the pictures of bundle {source.bundle}: {why}")
