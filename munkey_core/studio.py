"""The one door for the app, the command line and notebooks.

>>> studio = Studio.open("fashion")
>>> deletion = studio.forget(["train-00042"])
>>> [change] = studio.changes(deletion)
>>> studio.undo()

A Studio is one session: it shares the bundle with every other one and owns nothing but its view
of the bank, so what one person forgets is seen by nobody else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from munkey_core.audit.attacks import ATTACKS, Exposure, PrivacyReport, exposure, privacy
from munkey_core.audit.audit import AuditReport
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.recall import Recalled, recall
from munkey_core.audit.reports import best_measured, check_reports, find_report
from munkey_core.audit.trace import trace
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.experiments import Experiments
from munkey_core.bundle.find import BundleInfo, bundle_info, find_bundle, find_bundles
from munkey_core.bundle.forget_sets import (
    CANONICAL_TITLES,
    canonical_sets,
    forget_set,
    parse_id_csv,
)
from munkey_core.bundle.ledger import (
    Ledger,
    LedgerEntry,
    Receipt,
    owner_hash,
    read_receipt,
    receipt_text,
)
from munkey_core.bundle.manifest import SPACES, picture_source
from munkey_core.bundle.read import read_bundle
from munkey_core.config import EnsembleConfig, Recipe
from munkey_core.data.images import decode_image, encode_png
from munkey_core.data.pictures import PictureStatus
from munkey_core.data.places import PictureSource
from munkey_core.data.seeding import permutation
from munkey_core.erasure.erasure import ErasurePlan, erase, make_plan
from munkey_core.erasure.receipts import ReceiptCheck, check_receipt, read_public_key
from munkey_core.erasure.request_page import RequestEvidence, file_names, request_report
from munkey_core.errors import BadInputError, BundleError, UnknownIdError
from munkey_core.explain.explanations import Explanations
from munkey_core.explain.map import Maps
from munkey_core.files import limits
from munkey_core.jobs import queue as jobs
from munkey_core.jobs.queue import JobStatus
from munkey_core.model import side_effects as effects
from munkey_core.model.bank import BankView, Deletion
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Prediction, Predictor
from munkey_core.model.search import near_pairs
from munkey_core.model.side_effects import Change, SideEffects
from munkey_core.progress import Progress
from munkey_core.results import (
    PRIVATE,
    TEST,
    Browse,
    FloatArray,
    ImageArray,
    NearDuplicate,
    Record,
    check_generation,
)
from munkey_core.training.retraining import MUNKEY
from munkey_core.training.runs import Runs

# A border brighter than this, on a data set photographed on black, means "drawn on white".
_BRIGHT_BORDER = 0.5
_ORDERS = ("memorised", "exposed", "influential", "id", "random")


class SharedModel:
    """What all sessions of one bundle share, read-only once loaded."""

    def __init__(self, bundle: Bundle, whole: Bundle | None = None) -> None:
        """whole: the bundle in its own mode, if `bundle` is in another."""
        check_reports(bundle)
        self.bundle = bundle
        self.whole = whole or bundle
        self.predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
        self.private = bundle.records_of(PRIVATE)
        self.test = bundle.records_of(TEST)
        self.by_id = {record.id: record for record in bundle.records}
        # Answers of other models; nothing is trained in the process of the pages.
        self.evidence = Evidence(Runs(bundle, torch.device("cpu")))
        self.neighbours = self.evidence.runs.neighbours
        self._exposure: Exposure | None = None

    @cached_property
    def canonical_sets(self) -> dict[str, tuple[str, ...]]:
        return canonical_sets(self.bundle)

    def near_duplicates(self, ids: Sequence[str]) -> Iterator[NearDuplicate]:
        """Pairs (id, other) of near-copies in the undiminished bank, in no order."""
        bank = self.bundle.bank
        for i, j, cosine in near_pairs(
            bank.keys, self.bundle.manifest.near_duplicate, bank.rows(ids)
        ):
            yield NearDuplicate(bank.ids[i], bank.ids[j], min(1.0, cosine))

    @cached_property
    def copies(self) -> dict[str, list[str]]:
        """Private id → its near-copies; an empty list for most."""
        found: dict[str, list[str]] = {id_: [] for id_ in self.bundle.bank.ids}
        for pair in self.near_duplicates(self.bundle.bank.ids):
            found[pair.id].append(pair.other)
        return found

    def exposure(self) -> Exposure | None:
        """Computed at the first need, and anew when something better is known since."""
        known = self._exposure
        if known is None or (known.k == 0 and self.evidence.references(MUNKEY) is not None):
            self._exposure = exposure(self.evidence)
        return self._exposure


class _AfterDeletion(Mapping[str, FloatArray]):
    """What the exact mode retrained without `ids` says: by construction what it says once their
    keys are deleted, so each image is asked when somebody wants to know."""

    def __init__(self, studio: Studio, ids: Sequence[str]) -> None:
        self._studio = studio.session()
        self._studio.forget(ids)

    def __getitem__(self, id_: str) -> FloatArray:
        found: FloatArray = self._studio.predict([id_]).probabilities[0]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._studio.private_ids())

    def __len__(self) -> int:
        return self._studio.keys_total


class Studio:
    """One session with a bundle. Make it with `open`, or `session` from another one."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared
        self._view = BankView(shared.bundle.bank)
        self._history: list[Deletion] = []

    @classmethod
    def open(cls, name: str = "fashion") -> Studio:
        """Load a bundle by name or path. Raises BundleError."""
        return cls(SharedModel(read_bundle(find_bundle(name))))

    @classmethod
    def train(
        cls,
        data: str | Path,
        out: str | Path,
        *,
        recipe: Recipe | None = None,
        mode: str = "joint",
        references: int = 0,
        maps: bool = False,
        device: str = "auto",
    ) -> Iterator[Progress | Studio]:
        """Yield progress, then a session with a new bundle in the folder `out`, as `munkey train`
        makes it.

        data: a folder of images (one sub-folder a class), a .zip of one, a MedMNIST .npz, or the
        name of a data set. recipe: None for settings that suit the images. mode: "joint", "exact"
        or "both". references: reference models of each family for the attacks, an even number.
        maps: fit the maps of the memory now; the app can do so later. Raises DataError,
        BadInputError, BundleError if `out` exists, TrainingError.
        """
        from munkey_core.jobs.making import train_bundle

        out = Path(out).resolve()
        yield from train_bundle(str(data), out, recipe, mode, references, maps, device)
        yield cls.open(str(out))

    def session(self) -> Studio:
        """Another session on the same weights, with a whole bank of its own."""
        return Studio(self._shared)

    @cached_property
    def maps(self) -> Maps:
        """Maps of the memory: every entry as a point."""
        return Maps(self._shared.bundle, self._view)

    @cached_property
    def explain(self) -> Explanations:
        """Why the model answers as it does, and what would change without a memory."""
        shared = self._shared
        return Explanations(shared.bundle, shared.predictor, shared.neighbours, self._view)

    def in_mode(self, mode: str) -> Studio:
        """A new session with this bundle in another mode ("joint" or "exact"): the same images
        and keys, another model and other tokens. Its keys are all there.

        Raises BundleError for a mode that this session's bundle cannot give; see `modes`.
        """
        shared = self._shared
        if mode != shared.bundle.mode:
            shared = SharedModel(shared.bundle.in_mode(mode), shared.whole)
        return Studio(shared)

    # -- facts -------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """Joint: θ and the tokens were trained together, and θ may keep a trace of what is
        deleted. Exact: θ was trained on public images only and each row was written alone, so
        what is deleted is gone without a trace."""
        return self._shared.bundle.mode

    @property
    def modes(self) -> tuple[str, ...]:
        """What `in_mode` can give."""
        return self._shared.bundle.modes

    @property
    def name(self) -> str:
        folder = self._shared.bundle.folder
        return folder.resolve().name if folder else self._shared.bundle.manifest.name

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle's manifest, which names every file's SHA-256."""
        return self._shared.bundle.digest

    @property
    def title(self) -> str:
        return str(self._shared.bundle.manifest.dataset["title"])

    @property
    def classes(self) -> tuple[str, ...]:
        return self._shared.bundle.manifest.classes

    @property
    def ensemble(self) -> EnsembleConfig:
        return self._shared.predictor.config

    @property
    def owners_simulated(self) -> bool:
        return self._shared.bundle.manifest.owners_simulated

    @property
    def near_duplicate_threshold(self) -> float:
        """Key similarity (cosine) from which two images count as near-duplicates."""
        return self._shared.bundle.manifest.near_duplicate

    @property
    def facts(self) -> dict[str, Any]:
        """The manifest as plain values: data set, licence, training, provenance."""
        values: dict[str, Any] = json.loads(self._shared.bundle.manifest.to_json())
        return values

    @property
    def metrics(self) -> dict[str, Any] | None:
        """metrics.json of the bundle, as measured when it was made; None if it has none."""
        return self._shared.bundle.metrics

    @property
    def experiments(self) -> Experiments | None:
        """What came of other recipes on this bundle's images; None if nobody has tried any."""
        return self._shared.bundle.experiments

    @property
    def card(self) -> str:
        """CARD.md, Markdown with a YAML head."""
        return self._shared.bundle.card

    @property
    def generation(self) -> int:
        """State of this session's memory; results of another generation are refused."""
        return self._view.generation

    @property
    def keys_total(self) -> int:
        return len(self._shared.bundle.bank)

    @property
    def keys_left(self) -> int:
        return self._view.alive

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Ids forgotten in this session, in the order of their deletion."""
        return self._view.deleted_ids

    @property
    def history(self) -> tuple[Deletion, ...]:
        """Deletions that still stand, oldest first."""
        return tuple(self._history)

    def is_forgotten(self, id_: str) -> bool:
        return id_ in self._shared.bundle.bank and id_ not in self._view

    def record(self, id_: str) -> Record:
        """Label, owner and split of an image. Raises UnknownIdError."""
        try:
            return self._shared.by_id[id_]
        except KeyError:
            raise UnknownIdError(f"no image with id {id_!r} in bundle {self.name}") from None

    def can_ask(self, id_: str) -> bool:
        """Whether an id names an image that a page may be about: a private or a test image."""
        record = self._shared.by_id.get(id_)
        return record is not None and record.split in (PRIVATE, TEST)

    def private_ids(self) -> tuple[str, ...]:
        return self._shared.bundle.bank.ids

    def test_ids(self) -> tuple[str, ...]:
        return tuple(record.id for record in self._shared.test)

    @cached_property
    def owners(self) -> dict[str, int]:
        """Owners of private images and how many they own, most first."""
        counts = Counter(record.owner for record in self._shared.private if record.owner)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def score(self, name: str, id_: str) -> float:
        """A stored score of a private image, e.g. "memorisation" in [-1, 1]."""
        scores = self._shared.bundle.scores
        if name not in scores:
            raise BadInputError(f"no score {name!r}; there are {', '.join(scores) or 'none'}")
        return float(scores[name][self._shared.bundle.bank.row(id_)])

    def report(self, ids: Sequence[str]) -> AuditReport | None:
        """The audit of exactly these ids beside retrained models, if there is one: shipped with
        the bundle, or made by a job since."""
        return find_report(self._shared.bundle, ids)

    def audit(
        self, ids: Sequence[str], methods: Sequence[str] = (), seeds: int | None = None
    ) -> Iterator[Progress | AuditReport]:
        """Yield progress, then the audit of exactly these ids, whatever this session has forgotten.
        Retrained models are taken from the bundle or the cache; what is in neither is trained here
        and now, which takes minutes for thousands of images.

        methods: keys of the other unlearning methods that get a row. seeds: trainings of each kind,
        None for as many as are known, at least one. Raises BadInputError for a method that isn't
        known, a set that leaves nothing to train on or a bad number of seeds, UnknownIdError, and
        BundleError if the bundle carries no images to train on.
        """
        from munkey_core.audit.audit import ForgettingAudit
        from munkey_core.audit.comparison import Comparison

        self._check_known(ids)
        shared = self._shared
        audit = ForgettingAudit(shared.bundle, tuple(ids), seeds, evidence=shared.evidence)
        return Comparison(audit, methods).run()

    def main_report(self) -> AuditReport | None:
        """The bundle's main measurement: of the shipped audits the one with the most seeds."""
        return best_measured(self._shared.bundle)

    def canonical_sets(self) -> dict[str, tuple[str, ...]]:
        """Ids of the canonical forget sets that this bundle has, by name."""
        return self._shared.canonical_sets

    # -- retraining --------------------------------------------------------------------------

    def retrained(self, ids: Sequence[str]) -> Mapping[str, FloatArray] | None:
        """Id → (C,) class probabilities of every private image, by the model retrained without
        exactly `ids`; None if there is none yet. Raises UnknownIdError."""
        self._check_known(ids)
        if self._shared.evidence.exact:
            return _AfterDeletion(self, ids)
        outputs = self._shared.evidence.retrained(ids)
        if outputs is None:
            return None
        return dict(zip(self._shared.bundle.bank.ids, outputs.private, strict=True))

    def job_done(self, kind: str, ids: Sequence[str]) -> bool:
        """Whether what a job of this kind would find out about `ids` is known already."""
        if kind == jobs.PROJECT:
            return all(self.maps.ready(space) for space in SPACES)
        if kind == jobs.RETRAIN and self._shared.evidence.exact:
            return True  # deletion is retraining, by construction
        if kind == jobs.RETRAIN:
            return self._shared.evidence.retrained(ids) is not None
        report = self.report(ids)
        return report is not None and any(f.family == "post-hoc" for f in report.models.values())

    def job_seconds(self, kind: str) -> float | None:
        """How long a job of this kind is expected to take here; None if nobody knows."""
        stages = jobs.expected_stages(self._shared.bundle, kind)
        return sum(seconds for _, seconds in stages) if stages else None

    def start_job(self, kind: str, ids: Sequence[str], asker: str) -> None:
        """Have something about `ids` worked out by a process in the background: "retrain" trains
        the MUNKEY without them, "compare" every method; "project" fits the maps of the memory and
        takes no ids.

        asker: who wants it, any name that is this person's own. Raises BundleError for a bundle
        without images, BadInputError for a set that leaves nothing to train on or when this
        person has too many jobs waiting, UnknownIdError, ReadOnlyError in a demonstration.
        """
        job = jobs.make_job(kind, self._shared.bundle, ids)
        jobs.machine_queue().submit(
            job,
            asker,
            found=lambda: self.job_done(kind, job.ids),
            expected=jobs.expected_stages(self._shared.bundle, job.kind),
        )

    def cancel_job(
        self, kind: str, ids: Sequence[str], asker: str, present: Callable[[str], bool]
    ) -> None:
        """Take back the wish for a job; it stops if no other asker who is `present` wants it."""
        job = jobs.make_job(kind, self._shared.bundle, ids)
        jobs.machine_queue().cancel(job, asker, present)

    def job(
        self, kind: str, ids: Sequence[str], asker: str, present: Callable[[str], bool]
    ) -> JobStatus | None:
        """Where a job about exactly `ids` stands, whoever started it; None if there is none.

        A job that nobody who is present wants any more becomes this asker's, who has come back or
        followed a link. Raises what `start_job` raises.
        """
        job = jobs.make_job(kind, self._shared.bundle, ids)
        queue = jobs.machine_queue()
        queue.adopt(job, asker, present)
        return queue.status(job, asker, present)

    # -- pictures ----------------------------------------------------------------------------

    @property
    def pictures(self) -> PictureStatus:
        """Whether this bundle's images are at hand, as far as is known; never waits."""
        return self._shared.bundle.picture_status

    @property
    def picture_source(self) -> PictureSource:
        """Which images this bundle was made of."""
        return picture_source(self.name, self._shared.bundle.manifest)

    def find_pictures(self) -> PictureStatus:
        """Look for the images of a bundle that carries none, and check that they are its own; they
        are then used by all sessions. What was tried some seconds ago is not tried again."""
        elsewhere = self._shared.bundle.elsewhere
        return elsewhere.search() if elsewhere is not None else self.pictures

    def prepare_features(self) -> Iterator[Progress]:
        """Encode every image once, for bundles whose encoder takes minutes for that, and keep the
        result in the cache; yields progress. Raises BundleError without pictures."""
        return self._shared.bundle.prepare_features()

    def picture(self, id_: str) -> bytes:
        """An image of the bundle as a PNG file. Raises UnknownIdError, or BundleError if the
        bundle carries no images."""
        self.record(id_)
        return self._shared.bundle.pictures.png(id_)

    def pixels(self, ids: Sequence[str]) -> ImageArray:
        """uint8 (n, H, W) or (n, H, W, 3)."""
        return self._shared.bundle.pictures.array(ids)

    def read_image(self, source: bytes | Path, invert: bool | None = None) -> ImageArray:
        """Decode a person's own image into this bundle's format: uint8 (1, S, S, 3).

        invert: swap light and dark; None inverts where the data set's images lie on black and
        this one's border is bright. Raises BadInputError for anything that is no image or larger
        than the limits, ReadOnlyError in a demonstration.
        """
        limits.refuse_in_demo("using a picture of your own")
        dataset = self._shared.bundle.manifest.dataset
        pixels = decode_image(source, int(dataset["image_size"]), grey=bool(dataset["grey"]))
        if invert is None:
            border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            invert = bool(dataset.get("dark_background")) and border.mean() / 255 > _BRIGHT_BORDER
        return (255 - pixels if invert else pixels)[None]

    @staticmethod
    def as_png(image: ImageArray) -> bytes:
        """uint8 (H, W) or (H, W, 3) → a PNG file."""
        return encode_png(image)

    # -- predicting --------------------------------------------------------------------------

    def predict(self, ids: Sequence[str]) -> Prediction:
        """Predict images of the bundle with the keys this session still holds."""
        return self._shared.predictor.predict(self._encode(ids), self._view)

    def predict_images(self, images: ImageArray) -> Prediction:
        """Predict uint8 images (n, H, W[, 3]), e.g. from `read_image`."""
        return self._shared.predictor.predict(self._shared.predictor.encode(images), self._view)

    def recall(self, ids: Sequence[str], whole: bool = False) -> tuple[Recalled, ...]:
        """Who answers for images of the bundle, and what is stored of the answer: no picture is
        needed. whole: with the whole memory instead of the keys this session still holds. Raises
        UnknownIdError for an image that is neither private nor a test image."""
        view = BankView(self._shared.bundle.bank) if whole else self._view
        return recall(self._shared.evidence, view, ids)

    def predict_without(self, ids: Sequence[str], without: Sequence[str]) -> Prediction:
        """Predict as if `without` were forgotten too; the session's memory stays as it is.

        The prediction carries this session's generation.
        """
        view = BankView(self._shared.bundle.bank, self.forgotten)
        new = [id_ for id_ in without if id_ in view]
        self._check_known(without)
        if new:
            view.forget(new)
        view.generation = self.generation
        return self._shared.predictor.predict(self._encode(ids), view)

    def _encode(self, ids: Sequence[str]) -> Encoded:
        for id_ in ids:
            self.record(id_)
        return self._shared.bundle.encode(ids)

    # -- forgetting --------------------------------------------------------------------------

    def forget(self, ids: Iterable[str]) -> Deletion:
        """Delete keys in this session's view. All or nothing; raises UnknownIdError."""
        ids = list(ids)
        self._check_known(ids)
        deletion = self._view.forget(ids)
        self._history.append(deletion)
        return deletion

    def restore(self, ids: Iterable[str]) -> Deletion:
        """Put forgotten keys back, wherever they stand in the history."""
        restoration = self._view.restore(ids)
        back = set(restoration.ids)
        kept = [
            (entry, tuple(id_ for id_ in entry.ids if id_ not in back)) for entry in self._history
        ]
        self._history = [
            Deletion(
                left,
                entry.generation_before,
                entry.generation,
                entry.milliseconds,
                entry.remaining,
            )
            for entry, left in kept
            if left
        ]
        return restoration

    def undo(self) -> Deletion:
        """Put back what the last standing deletion removed. Raises BadInputError if none stands."""
        if not self._history:
            raise BadInputError("nothing to undo: no key has been deleted in this session")
        return self.restore(self._history[-1].ids)

    def changes(self, deletion: Deletion, ids: Sequence[str] | None = None) -> tuple[Change, ...]:
        """Predictions before and after the newest deletion, of `ids` (default: those deleted).

        Raises StaleGenerationError if the memory has changed since.
        """
        before, after = self._around(deletion)
        ids = deletion.ids if ids is None else ids
        encoded = self._encode(ids)
        predict = self._shared.predictor.predict
        return effects.changes(
            [self.record(id_) for id_ in ids], predict(encoded, before), predict(encoded, after)
        )

    def side_effects(self, deletion: Deletion) -> Iterator[Progress | SideEffects]:
        """Yield progress, then which retain and test predictions the newest deletion changed.

        Raises StaleGenerationError if the memory has changed since.
        """
        before, after = self._around(deletion)
        return effects.side_effects(
            self._shared.predictor,
            self._shared.neighbours,
            [*self._shared.private, *self._shared.test],
            self._encode,
            before,
            after,
        )

    def warm_up(self) -> None:
        """Compute what the first deletion, and the first look at other pages, would wait for."""
        self._shared.neighbours.rows()
        self.canonical_sets()

    def _around(self, deletion: Deletion) -> tuple[BankView, BankView]:
        """Views of the bank just before and after a deletion (or a restoration), fixed whatever
        the session does."""
        check_generation(deletion.generation, self.generation)
        bank, now, ids = self._shared.bundle.bank, self.forgotten, set(deletion.ids)
        restored = not ids & set(now)
        before = [*now, *deletion.ids] if restored else [i for i in now if i not in ids]
        after = BankView(bank, now)
        after.generation = deletion.generation
        return BankView(bank, before), after

    def _check_known(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            if self.record(id_).split != PRIVATE:
                raise UnknownIdError(
                    f"{id_!r} is a {self.record(id_).split} image: it was never in the memory, "
                    "so there is no key to delete"
                )

    # -- erasing -----------------------------------------------------------------------------

    @property
    def stale(self) -> bool:
        """Whether the bundle on disk is another version by now than this session's. The session
        goes on with the version it has; `Studio.open` reads the new one."""
        return self._shared.bundle.changed

    def named_ids(self, spec: str) -> tuple[str, ...]:
        """Ids that a request names, in the command line's syntax, whether this bundle knows them or
        not. Raises BadInputError if the request can't be read or names nothing, and says so of an
        owner whose images were erased."""
        try:
            return forget_set(spec, self._shared.bundle)
        except BadInputError as error:
            owner = spec.strip().removeprefix("owner:")
            receipts = Ledger.read(self._folder).receipts if owner != spec.strip() else ()
            for receipt in receipts:
                if receipt.owner == owner_hash(receipt.salt, owner):
                    raise BadInputError(
                        f"the images of owner {owner!r} are erased already: receipt "
                        f"{receipt.number} of {receipt.created}, {receipt.count:,} images"
                    ) from error
            raise

    @staticmethod
    def ids_in_csv(data: bytes, name: str) -> tuple[str, ...]:
        """Ids of an uploaded CSV file, each once: its column `id`, or its first. name: what to call
        it. Raises BadInputError."""
        return tuple(dict.fromkeys(parse_id_csv(data, name)))

    def plan_erasure(self, ids: Iterable[str]) -> ErasurePlan:
        """What `erase` would do; writes nothing. ids: any texts; those that can't be erased are in
        the plan, with its `problem`. What this session has forgotten counts as there.

        Raises BundleError for a bundle that is not on disk or a ledger that can't be read.
        """
        plan = make_plan(self._shared.whole, ids, Ledger.read(self._folder))
        erased = set(plan.ids)
        order = {id_: i for i, id_ in enumerate(plan.ids)}
        pairs = [p for p in self._shared.near_duplicates(plan.ids) if p.other not in erased]
        pairs.sort(key=lambda pair: (order[pair.id], -pair.similarity))
        return replace(plan, near_duplicates=tuple(pairs))

    def erase(
        self, ids: Iterable[str], *, out: Path | None = None, key: Path | None = None
    ) -> Iterator[Progress | Receipt]:
        """Yield progress, then the receipt: the images are gone from the bundle on disk, for good
        and for everybody. All of them or none; ids that are erased already are passed over.

        out: a new folder for the version without them; the bundle is then left as it is. key: file
        of a private Ed25519 key in PEM that signs the receipt. This session keeps the version it
        has (it is `stale`). Go through it to the end: it holds a lock.

        Raises what `erasure.erase` raises; BundleChangedError if this session is stale already,
        ReadOnlyError in a demonstration.
        """
        limits.refuse_in_demo("erasing images")
        return erase(self._folder, tuple(ids), out, key, self._shared.bundle.version)

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """All that was erased from the bundle on disk, oldest first. Raises BundleError."""
        return Ledger.read(self._folder).entries

    def receipt_numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Of ids that were erased from the bundle on disk, the number of the receipt that says so.
        Raises BundleError."""
        return Ledger.read(self._folder).numbers(ids)

    def check_receipt(self, receipt: Receipt, public_key: Path | None = None) -> ReceiptCheck:
        """Hold a receipt against the bundle on disk. public_key: PEM file of the signer that is
        expected. Raises BadInputError for a file that is no key."""
        wanted = "" if public_key is None else read_public_key(public_key)
        return check_receipt(self._folder, receipt, wanted)

    @staticmethod
    def read_receipt(data: bytes | str) -> Receipt:
        """A receipt from its file. Raises BadInputError for anything else, or one that was
        changed."""
        return read_receipt(data)

    @staticmethod
    def receipt_text(receipt: Receipt) -> str:
        """A receipt as the text of its file, JSON."""
        return receipt_text(receipt)

    @staticmethod
    def request_report(receipt: Receipt, evidence: RequestEvidence | None = None) -> str:
        """The report of a request as an HTML document that needs nothing else. evidence: what was
        known before the erasure."""
        return request_report(receipt, evidence)

    @staticmethod
    def receipt_file_names(receipt: Receipt) -> tuple[str, str]:
        """What to call the files of a receipt and of its report."""
        return file_names(receipt)

    @property
    def _folder(self) -> Path:
        folder = self._shared.bundle.folder
        if folder is None:
            raise BundleError("this bundle is only in memory: there is nothing to erase on disk")
        return folder

    # -- finding -----------------------------------------------------------------------------

    def select(self, spec: str) -> tuple[str, ...]:
        """Private ids named by the command line's syntax: commas, @file.csv, owner:NAME, a
        canonical set. Raises BadInputError or UnknownIdError."""
        ids = forget_set(spec, self._shared.bundle)
        self._check_known(ids)
        return ids

    def browse(self, query: Browse) -> tuple[str, ...]:
        """Ids of private images that fit, in the order asked for. Raises BadInputError."""
        if query.order not in _ORDERS:
            raise BadInputError(f"order must be one of {', '.join(_ORDERS)}, got {query.order!r}")
        found = [record.id for record in self._shared.private if self._fits(record, query)]
        if query.near is not None:
            near = {pair.other for pair in self.near_duplicates(query.near)} - set(query.near)
            found = [id_ for id_ in found if id_ in near]
        if query.paired:
            copies = self._shared.copies
            found = [id_ for id_ in found if any(other in self._view for other in copies[id_])]
        if query.order == "random" or query.sample is not None:
            order = permutation(len(found), query.seed)
            picked = [found[i] for i in order]
            found = picked[: query.sample] if query.sample is not None else picked
        if query.order == "id":
            found.sort()
        elif query.order == "memorised" and "memorisation" in self._shared.bundle.scores:
            found.sort(key=lambda id_: -self.score("memorisation", id_))
        elif query.order == "exposed":
            scores = self._required_exposure().scores
            found.sort(key=lambda id_: -scores[id_])
        elif query.order == "influential":
            if "influence" not in self._shared.bundle.scores:
                raise BadInputError(
                    "the order by influence needs scores that this bundle does not have: "
                    "`munkey influence BUNDLE --save` computes them"
                )
            found.sort(key=lambda id_: -self.score("influence", id_))
        return tuple(found)

    def _fits(self, record: Record, query: Browse) -> bool:
        return (
            (not query.classes or record.label in query.classes)
            and (not query.owner or record.owner == query.owner)
            and query.contains.lower() in record.id.lower()
            and not (query.hide_forgotten and self.is_forgotten(record.id))
        )

    def near_duplicates(self, ids: Iterable[str]) -> tuple[NearDuplicate, ...]:
        """Private images still in memory whose keys are near-copies of those of `ids`.

        Pairs (id, other), nearest first for each id; an image is never its own near-duplicate.
        """
        ids = list(ids)
        pairs = [pair for pair in self._shared.near_duplicates(ids) if pair.other in self._view]
        order = {id_: i for i, id_ in enumerate(ids)}
        return tuple(sorted(pairs, key=lambda pair: (order[pair.id], -pair.similarity)))

    # -- privacy -----------------------------------------------------------------------------

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the membership attacks, as `privacy` reports them."""
        return tuple(ATTACKS)

    @property
    def canonical_titles(self) -> dict[str, str]:
        """What each of the canonical sets is, in words."""
        return {name: CANONICAL_TITLES[name] for name in self.canonical_sets()}

    def privacy(self, ids: Sequence[str]) -> Iterator[Progress | PrivacyReport]:
        """Yield progress, then membership attacks on `ids` before, after and retrained, whatever
        this session has forgotten. Raises BadInputError or UnknownIdError."""
        self._check_known(ids)
        return privacy(self._shared.evidence, ids)

    def trace(self, ids: Sequence[str]) -> Iterator[Progress | AuditReport]:
        """Yield progress, then what this mode keeps of `ids`: an audit with the rows of MUNKEY
        alone, for which nothing is trained. Raises BadInputError or UnknownIdError."""
        self._check_known(ids)
        return trace(self._shared.evidence, ids)

    @property
    def exact_verified(self) -> dict[str, dict[str, int]]:
        """What `munkey verify --exact` found and noted in the bundle, by forget set: the counts of
        an ExactCheck. Empty without an exact mode, or if nobody has verified it."""
        found: dict[str, dict[str, int]] = self._shared.bundle.manifest.exact.get("verified", {})
        return found

    @property
    def exposure(self) -> Exposure | None:
        """How exposed each private image is to an attack before any deletion; None until somebody
        has computed what the model says about all of them (`privacy` does)."""
        return self._shared.exposure()

    @property
    def has_exposure(self) -> bool:
        """Whether `exposure` is more than None; quicker to know than the scores themselves."""
        return self._shared.evidence.original() is not None

    def _required_exposure(self) -> Exposure:
        found = self.exposure
        if found is None:
            raise BadInputError(
                "the order by exposure needs what the model says about every image, which nobody "
                "has computed yet: check any forget set's privacy first"
            )
        return found


def list_bundles() -> tuple[BundleInfo, ...]:
    """Every bundle that can be opened by name."""
    return tuple(bundle_info(folder) for folder in find_bundles())
