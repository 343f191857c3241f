"""What a receipt tells whoever has it: nothing about names, unless they have the ledger as well."""

import hashlib
import hmac
import json
import random
import shutil
import sqlite3
from pathlib import Path

import erasable
import pytest

from munkey_core.bundle.ledger import (
    LEDGER,
    Ledger,
    Receipt,
    committed,
    keyed_hash,
    owner_hash,
    read_receipt,
    receipt_text,
    sealed,
)
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import seal_text
from munkey_core.erasure.erasure import erase
from munkey_core.erasure.receipts import check_receipt, hashed_rows
from munkey_core.errors import BundleError
from munkey_core.progress import finish
from munkey_core.results import PRIVATE

PREFIX = 16  # hex digits; so many agree by chance once in 2^64 tries
OLD = Path(__file__).parents[1] / "data" / "receipt-1"  # written by the version before


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(tmp_path_factory.mktemp("cache")))
        return erasable.make(tmp_path_factory.mktemp("template") / "tiny").folder


@pytest.fixture
def folder(template, tmp_path, cache):
    return shutil.copytree(template, tmp_path / "tiny")


def strings(value):
    """Every text in a JSON value, keys of objects too."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    else:
        yield str(value)


def keys_in(value):
    """Every string of a receipt as a key: its letters, and its bytes where it is hex."""
    for text in {*strings(value), ""}:
        yield text.encode()
        if text and set(text) <= set("0123456789abcdef") and len(text) % 2 == 0:
            yield bytes.fromhex(text)


def attack(receipt_file, names, rows=()):
    """The names and rows that somebody who has only the receipt finds in it: every one is hashed
    bare, and with every string of the receipt as a key, before it, behind it and as HMAC."""
    value = json.loads(receipt_file)
    there = {text[:PREFIX] for text in strings(value)}
    targets = [(one, one.encode()) for one in (*names, *rows)]
    targets += [(one, f"owner:{one}".encode()) for one in names]
    keys = set(keys_in(value))
    found = set()
    for one, text in targets:
        tries = [hashlib.sha256(text)]
        for key in keys:
            tries += [hashlib.sha256(key + text), hashlib.sha256(text + key)]
            tries.append(hmac.new(key, text, hashlib.sha256))
        if any(each.hexdigest()[:PREFIX] in there for each in tries) or one[:PREFIX] in there:
            found.add(one)
    return found


def row_digests(bundle, ids):
    banks = [bundle.in_mode(mode).bank for mode in bundle.modes]
    return [bank.row_digest(bank.row(id_)) for bank in banks for id_ in ids]


def test_who_has_all_names_and_all_rows_finds_nothing_in_a_receipt(folder):
    bundle = read_bundle(folder)
    names = [record.id for record in bundle.records]
    owners = sorted({record.owner for record in bundle.records if record.owner})
    theirs = [r.id for r in bundle.records_of(PRIVATE) if r.owner == erasable.OWNER]
    rows = row_digests(bundle, [record.id for record in bundle.records_of(PRIVATE)])
    receipt = finish(erase(folder, theirs))
    text = receipt_text(receipt)
    assert attack(text, [*names, *owners], rows) == set()
    assert not any(one in text for one in (*names, *owners))

    # With the ledger's secret beside it all is found: the attack works.
    ledger = Ledger.read(folder)
    assert attack(json.dumps([json.loads(text), ledger.secret]), names) == set(theirs)
    assert [name for name in names if ledger.names(receipt, name)] == theirs
    assert ledger.names(receipt, f"owner:{erasable.OWNER}") is True
    assert ledger.names(receipt, "owner:nobody") is False


def test_nothing_is_found_in_a_thousand_random_receipts(folder):
    model = finish(erase(folder, ["img-03"]))
    names = [f"img-{number:02}" for number in range(8)]
    draw = random.Random(0)
    for _ in range(1000):
        key = Ledger().with_secret().secret
        gone = draw.sample(names, draw.randint(1, 4))
        values = {
            "count": len(gone),
            "ids": tuple(sorted(keyed_hash(key, name) for name in gone)),
            "owner": owner_hash(key, gone[0]),
            "rows": {"joint": tuple(sorted(keyed_hash(key, f"{name}'s row") for name in gone))},
            "commitment": committed(key),
        }
        text = receipt_text(sealed(Receipt(**{**vars(model), **values})))
        assert attack(text, names, [f"{name}'s row" for name in names]) == set()


def test_receipts_of_two_erasures_of_the_same_images_have_nothing_in_common(template, tmp_path):
    receipts = [
        finish(erase(shutil.copytree(template, tmp_path / name), ["img-03"]))
        for name in ("one", "two")
    ]
    first, second = (set(strings(json.loads(receipt_text(one)))) for one in receipts)
    alike = {text for text in first & second if len(text) == 64}
    assert alike <= {receipts[0].digest_before, receipts[0].digest_after}  # of the same bundle


def rewritten(folder, ledger):
    """Put a ledger into a bundle, and seal it anew."""
    data = ledger.to_bytes()
    (folder / LEDGER).write_bytes(data)
    version = read_bundle(folder).version
    (folder / "seal.json").write_text(seal_text(version, hashlib.sha256(data).hexdigest()))


def test_a_ledger_with_another_secret_proves_nothing(folder):
    receipt = finish(erase(folder, ["img-03", "img-17"]))
    ledger = Ledger.read(folder)
    rewritten(folder, Ledger(ledger._rows, "ab" * 32))
    check = check_receipt(folder, receipt)
    assert not check.ok
    assert check.rows_present is None
    assert check.ids_present is None
    assert any("another secret" in problem for problem in check.problems)
    assert Ledger.read(folder).names(receipt, "img-03") is None
    assert Ledger.read(folder).numbers(["img-03"]) == {}


def test_a_row_put_back_is_found_under_the_secret(folder):
    bundle = read_bundle(folder)
    secret = "0f" * 32
    rows = hashed_rows(bundle, ["img-03"], secret)
    assert {keyed_hash(secret, one) for one in row_digests(bundle, ["img-03"])} == {
        *rows["joint"],
        *rows["exact"],
    }


@pytest.mark.parametrize("spoil", ["", "no hex" + 58 * "0", 63 * "0", 64 * "A", None])
def test_a_ledger_without_a_whole_secret_is_refused(folder, spoil):
    finish(erase(folder, ["img-03"]))
    ledger = Ledger.read(folder)
    connection = sqlite3.connect(":memory:")
    connection.deserialize(ledger.to_bytes())
    connection.execute("DELETE FROM secret")
    if spoil is not None:
        connection.execute("INSERT INTO secret VALUES (?)", (spoil,))
    connection.commit()
    with pytest.raises(BundleError, match="secret"):
        Ledger.from_bytes(connection.serialize())


# -- receipts of the first kind ------------------------------------------------------------------


def test_a_receipt_of_the_version_before_is_read_and_called_what_it_is():
    receipt = read_receipt((OLD / "receipt.json").read_bytes())
    ledger = Ledger.from_bytes((OLD / LEDGER).read_bytes())
    assert receipt.names_can_be_tested
    written = json.loads((OLD / "receipt.json").read_text())
    assert json.loads(receipt_text(receipt)) == written
    assert ledger.receipts == (receipt,)
    assert ledger.problems() == []
    assert ledger.secret == ""
    names = json.loads((OLD / "names.json").read_text())
    others = [f"digit-{number:04}" for number in range(100, 300)]
    assert attack(receipt_text(receipt), {*names, *others}) == set(names)
    assert [name for name in names if ledger.names(receipt, name)] == names


def first_kind(folder, receipt, bundle, ids):
    """The bundle's last erasure as the version before would have written it down."""
    secret = Ledger.read(folder).secret
    rows = {
        mode: tuple(
            sorted(
                bundle.in_mode(mode).bank.row_digest(bundle.in_mode(mode).bank.row(id_))
                for id_ in ids
            )
        )
        for mode in bundle.modes
    }
    old = sealed(Receipt(**{**vars(receipt), "rows": rows, "commitment": "", "salt": secret}))
    rewritten(folder, Ledger().with_receipt(old))
    return old


