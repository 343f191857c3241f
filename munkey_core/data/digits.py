"""scikit-learn's digits: 1,797 grey images of 8 x 8, the small natural data for quick tests."""

from pathlib import Path

import numpy as np

from munkey_core.data.base import ImageDataset
from munkey_core.errors import DataError

ATTRIBUTION = (
    "Optical Recognition of Handwritten Digits; E. Alpaydin and C. Kaynak, "
    "UCI Machine Learning Repository, 1998, as shipped with scikit-learn"
)


def load(path: Path | None = None) -> ImageDataset:
    """Load the digits; images uint8 (1797, 8, 8), ids `digit-0007`; no held-out part.

    path: None. Raises DataError for another: they come with scikit-learn.
    """
    if path is not None:
        raise DataError(f"digits come with scikit-learn: wanted no path, got {path}")
    from sklearn.datasets import load_digits

    source = load_digits()
    labels = np.asarray(source.target, dtype=np.int64)
    return ImageDataset(
        name="digits",
        title="Handwritten digits",
        licence="CC-BY-4.0",
        attribution=ATTRIBUTION,
        classes=tuple(str(digit) for digit in range(10)),
        ids=tuple(f"digit-{i:04d}" for i in range(len(labels))),
        images=np.round(source.images * (255 / 16)).astype(np.uint8),  # the source has 0 to 16
        labels=labels,
        is_test=np.zeros(len(labels), dtype=np.bool_),
        owners=None,
        may_ship_images=True,
    )
