"""A bundle: the folder that holds a trained model, its memory bank and everything shown with it.

Weights, keys and tokens are safetensors, the rest JSON, Parquet and Markdown: nothing in a bundle
is ever unpickled or executed. `manifest.json` names every file with its SHA-256; reading checks
version, checksums, shapes and dtypes and refuses anything else with one BundleError.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from munkey_core.bank import MemoryBank
from munkey_core.config import EncoderConfig, EnsembleConfig, ModelConfig, from_dict
from munkey_core.encoder import FrozenEncoder
from munkey_core.errors import BadInputError, BundleError
from munkey_core.model import ExemplarTransformer
from munkey_core.records import CSV, PARQUET, THUMBNAILS, read_records, write_records
from munkey_core.thumbnails import Thumbnails
from munkey_core.types import PRIVATE, TEST, BundleInfo, FloatArray, Record

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model.safetensors"
ENCODER = "encoder.safetensors"
BANK = "bank.safetensors"
QUERIES = "queries.safetensors"
SCORES = "scores.safetensors"
METRICS = "metrics.json"
CARD = "CARD.md"
RECIPE = "recipe.toml"
NOTICE = "NOTICE"
PROJECTIONS = "projections.safetensors"
SPACES = ("keys", "tokens")  # what there are maps of

_REQUIRED = (MODEL, ENCODER, BANK, QUERIES, SCORES)
_OPTIONAL = (THUMBNAILS, METRICS, CARD, RECIPE, NOTICE, PROJECTIONS)
# Answers of retrained models, one file a canonical forget set.
ORACLES = "oracles"
_ORACLE_FILE = re.compile(ORACLES + r"/[a-z0-9-]{1,64}\.safetensors")
_MANIFEST_LIMIT = 8_000_000


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    dataset: name, title, licence, attribution, classes. owners_simulated: whether owner names are
    made up. near_duplicate: key similarity from which two images count as near-duplicates.
    splits, training, calibration, provenance: how the bundle was made, for people and for
    `munkey train` to make it again. files: SHA-256 (hex) by file name.
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

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.dataset["classes"])

    def to_json(self) -> str:
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Raises BundleError for another format version or a missing, unknown or bad field."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{MANIFEST} is not valid JSON ({error})") from error
        version = values.pop("format_version", None) if isinstance(values, dict) else None
        if version != FORMAT_VERSION:
            raise BundleError(
                f"{MANIFEST}: format_version must be {FORMAT_VERSION}, got {version!r}"
            )
        try:
            manifest = from_dict(Manifest, values, MANIFEST)
            classes = manifest.dataset["classes"]
            _ = manifest.dataset["title"], manifest.dataset["licence"], manifest.files.items()
            _ = int(manifest.dataset["image_size"]), bool(manifest.dataset["grey"])
            _ = [int(count) for count in manifest.splits["counts"].values()]
            _ = sum(float(seconds) for seconds in manifest.provenance["seconds"].values())
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
        return manifest


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
    save_file(_contiguous(bundle.model.state_dict()), partial / MODEL)
    save_file(_contiguous(_own_state(bundle.encoder)), partial / ENCODER)
    ids = "\n".join(bundle.bank.ids).encode()
    save_file(
        {
            "ids": torch.tensor(list(ids), dtype=torch.uint8),
            "keys": bundle.bank.keys.contiguous(),
            "tokens": bundle.bank.tokens.half().contiguous(),
        },
        partial / BANK,
    )
    save_file({"test_keys": bundle.test_keys.contiguous()}, partial / QUERIES)
    save_file(_contiguous(dict(bundle.scores)), partial / SCORES)
    if bundle.projections:
        write_projections(partial / PROJECTIONS, bundle.projections)
    write_records(partial, bundle.records)
    if bundle.thumbnails is not None:
        bundle.thumbnails.write(partial)
    for name, text in (extra or {}).items():
        (partial / name).write_text(text, encoding="utf-8")
    for path in partial.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read
    seal(partial, bundle.manifest)
    partial.rename(folder)


def seal(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json with the checksums of the files that are there now."""
    known = {*_REQUIRED, *_OPTIONAL, PARQUET, CSV}
    paths = [p for p in sorted(folder.iterdir()) if p.name in known]
    paths += sorted(folder.glob(f"{ORACLES}/*.safetensors"))
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    values = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    text = Manifest(**{**values, "files": files}).to_json()
    partial = folder / (MANIFEST + ".writing")
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / MANIFEST)


