"""One way to change a bundle on disk: a whole new version beside it, which takes its place at once.

    .NAME.work/NAME         the new version while it is made; once they changed places, the old one
    .NAME.work/journal.json written when the new version is whole: what to finish, whoever comes

A run that is killed leaves the bundle wholly old or wholly new. What it left to do (the old
version's files to overwrite, results of the cache to remove) the next one who changes the bundle
does first. All who change a bundle lock the folder that it lies in.
"""

import contextlib
import hashlib
import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from munkey_core.errors import BadInputError, BundleError
from munkey_core.files import durable
from munkey_core.files.cache import cache_folder
from munkey_core.files.typed import Digest, DigestOrNone, checked

MANIFEST = "manifest.json"
LEFTOVERS = (".training", ".making", ".writing")  # of runs that made the bundle of this name

_JOURNAL = "journal.json"
_JOURNAL_LIMIT = 1_000_000
_Cached = Annotated[str, Meta(pattern=r"\A(runs|features|projections)/[0-9a-f]{24}\Z")]


@dataclass(frozen=True)
class Journal:
    """before, after: SHA-256 (hex) of the two versions' manifests. erased: whether rows went, and
    with them what was made of them elsewhere. caches: folders of the cache that hold such: what a
    journal may have removed, and nothing else, whoever wrote it."""

    before: DigestOrNone
    after: Digest
    erased: bool = False
    caches: tuple[_Cached, ...] = ()


@dataclass(frozen=True)
class Finished:
    """What became of an interrupted change. anything: whether there was one. erased: whether it was
    an erasure whose new version had taken the bundle's place."""

    anything: bool = False
    erased: bool = False


def work_folder(folder: Path) -> Path:
    """Where the other version of a bundle lies while one is being put in the place of the other."""
    return folder.with_name(f".{folder.name}.work")


def unfinished(folder: Path) -> bool:
    """Whether a change of this bundle was interrupted, or is going on just now."""
    return work_folder(folder.resolve()).is_dir()


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[Path]:
    """Alone among all who change a bundle in this place; what an interrupted run left is finished
    first. Gives the bundle's real folder, which need not exist. Raises BundleError."""
    folder = folder.resolve()
    with durable.locked(folder.parent):
        _finish(folder)
        yield folder


def finish(folder: Path) -> Finished:
    """Finish what an interrupted change left to do. Raises BundleError."""
    folder = folder.resolve()
    if not unfinished(folder):
        return Finished()
    with durable.locked(folder.parent):
        return _finish(folder)


def new_version(folder: Path) -> Path:
    """An empty folder for the next version of the bundle in `folder`, which is locked."""
    work = work_folder(folder)
    kind = folder.stat().st_mode if folder.exists() else 0o755
    durable.make_folder(work, 0o700)
    draft = work / folder.name
    durable.make_folder(draft, stat.S_IMODE(kind) | stat.S_IRWXU)
    return draft


def abandon(folder: Path) -> None:
    """Remove a new version that is not to be; the bundle was never touched. Errors are left to
    whoever comes next."""
    with contextlib.suppress(OSError):
        durable.wipe(work_folder(folder), overwrite=False)


@contextlib.contextmanager
def rewriting(folder: Path) -> Iterator[Path]:
    """A copy of the bundle, in which the block may write and which it seals; when the block ends
    the copy takes the bundle's place at once, and if it fails nothing has changed.

    Raises BundleError, or OSError if the disk is full or can't be written.
    """
    with changing(folder) as real:
        before = manifest_digest(real)
        if not before:
            raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}")
        try:
            draft = new_version(real)
            copy_files(real, draft)
            yield draft
            sync_files(draft)
            after = manifest_digest(draft)
        except BaseException:
            abandon(real)
            raise
        put(real, Journal(before, after))


def put(folder: Path, journal: Journal) -> None:
    """Put the new version, whole and on the disk, in the place of the bundle, which is locked, and
    remove the old one and what the journal says. Raises OSError; the bundle is then wholly old or
    wholly new."""
    try:
        _switch(folder, journal)
    except OSError:
        if manifest_digest(folder) == journal.before:
            abandon(folder)
        raise
    _finish(folder)


