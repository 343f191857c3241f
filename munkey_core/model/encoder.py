"""The frozen image encoder E: image → key and feature tokens (METHOD.md §2).

E never sees an image of the bank while it is made, so a key depends on its one image only.
Its network is one of backbones.py.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munkey_core.config import EncoderConfig, TokenKind
from munkey_core.errors import BadInputError
from munkey_core.model.backbones import make_backbone
from munkey_core.progress import Pace, Steps
from munkey_core.results import ImageArray


def own_state(encoder: FrozenEncoder) -> dict[str, Tensor]:
    """The state a bundle carries: a published backbone is named, not copied."""
    state = encoder.state_dict()
    if encoder.config.name == "conv":
        return dict(state)
    return {name: value for name, value in state.items() if not name.startswith("backbone.")}


# Reflected border, in pixels, from which the random crops of the encoder's training are taken.
_CROP_MARGIN = 2


@dataclass(frozen=True)
class Encoded:
    """Encoded images. keys: (B, d) float32 unit length. features: (B, P, c) float32, or pixels
    (B, 3, H, W) for a model that makes its tokens from patches."""

    keys: Tensor
    features: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Encoded:
        return Encoded(self.keys[rows], self.features[rows])

    def __len__(self) -> int:
        return self.keys.shape[0]


def encode_inputs(encoder: FrozenEncoder, images: ImageArray, tokens: TokenKind) -> Encoded:
    """Keys, and what the image pathway reads, of uint8 images (n, H, W[, 3]): the encoder's
    features, or for `patches` the pixels themselves."""
    encoded = encoder.encode(images)
    return encoded if tokens == "features" else Encoded(encoded.keys, to_float(images))


def concatenate(first: Encoded, second: Encoded) -> Encoded:
    """The images of both, in order."""
    return Encoded(
        torch.cat([first.keys, second.keys]), torch.cat([first.features, second.features])
    )


class FrozenEncoder(nn.Module):
    """image → (key, feature tokens), with the public split's statistics as buffers.

    key = normalise(pool(E(x)) − μ), μ the mean over the public split: without centring every
    cosine is close to 1. A feature token is one cell of the feature map pooled to grid × grid,
    each channel standardised over the public split. Either is optionally projected on principal
    components of the public split: cosines and tokens stay almost the same in fewer numbers.
    Raises BadInputError for more components than the backbone has channels.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config)
        raw = int(self.backbone.channels)  # type: ignore[arg-type]
        for name in ("feature_dim", "key_dim"):
            if getattr(config, name) > raw:
                raise BadInputError(
                    f"{name} must be at most the {raw} channels of encoder {config.name}, "
                    f"got {getattr(config, name)}"
                )
        self.channels = config.feature_dim or raw
        self.key_dim = config.key_dim or raw
        self.register_buffer("key_mean", torch.zeros(raw))
        self.register_buffer("feature_mean", torch.zeros(raw))
        self.register_buffer("feature_scale", torch.ones(raw))
        self.register_buffer("projection", torch.zeros(raw, config.feature_dim))
        if config.key_dim:
            self.register_buffer("key_projection", torch.zeros(raw, config.key_dim))

    @property
    def n_tokens(self) -> int:
        """Feature tokens P of an image."""
        return self.config.grid**2

    def feature_map(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [0, 1] → (B, channels, h, w), resized to image_size first."""
        size = (self.config.image_size, self.config.image_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        mapped: Tensor = self.backbone(images)
        return mapped

    def forward(self, images: Tensor) -> Encoded:
        """images: (B, 3, H, W) float32 in [0, 1]. Differentiable, for pixel attributions."""
        return self.read_map(self.feature_map(images))

    def read_map(self, mapped: Tensor) -> Encoded:
        """Keys and features of images by their feature map (B, channels, h, w)."""
        centred = mapped.mean(dim=(2, 3)) - self.get_buffer("key_mean")
        if self.config.key_dim:
            centred = centred @ self.get_buffer("key_projection")
        cells = F.adaptive_avg_pool2d(mapped, self.config.grid).flatten(2).transpose(1, 2)
        features = (cells - self.get_buffer("feature_mean")) / self.get_buffer("feature_scale")
        if self.config.feature_dim:
            features = features @ self.get_buffer("projection")
        return Encoded(F.normalize(centred, dim=1), features)

    @torch.no_grad()
    def encode(self, images: ImageArray, batch_size: int = 256) -> Encoded:
        """Encode uint8 images (n, H, W, 3) or grey (n, H, W), in batches, on this module's device.

        The result lies on the CPU.
        """
        if not len(images):
            return Encoded(
                torch.empty(0, self.key_dim), torch.empty(0, self.n_tokens, self.channels)
            )
        self.eval()
        device = self.get_buffer("key_mean").device
        with _full_precision():
            parts = [
                self(to_float(images[i : i + batch_size]).to(device))
                for i in range(0, len(images), batch_size)
            ]
        return Encoded(
            torch.cat([p.keys for p in parts]).cpu(), torch.cat([p.features for p in parts]).cpu()
        )

    @torch.no_grad()
    def fit_statistics(self, public_images: ImageArray, batch_size: int = 256) -> None:
        """Set μ, the channels' mean and scale, and the projection from public images only."""
        self.eval()
        device = self.get_buffer("key_mean").device
        pooled, cells = [], []
        with _full_precision():
            for i in range(0, len(public_images), batch_size):
                mapped = self.feature_map(to_float(public_images[i : i + batch_size]).to(device))
                pooled.append(mapped.mean(dim=(2, 3)))
                cells.append(F.adaptive_avg_pool2d(mapped, self.config.grid).flatten(2))
        flat = torch.cat(cells).transpose(1, 2).flatten(0, 1)
        whole = torch.cat(pooled)
        self.get_buffer("key_mean").copy_(whole.mean(dim=0))
        self.get_buffer("feature_mean").copy_(flat.mean(dim=0))
        # A channel that never fires would divide by zero; its centred value is 0 anyway.
        self.get_buffer("feature_scale").copy_(flat.std(dim=0).clamp_min(1e-6))
        if self.config.feature_dim:
            scaled = (flat - flat.mean(dim=0)) / flat.std(dim=0).clamp_min(1e-6)
            components = _principal_components(scaled, self.config.feature_dim)
            self.get_buffer("projection").copy_(components)
        if self.config.key_dim:
            components = _principal_components(whole - whole.mean(dim=0), self.config.key_dim)
            self.get_buffer("key_projection").copy_(components)


def _principal_components(centred: Tensor, count: int) -> Tensor:
    """(n, c) rows of mean 0 → (c, count) orthonormal columns, the largest variance first."""
    _, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    components: Tensor = vectors.flip(1)[:, :count]
    return components


def _full_precision() -> AbstractContextManager[None]:
    """Convolutions in float32 on a GPU too. By default they use TF32 there: keys made on a GPU
    would differ in the third digit from those of the same images on the CPU that serves them."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


def to_float(images: ImageArray) -> Tensor:
    """uint8 (n, H, W, 3) or grey (n, H, W) → float32 (n, 3, H, W) in [0, 1]."""
    tensor = torch.from_numpy(images.copy() if not images.flags.writeable else images)
    if tensor.ndim == 3:
        tensor = tensor[..., None].expand(-1, -1, -1, 3)
    return tensor.permute(0, 3, 1, 2).float() / 255


def augment(images: Tensor, generator: torch.Generator, margin: int = _CROP_MARGIN) -> Tensor:
    """Random shift by up to `margin` pixels and random left-right flip, one draw an image.

    images: (B, 3, H, W). The generator lies on the CPU, so that a seed means the same everywhere.
    """
    b, _, height, width = images.shape
    padded = F.pad(images, (margin,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * margin + 1, (2, b), generator=generator)
    flip = torch.rand(b, generator=generator) < 0.5
    columns = torch.arange(width).expand(b, -1)
    columns = torch.where(flip[:, None], width - 1 - columns, columns) + left[:, None]
    rows = torch.arange(height) + top[:, None]
    picture = torch.arange(b)[:, None, None]
    cropped = padded.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


class EncoderTraining:
    """Trains the `conv` backbone as a classifier of the public split.

    `run` yields progress after each epoch; `encoder` holds the result, whose linear head is
    thrown away. images: uint8 (n, H, W[, 3]); labels: (n,) int64.
    """

    def __init__(
        self,
        config: EncoderConfig,
        images: ImageArray,
        labels: Tensor,
        n_classes: int,
        device: torch.device,
    ) -> None:
        self.config = config
        self.device = device
        torch.manual_seed(config.seed)
        self.encoder = FrozenEncoder(config).to(device)
        self.head = nn.Linear(self.encoder.key_dim, n_classes).to(device)
        self._images = to_float(images).contiguous()
        self._labels = labels

    def run(self) -> Steps[None]:
        config, n = self.config, len(self._labels)
        steps_per_epoch = max(1, n // config.batch_size)
        parameters = [*self.encoder.backbone.parameters(), *self.head.parameters()]
        optimiser = torch.optim.AdamW(
            parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, config.learning_rate, total_steps=config.epochs * steps_per_epoch + 1
        )
        pace = Pace("encoder", config.epochs)
        for epoch in range(config.epochs):
            self.encoder.train()
            generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
            order = torch.randperm(n, generator=generator)
            total = 0.0
            for step in range(steps_per_epoch):
                rows = order[step * config.batch_size : (step + 1) * config.batch_size]
                images = augment(self._images[rows], generator).to(self.device)
                total += self._step(images, self._labels[rows].to(self.device), optimiser)
                schedule.step()
            yield pace.at(epoch + 1, loss=total / steps_per_epoch)
        self.encoder.eval()

    def _step(self, images: Tensor, labels: Tensor, optimiser: torch.optim.Optimizer) -> float:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            pooled = self.encoder.feature_map(images).mean(dim=(2, 3))
            loss = F.cross_entropy(self.head(pooled), labels, label_smoothing=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return float(loss.detach())
