"""Bundles that were made to do harm: links out of the folder, bombs, settings that fill the memory.

Each is sealed anew, so its checksums are right and only the content is wrong.
"""

import json
import os
import resource
import struct
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from munkey_core.bundle.find import bundle_info
from munkey_core.bundle.manifest import (
    BANK,
    CARD,
    ENCODER,
    METRICS,
    MODEL,
    QUERIES,
    SCORES,
    read_manifest,
)
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.records import PARQUET
from munkey_core.bundle.versions import MANIFEST
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.errors import BundleError
from munkey_core.studio import Studio, list_bundles


@pytest.fixture
def folder(tmp_path):
    write_bundle(tiny.random_bundle(), tmp_path / "tiny", {CARD: "# Tiny\n"})
    return tmp_path / "tiny"


def refused(folder, message, sealed=True):
    if sealed:
        seal(folder, replace(read_manifest(folder)[0]))
    with pytest.raises(BundleError, match=message) as caught:
        Studio.open(str(folder))
    assert "\n" not in str(caught.value)


def edit(folder, change):
    values = json.loads((folder / MANIFEST).read_text())
    change(values)
    (folder / MANIFEST).write_text(json.dumps(values))


# -- places ------------------------------------------------------------------------------------


def test_a_linked_folder_of_answers_is_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    save_file({"x": torch.ones(1)}, outside / "originals.safetensors")
    (folder / "oracles").symlink_to(outside)
    refused(folder, "oracles/originals.safetensors is missing or not a plain file")


def test_a_linked_manifest_is_not_followed(folder, tmp_path):
    (folder / MANIFEST).rename(tmp_path / "elsewhere.json")
    (folder / MANIFEST).symlink_to(tmp_path / "elsewhere.json")
    refused(folder, "is not a bundle", sealed=False)


@pytest.mark.parametrize("name", [MODEL, PARQUET, CARD])
def test_a_pipe_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, f"{name} is missing or not a plain file", sealed=False)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "oracles/../../x.safetensors", "a\nb", "x" * 9_000]
)
def test_names_that_lead_out_are_refused_and_not_looked_at(folder, name):
    edit(folder, lambda values: values["files"].update({name: "0" * 64}))
    refused(folder, "which is no part of a bundle", sealed=False)
    assert bundle_info(folder).bytes > 0


def test_one_bundle_of_harm_does_not_hide_the_others(folder, monkeypatch):
    bad = folder.with_name("bad")
    bad.mkdir()
    (bad / MANIFEST).write_bytes(b"[" * 1_000_000)
    monkeypatch.setenv("MUNKEY_BUNDLES", str(folder.parent))
    found = {info.name: info.problem for info in list_bundles()}
    assert found["tiny"] == ""
    assert "too deep" in found["bad"]


# -- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["model"].update(dim=4096, layers=64, heads=1), "describes has at least"),
        (lambda v: v["encoder"].update(width=1024), "describes has at least"),
        (
            lambda v: v["dataset"].update(image_size=10**9),
            "image_size must be a whole number <= 4096",
        ),
        (lambda v: v["dataset"].update(classes=["a"] * 10**5), "list of length <= 10000"),
        (lambda v: v["dataset"].update(classes=["a\nb", "c"]), "a text of one line"),
        (lambda v: v["dataset"].update(classes=["a", "b\u202e"]), "no text needs"),
        (lambda v: v["dataset"].update(title="\x1b[2J"), "no text needs"),
        (lambda v: v["dataset"].update(title=["x"]), "title must be a text"),
        (lambda v: v.update(near_duplicate=-1), "near_duplicate must be a number > 0"),
        (lambda v: v["training"].pop("seed"), "training needs seed"),
        (lambda v: v["provenance"].pop("device"), "provenance needs device"),
    ],
)
def test_settings_that_fill_the_memory_or_deceive_are_refused(folder, change, message):
    edit(folder, change)
    refused(folder, message, sealed=False)


# -- tensors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", [2**63, 2**64 - 1, 100_000_000, 5_000_000])
@pytest.mark.parametrize("name", [BANK, MODEL, "thumbnails.safetensors"])
def test_a_header_that_claims_too_much_is_not_believed(folder, name, claimed):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(struct.pack("<Q", claimed) + data[8:])
    refused(folder, f"{name} is not a safetensors file")


def test_a_header_of_many_megabytes_is_not_read(folder):
    header = json.dumps(
        {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}
    ).encode()
    (folder / SCORES).write_bytes(struct.pack("<Q", len(header)) + header)
    refused(folder, "its header claims")


def test_too_many_tensors_are_refused(folder):
    header = json.dumps(
        {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(25_000)}
    ).encode()
    (folder / SCORES).write_bytes(struct.pack("<Q", len(header)) + header)
    refused(folder, "at most 20,000 tensors")


