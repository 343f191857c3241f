"""A bundle: the folder that holds a trained model, its memory bank and everything shown with it.

Weights, keys and tokens are safetensors, the rest JSON, Parquet and Markdown: nothing in a bundle
is ever unpickled or executed. `manifest.json` names every file with its SHA-256; reading checks
version, checksums, shapes and dtypes and refuses anything else with one BundleError.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from munkey_core.bundle.experiments import Experiments, read_experiments
from munkey_core.bundle.features import KeptFeatures
from munkey_core.bundle.find import BundleInfo
from munkey_core.bundle.ledger import LEDGER, Ledger
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS, pack_records, read_records
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.versions import MANIFEST as MANIFEST
from munkey_core.bundle.versions import finish, manifest_digest, unfinished
from munkey_core.config import (
    EncoderConfig,
    EnsembleConfig,
    ModelConfig,
    TrainConfig,
    WriteConfig,
    from_dict,
)
from munkey_core.data.pictures import Pictures, PictureStatus, SourcePictures, no_pictures
from munkey_core.data.places import PictureSource
from munkey_core.errors import BadInputError, BundleChangedError, BundleError
from munkey_core.files.cache import cache_folder
from munkey_core.files.durable import write_file
from munkey_core.files.limits import at_most, limits
from munkey_core.files.tensors import read_tensors as read_tensors
from munkey_core.files.untrusted import is_name, is_plain, parse_json, read_limited, shown
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import Encoded, FrozenEncoder, encode_inputs
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, FloatArray, Record
from munkey_core.training.rows import pack_tokens, round_tokens, unpack_tokens

FORMAT_VERSION = 1
SEAL = "seal.json"
MODEL = "model.safetensors"
ENCODER = "encoder.safetensors"
BANK = "bank.safetensors"
QUERIES = "queries.safetensors"
SCORES = "scores.safetensors"
METRICS = "metrics.json"
EXPERIMENTS = "experiments.json"
RECIPES_TRIED = "experiments.toml"  # what experiments.json was measured of
CARD = "CARD.md"
RECIPE = "recipe.toml"
NOTICE = "NOTICE"
PROJECTIONS = "projections.safetensors"
EXACT = "exact.safetensors"
SPACES = ("keys", "tokens")  # what there are maps of

_REQUIRED = (MODEL, ENCODER, BANK, QUERIES, SCORES)
_OPTIONAL = (
    THUMBNAILS,
    METRICS,
    EXPERIMENTS,
    RECIPES_TRIED,
    CARD,
    RECIPE,
    NOTICE,
    PROJECTIONS,
    EXACT,
)
# Answers of retrained models, one file a canonical forget set.
ORACLES = "oracles"
# A memory trained together with θ, and one written with θ frozen (METHOD.md §7).
JOINT_MODE, EXACT_MODE = "joint", "exact"
_EXACT_SCORES = ("memorisation", "truth_with", "truth_without")
_EXACT_TABLE = ("training", "write", "ensemble", "calibration", "provenance")
_ORACLE_FILE = re.compile(ORACLES + r"/[a-z0-9-]{1,64}\.safetensors")
_MANIFEST_LIMIT = 8_000_000  # bytes
_TEXT_LIMIT = 64_000_000
_MAX_CLASSES = 10_000
_MAX_SIDE = 4096  # pixels of a bundle's images
_MAX_IMAGE_TOKENS = 65_536
_MAX_SCORES = 64
_UNIT_TOLERANCE = 1e-3
_ATTEMPTS = 5


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    dataset: name, title, licence, attribution, classes. owners_simulated: whether owner names are
    made up. near_duplicate: key similarity from which two images count as near-duplicates.
    splits, training, calibration, provenance: how the bundle was made, for people and for
    `munkey train` to make it again. files: SHA-256 (hex) by file name.
    exact: of a bundle that has an exact mode, how that one was made: `training` (of θ, on public
    images), `write`, `ensemble`, `calibration`, `provenance`, and in `verified` what was found when
    forget sets were written without. A bundle of which it is the only mode says so in
    `training["mode"]`. erasures: how often images were erased from it: so many receipts its ledger
    must hold.
    """

    name: str
    dataset: dict[str, Any]
    encoder: EncoderConfig
    model: ModelConfig
    ensemble: EnsembleConfig
    owners_simulated: bool
    near_duplicate: float
    splits: dict[str, Any]
    training: dict[str, Any]
    calibration: dict[str, Any]
    provenance: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    exact: dict[str, Any] = field(default_factory=dict)
    erasures: int = 0

    @property
    def mode(self) -> str:
        """How the model and the memory were made: "joint" or "exact"."""
        return str(self.training.get("mode", JOINT_MODE))

    def train_config(self) -> TrainConfig:
        """The settings of θ's training. Raises BadInputError for others than these."""
        settings = {name: value for name, value in self.training.items() if name != "mode"}
        return from_dict(TrainConfig, settings, "training")

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.dataset["classes"])

    def to_json(self) -> str:
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Raises BundleError for another format version or a missing, unknown or bad field."""
        try:
            values = parse_json(text.encode("utf-8", "surrogatepass"), MANIFEST)
        except BadInputError as error:
            raise BundleError(str(error)) from error
        version = values.pop("format_version", None) if isinstance(values, dict) else None
        if version != FORMAT_VERSION:
            raise BundleError(
                f"{MANIFEST}: format_version must be {FORMAT_VERSION}, got {version!r}"
            )
        try:
            manifest = from_dict(Manifest, values, MANIFEST)
            classes = manifest.dataset["classes"]
            _check_dataset(manifest.dataset)
            _ = manifest.files.items(), str(manifest.provenance["device"])
            _ = [int(count) for count in manifest.splits["counts"].values()]
            _ = sum(float(seconds) for seconds in manifest.provenance["seconds"].values())
            _ = int(manifest.training["seed"]), manifest.train_config()
            if not 0 < manifest.near_duplicate <= 1:
                raise BadInputError(
                    f"near_duplicate must be above 0, at most 1, got {manifest.near_duplicate}"
                )
            if manifest.mode not in (JOINT_MODE, EXACT_MODE):
                raise BadInputError(f"training.mode must be joint or exact, got {manifest.mode!r}")
            if manifest.exact or manifest.mode == EXACT_MODE:
                _check_exact_table(manifest.exact)
        except (
            LookupError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            BadInputError,
        ) as error:
            raise BundleError(f"{MANIFEST}: a field is missing or wrong ({error})") from error
        if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes):
            raise BundleError(f"{MANIFEST}: dataset.classes must be a list of names")
        if not 2 <= len(classes) <= _MAX_CLASSES or not all(map(is_name, classes)):
            raise BundleError(
                f"{MANIFEST}: dataset.classes must be 2 to {_MAX_CLASSES:,} names of one line, at "
                "most 200 characters each"
            )
        return manifest


def _check_dataset(table: dict[str, Any]) -> None:
    """Raises BadInputError or LookupError unless it says what every page says of the images."""
    for name in ("title", "licence"):
        if not isinstance(table[name], str) or not is_name(table[name]):
            raise BadInputError(
                f"dataset.{name} must be a text of one line, got {shown(table[name])}"
            )
    side = table["image_size"]
    if not isinstance(side, int) or not 1 <= side <= _MAX_SIDE:
        raise BadInputError(f"dataset.image_size must be 1 to {_MAX_SIDE}, got {shown(side)}")
    if not isinstance(table["grey"], bool):
        raise BadInputError(f"dataset.grey must be true or false, got {shown(table['grey'])}")


def _check_exact_table(table: dict[str, Any]) -> None:
    """Raises BadInputError or LookupError unless it says how an exact mode was made."""
    for name in _EXACT_TABLE:
        if not isinstance(table[name], dict):
            raise BadInputError(f"exact.{name} must be a table")
    from_dict(TrainConfig, table["training"], "exact.training")
    from_dict(WriteConfig, table["write"], "exact.write")
    from_dict(EnsembleConfig, table["ensemble"], "exact.ensemble")
    _ = sum(float(seconds) for seconds in table["provenance"]["seconds"].values())
    for name, found in table.get("verified", {}).items():
        if not isinstance(found, dict) or not all(isinstance(n, int) for n in found.values()):
            raise BadInputError(f"exact.verified.{name} must be a table of counts")


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
    manifest, whatever the mode.
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
        table = self.manifest.exact
        bank = self.bank
        return replace(
            self,
            manifest=replace(
                self.manifest,
                ensemble=exact.ensemble,
                training={**table["training"], "mode": EXACT_MODE},
                calibration=table["calibration"],
                provenance=table["provenance"],
            ),
            model=exact.model,
            bank=MemoryBank(bank.ids, bank.keys, exact.tokens, bank.generation),
            scores=exact.scores,
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

    def prepare_features(self) -> Iterator[Progress]:
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


# -- writing ---------------------------------------------------------------------------------


def write_bundle(bundle: Bundle, folder: Path, extra: Mapping[str, str] | None = None) -> None:
    """Write a bundle to a new folder; it appears whole or not at all.

    extra: texts of CARD.md, NOTICE or recipe.toml. Raises BundleError if the folder exists.
    """
    if folder.exists():
        raise BundleError(f"{folder} exists already; choose another folder or remove it")
    partial = folder.with_name(folder.name + ".writing")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, data in pack_bundle(bundle, extra):
        write_file(partial / name, data)
    seal(partial, bundle.manifest)
    partial.rename(folder)


def pack_bundle(
    bundle: Bundle, extra: Mapping[str, str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files of a bundle, all but the manifest and what other models said."""
    yield MODEL, save(_contiguous(bundle.model.state_dict()))
    yield ENCODER, save(_contiguous(_own_state(bundle.encoder)))
    ids = "\n".join(bundle.bank.ids).encode()
    bank = {
        "ids": torch.tensor(list(ids), dtype=torch.uint8),
        "keys": bundle.bank.keys.contiguous(),
        "tokens": bundle.bank.tokens.half().contiguous(),
    }
    yield BANK, save(bank)
    yield QUERIES, save({"test_keys": bundle.test_keys.contiguous()})
    yield SCORES, save(_contiguous(dict(bundle.scores)))
    if bundle.projections:
        yield PROJECTIONS, save(_projection_tensors(bundle.projections))
    if bundle.exact is not None and bundle.mode == JOINT_MODE:  # else it is the model and the bank
        yield EXACT, save(_exact_tensors(bundle.exact, bundle.bank))
    yield pack_records(bundle.records)
    if bundle.thumbnails is not None:
        yield THUMBNAILS, bundle.thumbnails.pack()
    for name, text in (extra or {}).items():
        yield name, text.encode("utf-8")


