"""Where the images come from: one file a source, one door for all of them."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

from munkey_core.data import cifar10, digits, fashion_mnist, image_folder, medmnist
from munkey_core.data.archives import unpack_zip
from munkey_core.data.base import ImageDataset, to_rgb
from munkey_core.data.images import check_size, decode_image, encode_png, resize_images
from munkey_core.errors import DataError
from munkey_core.files.limits import limits

__all__ = ["ImageDataset", "decode_image", "encode_png", "load_dataset", "to_rgb"]

# Name → how its images are loaded, from where it usually lies (None) or from a place of one's own.
SOURCES: dict[str, Callable[[Path | None], ImageDataset]] = {
    "fashion_mnist": fashion_mnist.load,
    "cifar10": cifar10.load,
    "digits": digits.load,
}
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def load_dataset(
    source: str, *, image_size: int | None = None, enlarge: bool = True
) -> ImageDataset:
    """Load a dataset by name or path.

    source: `fashion_mnist`, `fashion_mnist:FOLDER`, `cifar10`, `cifar10:PATH`, `digits`, a folder,
    a `.zip` of one, a `.npz` file or a tar archive. A folder that is called like a source:
    `./digits`.
    image_size: the images come out as squares of so many pixels; None keeps the source's own size
    (a folder of images or a zip of one: the median of their shorter sides, from 16 to 128).
    enlarge: whether images of a source with a size of its own are made larger, too.

    Raises DataError if the source is unknown, missing or damaged, BadInputError for a size that
    no image can have.
    """
    if not source.strip():
        raise DataError(f"data source must be {_accepted()}; got nothing")
    if image_size is not None:
        check_size(image_size)
    dataset = _named(source) or _at_path(source, image_size)
    if image_size is None or (not enlarge and max(dataset.images.shape[1:3]) <= image_size):
        return dataset
    return dataclasses.replace(dataset, images=resize_images(dataset.images, image_size))


def _named(source: str) -> ImageDataset | None:
    name, _, place = source.partition(":")
    load = SOURCES.get(name)
    return load and load(Path(place).expanduser() if place else None)


def _accepted() -> str:
    """What may be loaded, in words."""
    return (
        f"{', '.join(SOURCES)} (NAME or NAME:PATH), a folder of images, a .zip of such a folder, "
        "a MedMNIST .npz file, or a .tar, .tar.gz or .tar.xz of CIFAR-10's images"
    )


def _at_path(source: str, image_size: int | None) -> ImageDataset:
    path = Path(source).expanduser()
    if cifar10.is_batches(path):
        return cifar10.load(path)
    if path.is_dir():
        return image_folder.load(path, image_size)
    if path.is_file() and path.suffix == ".npz":
        return medmnist.load(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="munkey-zip-") as temporary:
            folder = Path(temporary) / path.stem
            unpack_zip(path, folder, limits(), path.name)
            return image_folder.load(folder, image_size, called=source)
    if path.is_file() and path.name.endswith(_ARCHIVES):
        return cifar10.load(path)
    raise DataError(f"data source must be {_accepted()}; got {source!r}")
