"""Reading a bundle, as `bundle` promises: what is wrong with it is one BundleError."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from munkey_core.bundle.bundle import Bundle, ExactMode, FittedMap
from munkey_core.bundle.experiments import Experiments, read_experiments
from munkey_core.bundle.manifest import (
    BANK,
    CARD,
    ENCODER,
    EXACT,
    EXACT_MODE,
    EXACT_SCORES,
    EXPERIMENTS,
    METRICS,
    MODEL,
    PROJECTIONS,
    QUERIES,
    REQUIRED,
    SCORES,
    SPACES,
    Manifest,
    may_hold,
    picture_source,
    read_manifest,
)
from munkey_core.bundle.metrics import parse_metrics
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS, read_records
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.versions import MANIFEST, manifest_digest
from munkey_core.data.pictures import SourcePictures
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.durable import sha256
from munkey_core.files.limits import at_most, limits
from munkey_core.files.tensors import read_tensors
from munkey_core.files.untrusted import is_name, is_plain, read_limited, shown
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import FrozenEncoder, own_state
from munkey_core.model.tokens import round_tokens, unpack_tokens
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.results import PRIVATE, TEST

_TEXT_LIMIT = 64_000_000
_MAX_IMAGE_TOKENS = 65_536
_MAX_SCORES = 64
_UNIT_TOLERANCE = 1e-3
_ATTEMPTS = 5


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
    for name in REQUIRED:
        if name not in manifest.files:
            raise BundleError(f"{MANIFEST} names no {name}")
    for name, wanted in manifest.files.items():
        if name not in records and not may_hold(name):
            raise BundleError(f"{MANIFEST} names {shown(name)}, which is no part of a bundle")
        _check_file(folder, name, wanted)


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
    _load_into(encoder, folder / ENCODER, own_state(encoder))
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
        for name in EXACT_SCORES
    }
    known = {"codes", "scales", "digests", *(f"model.{name}" for name in state)}
    unknown = sorted(stored.keys() - known - {f"scores.{name}" for name in scores})
    if unknown:
        raise BundleError(f"{EXACT} holds {unknown[0]!r}, which is no part of an exact mode")
    return ExactMode(model, tokens, manifest.exact_table().ensemble, scores)


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
        n_tokens = (manifest.dataset["image_size"] // config.patch_size) ** 2
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
    """Give a module these weights; from then on it only answers."""
    stored = read_tensors(path)
    for name in stored:
        if name not in wanted:
            raise BundleError(f"{path.name} holds {name!r}, which this network has not")
    checked = {
        name: _expect(stored, path.name, name, tuple(value.shape), value.dtype)
        for name, value in wanted.items()
    }
    module.load_state_dict(checked, strict=False)
    module.eval().requires_grad_(False)


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
        return parse_metrics(read_limited(folder / METRICS, _TEXT_LIMIT, METRICS), METRICS)
    except OSError as error:
        raise BundleError(f"{METRICS} can't be read ({error})") from error
    except BadInputError as error:
        raise BundleError(str(error)) from error


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
