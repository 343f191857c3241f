"""Many processes on one bundle: those who erase follow one another, those who read see one whole
version, and each later look is at the same version or a later one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import erasable
import pytest

from munkey_core.bundle.ledger import Ledger
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import unfinished
from munkey_core.erasure.receipts import ledger_problems
from munkey_core.erasure.verification import damaged_files
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow
HERE = Path(__file__).resolve().parent
READER = """
import json, sys
from pathlib import Path
from munkey_core.bundle.read import read_bundle
from munkey_core.errors import BundleError
folder, stop = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
seen, looks = [], 0
while True:
    last = stop.exists()
    bundle = read_bundle(folder)
    private = [r.id for r in bundle.records if r.split == "private"]
    assert list(bundle.bank.ids) == private
    assert len(bundle.exact.tokens) == len(private)
    assert all(len(values) == len(private) for values in bundle.scores.values())
    assert bundle.manifest.splits["counts"]["private"] == len(private)
    bundle.thumbnails.array(private)
    looks += 1
    if not seen or seen[-1][0] != bundle.version:
        seen.append([bundle.version, private])
    if last:
        break
print(json.dumps({"looks": looks, "seen": seen}), flush=True)
"""
ERASER = """
import json, sys
from pathlib import Path
from munkey_core.erasure.erasure import erase
from munkey_core.errors import UnknownIdError
from munkey_core.progress import finish
folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for ids in jobs:
    try:
        receipt = finish(erase(folder, ids))
        print(json.dumps(receipt.hash), flush=True)
    except UnknownIdError as error:
        print(json.dumps(str(error)), flush=True)
"""


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent.parent)},
    )


@pytest.fixture
def folder(tmp_path, cache):
    erasable.make(tmp_path / "home" / "tiny")
    return tmp_path / "home" / "tiny"


def test_two_who_erase_and_two_who_read_see_one_order_of_whole_versions(folder, tmp_path):
    first = read_bundle(folder)
    ids = first.bank.ids
    # Each erases alone what is its own, and both want the last.
    shared = [[ids[20]]]
    jobs = [[[id_] for id_ in ids[0:6]] + shared, [[id_] for id_ in ids[6:12]] + shared]
    stop = tmp_path / "stop"
    readers = [start(READER, folder, stop) for _ in range(2)]
    erasers = [start(ERASER, folder, json.dumps(mine)) for mine in jobs]
    for process in (*readers, *erasers):
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in erasers:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in erasers:
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        said.append([json.loads(line) for line in out.splitlines()])
    stop.touch()
    looks = []
    for process in readers:
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        looks.append(json.loads(out))

    # The ledger is the order in which it happened; every answer is one of its entries.
    ledger = Ledger.read(folder)
    receipts = ledger.receipts
    assert [receipt.number for receipt in receipts] == list(range(1, 14))
    assert ledger_problems(folder, ledger, read_bundle(folder)) == []
    hashes = [receipt.hash for receipt in receipts]
    for answers in said:
        assert len(answers) == 7
        places = [hashes.index(answer) for answer in answers]
        assert places[:-1] == sorted(places[:-1])  # of the last the other may have been first
    # The image that both wanted was erased once, and both got that one receipt.
    assert said[0][-1] == said[1][-1]
    assert len({answer for answers in said for answer in answers}) == 13
    # Who reads sees versions of the ledger, in its order, each with the rows it should have.
    versions = [first.version, *(receipt.digest_after for receipt in receipts)]
    gone = {id_ for mine in jobs for job in mine for id_ in job}
    for look in looks:
        places = [versions.index(version) for version, _ in look["seen"]]
        assert places == sorted(set(places))
        assert places[-1] == 13  # a look after the end is at the last one
        assert look["looks"] >= 1
        for place, (_, private) in zip(places, look["seen"], strict=True):
            assert len(private) == len(ids) - place
            assert set(ids) - gone <= set(private)
    assert set(read_bundle(folder).bank.ids) == set(ids) - gone
    assert damaged_files(folder)[1] == {}
    assert not unfinished(folder)


def test_who_saves_figures_and_who_erases_do_not_lose_each_others_work(folder):
    saver = """
import dataclasses, sys
from pathlib import Path
from munkey_core.bundle.read import read_bundle
from munkey_core.errors import ProjectionError
from munkey_core.explain.map import save_projections
folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
saved = 0
while saved < 3:
    found = read_bundle(folder).projections["keys"]
    try:
        save_projections(
            folder, {"keys": dataclasses.replace(found, positions=found.positions * 0 + saved)}
        )
        saved += 1
    except ProjectionError:  # somebody has erased meanwhile
        pass
"""
    ids = read_bundle(folder).bank.ids
    processes = [
        start(saver, folder),
        start(ERASER, folder, json.dumps([[id_] for id_ in ids[:4]])),
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    bundle = read_bundle(folder)
    ledger = Ledger.read(folder)
    assert ledger_problems(folder, ledger, bundle) == []
    assert bundle.bank.ids == ids[4:]
    assert set(bundle.projections["keys"].positions.flatten().tolist()) == {2.0}
    assert [entry.kind for entry in ledger.entries].count("erased") == 4
    assert damaged_files(folder)[1] == {}


def test_a_lock_goes_with_the_process_that_held_it(folder):
    """Nobody waits for somebody who was killed."""
    holder = """
import sys
from pathlib import Path
from munkey_core.erasure.erasure import erase
steps = erase(Path(sys.argv[1]), [sys.argv[2]])
for step in steps:
    if step.done == 3:
        break
print("ready", flush=True)
sys.stdin.readline()
"""
    process = start(holder, folder, "img-03")
    assert process.stdout.readline() == "ready\n"
    assert unfinished(folder)
    assert "img-03" in read_bundle(folder).bank  # who reads waits for nobody
    process.kill()
    process.communicate()
    ids = read_bundle(folder).bank.ids
    other = start(ERASER, folder, json.dumps([["img-05"]]))
    out, _ = other.communicate("go\n", timeout=PATIENCE)
    assert out.startswith("ready\n")
    assert read_bundle(folder).bank.ids == tuple(id_ for id_ in ids if id_ != "img-05")
    assert not unfinished(folder)
    shutil.rmtree(folder.parent)
