"""A bundle: the folder that holds a trained model, its memory bank and everything shown with it.

Weights, keys and tokens are safetensors, the rest JSON, Parquet and Markdown: nothing in a bundle
is ever unpickled or executed. `manifest.json` names every file with its SHA-256; reading checks
version, checksums, shapes and dtypes and refuses anything else with one BundleError.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from munkey_core.bundle.experiments import Experiments
from munkey_core.bundle.features import KeptFeatures
from munkey_core.bundle.manifest import (
    BANK,
    ENCODER,
    EXACT,
    EXACT_MODE,
    JOINT_MODE,
    Manifest,
    Training,
    read_manifest,
)
from munkey_core.bundle.metrics import Metrics
from munkey_core.bundle.records import CSV, PARQUET
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.versions import manifest_digest
from munkey_core.config import EnsembleConfig
from munkey_core.data.pictures import Pictures, PictureStatus, SourcePictures, no_pictures
from munkey_core.errors import BundleChangedError, BundleError
from munkey_core.files.cache import cache_folder
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import Encoded, FrozenEncoder, encode_inputs
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Steps
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, FloatArray, Record


@dataclass(frozen=True)
class ExactMode:
    """θ trained on public images only, and a memory written with θ frozen (METHOD.md §7; ours).

    tokens: (N, dim) float32 in bank order, as `writing.round_tokens` rounds them. scores: as a
    bundle's. ensemble: chosen on public images.
    """

    model: ExemplarTransformer
    tokens: Tensor
    ensemble: EnsembleConfig
    scores: Mapping[str, Tensor]


@dataclass(frozen=True)
class FittedMap:
    """Where a UMAP puts the entries of one bank in one space ("keys" or "tokens").

    positions: (N, 2) float32 in bank order. seed: of the UMAP. digest: SHA-256 (hex) of what it
    was fitted on: whoever shows it compares that with the bank at hand.
    """

    positions: FloatArray
    seed: int
    digest: str


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory; shared and read-only.

    records: private, test, anchor and calibration images, in the order of the thumbnails.
    test_keys: (n_test, d) float32, keys of the test images in record order.
    scores: per private image in bank order, each (N,) float32, e.g. "memorisation".
    projections: by space; empty if nobody has fitted any.
    thumbnails: the images, if the bundle carries them. elsewhere: if it doesn't, those that lie
    on this machine, if any. digest: of the manifest; another one in another mode. version: of the
    manifest, whatever the mode. joint_memorisation: (N,) in a mode beside the bundle's own, the
    bundle's own scores, by which canonical sets go in every mode; None elsewhere.
    """

    manifest: Manifest
    encoder: FrozenEncoder
    model: ExemplarTransformer
    bank: MemoryBank
    records: tuple[Record, ...]
    test_keys: Tensor
    scores: Mapping[str, Tensor]
    thumbnails: Thumbnails | None
    metrics: dict[str, Any] | None = None
    card: str = ""
    digest: str = ""
    folder: Path | None = None
    projections: Mapping[str, FittedMap] = field(default_factory=dict)
    elsewhere: SourcePictures | None = None
    exact: ExactMode | None = None
    experiments: Experiments | None = None
    version: str = ""
    joint_memorisation: Tensor | None = None

    @property
    def changed(self) -> bool:
        """Whether the bundle on disk is another version by now than the one in memory."""
        return self.folder is not None and manifest_digest(self.folder) != self.version

    def require_same(self, *names: str) -> None:
        """Raises BundleChangedError if some files of the bundle on disk are others by now than
        when it was opened, or it is gone."""
        if not self.changed or self.folder is None:
            return
        try:
            files = read_manifest(self.folder)[0].files
        except BundleError:
            files = {}
        if any(files.get(name) != self.manifest.files.get(name) for name in names):
            raise BundleChangedError(self.folder.resolve().name)

    def require_rows(self) -> None:
        """Raises BundleChangedError if the bundle on disk has other rows by now: what is worked
        out from those in memory must not be kept any more."""
        self.require_same(BANK, EXACT)

    def settle(self, path: Path) -> None:
        """A file was written to the cache, of what was made of the rows in memory: it goes again,
        with a BundleChangedError, if rows have been erased from the bundle on disk meanwhile."""
        try:
            self.require_rows()
        except BundleChangedError:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others' results may lie in it
                path.parent.rmdir()
            raise

    @property
    def measured(self) -> Metrics:
        """What metrics.json says of this mode; empty if there is none."""
        return cast(Metrics, self.metrics or {})

    @property
    def mode(self) -> str:
        """How the model and the bank in this object were made: "joint" or "exact"."""
        return self.manifest.mode

    @property
    def modes(self) -> tuple[str, ...]:
        """What `in_mode` can give."""
        both = self.mode == JOINT_MODE and self.exact is not None
        return (JOINT_MODE, EXACT_MODE) if both else (self.mode,)

    def in_mode(self, mode: str) -> Bundle:
        """The same images, keys and encoder with another model, tokens, settings and scores.

        All that is remembered of a bundle goes by its digest, its settings or its bank, so nothing
        of one mode is ever taken for the other's. Raises BundleError for a mode that it has not.
        """
        if mode not in self.modes:
            raise BundleError(
                f"bundle {self.manifest.name} has no {mode} mode, only {' and '.join(self.modes)}"
                + ("; `munkey write` adds it" if mode == EXACT_MODE else "")
            )
        exact = self.exact
        if mode == self.mode or exact is None:
            return self
        table, bank = self.manifest.exact, self.bank
        return replace(
            self,
            manifest=replace(
                self.manifest,
                ensemble=exact.ensemble,
                training=cast(Training, {**table["training"], "mode": EXACT_MODE}),
                calibration=table["calibration"],
                provenance=table["provenance"],
            ),
            model=exact.model,
            bank=MemoryBank(bank.ids, bank.keys, exact.tokens, bank.generation),
            scores=exact.scores,
            joint_memorisation=self.scores.get("memorisation"),
            metrics=(self.metrics or {}).get(EXACT_MODE),
            experiments=None,  # they are of joint training
            digest=hashlib.sha256(f"{self.digest} {EXACT_MODE}".encode()).hexdigest(),
        )

    @property
    def pictures(self) -> Pictures:
        """The images, carried or from elsewhere; the latter are looked for when first asked for.

        Raises BundleError if there are none, and nowhere to look.
        """
        found = self.elsewhere if self.thumbnails is None else self.thumbnails
        if found is None:
            raise BundleError(self.picture_status.problem)
        return found

    @property
    def picture_status(self) -> PictureStatus:
        """Whether images are at hand, as far as is known by now."""
        if self.thumbnails is not None:
            return PictureStatus("carried")
        if self.elsewhere is not None:
            return self.elsewhere.status
        return PictureStatus("missing", problem=no_pictures(self.manifest.name))

    def require_pictures(self, what: str) -> Pictures:
        """The images, found and checked. what: begins the message of the BundleError if there are
        none, such as "retraining needs the images"."""
        status = self.picture_status
        if not status.ready and self.elsewhere is not None:
            status = self.elsewhere.search()
        if not status.ready:
            raise BundleError(f"{what}: {status.problem}")
        return self.pictures

    @cached_property
    def stored_keys(self) -> dict[str, Tensor]:
        """(d,) key of each private and test image, by id."""
        ids = (*self.bank.ids, *(record.id for record in self.records_of(TEST)))
        return dict(zip(ids, torch.cat([self.bank.keys, self.test_keys]), strict=True))

    def encode(self, ids: Sequence[str]) -> Encoded:
        """Images by id, as the networks read them. With pictures from elsewhere, private and test
        images keep their stored keys: those of a lossy copy are not quite the same.

        Raises BundleError without pictures, UnknownIdError.
        """
        kept = None if self.kept_features is None else self.kept_features.of(ids)
        if kept is not None:
            return kept
        images = self.pictures.array(ids)
        encoded = encode_inputs(self.encoder, images, self.manifest.model.tokens)
        if self.thumbnails is not None or not len(encoded):
            return encoded
        keys = [self.stored_keys.get(id_, key) for id_, key in zip(ids, encoded.keys, strict=True)]
        return Encoded(torch.stack(keys), encoded.features)

    @cached_property
    def kept_features(self) -> KeptFeatures | None:
        """Where encoded images of this bundle are kept; None if encoding is fast, as with the small
        `conv` encoder, or the network reads the pixels themselves."""
        manifest = self.manifest
        if manifest.encoder.name == "conv" or manifest.model.tokens != "features":
            return None
        names = (ENCODER, PARQUET, CSV)
        what = json.dumps([manifest.files.get(name) for name in names])
        folder = cache_folder() / "features" / hashlib.sha256(what.encode()).hexdigest()[:24]
        splits = (PRIVATE, TEST, ANCHOR, CALIBRATION)
        ids = {split: [record.id for record in self.records_of(split)] for split in splits}
        return KeptFeatures(folder, ids, self.encoder)

    def prepare_features(self) -> Steps[None]:
        """Encode every image that is not kept, where that is worth keeping; yields progress.

        Raises BundleError without pictures.
        """
        kept = self.kept_features
        if kept is not None:
            yield from kept.prepare(self.encode)
            for path in sorted(kept.folder.glob("*")):
                self.settle(path)

    def records_of(self, split: str) -> tuple[Record, ...]:
        """Records of one split ("private", "test", "anchor", "calibration"), in bundle order."""
        return tuple(record for record in self.records if record.split == split)
