"""A bundle of a person's own images, with the few reference models that its attacks need.

Everything is made in `<out>.making` and moved to `out` at the end, so that a bundle that is there
is finished. A run that was killed goes on when the same is asked for again.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from munkey_core.audit.shipping import ship_oracles
from munkey_core.bundle.manifest import JOINT_MODE
from munkey_core.bundle.versions import MANIFEST
from munkey_core.config import Recipe
from munkey_core.data import ImageDataset, load_dataset
from munkey_core.errors import BundleError, TrainingError
from munkey_core.jobs.job import making_folder
from munkey_core.jobs.offer import REFERENCES
from munkey_core.progress import Progress, Steps, changed
from munkey_core.training.build import Build, data_digest
from munkey_core.training.joint import resolve_device
from munkey_core.training.recipes import default_recipe

_OWN = ("image_folder", "medmnist")
_ASKED = "asked.json"
_FINE = 1000  # parts of a model's training that are told apart


def make_bundle(build: Build, references: int) -> Steps[None]:
    """Build the bundle and train its reference models; it then lies in `build.out`.

    references: of each family, an even number; 0 for none. Raises what `Build.run` raises, and
    TrainingError if `<out>.making` holds unfinished work with another recipe or other data.
    """
    if build.out.exists():
        raise BundleError(f"{build.out} exists already; choose another folder or remove it")
    making = making_folder(build.out)
    _claim(making, build)
    inner = replace(build, out=making / build.out.name)
    if not (inner.out / MANIFEST).is_file():
        yield from inner.run()
    if references:
        yield from _train_references(inner.out, references, build.device.type)
    with _as_bundle_error(build.out):
        inner.out.rename(build.out)
    shutil.rmtree(making)


def train_bundle(
    data: str,
    out: Path,
    recipe: Recipe | None = None,
    mode: str = JOINT_MODE,
    references: int = 0,
    maps: bool = False,
    device: str = "auto",
) -> Steps[None]:
    """Load images, train on them, and leave the bundle in `out`.

    data: what `load_dataset` takes. recipe: None for the one that suits the images. maps: whether
    the UMAPs of the memory are fitted; the app fits them when somebody wants to see them. Raises
    DataError or BadInputError for data or settings that can't be used, and what `make_bundle`
    raises.
    """
    if out.exists():
        raise BundleError(f"{out} exists already; choose another folder or remove it")
    size = recipe.encoder.image_size if recipe else None
    # The encoder enlarges small images itself; as they are they take less room.
    dataset = load_dataset(data, image_size=size, enlarge=False)
    build = Build(
        dataset=dataset,
        recipe=recipe or default_recipe(dataset, out.name),
        out=out,
        device=resolve_device(device),
        thumbnails=may_carry(dataset),
        maps=maps,
        mode=mode,
    )
    yield from make_bundle(build, references)


def may_carry(dataset: ImageDataset) -> bool:
    """Whether a bundle may hold the images themselves: their licence says so, or they are the
    person's own, who decides to whom the bundle goes."""
    return dataset.may_ship_images or dataset.name in _OWN


def _claim(making: Path, build: Build) -> None:
    """Make the folder of unfinished work, or check that what it holds is of the same run."""
    asked = json.dumps(
        {"recipe": asdict(build.recipe), "data": data_digest(build.dataset)}, sort_keys=True
    )
    note = making / _ASKED
    if making.exists() and (not note.is_file() or note.read_text("utf-8") != asked):
        raise TrainingError(
            f"{making} holds an unfinished run with another recipe or other data; remove it, or "
            "choose another --out"
        )
    making.mkdir(parents=True, exist_ok=True)
    note.write_text(asked, encoding="utf-8")


def _train_references(folder: Path, references: int, device: str) -> Steps[None]:
    """The plain transformer on everything, then the reference models: as one stage."""
    start = time.perf_counter()
    models = 2 + 2 * references
    names: list[str] = []

    def as_one(step: Progress) -> Progress:
        name, _, stage = step.stage.partition(": ")
        if name not in names:
            names.append(name)
        share = step.done / max(1, step.total) if stage == "training" else 0.0
        done = min(models, len(names) - 1 + share)
        elapsed = time.perf_counter() - start
        left = elapsed / done * (models - done) if done > 1 else None
        return Progress(REFERENCES, int(done * _FINE), models * _FINE, elapsed, left)

    yield from changed(ship_oracles(folder, 1, references, device, only=()), as_one)
    yield Progress(REFERENCES, models * _FINE, models * _FINE, time.perf_counter() - start, 0.0)


@contextmanager
def _as_bundle_error(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # somebody made a folder of this name meanwhile
        raise BundleError(f"{out} can't be put in its place ({error})") from error
