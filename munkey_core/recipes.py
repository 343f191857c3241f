"""Recipes that nobody has to write: for a person's own images, by how many there are."""

from __future__ import annotations

import math
from dataclasses import replace

from munkey_core.config import EncoderConfig, Recipe, TrainConfig
from munkey_core.data.base import ImageDataset
from munkey_core.data.splits import default_split

# Fewer steps than this and the encoder's batch statistics, or the tokens, have hardly moved.
_ENCODER_STEPS = 300
_TRAINING_STEPS = 600
_MAX_EPOCHS = 100
# Two halvings must leave a feature map of at least grid × grid cells.
_MIN_SIDE = 16


def default_recipe(dataset: ImageDataset, name: str) -> Recipe:
    """Settings that suit the data's size: small sets get small batches and more epochs.

    Raises BadInputError for data too small to split.
    """
    split = default_split(dataset)
    side = max(_MIN_SIDE, dataset.images.shape[1])
    encoder = EncoderConfig(image_size=side, width=24)
    train = TrainConfig()
    encoder_batch = _batch(split.public_encoder, encoder.batch_size)
    private_batch = _batch(split.private, train.batch_size)
    return Recipe(
        name=name,
        split=split,
        encoder=replace(
            encoder,
            batch_size=encoder_batch,
            epochs=_epochs(split.public_encoder, encoder_batch, encoder.epochs, _ENCODER_STEPS),
        ),
        train=replace(
            train,
            batch_size=private_batch,
            anchor_batch=max(1, private_batch // 2),
            epochs=_epochs(split.private, private_batch, train.epochs, _TRAINING_STEPS),
        ),
    )


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed for the joint training; splits and encoder stay."""
    return replace(recipe, train=replace(recipe.train, seed=seed))


def _batch(images: int, usual: int) -> int:
    return min(usual, max(16, images // 8))


def _epochs(images: int, batch: int, usual: int, steps: int) -> int:
    return min(_MAX_EPOCHS, max(usual, math.ceil(steps / max(1, images // batch))))
