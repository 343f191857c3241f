"""What the product itself took in or made: uploads, models trained in the app, its cache. Each can
be listed, and deleted for good."""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import LEFTOVERS, changing, manifest_digest, wipe_elsewhere
from munkey_core.erasure.plan import cache_names
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files import durable
from munkey_core.files.cache import cache_folder
from munkey_core.files.limits import refuse_in_demo
from munkey_core.jobs.job import making_folder
from munkey_core.jobs.queue import machine_queue

UPLOAD, MODEL, CACHE = "upload", "model", "cache"
_MADE = "made"  # in the cache: a file a model, which says where it lies


@dataclass(frozen=True)
class Kept:
    """One thing that is kept. name: its kind and its own name, such as "upload/faces-1a2b3c4d".
    files, bytes: on the disk. changed: of its newest file, UTC, ISO 8601. in_use: why it can't be
    deleted just now, in words; empty if it can."""

    name: str
    kind: str
    path: str
    files: int
    bytes: int
    changed: str
    in_use: str


def uploads_folder() -> Path:
    """Where uploads are kept; made if it isn't there."""
    folder = cache_folder() / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def note_model(folder: Path) -> None:
    """Remember that the bundle in this folder is made by the app, so that the app may delete it."""
    (cache_folder() / _MADE).mkdir(exist_ok=True)
    durable.write_whole(cache_folder() / _MADE / folder.name, str(folder.resolve()).encode())


def list_kept(kinds: Collection[str] = (UPLOAD, MODEL, CACHE)) -> tuple[Kept, ...]:
    """What is kept of these kinds: uploads, models, then the folders of the cache, which may hold
    very many files. Bundles that were not made in the app are none of it."""
    found = []
    if UPLOAD in kinds:
        found += [_kept(UPLOAD, path.name, path) for path in _visible(uploads_folder())]
    if MODEL in kinds:
        found += [_kept(MODEL, name, path) for name, path in _models().items()]
    if CACHE in kinds:
        ours = {uploads_folder().name, _MADE, "bundles"}
        found += [_kept(CACHE, p.name, p) for p in _visible(cache_folder()) if p.name not in ours]
    return tuple(found)


def kept_named(names: Sequence[str]) -> tuple[Kept, ...]:
    """Those of these names, each once, as :func:`list_kept` gives them. Raises BadInputError if one
    is not there."""
    known = {one.name: one for one in list_kept()}
    for name in names:
        if name not in known:
            there = ", ".join(known) or "nothing"
            raise BadInputError(f"nothing named {name!r} is kept here (kept are: {there})")
    return tuple(known[name] for name in dict.fromkeys(names))


def delete_kept(name: str) -> int:
    """Delete one of them for good: each file is overwritten before its name goes. With a model goes
    what was kept of it elsewhere. Returns how many files there were.

    name: as :func:`list_kept` gives it. Raises BadInputError if there is none of this name or it is
    in use; BundleError if a model can't be removed; ReadOnlyError in a demonstration.
    """
    refuse_in_demo("deleting what this server keeps")
    [one] = kept_named([name])
    if one.in_use:
        raise BadInputError(f"{name} can't be deleted now: {one.in_use}")
    try:
        return _delete_model(Path(one.path)) if one.kind == MODEL else durable.wipe(Path(one.path))
    except OSError as error:
        raise BundleError(
            f"{name} could not be deleted whole ({error.strerror}): run the same command again"
        ) from error


def _delete_model(folder: Path) -> int:
    with changing(folder):
        caches: tuple[str, ...] = ()
        if manifest_digest(folder):
            with contextlib.suppress(BundleError):  # a damaged model can be deleted, too
                caches = cache_names(read_bundle(folder))
        leaving = making_folder(folder)  # found by no list, and swept away by the next training
        removed = durable.wipe(leaving)
        if folder.exists():
            durable.rename(folder, leaving)
        removed += durable.wipe(leaving) + wipe_elsewhere(folder, caches)
    return removed + durable.wipe(cache_folder() / _MADE / folder.name) - 1


def _models() -> dict[str, Path]:
    """Name → folder of the models that were made in the app, and are there or half-gone."""
    found = {}
    for note in _visible(cache_folder() / _MADE):
        folder = Path(note.read_text(encoding="utf-8"))
        left = (folder, *(folder.with_name(folder.name + ending) for ending in LEFTOVERS))
        if any(path.exists() for path in left):
            found[note.name] = folder
    return found


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _kept(kind: str, name: str, path: Path) -> Kept:
    stats = []
    for one in [path] if path.is_file() else path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # somebody else is deleting it
            stats += [one.lstat()] if one.is_file() else []
    newest = max((one.st_mtime for one in stats), default=0.0)
    return Kept(
        name=f"{kind}/{name}",
        kind=kind,
        path=str(path),
        files=len(stats),
        bytes=sum(one.st_size for one in stats),
        changed=datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds"),
        in_use=_in_use(kind, path),
    )


def _in_use(kind: str, path: Path) -> str:
    """What the jobs of this server need it for."""
    for job in machine_queue().active():
        if kind == UPLOAD and job.source == str(path):
            return f"{job.folder.name} is being trained on it"
        if kind == MODEL and job.folder.resolve() == path.resolve():
            return "a job about it waits or runs"
        if kind == CACHE:
            return "a job waits or runs"
    return ""