def _switch(folder: Path, journal: Journal) -> None:
    work = work_folder(folder)
    draft, aside = work / folder.name, work / "aside"
    durable.sync_folder(draft)
    durable.write_file(work / _JOURNAL, json.dumps(asdict(journal)).encode())
    durable.sync_folder(work)
    durable.sync_folder(folder.parent)
    if not folder.exists():
        durable.rename(draft, folder)
    elif not durable.exchange(draft, folder):
        durable.rename(folder, aside)
        durable.rename(draft, folder)


def copy_files(source: Path, target: Path) -> None:
    """Copy the plain files of a folder, and of folders in it."""
    for path in sorted(source.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            durable.make_folder(target / path.name, stat.S_IMODE(path.stat().st_mode))
            copy_files(path, target / path.name)
        elif path.is_file():
            mode = stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR
            durable.write_file(target / path.name, path.read_bytes(), mode)


def sync_files(folder: Path) -> None:
    """Every file and folder in `folder` is on the disk when this returns."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            sync_files(path)
        else:
            durable.sync_folder(path)
    durable.sync_folder(folder)


def manifest_digest(folder: Path) -> str:
    """SHA-256 (hex) of a folder's manifest; empty if there is none."""
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return ""


# -- finishing -----------------------------------------------------------------------------------


def _finish(folder: Path) -> Finished:
    """With the lock held: bring an interrupted change to its end."""
    work = work_folder(folder)
    if not work.is_dir() or work.is_symlink():
        return Finished()
    journal = _read(work / _JOURNAL)
    draft, aside = work / folder.name, work / "aside"
    if not manifest_digest(folder):
        _put_back(folder, draft, aside, journal)
    switched = journal is not None and manifest_digest(folder) == journal.after
    durable.sync_folder(folder.parent)  # nothing of the old goes before the new is there for good
    # Where nothing was erased the old version holds no more than the new one.
    erased = journal is not None and switched and journal.erased
    if journal is not None and erased:
        wipe_elsewhere(folder, journal.caches)
    for path in (draft, aside):
        durable.wipe(path, overwrite=erased)
    durable.sync_folder(work)
    durable.wipe(work)
    durable.sync_folder(folder.parent)
    return Finished(True, erased)


def _put_back(folder: Path, draft: Path, aside: Path, journal: Journal | None) -> None:
    """The bundle is in neither place: a run ended between two renames, or before the first version
    was ever there. Never removes the only copy."""
    whole = journal is not None and manifest_digest(draft) == journal.after
    if not folder.exists() and whole:
        durable.rename(draft, folder)
    elif not folder.exists() and manifest_digest(aside):
        durable.rename(aside, folder)
    elif folder.exists() or (journal is not None and draft.exists()):
        raise BundleError(
            f"{folder} is not a bundle, and {draft.parent} holds what an interrupted change left: "
            "look at both before going on"
        )


def _elsewhere(folder: Path, caches: Sequence[str]) -> dict[Path, bool]:
    """What may lie outside a bundle that was made of its rows, and whether it is to be overwritten:
    encoded images aren't, as they are mapped into the memory of those who read them."""
    places = {folder.with_name(folder.name + ending): True for ending in LEFTOVERS}
    with contextlib.suppress(BadInputError):  # without a cache nothing lies in it
        cache = cache_folder()
        for name in caches:
            places[cache / name] = not name.startswith("features")
            timed = sorted((cache / "jobs").glob(f"*-{Path(name).name}.json"))
            places.update(dict.fromkeys(timed, True))
    return places


def wipe_elsewhere(folder: Path, caches: Sequence[str]) -> int:
    """Remove what lies outside a bundle and was made of its rows; returns how many files. caches:
    of the cache, as `erasure.plan.cache_names` has them."""
    places = _elsewhere(folder, caches)
    return sum(durable.wipe(path, overwrite) for path, overwrite in places.items())


def count_elsewhere(folder: Path, caches: Sequence[str]) -> int:
    """How many files lie outside a bundle that were made of its rows."""
    return sum(_count(path) for path in _elsewhere(folder, caches))


def _count(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(1 for child in path.rglob("*") if not child.is_dir())
    return int(path.exists())


def _read(path: Path) -> Journal | None:
    """A journal; None for none, or for one that is not whole: nothing was switched then."""
    try:
        if path.is_symlink() or path.stat().st_size > _JOURNAL_LIMIT:
            return None
        return checked(Journal, path.read_bytes(), path.name)
    except (OSError, BadInputError):
        return None
