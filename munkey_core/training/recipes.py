"""Recipes: read from files, and made for a person's own images by their kind and number."""

import math
from dataclasses import replace
from pathlib import Path

from munkey_core.config import EncoderConfig, OwnersConfig, Recipe, SplitConfig, TrainConfig
from munkey_core.data.base import ImageDataset
from munkey_core.data.splits import default_split
from munkey_core.files.typed import checked
from munkey_core.files.untrusted import read_toml

# Fewer steps than this and the encoder's batch statistics, or the tokens, have hardly moved.
_ENCODER_STEPS = 300
_TRAINING_STEPS = 600
_PRETRAINED_STEPS = 400  # features that tell classes apart from the start
_MAX_EPOCHS = 100
# Two halvings must leave a feature map of at least grid × grid cells.
_MIN_SIDE = 16
# Small grey images (digits, clothes, cells) are no photographs: see `is_photographic`.
_SMALL_GREY = 32
_PHOTO_SIDE = 128
_COMPONENTS = 128
_SAMPLES_A_COMPONENT = 8  # with fewer, a covariance's smaller components are chance
_IMAGES_AN_OWNER = 25
_MOST_OWNERS = 400


def load_recipe(path: Path) -> Recipe:
    """Read a recipe TOML file. Raises BadInputError naming the file and what is wrong in it."""
    return checked(Recipe, read_toml(path, f"recipe {path}"), f"recipe {path.name}")


def default_recipe(dataset: ImageDataset, name: str) -> Recipe:
    """Settings that suit the data's kind and size: photographs get the pretrained encoder, which
    takes no public images for itself; small sets get small batches and more epochs.

    Raises BadInputError for data too small to split.
    """
    photographic = is_photographic(dataset)
    split = default_split(dataset, pretrained=photographic)
    train = TrainConfig()
    batch = _batch(split.private, train.batch_size)
    return Recipe(
        name=name,
        split=split,
        encoder=_pretrained(split) if photographic else _trained_here(dataset, split),
        train=replace(
            train,
            batch_size=batch,
            anchor_batch=max(1, batch // 2),
            epochs=_epochs(
                split.private,
                batch,
                train.epochs,
                _PRETRAINED_STEPS if photographic else _TRAINING_STEPS,
            ),
        ),
        owners=OwnersConfig(count=min(_MOST_OWNERS, max(2, split.private // _IMAGES_AN_OWNER))),
    )


def is_photographic(dataset: ImageDataset) -> bool:
    """Whether an encoder trained on photographs suits the images: all but small grey ones."""
    return dataset.images.ndim == 4 or dataset.images.shape[1] > _SMALL_GREY


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed for the joint training; splits and encoder stay."""
    return replace(recipe, train=replace(recipe.train, seed=seed))


def _pretrained(split: SplitConfig) -> EncoderConfig:
    """Principal components are taken only where there are anchors enough to find them by."""
    grid = 2
    wanted = _COMPONENTS * _SAMPLES_A_COMPONENT
    return EncoderConfig(
        name="efficientnet_lite0",
        image_size=_PHOTO_SIDE,
        grid=grid,
        feature_dim=_COMPONENTS if split.public_anchor * grid**2 >= wanted else 0,
        key_dim=_COMPONENTS if split.public_anchor >= wanted else 0,
    )


def _trained_here(dataset: ImageDataset, split: SplitConfig) -> EncoderConfig:
    encoder = EncoderConfig(image_size=max(_MIN_SIDE, dataset.images.shape[1]), width=24)
    batch = _batch(split.public_encoder, encoder.batch_size)
    epochs = _epochs(split.public_encoder, batch, encoder.epochs, _ENCODER_STEPS)
    return replace(encoder, batch_size=batch, epochs=epochs)


def _batch(images: int, usual: int) -> int:
    return min(usual, max(16, images // 8))


def _epochs(images: int, batch: int, usual: int, steps: int) -> int:
    return min(_MAX_EPOCHS, max(usual, math.ceil(steps / max(1, images // batch))))
