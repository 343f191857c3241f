"""Nothing in a bundle's folder can be changed without `munkey verify` noticing.

Each byte of each file and each change of the ledger on a tiny bundle; a sample here, all of them
with MUNKEY_THOROUGH=1, and then 2,000 bytes of the default bundle too.
"""

import itertools
import os
import random
import shutil
import sqlite3

import erasable
import pytest

from munkey_core.bundle.find import shipped_folder
from munkey_core.bundle.ledger import LEDGER, Ledger
from munkey_core.bundle.manifest import SEAL
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import MANIFEST, manifest_digest
from munkey_core.bundle.write import seal_text
from munkey_core.cli import main
from munkey_core.erasure.erasure import erase
from munkey_core.erasure.receipts import check_receipt, make_key
from munkey_core.erasure.verification import added_files, damaged_files
from munkey_core.files.durable import sha256

THOROUGH = bool(os.environ.get("MUNKEY_THOROUGH"))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A tiny bundle with every kind of file, from which four times images were erased."""
    place = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(place / "cache"))
        folder = place / "tiny"
        erasable.make(folder)
        key = place / "key.pem"
        make_key(key)
        for number in range(4):
            list(erase(folder, [f"img-{number:02d}"], key=key if number % 2 else None))
    return folder


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "tiny")


def verify(folder, capsys):
    code = main(["verify", str(folder)])
    capsys.readouterr()
    return code


def reseal(folder):
    """What whoever changed a ledger would do next."""
    text = seal_text(manifest_digest(folder), sha256(folder / LEDGER))
    (folder / SEAL).write_text(text)


def test_an_untouched_bundle_verifies(folder, capsys):
    assert verify(folder, capsys) == 0


def flips(path, thorough, seed):
    """(offset, mask) of changes of single bytes: each byte, or a sample of them."""
    size = path.stat().st_size
    generator = random.Random(f"{seed} {path.name}")
    places = range(size) if thorough else sorted(generator.sample(range(size), min(size, 25)))
    return [(place, generator.randrange(1, 256)) for place in places]


def count_unseen(folder, thorough, seed):
    """Change one byte after another, each put back; returns how many changes and those that
    nobody noticed."""
    changes, unseen = 0, []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        with path.open("r+b") as file:
            for place, mask in flips(path, thorough, seed):
                file.seek(place)
                file.write(bytes([whole[place] ^ mask]))
                file.flush()
                changes += 1
                if not damaged_files(folder)[1]:
                    unseen.append((path.name, place))
                file.seek(place)
                file.write(whole[place : place + 1])
                file.flush()
        assert path.read_bytes() == whole
    return changes, unseen


def test_each_changed_byte_of_each_file_is_found(folder, capsys):
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {MANIFEST, SEAL, LEDGER, "bank.safetensors", "CARD.md"} <= names
    changes, unseen = count_unseen(folder, THOROUGH, 1)
    assert unseen == []
    assert changes > 300
    assert verify(folder, capsys) == 0  # all put back
    print(f"{changes:,} single bytes changed in {len(names)} files, all found")


@pytest.mark.skipif(not THOROUGH, reason="29 MB are hashed 2,000 times: MUNKEY_THOROUGH=1")
def test_changed_bytes_of_the_default_bundle_are_found(tmp_path):
    folder = shutil.copytree(shipped_folder() / "fashion", tmp_path / "fashion")
    generator = random.Random(2)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    list(erase(folder, ["train-00000", "train-00021"]))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for i in range(2000):
        path = files[i % len(files)]
        place = generator.randrange(path.stat().st_size)
        with path.open("r+b") as file:
            file.seek(place)
            old = file.read(1)
            file.seek(place)
            file.write(bytes([old[0] ^ generator.randrange(1, 256)]))
            file.flush()
            assert damaged_files(folder)[1], (path.name, place)
            file.seek(place)
            file.write(old)
    assert damaged_files(folder)[1] == {}


@pytest.mark.parametrize("at", ["first", "middle", "last"])
def test_a_cut_or_longer_file_is_found(folder, at):
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        place = {"first": 0, "middle": len(whole) // 2, "last": len(whole)}[at]
        path.write_bytes(whole[:place] + b"\0" + whole[place:])
        assert damaged_files(folder)[1], path.name
        path.write_bytes(whole[:place] if place < len(whole) else whole[:-1])
        assert damaged_files(folder)[1], path.name
        path.unlink()
        assert damaged_files(folder)[1], path.name
        path.write_bytes(whole)
    assert damaged_files(folder)[1] == {}


def test_what_is_added_to_the_folder_is_found(folder, tmp_path):
    additions = [
        lambda: (folder / "extra").write_bytes(b"x"),
        lambda: (folder / ".hidden").write_bytes(b""),
        lambda: (folder / "empty").mkdir(),
        lambda: (folder / "ledger.sqlite-wal").write_bytes(b""),
        lambda: (folder / "link").symlink_to(tmp_path),
    ]
    for add in additions:
        before = set(folder.iterdir())
        add()
        (new,) = set(folder.iterdir()) - before
        assert list(damaged_files(folder)[1]) == [new.name]
        new.rmdir() if new.is_dir() and not new.is_symlink() else new.unlink()
    assert damaged_files(folder)[1] == {}


@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", "._manifest.json", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini"),
        *("ehthumbs.db", ".localized", "Icon\r", "__MACOSX/._bank.st", "oracles/.DS_Store"),
    ],
)
def test_what_systems_add_is_told_and_no_damage(folder, name, munkey):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    assert damaged_files(folder)[1] in ({}, {"oracles": "no part of the bundle"})
    assert name in added_files(folder)
    if "/" not in name:
        code, document, _ = munkey("verify", str(folder))
        assert (code, document["damaged"], document["beside"]) == (0, {}, [name])


def test_what_only_bears_a_systems_name_is_damage_still(folder, tmp_path):
    (folder / ".DS_Store").symlink_to(tmp_path)
    (folder / "bank.safetensors").rename(folder / "._bank.safetensors")
    (folder / "DS_Store").write_bytes(b"x")
    assert set(damaged_files(folder)[1]) == {".DS_Store", "bank.safetensors", "DS_Store"}


# -- the ledger ----------------------------------------------------------------------------------


def rows_of(folder):
    connection = sqlite3.connect(":memory:")
    connection.deserialize((folder / LEDGER).read_bytes())
    found = connection.execute("SELECT number, body, hash, signature FROM entries").fetchall()
    connection.close()
    return found


def put_rows(folder, rows):
    connection = sqlite3.connect(":memory:")
    connection.deserialize((folder / LEDGER).read_bytes())
    connection.execute("DELETE FROM entries")
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    (folder / LEDGER).write_bytes(connection.serialize())
    connection.close()


def renumbered(rows):
    return [(i, *row[1:]) for i, row in enumerate(rows, 1)]


def changes_of(rows):
    """(name, other rows): each removal, insertion, swap and change."""
    for i in range(len(rows)):
        left = rows[:i] + rows[i + 1 :]
        yield f"removed {i}", left
        yield f"removed {i}, renumbered", renumbered(left)
    for i, j in itertools.combinations(range(len(rows)), 2):
        swapped = list(rows)
        swapped[i], swapped[j] = rows[j], rows[i]
        yield f"swapped {i} and {j}", renumbered(swapped)
    for i, j in itertools.product(range(len(rows)), range(len(rows) + 1)):
        yield f"{i} again at {j}", renumbered([*rows[:j], rows[i], *rows[j:]])
    for i, row in enumerate(rows):
        for column, alphabet in ((1, '0a"'), (2, "0f"), (3, "0f")):
            text = row[column]
            spots = range(len(text)) if THOROUGH else range(0, len(text), 1 + len(text) // 12)
            for place in spots:
                letter = alphabet[0] if text[place] != alphabet[0] else alphabet[1]
                other = list(row)
                other[column] = text[:place] + letter + text[place + 1 :]
                yield (
                    f"entry {i}, column {column}, letter {place}",
                    [
                        *rows[:i],
                        tuple(other),
                        *rows[i + 1 :],
                    ],
                )
        if row[3]:
            yield f"entry {i} without its signature", [*rows[:i], (*row[:3], ""), *rows[i + 1 :]]


def noticed(folder, bundle):
    from munkey_core.erasure.receipts import ledger_problems
    from munkey_core.errors import BundleError

    try:
        return bool(ledger_problems(folder, Ledger.read(folder), bundle))
    except BundleError:
        return True


def test_each_change_of_ledger_entries_is_found_even_under_a_new_seal(folder):
    bundle = read_bundle(folder)
    rows, ledger = rows_of(folder), (folder / LEDGER).read_bytes()
    assert len(rows) == 4
    assert not noticed(folder, bundle)
    count = 0
    for name, changed in changes_of(rows):
        put_rows(folder, changed)
        assert damaged_files(folder)[1], name  # the seal is not of this ledger
        reseal(folder)
        assert damaged_files(folder)[1] == {}
        assert noticed(folder, bundle), name
        count += 1
    put_rows(folder, [])
    reseal(folder)
    assert noticed(folder, bundle)
    (folder / LEDGER).unlink()
    (folder / SEAL).write_text(seal_text(manifest_digest(folder), ""))
    assert damaged_files(folder)[1] == {}
    assert noticed(folder, bundle)  # the manifest knows how many there were
    (folder / LEDGER).write_bytes(ledger)
    put_rows(folder, rows)
    reseal(folder)
    assert not noticed(folder, bundle)
    assert count > 150
    print(f"{count:,} changes of the ledger, all found")


def test_a_receipt_kept_elsewhere_tells_of_a_ledger_that_was_made_up_anew(folder):
    receipts = Ledger.read(folder).receipts
    put_rows(folder, [])
    reseal(folder)
    for receipt in receipts:
        check = check_receipt(folder, receipt)
        assert not check.in_ledger
        assert not check.ok


def test_a_ledger_that_is_no_ledger_is_refused(folder, capsys):
    for data in (
        b"",
        b"SQLite format 3\0" + b"\0" * 200,
        b"no database" * 100,
        (folder / LEDGER).read_bytes()[:5000],
    ):
        (folder / LEDGER).write_bytes(data)
        reseal(folder)
        assert verify(folder, capsys) != 0
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIEW entries AS SELECT 1 number, '{}' body, '' hash, '' signature")
    (folder / LEDGER).write_bytes(connection.serialize())
    connection.close()
    reseal(folder)
    assert verify(folder, capsys) == 2
