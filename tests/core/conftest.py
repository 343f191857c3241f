"""What tests of the core share: the commands, a cache of one's own, and small random things."""

import json

import pytest
import tiny

from munkey_core.cli import main
from munkey_core.model.bank import BankView


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Each test finds an empty cache."""
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def munkey(capsys):
    """Run a command with --json: (exit code, the one document or None, stderr)."""

    def run(*argv):
        code = main([*map(str, argv), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out, parse_constant=refuse_constant) if out else None, err

    return run


def refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def view():
    return BankView(tiny.random_bank(10))


@pytest.fixture
def image():
    return tiny.random_images(1, seed=5)
