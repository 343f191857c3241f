"""How things are counted and called."""

import pytest

from app.words.phrases import a, count
from munkey_core.bundle.forget_sets import size_name


@pytest.mark.parametrize(
    ("noun", "wanted"),
    [("owner", "an owner"), ("simulated owner", "a simulated owner"), ("Image", "an Image")],
)
def test_the_article_fits_the_word(noun, wanted):
    assert a(noun) == wanted


@pytest.mark.parametrize(
    ("n", "wanted"), [(0, "0 images"), (1, "1 image"), (1_000, "1,000 images")]
)
def test_one_is_one(n, wanted):
    assert count(n, "image") == wanted
    assert size_name(n) == wanted
