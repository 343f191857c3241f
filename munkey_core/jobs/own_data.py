"""A person's own images, from a folder or an upload to a bundle: the door for the app.

    source = keep_upload("faces.zip", stream)      # or one of list_sources()
    found = finish(offer(source, "faces"))          # a TrainingOffer
    start_training(found, asker)                    # a background job of kind "train"
    training_status("faces", asker, present)        # until bundle_ready("faces")

`munkey train` does the same in one command.
"""

import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import torch

from munkey_core.bundle.find import find_bundles
from munkey_core.bundle.find import own_folder as own_folder
from munkey_core.bundle.manifest import read_manifest
from munkey_core.data import load_dataset
from munkey_core.data.archives import checked_members, unpack_zip
from munkey_core.data.image_folder import (
    check_form,
    holds_classes_itself,
    looks_like_classes,
)
from munkey_core.errors import BadInputError, BundleError, DataError
from munkey_core.explain.projection import umap_installed
from munkey_core.files import durable
from munkey_core.files.limits import at_most, demo, limits, refuse_in_demo
from munkey_core.files.machine import free_disk, readable_bytes
from munkey_core.jobs.job import training_job
from munkey_core.jobs.kept import note_model, uploads_folder
from munkey_core.jobs.offer import TrainingOffer, make_offer, make_plan
from munkey_core.jobs.queue import JobStatus, machine_queue
from munkey_core.progress import Progress, Steps
from munkey_core.training.recipes import default_recipe

READING = "reading"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_FILES = (".npz", ".zip")
_BLOCK = 1 << 20
_STEM = 40
_starting = Lock()  # a name is looked up and taken in one go


def data_folders() -> tuple[Path, ...]:
    """The folders whose images may be chosen in the app: those of $MUNKEY_DATA_FOLDERS
    (os.pathsep between several) that exist, and the folder of uploads."""
    named = [Path(p) for p in os.environ.get("MUNKEY_DATA_FOLDERS", "").split(os.pathsep) if p]
    return tuple(folder.resolve() for folder in [*named, uploads_folder()] if folder.is_dir())


def list_sources() -> tuple[str, ...]:
    """Paths of what lies in the data folders and can be trained on: folders of images, .npz files
    and .zip archives, by name. A data folder that is a folder of images itself is one source.
    Only their form is looked at, no image is opened. None in a demonstration."""
    found: list[Path] = []
    if demo():
        return ()
    for folder in data_folders():
        if holds_classes_itself(folder):
            found.append(folder)
            continue
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            if path.name.startswith(".") or not path.resolve().is_relative_to(folder):
                continue
            if (path.is_file() and path.suffix.lower() in _FILES) or (
                path.is_dir() and looks_like_classes(path)
            ):
                found.append(path)
    return tuple(str(path) for path in found)


def keep_upload(name: str, data: BinaryIO) -> str:
    """Check an uploaded .zip or .npz, keep it in the folder of uploads and return its source.

    name: the file's name as the browser tells it. data: read from where it stands. A .zip is
    unpacked. The same bytes under the same name are kept once; nothing is replaced. Raises
    DataError naming what is wrong with the archive, BadInputError for another kind of file,
    ReadOnlyError in a demonstration.
    """
    refuse_in_demo("uploading images")
    shown = Path(name.replace("\\", "/")).name
    kind = Path(shown).suffix.lower()
    if kind not in _FILES:
        raise BadInputError(f"wanted a .zip or .npz file, got {shown!r}")
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(shown).stem).strip("-")[:_STEM] or "upload"
    _check_kept(shown)
    with tempfile.TemporaryFile(dir=uploads_folder()) as copy:
        digest = _copy(data, copy, shown)
        kept = uploads_folder() / f"{stem}-{digest[:8]}{'' if kind == '.zip' else kind}"
        if kept.exists():
            return str(kept)
        copy.seek(0)
        if kind == ".zip":
            _unpack(copy, kept, shown)
            return str(kept)
        try:
            with zipfile.ZipFile(copy) as arrays:  # an .npz is a zip of arrays
                checked_members(arrays, limits(), shown)
        except zipfile.BadZipFile as error:
            raise DataError(f"{shown}: can't be read as an .npz file ({error})") from error
        copy.seek(0)
        with tempfile.NamedTemporaryFile(dir=uploads_folder(), prefix=".", delete=False) as partial:
            try:
                while block := copy.read(_BLOCK):
                    partial.write(block)
            except BaseException:
                durable.wipe(Path(partial.name))
                raise
        Path(partial.name).replace(kept)
    return str(kept)


