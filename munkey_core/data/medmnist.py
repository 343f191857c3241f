"""MedMNIST's `.npz` files: {train,val,test}_{images,labels}, one label an image."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from munkey_core.data.base import ImageDataset, classes_problem
from munkey_core.data.images import printable
from munkey_core.errors import DataError
from munkey_core.files.limits import at_most, limits
from munkey_core.files.machine import free_memory, readable_bytes
from munkey_core.files.untrusted import MAX_NAME

ATTRIBUTION = "MedMNIST v2; Yang et al., Scientific Data 10:41, 2023; see the subset's own licence"

_PARTS = ("train", "val", "test")
_MAX_CLASSES = 1000


def load(path: Path) -> ImageDataset:
    """Load a MedMNIST file; images uint8 (n, H, W) or (n, H, W, 3), ids `train-00001`, `val-…`.

    The validation part joins the training part. The file names no classes: they are `class 0`
    and so on. Licences differ from subset to subset, so images are not for shipping.

    Raises DataError if the file is damaged, lacks an array, has volumes or several labels an image.
    """
    arrays = _read(path)
    images = [_images(arrays, part, path) for part in _PARTS]
    labels = [_labels(arrays, part, path) for part in _PARTS]
    if len({part.shape[1:] for part in images}) > 1:
        raise DataError(f"{path}: the images of train, val and test differ in shape")
    counts = [len(part) for part in images]
    if counts != [len(part) for part in labels]:
        raise DataError(f"{path}: wanted as many labels as images in each part")
    if sum(counts) > limits().own_images:
        raise DataError(f"{path}: wanted {at_most('own_images', 'images')}, got {sum(counts):,}")
    all_labels = np.concatenate(labels)
    classes = tuple(f"class {label}" for label in range(int(all_labels.max()) + 1))
    if problem := classes_problem(classes):
        raise DataError(f"{path}: its classes {problem}")
    return ImageDataset(
        name="medmnist",
        title=printable(path.stem)[:MAX_NAME],
        licence="unknown",
        attribution=ATTRIBUTION,
        classes=classes,
        ids=tuple(
            f"{part}-{i:05d}"
            for part, count in zip(_PARTS, counts, strict=True)
            for i in range(count)
        ),
        images=np.concatenate(images),
        labels=all_labels,
        is_test=np.repeat([False, False, True], counts),
        owners=None,
        may_ship_images=False,
    )


def _read(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    names = [f"{part}_{kind}" for part in _PARTS for kind in ("images", "labels")]
    try:
        _check_memory(path)
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            arrays = {name: file[name] for name in names if name in file}
    except Exception as error:  # a bad zip, header or compressed block: each has its own kind
        raise DataError(f"{path}: can't be read as a MedMNIST .npz file ({error})") from error
    if missing:
        raise DataError(f"{path}: wanted the arrays {', '.join(names)}; missing {missing}")
    return arrays


def _check_memory(path: Path) -> None:
    with zipfile.ZipFile(path) as arrays:
        wanted = 2 * sum(info.file_size for info in arrays.infolist())  # the parts are joined
    free = free_memory()
    if free is not None and wanted > free:
        raise ValueError(
            f"it takes {readable_bytes(wanted)} of memory, {readable_bytes(free)} are free"
        )


def _images(
    arrays: dict[str, npt.NDArray[np.generic]], part: str, path: Path
) -> npt.NDArray[np.uint8]:
    images = arrays[f"{part}_images"]
    flat = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not flat or images.size == 0:
        wanted = "uint8 of shape (n, H, W) or (n, H, W, 3)"
        got = f"{images.dtype} of shape {images.shape}"
        raise DataError(f"{path}: {part}_images must be {wanted}, got {got}")
    return images.astype(np.uint8, copy=False)


def _labels(
    arrays: dict[str, npt.NDArray[np.generic]], part: str, path: Path
) -> npt.NDArray[np.int64]:
    labels = arrays[f"{part}_labels"]
    one_each = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)
    if not np.issubdtype(labels.dtype, np.integer) or not one_each:
        got = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"{path}: {part}_labels must be one whole number an image, got {got}")
    if labels.size and not 0 <= labels.min() <= labels.max() < _MAX_CLASSES:
        raise DataError(f"{path}: {part}_labels must be 0 to {_MAX_CLASSES - 1}")
    return labels.reshape(-1).astype(np.int64)
