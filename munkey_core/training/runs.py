"""Trainings that are done once: each run's outputs come from the bundle, the cache or a training.

A run is remembered by what it was trained on (the digests of the bundle's images, records,
encoder and bank), the recipe, the forget set, the seed, the text of an unlearning method and
PyTorch's version, so nothing stale is ever found.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.bundle.manifest import BANK, ENCODER, EXACT, EXACT_MODE
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS
from munkey_core.errors import BadInputError
from munkey_core.files.cache import cache_folder
from munkey_core.files.durable import OWNER_ONLY, write_whole
from munkey_core.files.limits import demo
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor
from munkey_core.model.side_effects import NeighbourTable
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress, Steps
from munkey_core.results import PRIVATE, TEST
from munkey_core.training.answers import Outputs, Verdicts
from munkey_core.training.retraining import (
    MUNKEY,
    PLAIN,
    Family,
    Retraining,
    Run,
    TrainedModel,
)
from munkey_core.training.shipped import Shipped

_MODEL = "model."
_OUTPUT_TENSORS = {
    "private",
    "test",
    "seconds",
    *(f"image_{part}_{what}" for part in ("private", "test") for what in ("truth", "correct")),
}
_BLOCK = 256
_ROUNDED = 0.001  # of a model's answers may turn when its probabilities are rounded
_TRAINED_FROM = (ENCODER, BANK, PARQUET, CSV, THUMBNAILS)


def source_digest(bundle: Bundle) -> str:
    """SHA-256 (hex) of all that a training on this bundle depends on.

    Unlike the bundle's own digest it stays when figures or a card are added.
    """
    manifest = bundle.manifest
    # An exact mode's settings say "exact", so the two modes of a bundle never share a digest.
    names = (*_TRAINED_FROM, EXACT) if bundle.mode == EXACT_MODE else _TRAINED_FROM
    what = {
        "files": {name: manifest.files[name] for name in names if name in manifest.files},
        "training": manifest.training,
        "model": asdict(manifest.model),
        "ensemble": asdict(manifest.ensemble),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


class Runs:
    """The trainings of one bundle, kept in a folder of the cache.

    Nothing is encoded or trained before it is asked for. use_shipped: whether the answers that the
    bundle carries count; they are rounded, so whoever writes them into a bundle leaves them out.

    In an exact mode no MUNKEY is ever trained again: θ has seen none of the images, and a row
    depends on its own image alone, so writing all images but a forget set gives, byte for byte, the
    memory that is left when their keys are deleted (`verification` tries it). Its oracle is
    therefore the model after deletion, and asking for another seed of it is refused.
    """

    def __init__(self, bundle: Bundle, device: torch.device, use_shipped: bool = True) -> None:
        self.bundle = bundle
        self.shipped = Shipped(bundle) if use_shipped else None
        self.device = device
        self.seed = bundle.manifest.training["seed"]
        self._folder = runs_folder(bundle)

    @cached_property
    def retraining(self) -> Retraining:
        """Raises BundleError if the bundle carries no images to train on."""
        return Retraining(self.bundle, self.device)

    @cached_property
    def neighbours(self) -> NeighbourTable:
        """Of every image in the whole bank; keys are fixed, so all originals share it."""
        bundle = self.bundle
        return NeighbourTable(bundle.bank, bundle.test_keys, bundle.manifest.ensemble.k)

    def original(self, family: Family) -> Run:
        """The run of the bundle's own seed on everything. MUNKEY's is the bundle's own model."""
        return Run(family, (), self.seed)

    def outputs(self, run: Run) -> Steps[Outputs]:
        """Yield progress; return what the run's model says about every image.

        Raises BadInputError for a MUNKEY of another seed, or a reference, in an exact mode.
        """
        if self.by_construction(run):
            found = yield from self.after(self.original(MUNKEY), run.without)
            written = self.bundle.manifest.provenance["seconds"].get("writing", 0.0)
            return replace(found, seconds=written)  # what writing all rows took
        stored = self.known_outputs(run)
        if stored is None:
            _, stored = yield from self._train(run)
        return stored

    def after(self, run: Run, ids: Sequence[str]) -> Steps[Outputs]:
        """Yield progress; return what a MUNKEY original says once the keys of `ids` are deleted.

        `seconds` is the time of deleting the keys. Only images that lose a neighbour are predicted
        again: no other answer can change.
        """
        joint = self.shipped if self.bundle.mode != EXACT_MODE else None
        stored = joint.after(run.seed, ids) if joint else None
        if stored is not None:
            return stored
        if run == self.original(MUNKEY):  # quick, and asked for whatever a person picks
            return (yield from self._delete(run, ids))
        what = ["after", run.seed, forget_set_digest(ids)]
        return (yield from self.remembered(what, lambda: self._delete(run, ids)))

    def by_construction(self, run: Run) -> bool:
        """Whether a run is the model after deletion: an oracle of an exact mode.

        Raises BadInputError for a MUNKEY that an exact mode does not have.
        """
        if self.bundle.mode != EXACT_MODE or run.family != MUNKEY:
            return False
        if run.reference is not None or run.seed != self.seed:
            raise BadInputError(
                f"the exact mode has one θ, of seed {self.seed}, and retraining it is writing the "
                "rows again: it has no other seeds and no reference models"
            )
        return bool(run.without)

    def remembered(
        self, what: Sequence[object], compute: Callable[[], Steps[Outputs]]
    ) -> Steps[Outputs]:
        """Yield progress; return the outputs that `compute` gives, or gave before under this name.

        what: everything that the outputs depend on beside this bundle and PyTorch's version, as
        JSON values; nothing is kept or found if one of them is None: not known.
        """
        if None in what:
            return (yield from compute())
        path = self._folder / f"{what[0]}-{short_digest(what)}.safetensors"
        stored = _read_outputs(path)
        if stored is None:
            stored = yield from compute()
            _write_tensors(path, _to_tensors(stored))
            self.bundle.settle(path)
        return stored

    def trained(self, run: Run) -> Steps[TrainedModel]:
        """Yield progress; return the model itself, trained if it isn't in the cache."""
        if run == self.original(MUNKEY):
            bundle = self.bundle
            predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
            return TrainedModel(predictor, bundle.bank, 0.0)
        if self.path(run).is_file():
            return self._read_model(run)
        trained, _ = yield from self._train(run)
        return trained

    def known_outputs(self, run: Run) -> Outputs | None:
        """A run's outputs if the bundle or the cache has them; a damaged file of the cache counts
        as none."""
        if self.bundle.mode == EXACT_MODE and run.family == MUNKEY:
            if run.without or run.reference is not None or run.seed != self.seed:
                return None  # the model after deletion, or none at all: nothing is kept
            return _read_outputs(self.path(run))
        stored = self.shipped.outputs(run) if self.shipped else None
        if stored is not None and run.family == PLAIN and not self._trains_alike(run.seed):
            stored = None
        return _read_outputs(self.path(run)) if stored is None else stored

    def _trains_alike(self, seed: int) -> bool:
        """Whether the plain transformer of a seed that was trained here, if one was, answers as the
        one that the bundle carries the answers of. Where it doesn't, as another processor rounds
        otherwise, a method that starts from it is held against oracles trained here, too: no row
        and its reference are of two machines."""
        here = _read_outputs(self.path(Run(PLAIN, (), seed)))
        there = self.shipped.outputs(Run(PLAIN, (), seed)) if self.shipped else None
        if here is None or there is None:
            return True
        said, stored = here.both, there.both  # the bundle's are rounded
        return bool((said.argmax(axis=1) != stored.argmax(axis=1)).mean() <= _ROUNDED)

    def path(self, run: Run) -> Path:
        """Where the cache keeps a run, whether it is there yet or not."""
        what = [run.family, run.seed, run.reference, forget_set_digest(run.without)]
        return self._folder / f"{run.family}-{short_digest(what)}.safetensors"

    def _train(self, run: Run) -> Steps[tuple[TrainedModel, Outputs]]:
        own = run == self.original(MUNKEY)
        trained = yield from self.trained(run) if own else self.retraining.train(run)
        outputs = yield from self.retraining.outputs(run.family, trained)
        self._write(run, trained, outputs)
        return trained, outputs

    def _delete(self, run: Run, ids: Sequence[str]) -> Steps[Outputs]:
        trained = yield from self.trained(run)
        if run == self.original(MUNKEY):
            before = yield from self.outputs(run)
        else:  # this training's own: the bundle's answers are of another model of that seed
            own = _read_outputs(self.path(run))
            before = own or (yield from self.retraining.outputs(run.family, trained))
        bundle = self.bundle
        view = BankView(trained.bank)
        seconds = view.forget(ids).milliseconds / 1000
        touched = self.neighbours.touched_by(trained.bank.rows(ids)).numpy()
        both = before.both
        records = [*bundle.records_of(PRIVATE), *bundle.records_of(TEST)]
        for first in range(0, len(touched), _BLOCK):
            yield Progress("after deletion", first, len(touched), 0.0)
            part = touched[first : first + _BLOCK]
            encoded = bundle.encode([records[i].id for i in part])
            both[part] = trained.predictor.predict(encoded, view).probabilities
        n = len(before.private)
        # The image pathway has no part in the memory: it stays as it was.
        return Outputs(both[:n], both[n:], seconds, before.image_private, before.image_test)

    def _write(self, run: Run, trained: TrainedModel, outputs: Outputs) -> None:
        tensors = _to_tensors(outputs)
        if run.reference is None:  # of a reference model only its answers are ever used
            model = trained.predictor.model.state_dict()
            tensors |= {_MODEL + name: value for name, value in model.items()}
            tensors["tokens"] = trained.bank.tokens.half()
        _write_tensors(self.path(run), tensors)
        self.bundle.settle(self.path(run))

    def _read_model(self, run: Run) -> TrainedModel:
        stored = load_file(self.path(run))
        bundle = self.bundle
        model = ExemplarTransformer(
            bundle.manifest.model,
            bundle.encoder.channels,
            len(bundle.model.position),
            len(bundle.manifest.classes),
        )
        model.load_state_dict(
            {name.removeprefix(_MODEL): v for name, v in stored.items() if name.startswith(_MODEL)}
        )
        model.eval().requires_grad_(False)
        gone = set(run.without)
        keep = [
            row
            for row, id_ in enumerate(bundle.bank.ids)
            if run.family == MUNKEY and id_ not in gone
        ]
        bank = MemoryBank(
            [bundle.bank.ids[row] for row in keep],
            bundle.bank.keys[keep].clone(),
            stored["tokens"].float(),
        )
        predictor = Predictor(bundle.encoder, model, bundle.manifest.ensemble)
        return TrainedModel(predictor, bank, float(stored["seconds"]))