def test_test_keys_must_have_unit_length(folder):
    tensors = load_file(folder / QUERIES)
    save_file({"test_keys": tensors["test_keys"] * 3}, folder / QUERIES)
    refused(folder, "test_keys must have unit length")


def test_weights_that_make_no_answer_are_said_to_be_damaged(folder):
    tensors = load_file(folder / MODEL)
    tensors["head.weight"] = torch.full_like(tensors["head.weight"], 3e38)
    save_file(tensors, folder / MODEL)
    seal(folder, read_manifest(folder)[0])
    studio = Studio.open(str(folder))
    with pytest.raises(BundleError, match="its weights are damaged"):
        studio.predict(["img-00"])


# -- tables ------------------------------------------------------------------------------------


def columns(folder, **changes):
    table = pq.read_table(folder / PARQUET).to_pydict()
    for name, (row, value) in changes.items():
        table[name][row] = value
    pq.write_table(pa.table(table), folder / PARQUET)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": (0, "<b>x</b>")}, "an id must be made of letters"),
        ({"id": (0, "a\nb")}, "an id must be made of letters"),
        ({"id": (0, "a,b")}, "an id must be made of letters"),
        ({"id": (20, "\u202eb")}, "an id must be made of letters"),
        ({"id": (20, "a\0b")}, "an id must be made of letters"),
        ({"id": (20, "x" * 5_000)}, "at most 4,000 characters"),
        ({"id": (20, None)}, "an id must be made of letters"),
        ({"id": (20, "img-00")}, "ids must be unique"),
        ({"owner": (0, "a\nb")}, "an owner must be a text of one line"),
        ({"owner": (0, "\x1b[31m")}, "an owner must be a text of one line"),
        ({"owner": (0, None)}, "an owner must be a text of one line"),
        ({"split": (0, "mine")}, "split must be one of"),
        ({"label": (0, 10**10)}, "a label must be a whole number"),
    ],
)
def test_records_that_would_deceive_are_refused(folder, changes, message):
    columns(folder, **changes)
    refused(folder, message)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_parquet_bomb_is_refused_within_its_memory(folder, codec):
    """One long text, named a million times, would unpack to 10 TB."""
    n, text = 1_000_000, "x" * 10_000_000
    table = {
        "id": pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array([text])),
        "label": pa.array([0] * n),
        "owner": pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array([""])),
        "split": pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["test"])),
    }
    pq.write_table(pa.table(table), folder / PARQUET, compression=codec)
    assert (folder / PARQUET).stat().st_size < 5_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder, "at most 4,000 characters")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


# -- figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must be a table"),
        ('{"reports": [1]}', "reports must be a table"),
        ('{"reports": {"random-10pct": {"models": 5}}}', "report 'random-10pct': this is no audit"),
        ('{"tuning": {"methods": {"x": 1}}}', "methods.x must be a table, got 1"),
        ('{"exact": {"attacks": 3}}', "exact.attacks must be a table"),
        ("[" * 100_000, "too deep"),
    ],
)
def test_figures_of_another_form_are_refused(folder, text, message):
    (folder / METRICS).write_text(text)
    refused(folder, message)


@pytest.mark.parametrize("card", [b"\xff\xfe", b"# x\n\x1b[2J"])
def test_a_card_that_is_no_text_is_refused(folder, card):
    (folder / CARD).write_bytes(card)
    refused(folder, f"{CARD} (can't be read|holds control characters)")


# -- nothing is ever run -----------------------------------------------------------------------

_OPEN = """
import sys
from munkey_core.errors import MunkeyError
from munkey_core.studio import Studio
def hook(event, arguments):
    if event in ("pickle.find_class", "subprocess.Popen", "os.system", "socket.connect"):
        print("HARM", event, arguments)
sys.addaudithook(hook)
try:
    Studio.open(sys.argv[1])
except MunkeyError as error:
    print("refused:", error)
"""


@pytest.mark.slow
def test_a_pickle_under_every_name_is_never_loaded(folder):
    import pickle

    class Harm:
        def __reduce__(self):
            return (os.system, ("true",))

    for name in (MODEL, ENCODER, BANK, QUERIES, SCORES, PARQUET, CARD):
        (folder / name).write_bytes(pickle.dumps(Harm()))
    seal(folder, read_manifest(folder)[0])
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(folder)], capture_output=True, text=True, check=True
    )
    assert "HARM" not in done.stdout
    assert done.stdout.startswith("refused:")


def test_the_bundle_that_was_not_touched_still_opens(folder):
    assert read_bundle(folder).card == "# Tiny\n"
