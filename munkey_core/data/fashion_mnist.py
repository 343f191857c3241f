"""Fashion-MNIST (Zalando SE, MIT): 70,000 grey images of 28 x 28, in ten classes."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from munkey_core.data.base import ImageDataset
from munkey_core.data.downloads import data_home, fetch
from munkey_core.data.idx import read_idx
from munkey_core.errors import DataError

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
ATTRIBUTION = (
    "Fashion-MNIST, Copyright (c) 2017 Zalando SE, https://tech.zalando.com; "
    "Xiao, Rasul and Vollgraf, arXiv:1708.07747"
)

_NOTICE = """\
The images in this folder are part of Fashion-MNIST,
Copyright (c) 2017 Zalando SE, https://tech.zalando.com

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS
FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_TORCHVISION = Path("FashionMNIST") / "raw"
_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_ADVICE = (
    "install Debian's package dataset-fashion-mnist, or put the four IDX files in "
    "$MUNKEY_DATA/fashion_mnist, or name their folder: fashion_mnist:FOLDER"
)


def load(folder: Path | None = None) -> ImageDataset:
    """Load Fashion-MNIST; images uint8 (70000, 28, 28), ids `train-00042` and `test-00017`.

    folder: where the four IDX files lie, plain or gzipped. None looks in
    `$MUNKEY_DATA/fashion_mnist` and Debian's folder, then downloads with torchvision.

    Raises DataError if the files are nowhere, or one of them is damaged.
    """
    folder = folder or find() or download()
    files = _files_in(folder)
    if files is None:
        raise _missing(folder)
    train_images, train_labels, test_images, test_labels = files
    train = _part(train_images, train_labels)
    test = _part(test_images, test_labels)
    n_train, n_test = len(train[1]), len(test[1])
    return ImageDataset(
        name="fashion_mnist",
        title="Fashion-MNIST",
        licence="MIT",
        attribution=ATTRIBUTION,
        classes=CLASSES,
        ids=tuple(
            [f"train-{i:05d}" for i in range(n_train)] + [f"test-{i:05d}" for i in range(n_test)]
        ),
        images=np.concatenate([train[0], test[0]]),
        labels=np.concatenate([train[1], test[1]]),
        is_test=np.repeat([False, True], [n_train, n_test]),
        owners=None,
        may_ship_images=True,
        notice=_NOTICE,
    )


def find() -> Path | None:
    """The folder of the four files by default, if it is there; nothing is downloaded."""
    homes = (data_home() / "fashion_mnist", _DEBIAN)
    return next((home for home in homes if _files_in(home)), None)


def download() -> Path:
    """Download it with torchvision into `$MUNKEY_DATA/fashion_mnist`, which is returned.

    Raises DataError if that fails, as it does offline.
    """
    home = data_home() / "fashion_mnist"

    def from_torchvision() -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(str(home), train=True, download=True)

    fetch("Fashion-MNIST", from_torchvision, _ADVICE)
    if _files_in(home) is None:
        raise _missing(home / _TORCHVISION)
    return home


def _files_in(folder: Path) -> list[Path] | None:
    """The four files of a folder, or of torchvision's folder in it; None if one is missing."""
    for place in (folder, folder / _TORCHVISION):
        found = [_file(place, name) for name in _NAMES]
        present = [path for path in found if path is not None]
        if len(present) == len(_NAMES):
            return present
    return None


def _file(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def _missing(folder: Path) -> DataError:
    names = ", ".join(f"{name}[.gz]" for name in _NAMES if _file(folder, name) is None)
    return DataError(f"Fashion-MNIST: {folder} lacks {names}")


def _part(
    image_file: Path, label_file: Path
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images uint8 (n, 28, 28) and labels int64 (n,) of one part."""
    images = read_idx(image_file, dimensions=3)
    labels = read_idx(label_file, dimensions=1).astype(np.int64)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{image_file}: images must be 28 x 28, got {images.shape[1:]}")
    if len(images) != len(labels):
        raise DataError(f"{label_file}: wanted {len(images):,} labels, got {len(labels):,}")
    if labels.max() >= len(CLASSES):
        raise DataError(f"{label_file}: labels must be 0 to 9, got {labels.max()}")
    return images, labels
