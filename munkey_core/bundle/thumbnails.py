"""The images of a bundle, without loss and in few bytes, for people to see and trainings to read.

Images of one bundle resemble each other, so neighbours are compressed together: a block of up to
256 images is one xz stream. A block is unpacked when one of its images is first asked for.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from cachetools import LRUCache
from safetensors.torch import save

from munkey_core.bundle.records import THUMBNAILS
from munkey_core.data.images import MAX_SIZE
from munkey_core.data.pictures import Pictures
from munkey_core.errors import BadInputError, BundleError, UnknownIdError
from munkey_core.files.tensors import read_tensors
from munkey_core.results import ImageArray, IntArray

_BLOCK_IMAGES = 256
_BLOCK_BYTES = 1 << 20  # of pixels, so that one image never costs much more than itself
_KEPT_BYTES = 128 << 20  # of unpacked blocks; the images of the default bundle are 23 MB
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": _BLOCK_BYTES}]
_UNPACKING_MEMORY = 4 * _BLOCK_BYTES

_Shape = tuple[int, ...]


class Thumbnails(Pictures):
    """The images of a bundle by id. Made by `from_images` or `read`; several sessions share one.

    shape: (n, H, W) or (n, H, W, 3). transform: what was done to the pixels before packing.
    blob: the packed blocks one after another; block i is blob[offsets[i] : offsets[i + 1]] and
    holds the next counts[i] images.
    """

    def __init__(
        self,
        ids: Sequence[str],
        shape: _Shape,
        transform: str,
        blob: ImageArray,
        offsets: IntArray,
        counts: IntArray,
    ) -> None:
        self._ids = tuple(ids)
        self._positions = {id_: i for i, id_ in enumerate(self._ids)}
        self._shape = shape
        self._transform = transform
        self._blob = blob
        self._offsets = offsets
        self._counts = counts
        self._starts = np.cumsum(counts) - counts
        self._unpacked: LRUCache[int, ImageArray] = LRUCache(
            _KEPT_BYTES, lambda block: block.nbytes
        )
        self._lock = Lock()

    @classmethod
    def from_images(cls, ids: Sequence[str], images: ImageArray) -> Thumbnails:
        """images: uint8 (n, H, W) or (n, H, W, 3), stored without loss.

        Raises BadInputError for another dtype or shape, or unless there is one image an id.
        """
        shape = tuple(images.shape)
        if images.dtype != np.uint8 or not _is_shape(shape, len(ids)):
            raise BadInputError(
                f"images must be uint8 of shape (n, H, W) or (n, H, W, 3) for n = {len(ids)} ids, "
                f"sides 1 to {MAX_SIZE}, got {images.dtype} of shape {shape}"
            )
        size = _capacity(shape)
        transform = _best_transform(images)
        blocks = [images[first : first + size] for first in range(0, len(images), size)]
        counts = np.array([len(block) for block in blocks], dtype=np.int64)
        return cls(ids, shape, transform, *_joined(_pack_all(blocks, transform)), counts)

    @classmethod
    def read(cls, folder: Path, ids: Sequence[str]) -> Thumbnails:
        """Raises BundleError unless the file holds one image an id.

        Pixels are checked when they are first asked for, with the same error.
        """
        try:
            tensors = {name: t.numpy() for name, t in read_tensors(folder / THUMBNAILS).items()}
        except TypeError as error:
            raise BundleError(f"{THUMBNAILS} is not readable ({error})") from error
        if "png" in tensors:
            raise BundleError(
                f"{THUMBNAILS} must hold blocks of images, got single PNG files: the bundle was "
                "written by an early version; make it again with `munkey train`"
            )
        blob = _expect(tensors, "blob", np.uint8)
        offsets = _expect(tensors, "offsets", np.int64)
        counts = _expect(tensors, "counts", np.int64)
        shape = tuple(_expect(tensors, "shape", np.int64).tolist())
        transform = _expect(tensors, "transform", np.uint8).tobytes().decode("ascii", "replace")
        if not _is_shape(shape, len(ids)):
            raise BundleError(
                f"{THUMBNAILS} must hold one image for each of {len(ids)} records, of sides 1 to "
                f"{MAX_SIZE}, grey or in 3 channels; its shape is {shape}"
            )
        if transform not in _TRANSFORMS:
            raise BundleError(
                f"{THUMBNAILS}: transform must be one of {', '.join(_TRANSFORMS)}, "
                f"got {transform!r}"
            )
        capacity = _capacity(shape)
        if not ((counts >= 1) & (counts <= capacity)).all() or counts.sum() != len(ids):
            raise BundleError(
                f"{THUMBNAILS}: counts must be between 1 and {capacity} images a block and sum "
                f"to {len(ids)}"
            )
        rising = len(offsets) == len(counts) + 1 and bool((offsets[1:] > offsets[:-1]).all())
        if not rising or offsets[0] != 0 or offsets[-1] != len(blob):
            raise BundleError(
                f"{THUMBNAILS}: offsets must rise from 0 to {len(blob):,} in {len(counts)} steps"
            )
        return cls(ids, shape, transform, blob, offsets, counts)

    def pack(self) -> bytes:
        """The file's bytes."""
        tensors: dict[str, npt.NDArray[Any]] = {
            "blob": self._blob,
            "offsets": self._offsets,
            "counts": self._counts,
            "shape": np.array(self._shape, dtype=np.int64),
            "transform": np.frombuffer(self._transform.encode("ascii"), np.uint8),
        }
        copies = {name: torch.from_numpy(values.copy()) for name, values in tensors.items()}
        return save(copies)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._positions

    def array(self, ids: Iterable[str]) -> ImageArray:
        """uint8 (n, H, W) or (n, H, W, 3) of the images `ids`. Raises UnknownIdError."""
        positions = np.array([self._position(id_) for id_ in ids], dtype=np.int64)
        numbers = np.searchsorted(self._starts, positions, side="right") - 1
        images = np.empty((len(positions), *self._shape[1:]), np.uint8)
        order = np.argsort(numbers, kind="stable")
        wanted, firsts = np.unique(numbers[order], return_index=True)
        for number, rows in zip(wanted.tolist(), np.split(order, firsts[1:]), strict=False):
            images[rows] = self._block(number)[positions[rows] - self._starts[number]]
        return images

    def without(self, ids: Iterable[str]) -> Thumbnails:
        """The images but those of `ids`: nothing of theirs is in what this returns.

        Only blocks that held one of them are packed anew. Raises UnknownIdError.
        """
        keep = np.ones(len(self._ids), dtype=np.bool_)
        keep[[self._position(id_) for id_ in ids]] = False
        kept = np.split(keep, self._starts[1:])
        parts = [i for i, mask in enumerate(kept) if mask.any()]
        touched = [i for i in parts if not kept[i].all()]
        anew = _pack_all([self._block(i)[kept[i]] for i in touched], self._transform)
        blocks = dict(zip(touched, anew, strict=True))
        packed = [blocks[i] if i in blocks else self._packed(i) for i in parts]
        counts = np.array([kept[i].sum() for i in parts], dtype=np.int64)
        left = [id_ for id_, stays in zip(self._ids, keep, strict=True) if stays]
        shape = (len(left), *self._shape[1:])
        return Thumbnails(left, shape, self._transform, *_joined(packed), counts)

    def _position(self, id_: str) -> int:
        position = self._positions.get(id_)
        if position is None:
            raise UnknownIdError(f"no image with id {id_!r} in this bundle")
        return position

    def _block(self, number: int) -> ImageArray:
        """One block's images, from memory if it was lately asked for. Raises BundleError."""
        with self._lock:
            block = self._unpacked.get(number)
        if block is None:
            # Not under the lock: two sessions may unpack the same block, none waits for another's.
            block = self._unpack(number)
            with self._lock:
                self._unpacked[number] = block
        return block

    def _packed(self, number: int) -> bytes:
        return self._blob[self._offsets[number] : self._offsets[number + 1]].tobytes()

    def _unpack(self, number: int) -> ImageArray:
        shape = (int(self._counts[number]), *self._shape[1:])
        wanted = int(np.prod(shape))
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_UNPACKING_MEMORY)
        try:
            # One byte more than there should be: a bomb is noticed without being unpacked.
            raw = unpacker.decompress(self._packed(number), wanted + 1)
        except lzma.LZMAError as error:
            raise BundleError(
                f"{THUMBNAILS}: block {number} can't be unpacked ({error})"
            ) from error
        if len(raw) != wanted or not unpacker.eof or unpacker.unused_data:
            raise BundleError(
                f"{THUMBNAILS}: block {number} must be one xz stream of {wanted:,} bytes, "
                f"{shape[0]} images of {shape[1:]}"
            )
        _, undo = _TRANSFORMS[self._transform]
        images = undo(np.frombuffer(raw, np.uint8), shape)
        images.flags.writeable = False
        return images


