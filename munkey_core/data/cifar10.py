"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour images of 32 x 32, in ten classes.

It comes in two layouts, torchvision's pickled batches and a tree of JPEG files, and both give the
same ids in the same order: `train-cat-0012` is the 13th cat of the original training order.
"""

import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path

import numpy as np
import numpy.typing as npt

from munkey_core.data.base import ImageDataset
from munkey_core.data.downloads import data_home, fetch
from munkey_core.data.images import decode_image
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.limits import at_most, limits

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ATTRIBUTION = (
    "CIFAR-10; Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
)

_SIZE = 32
_LOSSY = (
    "its images were read from JPEG copies, whose pixels are close to CIFAR-10's but not the same"
)
_BATCHES = "cifar-10-batches-py"
_MEMBER = re.compile(rf"(train|test)/({'|'.join(CLASSES)})/(\d{{4}})\.(?:jpe?g|png)")
_WANTED = f"train/<class>/<nnnn>.jpg and test/<class>/<nnnn>.jpg, or torchvision's {_BATCHES}"
_MAX_FILE_BYTES = 1_000_000  # the JPEG files have about 1,000
_ADVICE = f"put {_BATCHES} in $MUNKEY_DATA/cifar10, or name a folder or archive: cifar10:PATH"


def load(path: Path | None = None) -> ImageDataset:
    """Load CIFAR-10; images uint8 (60000, 32, 32, 3), training part first, then by class.

    path: torchvision's `cifar-10-batches-py` or the folder it lies in; or a folder or a tar
    archive (read in memory, never unpacked) of `train/<class>/<nnnn>.jpg` and
    `test/<class>/<nnnn>.jpg`, which may lack images. None looks in `$MUNKEY_DATA/cifar10`, for
    `$MUNKEY_DATA/cifar10_jpeg.tar.xz`, then downloads with torchvision.

    Raises DataError if there is no such data, or an archive holds anything else.
    """
    if path is None:
        path = find() or download()
    if path.is_file():
        return _from_files(_tar_members(path), path)
    if has_batches(path):
        return _from_batches(path.parent if is_batches(path) else path)
    if path.is_dir():
        return _from_files(_folder_members(path), path)
    raise DataError(f"CIFAR-10: {path} does not exist; wanted {_WANTED}")


def is_batches(folder: Path) -> bool:
    """Whether this is torchvision's folder of pickled batches."""
    return folder.name == _BATCHES and folder.is_dir()


def find() -> Path | None:
    """Where CIFAR-10 lies by default, if it does: see :func:`load`. Nothing is downloaded."""
    folder, archive = data_home() / "cifar10", data_home() / "cifar10_jpeg.tar.xz"
    if is_batches(folder / _BATCHES) or (folder / "train").is_dir():
        return folder
    return archive if archive.is_file() else None


def download() -> Path:
    """Download it with torchvision into `$MUNKEY_DATA/cifar10`, which is returned.

    Raises DataError if that fails, as it does offline.
    """
    root = data_home() / "cifar10"

    def from_torchvision() -> None:
        from torchvision.datasets import CIFAR10

        CIFAR10(str(root), download=True)

    fetch("CIFAR-10", from_torchvision, _ADVICE)
    return root


def has_batches(folder: Path) -> bool:
    """Whether `load` would read torchvision's batches here, and no files of single images."""
    return is_batches(folder) or is_batches(folder / _BATCHES)


def files(folder: Path) -> dict[str, Path]:
    """Ids and paths of the images that lie in a folder as `train/<class>/<nnnn>.jpg` and
    `test/<class>/<nnnn>.jpg`; nothing is opened. Links and files of other names are passed over."""
    found: dict[str, Path] = {}
    for part in ("train", "test"):
        for kind in CLASSES:
            if not (folder / part / kind).is_dir():
                continue
            with os.scandir(folder / part / kind) as entries:
                for entry in entries:
                    name = f"{part}/{kind}/{entry.name}"
                    if _MEMBER.fullmatch(name) and entry.is_file(follow_symlinks=False):
                        found[_id_of(name)] = Path(entry.path)
    return found


def archived(path: Path) -> dict[str, bytes]:
    """Ids and contents of the image files of a tar archive, none of them decoded: about 1 kB each.

    Raises DataError if it can't be read, or holds anything else.
    """
    return {_id_of(name): content for name, content in _tar_members(path)}


def _id_of(name: str) -> str:
    """The id that the name of a file, `train/cat/0012.jpg`, stands for."""
    part, label, position = _row(name)
    return _id(part, CLASSES[label], position)