def seal(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json with the checksums of the files that are there now, and the seal.

    A bundle that has a ledger gets an entry in it: its digest is another one from here on.
    """
    known = {*_REQUIRED, *_OPTIONAL, PARQUET, CSV}
    paths = [p for p in sorted(folder.iterdir()) if p.name in known]
    paths += sorted(folder.glob(f"{ORACLES}/*.safetensors"))
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    data = with_files(manifest, files).to_json().encode()
    before, after = manifest_digest(folder), hashlib.sha256(data).hexdigest()
    _replace(folder / MANIFEST, data)
    book = Ledger.read(folder)
    if len(book) and before != after:
        _replace(folder / LEDGER, book.with_change(before, after).to_bytes())
    book_digest = sha256(folder / LEDGER) if len(book) else ""
    _replace(folder / SEAL, seal_text(after, book_digest).encode())


def with_files(manifest: Manifest, files: dict[str, str]) -> Manifest:
    """The manifest with other files' checksums."""
    values = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    return Manifest(**{**values, "files": files})


def seal_text(manifest: str, ledger: str) -> str:
    """What seal.json says: nothing else in a bundle guards the manifest's own text and the ledger.
    manifest, ledger: their SHA-256 (hex); an empty one for no ledger."""
    return json.dumps({MANIFEST: manifest, LEDGER: ledger}, indent=1) + "\n"


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".writing")
    partial.write_bytes(data)
    partial.replace(path)


