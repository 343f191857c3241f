"""Receipts of unknown origin: read, and held against the bundle and its ledger."""

import json
from functools import cache

import tiny
from fuzz_guard import scratch
from fuzz_mutations import spoiled_bytes, spoiled_json
from fuzz_properties import PROPERTIES, Property, one_input
from hypothesis import strategies as st

from munkey_core import ledger
from munkey_core.bundle import write_bundle
from munkey_core.studio import Studio
from munkey_core.types import Receipt


@cache
def _erased():
    """The folder of a bundle from which two images were erased, and the receipt's text."""
    folder = scratch() / "tiny"
    write_bundle(tiny.random_bundle(), folder)
    *_, receipt = Studio.open(str(folder)).erase(["img-00", "img-01"])
    assert isinstance(receipt, Receipt)
    return folder, Studio.receipt_text(receipt)


@cache
def _studio():
    return Studio.open(str(_erased()[0]))


def _sealed(values):
    """The values with the hash that fits them, where they can be a receipt's at all: what they say
    is then believed, and has to be checked."""
    try:
        body = ledger.receipt_body(ledger._receipt(values))
        return {**values, "hash": ledger.sha256_text(body)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return values


@st.composite
def receipt_bytes(draw):
    text = _erased()[1]
    if draw(st.integers(0, 2)) == 0:
        return draw(spoiled_bytes(text.encode()))
    values = draw(spoiled_json(json.loads(text)))
    if isinstance(values, dict) and draw(st.booleans()):
        values = _sealed(values)
    return json.dumps(values).encode()


def receipt(data):
    """A receipt that somebody uploads: none but the one that was given is found to be right."""
    folder, text = _erased()
    with one_input("receipt", folder):
        found = Studio.read_receipt(data)
        check = _studio().check_receipt(found)
        assert check.ok == (json.loads(Studio.receipt_text(found)) == json.loads(text))
        assert check.ok or check.problems
        assert all("\n" not in problem for problem in check.problems)


PROPERTIES["receipt"] = Property(receipt, receipt_bytes(), 0.03)