def offer(source: str, name: str) -> Steps[TrainingOffer]:
    """Read the images, plan the parts, time a few steps; return the offer.

    source: one of `list_sources`, or what `keep_upload` returned. name: of the bundle to be:
    letters, digits, `-`, `_`; at most 40. Takes seconds to a minute, with PyTorch, in the calling
    thread. Raises BadInputError if the name can't be one or is taken, or the source is none of
    those that may be chosen; DataError if the data can't be used at all; ReadOnlyError in a
    demonstration.
    """
    refuse_in_demo("training on images of your own")
    _check_free(name)
    _check_allowed(source)
    yield Progress(READING, 0, 1, 0.0)
    dataset = load_dataset(source)
    yield Progress(READING, 1, 1, 0.0)
    recipe = default_recipe(dataset, name)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out = own_folder() / name
    maps = umap_installed()
    plan = yield from make_plan(dataset, recipe, out, device, maps=maps, references=None)
    return make_offer(dataset, recipe, plan, source, name)


def start_training(offer: TrainingOffer, asker: str) -> None:
    """Ask for the training in the background; queued like every other job.

    Raises BadInputError if the offer has a `problem`, its name has been taken since, or this
    asker has too many jobs waiting; ReadOnlyError in a demonstration.
    """
    refuse_in_demo("training on images of your own")
    if offer.problem:
        raise BadInputError(offer.problem)
    _check_allowed(offer.source)
    job = training_job(offer.source, _place(offer.name))
    with _starting:
        asked = machine_queue().asked(job)
        if asked is None or asked.source != offer.source:
            _check_free(offer.name)
        machine_queue().submit(
            job, asker, found=lambda: bundle_ready(offer.name), expected=offer.stages
        )
        note_model(_place(offer.name))


def training_status(
    name: str, asker: str = "", present: Callable[[str], bool] = lambda asker: True
) -> JobStatus | None:
    """Where the training of bundle `name` stands; None if nobody has asked for it lately. One that
    nobody who is `present` wants any more becomes this asker's, who has come back."""
    job = training_job("", _place(name))
    queue = machine_queue()
    if asker:
        queue.adopt(job, asker, present)
    return queue.status(job, asker, present)


def cancel_training(
    name: str, asker: str, present: Callable[[str], bool] = lambda asker: True
) -> None:
    """Take back one's wish for a training; when nobody else wants it, it is stopped and what it
    had begun is removed."""
    machine_queue().cancel(training_job("", _place(name)), asker, present)


def bundle_ready(name: str) -> bool:
    """Whether the bundle is there, in `own_folder`, and its manifest is sound."""
    try:
        read_manifest(_place(name))
    except BundleError:
        return False
    return True


def _place(name: str) -> Path:
    """Where a bundle of this name will lie. Raises BadInputError for what can't be its name."""
    if not _NAME.fullmatch(name):
        raise BadInputError(
            "a bundle's name must be of letters, digits, - and _, at most 40, and begin with a "
            f"letter or digit, got {name!r}"
        )
    return own_folder() / name


def _check_free(name: str) -> None:
    place = _place(name)
    if place.exists() or name in {path.name for path in find_bundles()}:
        raise BadInputError(f"there is a bundle {name!r} already: choose another name")
    if machine_queue().asked(training_job("", place)) is not None:
        raise BadInputError(f"a bundle {name!r} is being trained already: choose another name")


def _check_allowed(source: str) -> None:
    """The app trains on what the server's owner has named, and on nothing else of the machine."""
    if demo() or not (_may_be_named(source) or source in list_sources()):
        raise BadInputError(
            f"{source!r} is none of the images that may be chosen here: upload them, or have their "
            "folder named in $MUNKEY_DATA_FOLDERS"
        )


def _may_be_named(source: str) -> bool:
    """Whether a source lies in a data folder. Why one can't be trained on is said when it is
    read."""
    path = Path(source)
    inside = path.parent in data_folders() and path.resolve().parent == path.parent
    return inside and path.exists() and not path.name.startswith(".")


def _unpack(archive: BinaryIO, folder: Path, name: str) -> None:
    """Unpack an uploaded .zip, unless what is in it can't be trained on."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
        inside = Path(temporary) / folder.name
        unpack_zip(archive, inside, limits(), name)
        check_form(inside, name)
        try:
            inside.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody has uploaded the same meanwhile
                raise


def _check_kept(name: str) -> None:
    """Raises DataError if what was uploaded before takes all the room that uploads may take."""
    kept = sum(path.lstat().st_size for path in uploads_folder().rglob("*"))
    if kept >= limits().kept_bytes:
        raise DataError(
            f"{name}: this server keeps {at_most('kept_bytes', 'bytes')} of uploads, and has "
            f"{kept:,}"
        )


def _copy(data: BinaryIO, copy: BinaryIO, name: str) -> str:
    """Copy a stream of no more bytes than may be; returns its SHA-256 (hex)."""
    digest, size, free = hashlib.sha256(), 0, free_disk(uploads_folder())
    while block := data.read(_BLOCK):
        size += len(block)
        for limit in ("upload_bytes", "zip_bytes"):
            if size > getattr(limits(), limit):
                raise DataError(f"{name}: wanted {at_most(limit, 'bytes')}, got more")
        if size > free:
            raise DataError(f"{name}: only {readable_bytes(free)} of disk are free")
        digest.update(block)
        copy.write(block)
    return digest.hexdigest()