# -- blocks ------------------------------------------------------------------------------------


def _is_shape(shape: _Shape, n: int) -> bool:
    return (
        shape[:1] == (n,)
        and len(shape) in (3, 4)
        and all(1 <= side <= MAX_SIZE for side in shape[1:3])
        and shape[3:] in ((), (3,))
    )


def _capacity(shape: _Shape) -> int:
    """The most images that a block may hold."""
    return max(1, min(_BLOCK_IMAGES, _BLOCK_BYTES // int(np.prod(shape[1:]))))


def _pack(images: ImageArray, transform: str) -> bytes:
    do, _ = _TRANSFORMS[transform]
    return lzma.compress(
        do(images).tobytes(), lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=_FILTERS
    )


def _pack_all(blocks: Sequence[ImageArray], transform: str) -> list[bytes]:
    with ThreadPoolExecutor() as pool:  # packing needs no interpreter: all cores work
        return list(pool.map(lambda block: _pack(block, transform), blocks))


def _best_transform(images: ImageArray) -> str:
    """The transform that packs a sample of the images best."""
    n = min(len(images), _capacity(images.shape))
    sample = images[np.linspace(0, len(images) - 1, n).astype(np.int64)]
    return min(_TRANSFORMS, key=lambda transform: len(_pack(sample, transform)))


def _joined(packed: Sequence[bytes]) -> tuple[ImageArray, IntArray]:
    """Blob and offsets of packed blocks."""
    offsets = np.cumsum([0, *map(len, packed)], dtype=np.int64)
    return np.frombuffer(b"".join(packed), np.uint8), offsets


def _expect(
    tensors: dict[str, npt.NDArray[Any]], name: str, dtype: type[np.generic]
) -> npt.NDArray[Any]:
    values = tensors.get(name)
    if values is None or values.dtype != dtype or values.ndim != 1:
        got = "none" if values is None else f"{values.dtype} of shape {values.shape}"
        raise BundleError(
            f"{THUMBNAILS}: {name} must be a vector of {np.dtype(dtype).name}, got {got}"
        )
    return values


# -- transforms --------------------------------------------------------------------------------


def _differences(images: ImageArray) -> ImageArray:
    """Each pixel less its left and upper neighbours, red and blue less green, one plane a colour.

    All modulo 256. Small where an image is smooth, as photographs are.
    """
    planes = images
    if images.ndim == 4:
        green = images[..., 1]
        planes = np.stack([images[..., 0] - green, green, images[..., 2] - green])
    zero = np.uint8(0)
    across = np.diff(planes, axis=-1, prepend=zero)
    return np.diff(across, axis=-2, prepend=zero)


def _from_differences(raw: ImageArray, shape: _Shape) -> ImageArray:
    flat = raw.reshape((shape[3], *shape[:3]) if len(shape) == 4 else shape)
    down = np.cumsum(flat, axis=-2, dtype=np.uint8)
    planes: ImageArray = np.cumsum(down, axis=-1, dtype=np.uint8)
    if len(shape) == 3:
        return planes
    red, green, blue = planes
    return np.stack([red + green, green, blue + green], axis=-1)


_TRANSFORMS: dict[
    str, tuple[Callable[[ImageArray], ImageArray], Callable[[ImageArray, _Shape], ImageArray]]
] = {"none": (np.asarray, np.reshape), "differences": (_differences, _from_differences)}
