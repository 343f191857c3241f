"""Where the images of a bundle that carries none may lie, and how each kind of place is read.

Asked in this order: what the person names now (`--images`, `$MUNKEY_IMAGES`), what they named
before (`munkey images B --from PATH`), and where the data set lies by default. Nothing here
downloads but `download`.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from munkey_core.data import cifar10, fashion_mnist, image_folder, load_dataset
from munkey_core.data.base import ImageDataset
from munkey_core.errors import BadInputError, DataError
from munkey_core.files.cache import cache_folder
from munkey_core.files.durable import write_whole
from munkey_core.files.typed import checked

VARIABLE = "MUNKEY_IMAGES"
_REMEMBERED = "images.json"
_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(.+)", re.DOTALL)
# Sources that look for themselves and know how to download.
_PUBLISHED = {"cifar10": cifar10, "fashion_mnist": fashion_mnist}


@dataclass(frozen=True)
class PictureSource:
    """Which images a bundle was made of, as its manifest tells.

    bundle: the bundle's name. dataset: the source's short name ("cifar10", "image_folder", …).
    title: of the data set. image_size: side in pixels. grey: whether the images are grey.
    """

    bundle: str
    dataset: str
    title: str
    image_size: int
    grey: bool

    @property
    def downloadable(self) -> bool:
        """Whether `download` knows how to get these images."""
        return self.dataset in _PUBLISHED


@dataclass(frozen=True)
class Place:
    """A place to look in. path: a file or folder, None for data that a library carries."""

    path: Path | None

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else "the installed scikit-learn"


def places(source: PictureSource) -> list[Place]:
    """Where to look for a bundle's images, in order. What the person names for this run is all:
    if that doesn't fit, they should know."""
    named = _named(source)
    if named is not None:
        return [Place(named)]
    found = [Place(path) for path in (remembered(source), _default(source)) if path is not None]
    if source.dataset == "digits":
        found.append(Place(None))
    return found


def _named(source: PictureSource) -> Path | None:
    """What $MUNKEY_IMAGES says: NAME=path for the bundle or the data set of this name, else a path
    for all."""
    general = None
    for entry in os.environ.get(VARIABLE, "").split(os.pathsep):
        pair = _NAMED.fullmatch(entry)
        if pair is None:
            general = general or entry
        elif pair[1] in (source.bundle, source.dataset):
            return Path(pair[2]).expanduser()
    return Path(general).expanduser() if general else None


def _default(source: PictureSource) -> Path | None:
    published = _PUBLISHED.get(source.dataset)
    return published.find() if published is not None else None


def download(source: PictureSource) -> Path:
    """Download the data set to its default place, which is returned.

    Raises DataError if it can't be downloaded, or nobody publishes it.
    """
    published = _PUBLISHED.get(source.dataset)
    if published is None:
        raise DataError(
            f"{source.title} can't be downloaded: nobody publishes it; name the folder that it "
            "was made of with --from"
        )
    folder: Path = published.download()
    return folder


# -- what was named before -----------------------------------------------------------------------


def remember(source: PictureSource, path: Path) -> None:
    """Look here, too, from now on. Kept in the cache, by the data set's name and title."""
    known = {**_all_remembered(), _key(source): str(path.resolve())}
    text = json.dumps(known, indent=1, sort_keys=True) + "\n"
    write_whole(cache_folder() / _REMEMBERED, text.encode())


def remembered(source: PictureSource) -> Path | None:
    """What was remembered for this data set; None if nothing, or if it is gone."""
    named = _all_remembered().get(_key(source))
    return Path(named) if named is not None and Path(named).exists() else None


def _all_remembered() -> dict[str, str]:
    try:
        known = json.loads((cache_folder() / _REMEMBERED).read_text(encoding="utf-8"))
        return checked(dict[str, str], known, _REMEMBERED)
    except (OSError, ValueError, BadInputError):
        return {}


def _key(source: PictureSource) -> str:
    return f"{source.dataset}/{source.title}"


# -- reading -------------------------------------------------------------------------------------


def read_place(source: PictureSource, place: Place) -> Mapping[str, Path | bytes] | ImageDataset:
    """Ids and files, where each image is a file of its own, perhaps in an archive, which is read
    into memory and never unpacked; else all images at once.

    Raises DataError if there is nothing like that.
    """
    path = place.path
    if path is not None and not path.exists():
        raise DataError(f"there is no {path}")
    if path is not None and path.is_dir():
        if source.dataset == "image_folder":
            return image_folder.files(path)
        if source.dataset == "cifar10" and not cifar10.has_batches(path):
            return cifar10.files(path)
    if path is not None and source.dataset == "cifar10" and path.is_file():
        return cifar10.archived(path)
    return load_dataset(_as_source(source, path), image_size=source.image_size)


def _as_source(source: PictureSource, path: Path | None) -> str:
    if path is None:
        return source.dataset
    return f"{source.dataset}:{path}" if source.dataset in _PUBLISHED else str(path)