def runs_folder(bundle: Bundle) -> Path:
    """The cache's folder for the runs of a bundle."""
    return cache_folder() / "runs" / source_digest(bundle)[:24]


def _to_tensors(outputs: Outputs) -> dict[str, Tensor]:
    tensors = {
        "private": torch.from_numpy(outputs.private),
        "test": torch.from_numpy(outputs.test),
        "seconds": torch.tensor(outputs.seconds, dtype=torch.float64),
    }
    for part, verdicts in (("private", outputs.image_private), ("test", outputs.image_test)):
        if verdicts is not None:
            tensors[f"image_{part}_truth"] = torch.from_numpy(verdicts.truth)
            tensors[f"image_{part}_correct"] = torch.from_numpy(verdicts.correct)
    return tensors


def _read_outputs(path: Path) -> Outputs | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:  # a model's weights may lie beside them
            names = [name for name in file.keys() if name in _OUTPUT_TENSORS]  # noqa: SIM118
            # Copies: an erasure overwrites such files, and who has mapped them would read zeros.
            stored = {name: file.get_tensor(name).clone() for name in names}
        image = [
            Verdicts(stored[f"image_{part}_truth"].numpy(), stored[f"image_{part}_correct"].numpy())
            if f"image_{part}_truth" in stored
            else None
            for part in ("private", "test")
        ]
        return Outputs(
            stored["private"].numpy(), stored["test"].numpy(), float(stored["seconds"]), *image
        )
    except (SafetensorError, OSError, KeyError):
        path.unlink(missing_ok=True)
        return None


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    if not demo():  # no visitor of a demonstration makes a file
        data = save({name: value.contiguous() for name, value in tensors.items()})
        write_whole(path, data, OWNER_ONLY)


def short_digest(what: Sequence[object]) -> str:
    """24 hex digits that stand in the name of what is kept: of JSON values, and of the version of
    PyTorch, whose next one may add up in another order."""
    text = json.dumps([*what, torch.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
