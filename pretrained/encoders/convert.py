"""Published EfficientNet-Lite0 weights (a .pth file) → efficientnet_lite0.safetensors here."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

_EPSILON = 1e-3  # of the published batch norms
_BLOCKS = 16
# Our convolutions in a block ← the published convolution and the batch norm after it.
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "filter": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def main(path: str) -> None:
    published = torch.load(path, map_location="cpu", weights_only=True)
    folded = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        scale = published[f"{norm}.weight"] / (published[f"{norm}.running_var"] + _EPSILON).sqrt()
        weight = published[f"{convolution}.weight"] * scale[:, None, None, None]
        bias = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale
        folded[f"{name}.conv.weight"] = weight.half().contiguous()
        folded[f"{name}.conv.bias"] = bias.half().contiguous()

    fold("stem", "_conv_stem", "_bn0")
    for block in range(_BLOCKS):
        for part, (convolution, norm) in _PARTS.items():
            if f"_blocks.{block}.{convolution}.weight" in published:  # the first expands nothing
                prefix = f"_blocks.{block}."
                fold(f"blocks.{block}.{part}", prefix + convolution, prefix + norm)
    save_file(folded, Path(__file__).with_name("efficientnet_lite0.safetensors"))


if __name__ == "__main__":
    main(sys.argv[1])
