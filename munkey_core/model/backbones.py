"""The networks behind the frozen encoder: image → feature map.

`conv` is small and trained here on the public split. The others come with published ImageNet
weights: `efficientnet_lite0` with weights that this project ships, so that it works offline;
torchvision's `resnet18` and `vit_b_16` (the paper's encoder) with a download.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from munkey_core.config import EncoderConfig
from munkey_core.errors import DataError

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class ConvBackbone(nn.Sequential):
    """Small residual network: (B, 3, H, W) in [0, 1] → (B, 4·width, H/4, W/4)."""

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for out, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
            layers += [
                nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            if stride > 1:
                layers.append(ResidualBlock(out))
            channels = out
        super().__init__(*layers)
        self.channels = channels


class _SameConv(nn.Module):
    """A convolution with bias whose output has ceil(size / stride) cells: TensorFlow's `SAME`
    padding, which the published weights were trained with. Where the border is odd, the larger
    half lies right and below."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv2d(channels, out, kernel, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (self._border(size) for size in x.shape[-2:])
        padded = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        out: Tensor = self.conv(padded)
        return out

    def _border(self, size: int) -> int:
        cells = -(-size // self.stride)
        return max(0, (cells - 1) * self.stride + self.kernel - size)


class _InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape stays."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = channels * expand
        self.expand = _SameConv(channels, inner, 1, 1) if expand > 1 else None
        self.filter = _SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = _SameConv(inner, out, 1, 1)
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x))
        out: Tensor = self.project(F.relu6(self.filter(inner)))
        return x + out if self.shortcut else out


# EfficientNet-Lite0 (Tan and Le, arXiv:1905.11946; the Lite variants by their authors):
# blocks, kernel, stride of the first, expansion, channels.
_LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0Backbone(nn.Module):
    """EfficientNet-Lite0 up to its last bottleneck: (B, 3, H, W) in [0, 1] → 320 channels at a
    32nd of the size, each a value of half precision. Its batch norms are folded into the
    convolutions.

    Raises DataError if the weights that belong to this program are missing or damaged.
    """

    channels = 320

    def __init__(self) -> None:
        super().__init__()
        self.stem = _SameConv(3, 32, 3, 2)
        blocks: list[nn.Module] = []
        channels = 32
        for repeats, kernel, stride, expand, out in _LITE0:
            for i in range(repeats):
                blocks.append(
                    _InvertedBottleneck(channels, out, kernel, stride if i == 0 else 1, expand)
                )
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.load_state_dict(_shipped_weights("efficientnet_lite0"))
        # Channels last in memory: nearly twice as fast on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        # The published weights expect (value - 127) / 128 for values 0 to 255.
        scaled = ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        mapped: Tensor = self.blocks(F.relu6(self.stem(scaled)))
        # Rounded to half precision: what another batch or machine computes in the last bits of a
        # float is then almost always the same value. The slope is that of the unrounded map.
        return mapped + (mapped.half().float() - mapped).detach()


def _shipped_weights(name: str) -> dict[str, Tensor]:
    """Weights in pretrained/encoders, stored in half precision, as float32."""
    package = Path(__file__).resolve().parents[1]
    folders = (package.parent / "pretrained" / "encoders", package / "pretrained" / "encoders")
    path = next((f for folder in folders if (f := folder / f"{name}.safetensors").is_file()), None)
    if path is None:
        raise DataError(
            f"the weights of encoder {name} are missing: wanted {name}.safetensors in {folders[-1]}"
        )
    try:
        return {key: value.float() for key, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} is not readable ({error}); install the program anew") from error


class _TorchvisionBackbone(nn.Module):
    """Shared part of the pretrained backbones: ImageNet normalisation of the input."""

    channels: int

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        normalised = (images - self.get_buffer("mean")) / self.get_buffer("std")
        return self.feature_map(normalised)

    def feature_map(self, images: Tensor) -> Tensor:
        raise NotImplementedError


class ResNet18Backbone(_TorchvisionBackbone):
    """torchvision's ResNet-18 up to its last feature map, 512 channels."""

    channels = 512

    def __init__(self) -> None:
        from torchvision.models import ResNet18_Weights, resnet18

        super().__init__()
        network = _with_published_weights(resnet18, ResNet18_Weights.IMAGENET1K_V1)
        self.body = nn.Sequential(*list(network.children())[:-2])

    def feature_map(self, images: Tensor) -> Tensor:
        mapped: Tensor = self.body(images)
        return mapped


class ViTB16Backbone(_TorchvisionBackbone):
    """torchvision's ViT-B/16 (the paper's encoder): its patch tokens as a 14 × 14 map."""

    channels = 768

    def __init__(self) -> None:
        from torchvision.models import ViT_B_16_Weights, vit_b_16

        super().__init__()
        self.network: Any = _with_published_weights(vit_b_16, ViT_B_16_Weights.IMAGENET1K_V1)

    def feature_map(self, images: Tensor) -> Tensor:
        resized = F.interpolate(images, size=(224, 224), mode="bilinear", antialias=True)
        patches = self.network._process_input(resized)
        cls = self.network.class_token.expand(patches.shape[0], -1, -1)
        tokens = self.network.encoder(torch.cat([cls, patches], dim=1))[:, 1:]
        side = int(tokens.shape[1] ** 0.5)
        mapped: Tensor = tokens.transpose(1, 2).unflatten(2, (side, side))
        return mapped


def _with_published_weights(make: object, weights: object) -> nn.Module:
    try:
        network: nn.Module = make(weights=weights)  # type: ignore[operator]
    except OSError as error:
        raise DataError(
            f"the published weights {weights} could not be downloaded ({error}); "
            "connect to the internet once, or use the encoder 'efficientnet_lite0' or 'conv'"
        ) from error
    return network


_PUBLISHED: dict[str, type[nn.Module]] = {
    "efficientnet_lite0": EfficientNetLite0Backbone,
    "resnet18": ResNet18Backbone,
    "vit_b_16": ViTB16Backbone,
}


def make_backbone(config: EncoderConfig) -> nn.Module:
    """The network of an encoder: (B, 3, H, W) float32 in [0, 1] → (B, channels, h, w), with its
    `channels` as an attribute. Raises DataError if published weights can't be had."""
    return ConvBackbone(config.width) if config.name == "conv" else _PUBLISHED[config.name]()
