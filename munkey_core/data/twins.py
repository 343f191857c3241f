"""Images that are there twice: forgetting one of them says little while the other stays."""

import hashlib
from dataclasses import dataclass

import numpy as np

from munkey_core.data.base import ImageDataset
from munkey_core.data.splits import Positions, Splits


@dataclass(frozen=True)
class Twins:
    """Images that are the same pixel for pixel, at the size that they are read with, in different
    parts.

    public: private images with a twin in a public part, which the network learns for good. tested:
    private images with a twin among the test images, which are meant to be unknown.
    learned: test images with a twin in a public part. example: ids of one such pair, empty
    for none.
    """

    public: int
    tested: int
    learned: int
    example: tuple[str, ...] = ()


def twins_across_parts(dataset: ImageDataset, splits: Splits) -> Twins:
    """Which images have an identical twin in another part; some seconds for 100,000 images."""
    private, test = _digests(dataset, splits.private), _digests(dataset, splits.test)
    parts = (splits.encoder, splits.anchor, splits.calibration, splits.validation)
    learned = _digests(dataset, np.concatenate(parts))
    pairs = [(private, learned), (private, test), (test, learned)]
    found = [[digest for digest in one if digest in other] for one, other in pairs]
    example: tuple[str, ...] = ()
    for (one, other), shared in zip(pairs, found, strict=True):
        if shared and not example:
            example = (one[shared[0]][0], other[shared[0]][0])
    counts = [
        sum(len(one[digest]) for digest in shared)
        for (one, _), shared in zip(pairs, found, strict=True)
    ]
    return Twins(counts[0], counts[1], counts[2], example)


def _digests(dataset: ImageDataset, rows: Positions) -> dict[bytes, list[str]]:
    """Ids by what the images hold."""
    found: dict[bytes, list[str]] = {}
    for row in rows.tolist():
        image = np.ascontiguousarray(dataset.images[row])
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        found.setdefault(digest, []).append(dataset.ids[row])
    return found