def _id(part: str, kind: str, position: int) -> str:
    return f"{part}-{kind}-{position:04d}"


def position_in_class(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many earlier labels are the same: int64 (n,) to int64 (n,), so 5 5 2 5 gives 0 1 0 2."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    positions = np.empty(len(labels), dtype=np.int64)
    positions[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered, side="left")
    return positions


def _from_batches(root: Path) -> ImageDataset:
    """Read the pickles by torchvision's own loader only: it checks their MD5 sums first."""
    from torchvision.datasets import CIFAR10

    try:
        parts = [CIFAR10(str(root), train=train) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise DataError(f"CIFAR-10: {root / _BATCHES}: {error}") from error
    labels = [np.asarray(part.targets, dtype=np.int64) for part in parts]
    return _dataset(
        images=np.concatenate([part.data for part in parts]),
        labels=np.concatenate(labels),
        positions=np.concatenate([position_in_class(part) for part in labels]),
        is_test=np.repeat([False, True], [len(part) for part in labels]),
        skipped=[],
    )


def _from_files(members: Iterator[tuple[str, bytes]], path: Path) -> ImageDataset:
    images, rows, names, skipped = [], [], [], []
    for name, content in members:
        try:
            images.append(decode_image(content, _SIZE))
            rows.append(_row(name))
            names.append(name)
        except BadInputError as error:
            skipped.append((name, str(error)))
    if not images:
        raise DataError(f"CIFAR-10: {path} holds no readable image; wanted {_WANTED}")
    parts, labels, positions = zip(*rows, strict=True)
    return _dataset(
        images=np.stack(images),
        labels=np.array(labels, dtype=np.int64),
        positions=np.array(positions, dtype=np.int64),
        is_test=np.array(parts) == "test",
        skipped=skipped,
        differs=_LOSSY if any(name.endswith(("jpg", "jpeg")) for name in names) else "",
    )


def _row(name: str) -> tuple[str, int, int]:
    """The part, label and position in class that a file's name, checked before, stands for."""
    part, kind, number = name.rsplit(".", 1)[0].split("/")
    return part, CLASSES.index(kind), int(number)


def _tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each image of an archive; refuses members that are anything else."""
    try:
        with tarfile.open(path, mode="r|*") as archive:
            for number, member in enumerate(archive):
                if number >= limits().own_images:
                    raise DataError(
                        f"CIFAR-10: {path}: wanted {at_most('own_images', 'members')}, got more"
                    )
                if not member.isdir():
                    yield _tar_member(archive, member, path)
    except (tarfile.TarError, LZMAError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"CIFAR-10: {path} can't be read as a tar archive ({error})") from error


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> tuple[str, bytes]:
    name = member.name.removeprefix("./")
    _check_member(name, member.size, path)
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise DataError(f"CIFAR-10: {path}: {name} is a link or device, wanted plain files")
    return name, content.read()


def _folder_members(folder: Path) -> Iterator[tuple[str, bytes]]:
    for part in ("train", "test"):
        for file in sorted((folder / part).rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_symlink():
                raise DataError(f"CIFAR-10: {folder}: {name} is a link, wanted plain files")
            if file.is_file():
                _check_member(name, file.stat().st_size, folder)
                yield name, file.read_bytes()


def _check_member(name: str, size: int, path: Path) -> None:
    if not _MEMBER.fullmatch(name):
        raise DataError(f"CIFAR-10: {path}: wanted {_WANTED}, got {name!r}")
    if size > _MAX_FILE_BYTES:
        raise DataError(f"CIFAR-10: {path}: {name} must have at most 1 MB, got {size:,} bytes")


def _dataset(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    is_test: npt.NDArray[np.bool_],
    skipped: list[tuple[str, str]],
    differs: str = "",
) -> ImageDataset:
    """Name the images and put them in one order, whichever layout they came from."""
    order = np.lexsort((positions, labels, is_test))
    return ImageDataset(
        name="cifar10",
        title="CIFAR-10",
        licence="unknown",
        attribution=ATTRIBUTION,
        classes=CLASSES,
        ids=tuple(
            _id("test" if is_test[i] else "train", CLASSES[labels[i]], int(positions[i]))
            for i in order
        ),
        images=images[order],
        labels=labels[order],
        is_test=is_test[order],
        owners=None,
        may_ship_images=False,
        skipped=tuple(skipped),
        differs=differs,
    )
