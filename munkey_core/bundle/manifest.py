"""What manifest.json says, and the names of a bundle's files."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from msgspec import Meta

from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS
from munkey_core.bundle.versions import MANIFEST
from munkey_core.config import EncoderConfig, EnsembleConfig, ModelConfig, TrainConfig, WriteConfig
from munkey_core.data.base import MAX_CLASSES, MIN_CLASSES, ImageDataset, classes_problem
from munkey_core.data.places import PictureSource
from munkey_core.errors import BadInputError, BundleError, DataError
from munkey_core.files.typed import Count, Name, checked
from munkey_core.files.untrusted import parse_json, read_limited, shown

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
JOINT_MODE: Final = "joint"
EXACT_MODE: Final = "exact"
EXACT_SCORES = ("memorisation", "truth_with", "truth_without")
_TABLES = ("dataset", "splits", "training", "provenance")
_ORACLE_FILE = re.compile(ORACLES + r"/[a-z0-9-]{1,64}\.safetensors")
_MANIFEST_LIMIT = 8_000_000  # bytes
_MOST_SKIPPED = 2000


class Dataset(TypedDict):
    """The images that a bundle was made of. name: short, of the source ("cifar10"). image_size:
    side in pixels. skipped: files of the source that were no images, with the reason,
    2,000 at most. skipped_in_all: how many there were, if more."""

    name: NotRequired[str]
    title: Name
    licence: Name
    attribution: NotRequired[str]
    differs: NotRequired[str]
    classes: Annotated[list[Name], Meta(min_length=MIN_CLASSES, max_length=MAX_CLASSES)]
    image_size: Annotated[int, Meta(ge=1, le=4096)]
    grey: bool
    dark_background: NotRequired[bool]
    skipped: NotRequired[list[list[str]]]
    skipped_in_all: NotRequired[Count]


class Splits(TypedDict):
    """config: of a `SplitConfig`. counts: images by part. owned_outside: of owners' images that
    have no key."""

    config: NotRequired[dict[str, int]]
    counts: dict[str, Count]
    owned_outside: NotRequired[dict[str, int] | None]


class Training(TypedDict):
    """A `TrainConfig`'s values, and the mode if that is the only one."""

    seed: int
    epochs: NotRequired[int]
    mode: NotRequired[Literal["joint", "exact"]]


class Provenance(TypedDict):
    """Where and with what something was made. seconds: wall time by stage."""

    device: str
    processor: NotRequired[str]
    seconds: dict[str, float]
    threads: NotRequired[int]
    versions: NotRequired[dict[str, str]]
    source_revision: NotRequired[str]
    created: NotRequired[str]


@dataclass(frozen=True)
class ExactTable:
    """How an exact mode was made. training: of θ, on public images. verified: by forget set, what
    was found when it was written without."""

    training: TrainConfig
    write: WriteConfig
    ensemble: EnsembleConfig
    calibration: dict[str, Any]
    provenance: Provenance
    verified: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    owners_simulated: whether owner names are made up. near_duplicate: key similarity from which two
    images count as near-duplicates. splits, training, calibration, provenance: how the bundle was
    made, for people and for `munkey train` to make it again. files: SHA-256 (hex) by file name.
    exact: an `ExactTable`'s values of a bundle that has an exact mode, else empty; one of which it
    is the only mode says so in `training["mode"]`. erasures: how often images were erased from it:
    so many receipts its ledger must hold.
    """

    name: str
    dataset: Dataset
    encoder: EncoderConfig
    model: ModelConfig
    ensemble: EnsembleConfig
    owners_simulated: bool
    near_duplicate: Annotated[float, Meta(gt=0, le=1)]
    splits: Splits
    training: Training
    calibration: dict[str, Any]
    provenance: Provenance
    files: dict[str, str] = field(default_factory=dict)
    exact: dict[str, Any] = field(default_factory=dict)
    erasures: int = 0

    @property
    def mode(self) -> str:
        """How the model and the memory were made: "joint" or "exact"."""
        return self.training.get("mode", JOINT_MODE)

    def train_config(self) -> TrainConfig:
        """The settings of θ's training. Raises BadInputError for others than these."""
        settings = {name: value for name, value in self.training.items() if name != "mode"}
        return checked(TrainConfig, settings, f"{MANIFEST}, training")

    def exact_table(self) -> ExactTable:
        """What `exact` says. Raises BadInputError for anything else, such as nothing."""
        return checked(ExactTable, self.exact, f"{MANIFEST}, exact")

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
            version = values.pop("format_version", None) if isinstance(values, dict) else None
            if version != FORMAT_VERSION:
                raise BadInputError(
                    f"{MANIFEST}: format_version must be {FORMAT_VERSION}, got {shown(version)}"
                )
            manifest = checked(Manifest, values, MANIFEST)
            if problem := classes_problem(manifest.dataset["classes"]):
                raise BadInputError(f"{MANIFEST}: dataset.classes {problem}")
            # The tables as they are, with what nobody reads: written again, it is the same text.
            manifest = replace(manifest, **{name: values[name] for name in _TABLES})
            manifest.train_config()
            if manifest.exact or manifest.mode == EXACT_MODE:
                manifest.exact_table()
        except BadInputError as error:
            raise BundleError(str(error)) from error
        return manifest


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


def dataset_table(data: ImageDataset, dark_background: bool) -> Dataset:
    """What a manifest says of the images that a bundle is made of."""
    skipped = [list(entry) for entry in data.skipped]
    table: Dataset = {
        "name": data.name,
        "title": data.title,
        "licence": data.licence,
        "attribution": data.attribution,
        "differs": data.differs,
        "classes": list(data.classes),
        "image_size": int(data.images.shape[1]),
        "grey": data.images.ndim == 3,
        "dark_background": dark_background,
        "skipped": skipped[:_MOST_SKIPPED],
    }
    if len(skipped) > _MOST_SKIPPED:
        table["skipped_in_all"] = len(skipped)
    return table


def check_dataset(data: ImageDataset, name: str) -> None:
    """Raises DataError, before anything is trained, for images of which no manifest could be
    written. name: of the bundle to be."""
    table = dataset_table(data, False)
    text = json.dumps({"name": name, "dataset": table}, indent=1).encode()
    try:
        checked(Dataset, parse_json(text, "a bundle of these images")["dataset"], data.title)
    except BadInputError as error:
        raise DataError(str(error)) from error
    if len(text) > _MANIFEST_LIMIT // 2:
        raise DataError(
            f"{data.title}: the names of its classes and of files that were skipped are longer "
            f"than a bundle can tell, {len(text):,} bytes of at most {_MANIFEST_LIMIT // 2:,}"
        )


def may_hold(name: str) -> bool:
    """Whether a bundle may have a file of this name: it leads to no other folder."""
    known = (*REQUIRED, *OPTIONAL, PARQUET, CSV)
    return name in known or _ORACLE_FILE.fullmatch(name) is not None


def picture_source(name: str, manifest: Manifest) -> PictureSource:
    """Which images a bundle was made of. name: what it is opened by."""
    dataset = manifest.dataset
    return PictureSource(
        name, dataset.get("name", ""), dataset["title"], dataset["image_size"], dataset["grey"]
    )
