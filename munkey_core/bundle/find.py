"""Where bundles lie, and which there are."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from munkey_core.bundle.manifest import SEAL, Manifest, may_hold, read_manifest
from munkey_core.bundle.versions import MANIFEST, finish, unfinished
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.cache import cache_folder
from munkey_core.results import PRIVATE, TEST


def bundle_folders() -> list[Path]:
    """Folders searched for bundles: $MUNKEY_BUNDLES (os.pathsep between several), ./pretrained,
    the source tree's own pretrained, the one inside the installed package, and where the app puts
    bundles of people's own images."""
    named = [Path(p) for p in os.environ.get("MUNKEY_BUNDLES", "").split(os.pathsep) if p]
    package = Path(__file__).resolve().parents[1]
    found = [*named, Path("pretrained"), package.parent / "pretrained", package / "pretrained"]
    with contextlib.suppress(BadInputError):  # without a cache there are no bundles in it either
        found.append(own_folder())
    return found


def shipped_folder() -> Path:
    """Where the bundles that ship lie: beside the source, else inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    beside = package.parent / "pretrained"
    return beside if beside.is_dir() else package / "pretrained"


def own_folder() -> Path:
    """Where bundles made in the app go: the first folder of $MUNKEY_BUNDLES if it is set, else
    `bundles` in the cache. It need not exist yet. Raises BadInputError if there is no cache."""
    named = [p for p in os.environ.get("MUNKEY_BUNDLES", "").split(os.pathsep) if p]
    return Path(named[0]) if named else cache_folder() / "bundles"


def find_bundles() -> list[Path]:
    """Every bundle in those folders; the first of a name wins."""
    found: dict[str, Path] = {}
    for folder in bundle_folders():
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if (path / MANIFEST).is_file():
                    found.setdefault(path.name, path)
    return list(found.values())


def find_bundle(name: str) -> Path:
    """The folder of a bundle, by name or path. Raises BundleError listing what there is."""
    with contextlib.suppress(OSError, ValueError):  # a name that can't be a path is no path
        if Path(name, MANIFEST).is_file() or _brought_back(Path(name)):
            return Path(name)
    for path in find_bundles():
        if path.name == name:
            return path
    with contextlib.suppress(OSError, ValueError):
        for folder in bundle_folders():
            if "/" not in name and _brought_back(folder / name):
                return folder / name
    names = ", ".join(path.name for path in find_bundles()) or "none found"
    raise BundleError(
        f"no bundle {name!r}: give the name of one of these ({names}) or the path of a folder "
        f"with a {MANIFEST}"
    )


def _brought_back(folder: Path) -> bool:
    """Whether a bundle is there after all: where two folders can't change places in one step, a
    run that was killed between two may have left neither."""
    if folder.exists() or not unfinished(folder):
        return False
    finish(folder)
    return (folder / MANIFEST).is_file()


def bundle_info(folder: Path) -> BundleInfo:
    """What a list of bundles shows, without loading weights. A bad manifest is its `problem`: one
    damaged bundle must not hide the others."""
    name = folder.resolve().name
    try:
        manifest, digest = read_manifest(folder)
    except BundleError as error:
        return BundleInfo(name, str(folder), name, "", "", 0, 0, (), "", 0, problem=str(error))
    counts = manifest.splits["counts"]
    return BundleInfo(
        name=name,
        path=str(folder),
        title=manifest.dataset["title"],
        dataset=manifest.dataset.get("name", ""),
        licence=manifest.dataset["licence"],
        keys=counts.get(PRIVATE, 0),
        test_images=counts.get(TEST, 0),
        classes=manifest.classes,
        digest=digest,
        bytes=_size(folder, manifest),
    )


def _size(folder: Path, manifest: Manifest) -> int:
    """Bytes of the files that the manifest names, of itself and its seal, as far as they are
    there."""
    total = 0
    for name in (MANIFEST, SEAL, *filter(may_hold, manifest.files)):
        with contextlib.suppress(OSError):
            total += (folder / name).lstat().st_size
    return total


@dataclass(frozen=True)
class BundleInfo:
    """A bundle as a list shows it. bytes: size of its files. problem: why it can't be opened,
    empty if its manifest is sound."""

    name: str
    path: str
    title: str
    dataset: str
    licence: str
    keys: int
    test_images: int
    classes: tuple[str, ...]
    digest: str
    bytes: int
    problem: str = ""
