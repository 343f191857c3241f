"""Recipes that nobody wrote: they suit the size of the data, and their file gives them back."""

import numpy as np
import pytest

from munkey_core.config import Recipe, load_recipe
from munkey_core.data.base import ImageDataset
from munkey_core.recipes import default_recipe, with_seed


def dataset_of(n, side=8):
    return ImageDataset(
        name="made-up",
        title="Made up",
        licence="unknown",
        attribution="",
        classes=("a", "b"),
        ids=tuple(f"img-{i}" for i in range(n)),
        images=np.zeros((n, side, side), np.uint8),
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
    assert default_recipe(dataset_of(60, side=40), "large").encoder.image_size == 40


def test_a_recipe_written_out_and_read_again_is_the_same(tmp_path):
    recipe = with_seed(default_recipe(dataset_of(300), 'with "quotes" and ü'), 17)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert load_recipe(path) != Recipe()
