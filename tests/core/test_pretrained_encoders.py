"""The torchvision encoders, with random weights: the published ones can't be downloaded in CI."""

import numpy as np
import pytest
import torch

from munkey_core import encoder as encoder_module
from munkey_core.config import EncoderConfig
from munkey_core.encoder import FrozenEncoder
from munkey_core.errors import DataError


@pytest.fixture(autouse=True)
def random_weights(monkeypatch):
    monkeypatch.setattr(
        encoder_module, "_with_published_weights", lambda make, weights: make(weights=None)
    )


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
        encoder_module._with_published_weights(offline, "SomeWeights.V1")
