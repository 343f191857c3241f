"""Identical pictures outside the memory: what forgetting an image doesn't reach.

A picture that is there twice may have one copy with a key and one that the network was trained on,
or is tested with. Which private images have such a twin is counted when a bundle is made, as two of
its scores; where the bundle carries its pictures, the twins can be named as well.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle
from munkey_core.model.search import IDENTICAL
from munkey_core.results import ANCHOR, CALIBRATION, TEST, ImageArray

PUBLIC = "public"  # the split of a twin that the bundle has no record of
_PUBLIC_TWINS, _TEST_TWINS = "public_twins", "test_twins"
_PART = 1024  # images looked at at once


@dataclass(frozen=True)
class Twin:
    """A private image and an identical picture that has no key.

    split: of the twin: "test", "anchor", "calibration", or "public" for an image of which the
    bundle knows no more; other is its id, and empty in that last case.
    """

    id: str
    other: str
    split: str


def counted_twins(
    private: ImageArray, public: Iterable[ImageArray], test: ImageArray
) -> dict[str, Tensor]:
    """Scores: how many identical pictures each private image has in the public parts, and among the
    test images, float32 (n,) each; empty if no image has any.

    private, test, each of public: uint8 (n, H, W) or (n, H, W, 3), all of one size.
    """
    there = Counter(digest for part in public for digest in _digests(part))
    tested = Counter(_digests(test))
    own = list(_digests(private))
    counts = {
        name: torch.tensor([float(found[digest]) for digest in own])
        for name, found in ((_PUBLIC_TWINS, there), (_TEST_TWINS, tested))
    }
    return {name: values for name, values in counts.items() if bool(values.any())}


def twins_outside(bundle: Bundle, ids: Sequence[str]) -> tuple[Twin, ...]:
    """Twins without a key of some private images. bundle: in its own mode."""
    named = _of_pictures(bundle, ids) if bundle.thumbnails is not None else _of_keys(bundle, ids)
    place = {id_: i for i, id_ in enumerate(ids)}
    found = {*named, *_counted(bundle, ids, named)}
    return tuple(sorted(found, key=lambda twin: (place[twin.id], twin.split, twin.other)))


def _counted(bundle: Bundle, ids: Sequence[str], named: Iterable[Twin]) -> Iterable[Twin]:
    """Twins that were counted when the bundle was made, and are not among the named ones."""
    known = Counter((twin.id, twin.split == TEST) for twin in named)
    rows = bundle.bank.rows(ids)
    for name, split in ((_PUBLIC_TWINS, PUBLIC), (_TEST_TWINS, TEST)):
        if name in bundle.scores:
            for id_, count in zip(ids, bundle.scores[name][rows].tolist(), strict=True):
                if count > known[id_, split == TEST]:
                    yield Twin(id_, "", split)


def _of_pictures(bundle: Bundle, ids: Sequence[str]) -> list[Twin]:
    wanted: dict[bytes, list[str]] = {}
    for id_, digest in _pictured(bundle, ids):
        wanted.setdefault(digest, []).append(id_)
    return [
        Twin(id_, other, split)
        for split in (TEST, ANCHOR, CALIBRATION)
        for other, digest in _pictured(bundle, [r.id for r in bundle.records_of(split)])
        for id_ in wanted.get(digest, ())
    ]


def _pictured(bundle: Bundle, ids: Sequence[str]) -> Iterable[tuple[str, bytes]]:
    for first in range(0, len(ids), _PART):
        part = ids[first : first + _PART]
        yield from zip(part, _digests(bundle.pictures.array(part)), strict=True)


def _of_keys(bundle: Bundle, ids: Sequence[str]) -> list[Twin]:
    """Without pictures: test images of the same key. Those of the public parts are not stored."""
    test = [record.id for record in bundle.records_of(TEST)]
    cosines = bundle.bank.keys[bundle.bank.rows(ids)] @ bundle.test_keys.T
    pairs = (cosines >= IDENTICAL).nonzero().tolist() if len(test) and len(ids) else []
    return [Twin(ids[i], test[j], TEST) for i, j in pairs]


def _digests(images: ImageArray) -> Iterable[bytes]:
    """Of each image's pixels."""
    for image in images:
        yield blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
