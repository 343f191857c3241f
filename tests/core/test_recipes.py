"""Recipes that nobody wrote: they suit the size of the data, and their file gives them back."""

import numpy as np
import pytest

from munkey_core.config import Recipe
from munkey_core.data.base import ImageDataset
from munkey_core.training.recipes import default_recipe, load_recipe, with_seed


def dataset_of(n, side=8, colour=False):
    return ImageDataset(
        name="made-up",
        title="Made up",
        licence="unknown",
        attribution="",
        classes=("a", "b"),
        ids=tuple(f"img-{i}" for i in range(n)),
        images=np.zeros((n, side, side, 3) if colour else (n, side, side), np.uint8),
        labels=np.arange(n, dtype=np.int64) % 2,
        is_test=np.zeros(n, dtype=np.bool_),
        owners=None,
        may_ship_images=True,
    )


@pytest.mark.parametrize("n", [60, 200, 1000, 5000])
def test_small_sets_get_enough_steps_and_large_ones_the_usual_epochs(n):
    recipe = default_recipe(dataset_of(n), "mine")
    for images, settings, wanted in (
        (recipe.split.public_encoder, recipe.encoder, 300),
        (recipe.split.private, recipe.train, 600),
    ):
        steps = settings.epochs * max(1, images // settings.batch_size)
        assert steps >= wanted or settings.epochs == 100
        assert settings.batch_size <= max(16, images // 8)


def test_images_are_enlarged_until_the_encoder_can_halve_them_twice():
    assert default_recipe(dataset_of(60, side=8), "small").encoder.image_size == 16
    assert default_recipe(dataset_of(60, side=28), "larger").encoder.image_size == 28


@pytest.mark.parametrize(
    ("side", "colour", "encoder"),
    [
        (28, False, "conv"),
        (32, False, "conv"),
        (33, False, "efficientnet_lite0"),
        (28, True, "efficientnet_lite0"),
        (200, True, "efficientnet_lite0"),
    ],
)
def test_photographs_get_the_pretrained_encoder_and_keep_their_public_images(side, colour, encoder):
    recipe = default_recipe(dataset_of(100, side, colour), "mine")
    assert recipe.encoder.name == encoder
    assert (recipe.split.public_encoder == 0) == (encoder != "conv")
    small = default_recipe(dataset_of(100), "small grey").split.private
    assert (recipe.split.private > small) == (encoder != "conv")


def test_components_are_taken_only_where_anchors_suffice_to_find_them():
    few, many = (default_recipe(dataset_of(n, 9, True), "mine").encoder for n in (100, 6500))
    assert (few.feature_dim, few.key_dim) == (0, 0)
    assert (many.feature_dim, many.key_dim) == (128, 128)


@pytest.mark.parametrize(("n", "owners"), [(60, 2), (400, 9), (7000, 157)])
def test_simulated_owners_own_more_than_one_image_each(n, owners):
    assert default_recipe(dataset_of(n, 9, True), "mine").owners.count == owners


def test_a_recipe_written_out_and_read_again_is_the_same(tmp_path):
    recipe = with_seed(default_recipe(dataset_of(300), 'with "quotes" and ü'), 17)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert load_recipe(path) != Recipe()
