"""Frozen, validated settings: what a recipe file may say, and what a bundle's manifest repeats.

A recipe is a TOML file whose tables are the fields of :class:`Recipe`. Every value is checked
when the object is made, so a setting that exists is a setting that works.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from munkey_core.errors import BadInputError

Aggregation = Literal["mean", "similarity", "rank", "single_pass"]
TokenKind = Literal["features", "patches"]
EncoderName = Literal["conv", "efficientnet_lite0", "resnet18", "vit_b_16"]


def _require(ok: bool, name: str, wanted: str, got: object) -> None:
    if not ok:
        raise BadInputError(f"{name} must be {wanted}, got {got!r}")


def _check_fraction(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(0.0 <= value < 1.0, name, "at least 0 and below 1", value)


def _check_at_most(settings: object, **limits: float) -> None:
    """Sizes come from files of unknown origin: far above any use they would exhaust the memory."""
    for name, limit in limits.items():
        value = getattr(settings, name)
        _require(value <= limit, name, f"at most {limit:,}", value)


def _check_seed(seed: int) -> None:
    _require(0 <= seed < 2**31, "seed", "between 0 and 2,147,483,647", seed)


def _check_positive(settings: object, *names: str) -> None:
    for name in names:
        _require(getattr(settings, name) > 0, name, "above 0", getattr(settings, name))


@dataclass(frozen=True)
class SplitConfig:
    """How many images go where (METHOD.md §2); drawn per class, by `seed`.

    public_encoder: images that train the frozen encoder; 0 for one that comes trained.
    public_anchor: labelled images for the public anchor steps; unseen by the encoder's training,
        so that their features look like those of any new image.
    calibration: public images that get a bank entry during training only; with `validation`
        they choose τ, s_0 and K. Their entries are removed before the bundle is written.
    validation: public images without an entry.
    private: the bank. test: held-out images (from the source's own test part if it has one).
    at_least: private, test and anchors get so many images of each class first, in this order, as
        far as they reach; the rest is in proportion. For small sets with small classes.
    """

    public_encoder: int = 20_000
    public_anchor: int = 8_000
    calibration: int = 1_000
    validation: int = 2_000
    private: int = 10_000
    test: int = 10_000
    seed: int = 0
    at_least: int = 0

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_positive(self, "calibration", "validation", "private", "test")
        for name in ("public_encoder", "public_anchor", "at_least"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))

    @property
    def train_total(self) -> int:
        """Images taken from the source's training part."""
        return (
            self.public_encoder
            + self.public_anchor
            + self.calibration
            + self.validation
            + self.private
        )


@dataclass(frozen=True)
class EncoderConfig:
    """The frozen image encoder: `conv` is trained on public_encoder, the others come pretrained.

    width: channels of the first stage of `conv` (doubled at each stage).
    grid: the feature map is pooled to grid × grid tokens.
    feature_dim: the feature tokens' channels are reduced to so many principal components of the
        public anchors' features (0: kept as they are; useful for the wide pretrained encoders).
    key_dim: likewise for the keys, with the components of the pooled features.
    image_size: images are resized to so many pixels before they are encoded.
    """

    name: EncoderName = "conv"
    width: int = 32
    grid: int = 4
    feature_dim: int = 0
    key_dim: int = 0
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 5e-2
    image_size: int = 28
    seed: int = 0

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_positive(self, "width", "grid", "epochs", "batch_size", "learning_rate")
        _check_at_most(self, width=1024, grid=64, feature_dim=4096, key_dim=4096)
        for name in ("feature_dim", "key_dim"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        _require(self.weight_decay >= 0, "weight_decay", "0 or more", self.weight_decay)
        _require(8 <= self.image_size <= 512, "image_size", "between 8 and 512", self.image_size)


@dataclass(frozen=True)
class ModelConfig:
    """The exemplar transformer f_θ. dim = 128 is the paper's token dimension."""

    tokens: TokenKind = "features"
    dim: int = 128
    layers: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0
    dropout: float = 0.2
    token_dropout: float = 0.3
    patch_size: int = 4

    def __post_init__(self) -> None:
        _check_positive(self, "dim", "layers", "heads", "mlp_ratio", "patch_size")
        _check_at_most(self, dim=4096, layers=64, heads=64, mlp_ratio=16, patch_size=512)
        _require(self.dim % self.heads == 0, "dim", f"divisible by heads={self.heads}", self.dim)
        _check_fraction(self, "dropout", "token_dropout")


@dataclass(frozen=True)
class TrainConfig:
    """Joint training of θ and all exemplar tokens (METHOD.md §2).

    p_img, p_mem: probability that the image, the memory pathway is replaced by its null token.
        p_mem = 1 trains the plain transformer: the same network with the memory always empty.
    neighbour_rate: probability r that a sample's slot holds a neighbour's token, not its own.
    anchor_batch, anchor_weight: the public anchor steps (ours): so many public labelled images
        with an empty memory slot beside each private batch, and the weight of their loss.
    anchor_neighbour_rate: probability that an anchor's slot is not empty but holds the token of one
        of its nearest entries (ours): the memory learns on public images to answer for images
        that it does not hold.
    """

    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 1e-3
    token_learning_rate: float = 1e-2
    weight_decay: float = 5e-2
    p_img: float = 0.3
    p_mem: float = 0.0
    neighbour_rate: float = 0.0
    anchor_batch: int = 64
    anchor_weight: float = 0.5
    anchor_neighbour_rate: float = 0.0
    warmup: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_positive(self, "epochs", "batch_size", "learning_rate", "token_learning_rate")
        _check_fraction(self, "p_img", "neighbour_rate", "anchor_neighbour_rate", "warmup")
        _require(0.0 <= self.p_mem <= 1.0, "p_mem", "between 0 and 1", self.p_mem)
        for name in ("weight_decay", "anchor_batch", "anchor_weight"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))


@dataclass(frozen=True)
class WriteConfig:
    """How an image is written into the bank of an exact mode, with θ frozen (ours).

    steps: of Adam on the image's token alone; learning_rate: of the first, falling to 0.
    p_img: share of the steps, evenly spread, that go without the image.
    """

    steps: int = 10
    learning_rate: float = 0.1
    p_img: float = 0.3

    def __post_init__(self) -> None:
        _check_positive(self, "steps", "learning_rate")
        _check_at_most(self, steps=10_000)
        _check_fraction(self, "p_img")


@dataclass(frozen=True)
class EnsembleConfig:
    """How the K retrieved exemplars become one prediction (METHOD.md §2).

    aggregation: `mean` averages the K passes (the paper's ensemble); `similarity` weighs them by
        softmax(s_k / tau) (ours); `rank` by 1 / rank; `single_pass` makes one pass with the
        softmax-weighted token.
    tau: temperature on cosine similarities. anchor: s_0, the similarity of the null anchor (ours),
        or None for no anchor.
    """

    k: int = 4
    aggregation: Aggregation = "similarity"
    tau: float = 0.05
    anchor: float | None = None

    def __post_init__(self) -> None:
        _require(1 <= self.k <= 64, "k", "between 1 and 64", self.k)
        _require(1e-4 <= self.tau <= 1e6, "tau", "between 0.0001 and 1,000,000", self.tau)
        known = get_args(Aggregation)
        wanted = "one of " + ", ".join(known)
        _require(self.aggregation in known, "aggregation", wanted, self.aggregation)
        if self.anchor is not None:
            _require(-1 <= self.anchor <= 1, "anchor", "a cosine in [-1, 1]", self.anchor)


@dataclass(frozen=True)
class OwnersConfig:
    """Simulated owners for data that names none: counts follow a Zipf law, so most own little."""

    count: int = 400
    exponent: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_positive(self, "count", "exponent")


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a bundle, apart from the data itself and the device."""

    name: str = "bundle"
    split: SplitConfig = field(default_factory=SplitConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    write: WriteConfig = field(default_factory=WriteConfig)
    owners: OwnersConfig = field(default_factory=OwnersConfig)

    def __post_init__(self) -> None:
        trained_here = self.encoder.name == "conv"
        ok = self.split.public_encoder > 0 if trained_here else self.split.public_encoder == 0
        wanted = "above 0 for encoder conv and 0 for one that comes trained"
        _require(ok, "public_encoder", wanted, self.split.public_encoder)

    def to_toml(self) -> str:
        """The text of a recipe file; `training.recipes.load_recipe` gives an equal recipe back."""
        lines = [f"name = {json.dumps(self.name)}"]
        for table, values in asdict(self).items():
            if isinstance(values, dict):
                lines += ["", f"[{table}]"]
                # JSON writes strings, numbers and booleans as TOML does.
                lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        return "\n".join(lines) + "\n"