def write_projections(path: Path, projections: Mapping[str, FittedMap]) -> None:
    """Write a file of maps by space. It appears whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for space, fitted in projections.items():
        tensors[space] = torch.from_numpy(np.array(fitted.positions))
        tensors[f"{space}_seed"] = torch.tensor(fitted.seed)
        digest = bytearray(bytes.fromhex(fitted.digest))
        tensors[f"{space}_digest"] = torch.frombuffer(digest, dtype=torch.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may fit the same: each writes a file of its own, and the last one stays.
    partial = path.with_name(f"{path.stem}.{os.getpid()}.writing")
    save_file(tensors, partial)
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    partial.replace(path)


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
    if not path.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}")
    if path.stat().st_size > _MANIFEST_LIMIT:
        raise BundleError(f"{path} is larger than {_MANIFEST_LIMIT:,} bytes")
    try:
        data = path.read_bytes()
        manifest = Manifest.from_json(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} can't be read ({error})") from error
    except BundleError as error:
        raise BundleError(f"bundle {folder.name}: {error}") from error
    return manifest, hashlib.sha256(data).hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle. Raises BundleError naming the file and what was wanted."""
    manifest, digest = read_manifest(folder)
    try:
        _check_files(folder, manifest)
        return _read_checked(folder, manifest, digest)
    except (BundleError, BadInputError) as error:
        raise BundleError(f"bundle {folder.name}: {error}") from error


def _check_files(folder: Path, manifest: Manifest) -> None:
    records = [name for name in (PARQUET, CSV) if name in manifest.files]
    if len(records) != 1:
        raise BundleError(f"{MANIFEST} must name either {PARQUET} or {CSV}")
    for name in _REQUIRED:
        if name not in manifest.files:
            raise BundleError(f"{MANIFEST} names no {name}")
    for name, wanted in manifest.files.items():
        if name not in (*_REQUIRED, *_OPTIONAL, *records) and not _ORACLE_FILE.fullmatch(name):
            raise BundleError(f"{MANIFEST} names {name!r}, which is no part of a bundle")
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{name} is missing or not a plain file")
        if sha256(path) != wanted:
            raise BundleError(f"{name} is damaged: its SHA-256 is not the manifest's")


def _read_checked(folder: Path, manifest: Manifest, digest: str) -> Bundle:
    encoder = FrozenEncoder(manifest.encoder)
    _load_into(encoder, folder / ENCODER, _own_state(encoder))
    n_classes = len(manifest.classes)
    model = _build_model(manifest, encoder, n_classes)
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
    stored = read_tensors(folder / SCORES)
    scores = {name: _expect(stored, SCORES, name, (len(ids),)) for name in stored}
    thumbnails = None
    if THUMBNAILS in manifest.files:
        thumbnails = Thumbnails.read(folder, [record.id for record in records])
    return Bundle(
        manifest=manifest,
        encoder=encoder,
        model=model,
        bank=bank,
        records=records,
        test_keys=test_keys,
        scores=scores,
        thumbnails=thumbnails,
        metrics=_read_metrics(folder, manifest),
        card=(folder / CARD).read_text("utf-8") if CARD in manifest.files else "",
        digest=digest,
        folder=folder,
        projections=(
            read_projections(folder / PROJECTIONS, len(ids))
            if PROJECTIONS in manifest.files
            else {}
        ),
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


def _build_model(manifest: Manifest, encoder: FrozenEncoder, n_classes: int) -> ExemplarTransformer:
    if manifest.model.tokens == "features":
        n_tokens = encoder.n_tokens
    else:
        n_tokens = (int(manifest.dataset["image_size"]) // manifest.model.patch_size) ** 2
    return ExemplarTransformer(manifest.model, encoder.channels, n_tokens, n_classes)


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Tensors of a safetensors file whose names begin with `prefix`. Raises BundleError."""
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{path.name} is not a safetensors file ({error})") from error


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


def _read_metrics(folder: Path, manifest: Manifest) -> dict[str, Any] | None:
    if METRICS not in manifest.files:
        return None
    try:
        metrics: dict[str, Any] = json.loads((folder / METRICS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{METRICS} is not valid JSON ({error})") from error
    return metrics


# -- finding ---------------------------------------------------------------------------------


def bundle_folders() -> list[Path]:
    """Folders searched for bundles: $MUNKEY_BUNDLES (os.pathsep between several), ./pretrained,
    the source tree's own pretrained, the one inside the installed package."""
    named = [Path(p) for p in os.environ.get("MUNKEY_BUNDLES", "").split(os.pathsep) if p]
    package = Path(__file__).resolve().parent
    return [*named, Path("pretrained"), package.parent / "pretrained", package / "pretrained"]


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
        if Path(name, MANIFEST).is_file():
            return Path(name)
    for path in find_bundles():
        if path.name == name:
            return path
    names = ", ".join(path.name for path in find_bundles()) or "none found"
    raise BundleError(
        f"no bundle {name!r}: give the name of one of these ({names}) or the path of a folder "
        f"with a {MANIFEST}"
    )


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
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
