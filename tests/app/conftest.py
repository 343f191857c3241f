"""Which bundles the app finds, for tests without a browser."""

import pytest

from tests.shipped import PRETRAINED


@pytest.fixture
def show(monkeypatch):
    """Makes the app open the bundle in a folder, beside which others may lie."""

    def this(folder):
        monkeypatch.setenv("MUNKEY_BUNDLE", str(folder))
        monkeypatch.setenv("MUNKEY_BUNDLES", str(folder.parent))

    return this


@pytest.fixture
def on_digits(show, digits_folder):
    show(digits_folder)


@pytest.fixture
def on_fashion(monkeypatch):
    """The bundles that are shipped."""
    monkeypatch.delenv("MUNKEY_BUNDLE", raising=False)
    monkeypatch.setenv("MUNKEY_BUNDLES", str(PRETRAINED))
