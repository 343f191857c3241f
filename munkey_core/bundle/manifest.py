"""What manifest.json says, and the names of a bundle's files."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS
from munkey_core.bundle.versions import MANIFEST as MANIFEST
from munkey_core.config import (
    EncoderConfig,
    EnsembleConfig,
    ModelConfig,
    TrainConfig,
    WriteConfig,
    from_dict,
)
from munkey_core.data.places import PictureSource
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.untrusted import is_name, parse_json, read_limited, shown

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


REQUIRED = (MODEL, ENCODER, BANK, QUERIES, SCORES)


OPTIONAL = (
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


EXACT_SCORES = ("memorisation", "truth_with", "truth_without")


_EXACT_TABLE = ("training", "write", "ensemble", "calibration", "provenance")


_ORACLE_FILE = re.compile(ORACLES + r"/[a-z0-9-]{1,64}\.safetensors")


_MANIFEST_LIMIT = 8_000_000  # bytes


_MAX_CLASSES = 10_000


_MAX_SIDE = 4096  # pixels of a bundle's images


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


def with_files(manifest: Manifest, files: dict[str, str]) -> Manifest:
    """The manifest with other files' checksums."""
    values = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    return Manifest(**{**values, "files": files})


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


def may_hold(name: str) -> bool:
    """Whether a bundle may have a file of this name: it leads to no other folder."""
    known = (*REQUIRED, *OPTIONAL, PARQUET, CSV)
    return name in known or _ORACLE_FILE.fullmatch(name) is not None


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