def write_projections(path: Path, projections: Mapping[str, FittedMap]) -> None:
    """Write a file of maps by space. It appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may fit the same: each writes a file of its own, and the last one stays.
    partial = path.with_name(f"{path.stem}.{os.getpid()}.writing")
    save_file(_projection_tensors(projections), partial)
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    partial.replace(path)


def _projection_tensors(projections: Mapping[str, FittedMap]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for space, fitted in projections.items():
        tensors[space] = torch.from_numpy(np.array(fitted.positions))
        tensors[f"{space}_seed"] = torch.tensor(fitted.seed)
        digest = bytearray(bytes.fromhex(fitted.digest))
        tensors[f"{space}_digest"] = torch.frombuffer(digest, dtype=torch.uint8)
    return tensors


def write_exact(path: Path, exact: ExactMode, bank: MemoryBank) -> None:
    """Write the file of an exact mode. bank: of its bundle, whose ids and keys it shares. It
    appears whole or not at all.

    θ in half precision, tokens in 4 bits and a scale a row: both are rounded so before the first
    row is written, so nothing is lost here. Raises BundleError for tokens or weights that are not.
    """
    tensors = _exact_tensors(exact, bank)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.writing")
    save_file(tensors, partial)
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    partial.replace(path)


def _exact_tensors(exact: ExactMode, bank: MemoryBank) -> dict[str, Tensor]:
    packed, scales = pack_tokens(exact.tokens)
    state = {f"model.{name}": value.half() for name, value in exact.model.state_dict().items()}
    lost = not torch.equal(unpack_tokens(packed, scales, exact.tokens.shape[1]), exact.tokens)
    if lost or any(
        not torch.equal(state[f"model.{name}"].float(), value)
        for name, value in exact.model.state_dict().items()
    ):
        raise BundleError("an exact mode must be rounded before it is written")
    own = MemoryBank(bank.ids, bank.keys, exact.tokens)
    tensors = {
        **state,
        "codes": packed,
        "scales": scales,
        "digests": row_digests(own),
        **{f"scores.{name}": exact.scores[name].half() for name in _EXACT_SCORES},
    }
    return _contiguous(tensors)


def row_digests(bank: MemoryBank) -> Tensor:
    """(N, 32) uint8, the SHA-256 of each entry (`MemoryBank.row_digest`)."""
    digests = b"".join(bytes.fromhex(bank.row_digest(row)) for row in range(len(bank)))
    return torch.frombuffer(bytearray(digests), dtype=torch.uint8).view(-1, 32)


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_state(encoder: FrozenEncoder) -> dict[str, Tensor]:
    """The state a bundle carries: a published backbone is named, not copied."""
    state = encoder.state_dict()
    if encoder.config.name == "conv":
        return dict(state)
    return {name: value for name, value in state.items() if not name.startswith("backbone.")}


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


# -- reading ---------------------------------------------------------------------------------


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """The manifest and its SHA-256, which is the bundle's digest. Files are not checked yet."""
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}")
    if path.stat().st_size > _MANIFEST_LIMIT:
        raise BundleError(f"{path} is larger than {_MANIFEST_LIMIT:,} bytes")
    try:
        data = read_limited(path, _MANIFEST_LIMIT, MANIFEST)
        manifest = Manifest.from_json(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, BadInputError) as error:
        raise BundleError(f"{path} can't be read ({error})") from error
    except BundleError as error:
        raise BundleError(f"bundle {folder.name}: {error}") from error
    return manifest, hashlib.sha256(data).hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle. Raises BundleError naming the file and what was wanted.

    One whole version is read: if another takes its place meanwhile, that one is read instead.
    """
    for _ in range(_ATTEMPTS):
        manifest, digest = read_manifest(folder)
        try:
            _check_files(folder, manifest)
            bundle = _read_checked(folder, manifest, digest)
        except (BundleError, BadInputError, OSError) as error:
            if manifest_digest(folder) == digest:
                raise BundleError(f"bundle {folder.name}: {error}") from error
            continue
        if manifest_digest(folder) == digest:
            return bundle
    raise BundleError(f"bundle {folder.name}: it is being changed all the time; try again later")


def _check_files(folder: Path, manifest: Manifest) -> None:
    records = [name for name in (PARQUET, CSV) if name in manifest.files]
    if len(records) != 1:
        raise BundleError(f"{MANIFEST} must name either {PARQUET} or {CSV}")
    for name in _REQUIRED:
        if name not in manifest.files:
            raise BundleError(f"{MANIFEST} names no {name}")
    for name, wanted in manifest.files.items():
        if name not in records and not _may_hold(name):
            raise BundleError(f"{MANIFEST} names {shown(name)}, which is no part of a bundle")
        _check_file(folder, name, wanted)


def _may_hold(name: str) -> bool:
    """Whether a bundle may have a file of this name: it leads to no other folder."""
    known = (*_REQUIRED, *_OPTIONAL, PARQUET, CSV)
    return name in known or _ORACLE_FILE.fullmatch(name) is not None


def _check_file(folder: Path, name: str, wanted: str) -> None:
    path = folder / name
    try:
        # A link, of the file or of the folder it lies in, could lead out of the bundle.
        linked = path.is_symlink() or (path.parent.is_symlink() and path.parent != folder)
        if linked or not path.is_file():
            raise BundleError(f"{name} is missing or not a plain file")
        size = path.stat().st_size
        if size > limits().bundle_bytes:
            raise BundleError(f"{name}: wanted {at_most('bundle_bytes', 'bytes')}, got {size:,}")
        found = sha256(path)
    except OSError as error:
        raise BundleError(f"{name} can't be read ({error})") from error
    if found != wanted:
        raise BundleError(f"{name} is damaged: its SHA-256 is not the manifest's")


def _read_checked(folder: Path, manifest: Manifest, digest: str) -> Bundle:
    if manifest.encoder.name == "conv":
        _check_weights(450 * manifest.encoder.width**2, folder / ENCODER)
    encoder = FrozenEncoder(manifest.encoder)
    _load_into(encoder, folder / ENCODER, _own_state(encoder))
    n_classes = len(manifest.classes)
    model = _build_model(manifest, encoder, n_classes, folder / MODEL)
    _load_into(model, folder / MODEL, model.state_dict())

    raw = read_tensors(folder / BANK)
    ids = _read_ids(raw)
    shape = (len(ids), encoder.key_dim)
    keys = _expect(raw, BANK, "keys", shape)
    tokens = _expect(raw, BANK, "tokens", (len(ids), manifest.model.dim), torch.float16).float()
    records = read_records(folder / (PARQUET if PARQUET in manifest.files else CSV))
    bank = MemoryBank(ids, keys, tokens)
    private = [record.id for record in records if record.split == PRIVATE]
    if private != list(ids):
        raise BundleError(f"{BANK} and the records must name the same ids in the same order")
    bad = next((r for r in records if not 0 <= r.label < n_classes), None)
    if bad is not None:
        raise BundleError(f"label of {bad.id} must be in 0..{n_classes - 1}, got {bad.label}")

    n_test = sum(record.split == TEST for record in records)
    test_keys = _expect(read_tensors(folder / QUERIES), QUERIES, "test_keys", (n_test, shape[1]))
    if n_test and float((test_keys.norm(dim=1) - 1).abs().max()) > _UNIT_TOLERANCE:
        raise BundleError(f"{QUERIES}: test_keys must have unit length")
    stored = read_tensors(folder / SCORES)
    if len(stored) > _MAX_SCORES or not all(map(is_name, stored)):
        raise BundleError(f"{SCORES}: wanted at most {_MAX_SCORES} scores, named in one line")
    scores = {name: _expect(stored, SCORES, name, (len(ids),)) for name in stored}
    exact = None
    if manifest.mode == EXACT_MODE:
        exact = ExactMode(model, tokens, manifest.ensemble, scores)
    elif EXACT in manifest.files or manifest.exact:
        exact = _read_exact(folder, manifest, model, len(ids))
    thumbnails = elsewhere = None
    if THUMBNAILS in manifest.files:
        thumbnails = Thumbnails.read(folder, [record.id for record in records])
    else:
        elsewhere = SourcePictures(
            picture_source(folder.resolve().name, manifest),
            [record.id for record in records],
            keys,
            lambda images: encoder.encode(images).keys,
        )
    return Bundle(
        manifest=manifest,
        encoder=encoder,
        model=model,
        bank=bank,
        records=records,
        test_keys=test_keys,
        scores=scores,
        thumbnails=thumbnails,
        elsewhere=elsewhere,
        metrics=_read_metrics(folder, manifest),
        experiments=_read_experiments(folder, manifest),
        card=_read_card(folder) if CARD in manifest.files else "",
        digest=digest,
        version=digest,
        folder=folder,
        projections=(
            read_projections(folder / PROJECTIONS, len(ids))
            if PROJECTIONS in manifest.files
            else {}
        ),
        exact=exact,
    )


def _check_weights(least: int, path: Path) -> None:
    """Whether a file can hold so many weights, a number below which the network has none. Asked
    before it is built: settings alone must not fill the memory."""
    size = path.stat().st_size
    if 4 * least > size:
        raise BundleError(
            f"{path.name} holds {size:,} bytes, but the network that {MANIFEST} describes has at "
            f"least {4 * least:,}"
        )


def _read_exact(folder: Path, manifest: Manifest, joint: ExemplarTransformer, n: int) -> ExactMode:
    """The exact mode beside a joint one. joint: the model of that one, of the same shape."""
    if EXACT not in manifest.files or not manifest.exact:
        raise BundleError(f"{EXACT} and the table `exact` of {MANIFEST} must both be there")
    stored, dim = read_tensors(folder / EXACT), manifest.model.dim
    model = copy.deepcopy(joint)
    state = {}
    for name, value in joint.state_dict().items():
        found = _expect(stored, EXACT, f"model.{name}", tuple(value.shape), torch.float16)
        state[name] = found.float()
    model.load_state_dict(state)
    packed = _expect(stored, EXACT, "codes", (n, (dim + 1) // 2), torch.uint8)
    scales = _expect(stored, EXACT, "scales", (n,), torch.float16)
    _expect(stored, EXACT, "digests", (n, 32), torch.uint8)
    tokens = unpack_tokens(packed, scales, dim)
    if not torch.equal(round_tokens(tokens), tokens):
        raise BundleError(f"{EXACT}: codes and scales are not those of written tokens")
    scores = {
        name: _expect(stored, EXACT, f"scores.{name}", (n,), torch.float16).float()
        for name in _EXACT_SCORES
    }
    known = {"codes", "scales", "digests", *(f"model.{name}" for name in state)}
    unknown = sorted(stored.keys() - known - {f"scores.{name}" for name in scores})
    if unknown:
        raise BundleError(f"{EXACT} holds {unknown[0]!r}, which is no part of an exact mode")
    ensemble = from_dict(EnsembleConfig, manifest.exact["ensemble"], "exact.ensemble")
    return ExactMode(model, tokens, ensemble, scores)


def picture_source(name: str, manifest: Manifest) -> PictureSource:
    """Which images a bundle was made of. name: what it is opened by."""
    dataset = manifest.dataset
    return PictureSource(
        name,
        str(dataset.get("name", "")),
        str(dataset["title"]),
        int(dataset["image_size"]),
        bool(dataset["grey"]),
    )


def read_projections(path: Path, n: int) -> dict[str, FittedMap]:
    """Maps by space, of `n` entries each. Raises BundleError for anything else in the file."""
    stored = read_tensors(path)
    found: dict[str, FittedMap] = {}
    for space in SPACES:
        names = {space, f"{space}_seed", f"{space}_digest"}
        if not names & stored.keys():
            continue
        positions = _expect(stored, path.name, space, (n, 2))
        seed = _expect(stored, path.name, f"{space}_seed", (), torch.int64)
        digest = _expect(stored, path.name, f"{space}_digest", (32,), torch.uint8)
        found[space] = FittedMap(positions.numpy(), int(seed), bytes(digest.numpy()).hex())
        stored = {name: tensor for name, tensor in stored.items() if name not in names}
    if stored:
        raise BundleError(f"{path.name} holds {min(stored)!r}, which is no map's")
    return found


def _build_model(
    manifest: Manifest, encoder: FrozenEncoder, n_classes: int, path: Path
) -> ExemplarTransformer:
    """path: of its weights."""
    config = manifest.model
    if config.tokens == "features":
        n_tokens, embedding = encoder.n_tokens, encoder.channels
    else:
        n_tokens = (int(manifest.dataset["image_size"]) // config.patch_size) ** 2
        embedding = config.patch_size**2 * (config.dim // 2)
    if not 1 <= n_tokens <= _MAX_IMAGE_TOKENS:
        raise BundleError(
            f"{MANIFEST}: an image must be of 1 to {_MAX_IMAGE_TOKENS:,} tokens, got {n_tokens:,}"
        )
    block = 4 * config.dim + 2 * int(config.mlp_ratio * config.dim)
    rows = config.layers * block + embedding + n_tokens + n_classes
    _check_weights(rows * config.dim, path)
    return ExemplarTransformer(config, encoder.channels, n_tokens, n_classes)


def _expect(
    tensors: Mapping[str, Tensor],
    file: str,
    name: str,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    if name not in tensors:
        raise BundleError(f"{file} has no tensor {name!r}")
    tensor = tensors[name]
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        raise BundleError(
            f"{file}: {name} must be {dtype} of shape {shape}, "
            f"got {tensor.dtype} {tuple(tensor.shape)}"
        )
    if dtype.is_floating_point and not bool(torch.isfinite(tensor).all()):
        raise BundleError(f"{file}: {name} holds values that are not finite")
    return tensor


def _load_into(module: nn.Module, path: Path, wanted: Mapping[str, Tensor]) -> None:
    stored = read_tensors(path)
    for name in stored:
        if name not in wanted:
            raise BundleError(f"{path.name} holds {name!r}, which this network has not")
    checked = {
        name: _expect(stored, path.name, name, tuple(value.shape), value.dtype)
        for name, value in wanted.items()
    }
    module.load_state_dict(checked, strict=False)


def _read_ids(raw: Mapping[str, Tensor]) -> tuple[str, ...]:
    blob = raw.get("ids")
    if blob is None or blob.dtype != torch.uint8 or blob.ndim != 1:
        raise BundleError(f"{BANK}: ids must be a uint8 vector of newline-separated names")
    try:
        text = bytes(blob.numpy()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{BANK}: ids are not UTF-8 ({error})") from error
    return tuple(text.split("\n")) if text else ()


def _read_card(folder: Path) -> str:
    text = _read_text(folder, CARD)
    if not is_plain(text):
        raise BundleError(f"{CARD} holds control characters")
    return text


def _read_text(folder: Path, name: str) -> str:
    try:
        return read_limited(folder / name, _TEXT_LIMIT, name).decode("utf-8")
    except (OSError, UnicodeDecodeError, BadInputError) as error:
        raise BundleError(f"{name} can't be read ({error})") from error


def _read_metrics(folder: Path, manifest: Manifest) -> dict[str, Any] | None:
    if METRICS not in manifest.files:
        return None
    try:
        metrics = parse_json(read_limited(folder / METRICS, _TEXT_LIMIT, METRICS), METRICS)
    except (OSError, BadInputError) as error:
        raise BundleError(f"{METRICS} can't be read ({error})") from error
    _check_metrics(metrics)
    _check_metrics(metrics.get(EXACT_MODE) or {})
    return dict(metrics)


def _check_metrics(metrics: Any) -> None:
    """Tables of tables, as far as anybody looks into them without checking further."""
    if not isinstance(metrics, dict):
        raise BundleError(f"{METRICS} must be a table, got {shown(metrics)}")
    for name in ("reports", "attacks"):
        found = metrics.get(name) or {}
        if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
            raise BundleError(f"{METRICS}: {name} must be a table of tables")
    tuning = metrics.get("tuning") or {}
    if not isinstance(tuning, dict):
        raise BundleError(f"{METRICS}: tuning must be a table")
    methods = tuning.get("methods", {})
    if not isinstance(methods, dict) or not all(_is_tuned(one) for one in methods.values()):
        raise BundleError(f"{METRICS}: tuning.methods must be tables with settings and search")
    if methods and not isinstance(tuning.get("n_forget"), int):
        raise BundleError(f"{METRICS}: tuning.n_forget must be a whole number")


def _is_tuned(method: Any) -> bool:
    """Whether this is what a tuning found for one method."""
    if not isinstance(method, dict) or not isinstance(method.get("settings"), dict):
        return False
    trials = method.get("search", [])
    return isinstance(trials, list) and all(isinstance(trial, dict) for trial in trials)


def _read_experiments(folder: Path, manifest: Manifest) -> Experiments | None:
    if EXPERIMENTS not in manifest.files:
        return None
    return read_experiments(_read_text(folder, EXPERIMENTS))


@dataclass(frozen=True)
class BundleFigures:
    """What was measured on a bundle, without its weights. metrics: metrics.json, empty if it has
    none."""

    manifest: Manifest
    metrics: dict[str, Any]
    experiments: Experiments | None


def read_figures(folder: Path) -> BundleFigures:
    """Read and check the manifest and the figures, no other file. Raises BundleError."""
    manifest, _ = read_manifest(folder)
    try:
        for name in (METRICS, EXPERIMENTS):
            if name in manifest.files:
                _check_file(folder, name, manifest.files[name])
        return BundleFigures(
            manifest, _read_metrics(folder, manifest) or {}, _read_experiments(folder, manifest)
        )
    except BundleError as error:
        raise BundleError(f"bundle {folder.name}: {error}") from error


# -- finding ---------------------------------------------------------------------------------


def bundle_folders() -> list[Path]:
    """Folders searched for bundles: $MUNKEY_BUNDLES (os.pathsep between several), ./pretrained,
    the source tree's own pretrained, the one inside the installed package, and where the app puts
    bundles of people's own images."""
    named = [Path(p) for p in os.environ.get("MUNKEY_BUNDLES", "").split(os.pathsep) if p]
    package = Path(__file__).resolve().parent
    found = [*named, Path("pretrained"), package.parent / "pretrained", package / "pretrained"]
    with contextlib.suppress(BadInputError):  # without a cache there are no bundles in it either
        found.append(own_folder())
    return found


def shipped_folder() -> Path:
    """Where the bundles that ship lie: beside the source, else inside the installed package."""
    package = Path(__file__).resolve().parent
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
    counts = manifest.splits.get("counts", {})
    return BundleInfo(
        name=name,
        path=str(folder),
        title=str(manifest.dataset["title"]),
        dataset=str(manifest.dataset.get("name", "")),
        licence=str(manifest.dataset["licence"]),
        keys=int(counts.get(PRIVATE, 0)),
        test_images=int(counts.get(TEST, 0)),
        classes=manifest.classes,
        digest=digest,
        bytes=_size(folder, manifest),
    )


def _size(folder: Path, manifest: Manifest) -> int:
    """Bytes of the files that the manifest names, of itself and its seal, as far as they are
    there."""
    total = 0
    for name in (MANIFEST, SEAL, *filter(_may_hold, manifest.files)):
        with contextlib.suppress(OSError):
            total += (folder / name).lstat().st_size
    return total