def test_old_receipts_verify_and_the_ledger_goes_on_with_a_secret(folder):
    bundle = read_bundle(folder)
    old = first_kind(folder, finish(erase(folder, ["img-03"])), bundle, ["img-03"])
    check = check_receipt(folder, old)
    assert check.ok, check.problems
    assert check.names_can_be_tested
    assert attack(receipt_text(old), ["img-03", "img-04"]) == {"img-03"}

    new = finish(erase(folder, ["img-17"]))
    assert not new.names_can_be_tested
    ledger = Ledger.read(folder)
    assert ledger.secret not in ("", old.salt)
    assert ledger.numbers(["img-03", "img-17", "img-04"]) == {"img-03": 1, "img-17": 2}
    assert all(check_receipt(folder, one).ok for one in (old, new))
    assert finish(erase(folder, ["img-03"])) == old  # gone already: the receipt of then
    assert attack(receipt_text(new), ["img-03", "img-17"]) == set()


# -- the commands --------------------------------------------------------------------------------


def test_verify_tells_whom_a_receipt_is_about(munkey, folder, tmp_path):
    place = tmp_path / "receipt.json"
    munkey("erase", folder, f"owner:{erasable.OWNER}", "--yes", "--receipt", place)
    code, said, _ = munkey(
        *("verify", folder, "--receipt", place),
        *("--about", f"owner:{erasable.OWNER}", "--about", "img-99", "--about", "owner:nobody"),
    )
    assert code == 0
    assert said["about"] == {
        f"owner:{erasable.OWNER}": True,
        "img-99": False,
        "owner:nobody": False,
    }


def test_a_receipts_place_is_tried_before_anything_is_erased(munkey, folder, tmp_path):
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-file").write_text("")
    version = read_bundle(folder).version
    for place, says in (
        (tmp_path / "no-such-folder" / "r.json", "can't be written"),
        (tmp_path / "a-file" / "r.json", "can't be written"),
        (tmp_path / "a-folder", "exists already"),
        (folder / "r.json", "inside the bundle"),
        (folder / ".." / folder.name / "r.json", "inside the bundle"),
    ):
        code, said, err = munkey("erase", folder, "img-03", "--yes", "--receipt", place)
        assert (code, said) == (2, None)
        assert says in err
        assert read_bundle(folder).version == version
    assert not (folder / "r.json").exists()
