"""The torchvision encoders, with random weights: the published ones can't be downloaded in CI."""

import numpy as np
import pytest
import torch

from munkey_core.config import EncoderConfig
from munkey_core.errors import DataError
from munkey_core.model import backbones as backbones_module
from munkey_core.model.encoder import FrozenEncoder


@pytest.fixture(autouse=True)
def random_weights(monkeypatch):
    monkeypatch.setattr(
        backbones_module, "_with_published_weights", lambda make, weights: make(weights=None)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "key_dim"), [("resnet18", 512), ("vit_b_16", 768)])
def test_keys_and_tokens_have_the_shapes_that_the_settings_ask_for(name, key_dim):
    torch.manual_seed(0)
    encoder = FrozenEncoder(EncoderConfig(name=name, grid=2, feature_dim=6, image_size=64))
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    encoder.fit_statistics(images)
    encoded = encoder.encode(images)
    assert encoded.keys.shape == (5, key_dim)
    torch.testing.assert_close(encoded.keys.norm(dim=1), torch.ones(5))
    assert encoded.features.shape == (5, 4, 6)
    # Centred on these very images, each projected channel averages to 0 over all their cells.
    torch.testing.assert_close(encoded.features.mean(dim=(0, 1)), torch.zeros(6), atol=2e-3, rtol=0)


def test_missing_published_weights_are_explained(monkeypatch):
    monkeypatch.undo()

    def offline(weights):
        raise OSError("no route to host")

    with pytest.raises(DataError, match=r"could not be downloaded.*'conv'"):
        backbones_module._with_published_weights(offline, "SomeWeights.V1")


def test_efficientnet_lite_has_the_shapes_of_its_paper_and_its_shipped_weights():
    backbone = backbones_module.EfficientNetLite0Backbone()
    with torch.inference_mode():
        mapped = backbone(torch.rand(2, 3, 64, 96))
    assert mapped.shape == (2, 320, 2, 3)
    assert sum(weights.numel() for weights in backbone.parameters()) == 2_939_120


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_same_padding_centres_each_window_as_tensorflow_does(kernel, stride, size):
    """Slow loop: output cell i looks at kernel cells from i·stride − border // 2 on."""
    torch.manual_seed(0)
    conv = backbones_module._SameConv(1, 1, kernel, stride)
    line = torch.randn(size)
    cells = -(-size // stride)
    border = max(0, (cells - 1) * stride + kernel - size)
    weights, bias = conv.conv.weight[0, 0].sum(dim=0), conv.conv.bias[0]
    wanted = []
    for i in range(cells):
        first = i * stride - border // 2
        inside = [(j, first + j) for j in range(kernel) if 0 <= first + j < size]
        wanted.append(sum(weights[j] * line[at] for j, at in inside) + bias)
    # Rows of the picture repeat the line often enough that the middle one knows no border above.
    got = conv(line.expand(1, 1, 4 * kernel + size % 2, -1))
    torch.testing.assert_close(got[0, 0, got.shape[2] // 2], torch.stack(wanted))


def test_missing_shipped_weights_name_the_file_that_was_wanted():
    with pytest.raises(DataError, match=r"weights of encoder nothing are missing.*safetensors"):
        backbones_module._shipped_weights("nothing")


def test_projected_keys_keep_the_cosines_of_the_whole_ones():
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    whole, projected = (
        FrozenEncoder(EncoderConfig(name="efficientnet_lite0", image_size=64, key_dim=dim))
        for dim in (0, 39)
    )
    for encoder in (whole, projected):
        encoder.fit_statistics(images)
    keys, few = whole.encode(images).keys, projected.encode(images).keys
    assert few.shape == (40, 39)
    # 40 centred images span 39 dimensions: nothing is lost.
    torch.testing.assert_close(few @ few.T, keys @ keys.T, atol=1e-4, rtol=0)


def test_a_feature_map_holds_values_of_half_precision_and_passes_gradients():
    backbone = backbones_module.EfficientNetLite0Backbone()
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    mapped = backbone(images)
    assert torch.equal(mapped, mapped.half().float())
    mapped.sum().backward()
    assert images.grad.abs().max() > 0
