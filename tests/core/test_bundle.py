"""Bundles: what is written is read back, and anything damaged is refused with a clear message."""

import dataclasses
import json
import math
import pickle
import pickletools
import shutil
import zipfile

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from munkey_core.bundle import write as bundle_module
from munkey_core.bundle.find import find_bundle, find_bundles
from munkey_core.bundle.manifest import (
    BANK,
    CARD,
    ENCODER,
    METRICS,
    MODEL,
    QUERIES,
    SCORES,
    Manifest,
    read_manifest,
)
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS, pack_records, read_records
from munkey_core.bundle.versions import MANIFEST
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.errors import BundleError
from munkey_core.files.durable import sha256
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor
from munkey_core.results import Record
from munkey_core.studio import list_bundles

TENSOR_FILES = [MODEL, ENCODER, BANK, QUERIES, SCORES, THUMBNAILS]
FILES = [*TENSOR_FILES, PARQUET, CARD]


@pytest.fixture(scope="module")
def original():
    return tiny.random_bundle()


@pytest.fixture(scope="module")
def pristine(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine") / "tiny"
    write_bundle(original, folder, {CARD: "# Tiny\n"})
    return folder


@pytest.fixture
def folder(pristine, tmp_path):
    """A copy of a good bundle, to be damaged."""
    return shutil.copytree(pristine, tmp_path / "tiny")


def reseal(folder, **changes):
    """Give the manifest the checksums of whatever lies there now, so that only content is wrong."""
    seal(folder, dataclasses.replace(read_manifest(folder)[0], **changes))


def rewrite(path, **changes):
    """Replace tensors of a safetensors file; None takes one out."""
    tensors = {**load_file(path), **changes}
    save_file({k: v.contiguous() for k, v in tensors.items() if v is not None}, path)


def edit_manifest(folder, change):
    values = json.loads((folder / MANIFEST).read_text())
    change(values)
    (folder / MANIFEST).write_text(json.dumps(values))


# -- the way there and back --------------------------------------------------------------------


def test_what_is_written_is_read_back_bit_for_bit(original, folder):
    got = read_bundle(folder)
    assert got.bank.digest() == original.bank.digest()
    assert got.bank.ids == original.bank.ids
    assert got.records == original.records
    assert torch.equal(got.test_keys, original.test_keys)
    assert {k: v.tolist() for k, v in got.scores.items()} == {
        k: v.tolist() for k, v in original.scores.items()
    }
    for mine, theirs in ((got.model, original.model), (got.encoder, original.encoder)):
        wanted = theirs.state_dict()
        assert mine.state_dict().keys() == wanted.keys()
        assert all(torch.equal(value, wanted[k]) for k, value in mine.state_dict().items())
    ids = [record.id for record in original.records]
    assert np.array_equal(got.thumbnails.array(ids), original.thumbnails.array(ids))
    assert dataclasses.replace(got.manifest, files={}) == original.manifest
    assert got.card == "# Tiny\n"
    assert got.digest == sha256(folder / MANIFEST)


def test_a_bundle_read_back_predicts_the_same_bits(original, folder):
    images = tiny.random_images(5, seed=7)
    answers = []
    for bundle in (original, read_bundle(folder)):
        predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
        answers.append(predictor.predict(predictor.encode(images), BankView(bundle.bank)))
    assert answers[0].probabilities.tobytes() == answers[1].probabilities.tobytes()
    assert answers[0].retrieval.ids == answers[1].retrieval.ids


def test_two_writings_of_one_bundle_have_the_same_bytes(original, pristine, tmp_path):
    write_bundle(original, tmp_path / "again", {CARD: "# Tiny\n"})
    names = sorted(path.name for path in pristine.iterdir())
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (pristine / name).read_bytes(), name


def test_nothing_in_a_bundle_is_a_pickle_or_an_archive(pristine):
    for path in pristine.iterdir():
        with pytest.raises(ValueError):
            list(pickletools.genops(path.read_bytes()))
        assert not zipfile.is_zipfile(path), path.name  # what torch.save writes


def test_a_bundle_without_images_or_card_is_whole(tmp_path):
    write_bundle(tiny.random_bundle(thumbnails=False), tmp_path / "bare")
    got = read_bundle(tmp_path / "bare")
    assert got.thumbnails is None
    assert got.card == ""
    assert got.metrics is None


def test_a_bundle_whose_memory_is_empty_can_be_written_and_read(tmp_path):
    write_bundle(tiny.random_bundle(private=0), tmp_path / "empty")
    assert read_bundle(tmp_path / "empty").bank.ids == ()


def test_records_written_as_csv_are_read_the_same(original, folder):
    (folder / PARQUET).unlink()
    as_csv(folder, original.records)
    reseal(folder)
    assert read_bundle(folder).records == original.records


def as_csv(folder, records):
    lines = [f"{r.id},{r.label},{r.owner},{r.split}" for r in records]
    (folder / CSV).write_text("\n".join(["id,label,owner,split", *lines]) + "\n", encoding="utf-8")


def test_an_existing_folder_is_never_written_over(original, folder):
    before = sha256(folder / MANIFEST)
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(original, folder)
    assert sha256(folder / MANIFEST) == before


def test_a_writing_that_fails_leaves_no_bundle_and_can_be_done_again(
    original, tmp_path, monkeypatch
):
    out = tmp_path / "bundle"

    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bundle_module, "pack_records", full)
        with pytest.raises(OSError, match="no space"):
            write_bundle(original, out)
    assert not out.exists()
    write_bundle(original, out)
    assert read_bundle(out).bank.digest() == original.bank.digest()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


# -- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncated", "empty", "longer", "first byte", "last byte"])
def test_a_damaged_file_is_refused_by_name(folder, name, damage):
    data = bytearray((folder / name).read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "empty":
        data = bytearray()
    elif damage == "longer":
        data += b"\0"
    else:
        data[0 if damage == "first byte" else -1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"bundle tiny: {name} is damaged: its SHA-256"):
        read_bundle(folder)


@settings(max_examples=40)
@given(st.data())
def test_one_flipped_bit_anywhere_is_noticed(pristine, tmp_path_factory, data):
    copy = shutil.copytree(pristine, tmp_path_factory.mktemp("flip") / "tiny")
    name = data.draw(st.sampled_from(FILES))
    content = bytearray((copy / name).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        read_bundle(folder)


def test_a_link_in_place_of_a_file_is_refused(folder, tmp_path):
    (folder / MODEL).rename(tmp_path / MODEL)
    (folder / MODEL).symlink_to(tmp_path / MODEL)
    with pytest.raises(BundleError, match=f"{MODEL} is missing or not a plain file"):
        read_bundle(folder)


class Poison:
    """Unpickling it would be noticed."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("name", TENSOR_FILES)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_pickle_in_place_of_safetensors_is_refused_and_not_run(folder, name, sealed):
    (folder / name).write_bytes(pickle.dumps(Poison()))
    if sealed:
        reseal(folder)
    with pytest.raises(BundleError, match=name):
        read_bundle(folder)


@pytest.mark.parametrize("name", TENSOR_FILES)
def test_a_torch_archive_in_place_of_safetensors_is_refused(folder, name):
    torch.save({"keys": torch.ones(2)}, folder / name)
    reseal(folder)
    with pytest.raises(BundleError, match=name):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (BANK, {"keys": torch.eye(12)}, r"keys must be torch.float32 of shape \(12, 16\)"),
        (BANK, {"keys": torch.ones(12, 16)}, "keys must have unit length"),
        (BANK, {"keys": None}, "bank.safetensors has no tensor 'keys'"),
        (
            BANK,
            {"tokens": torch.ones(11, 16).half()},
            r"tokens must be .* \(12, 16\), got .*\(11, 16\)",
        ),
        (BANK, {"tokens": torch.ones(12, 16)}, "got torch.float32"),
        (BANK, {"tokens": torch.full((12, 16), math.nan).half()}, "tokens holds values that"),
        (BANK, {"ids": torch.ones(12, 16)}, "ids must be a uint8 vector"),
        (BANK, {"ids": torch.tensor([255, 254], dtype=torch.uint8)}, "ids are not UTF-8"),
        (QUERIES, {"test_keys": torch.ones(5, 16)}, r"test_keys must be .* \(6, 16\)"),
        (SCORES, {"memorisation": torch.ones(11)}, r"memorisation must be .* \(12,\)"),
        (SCORES, {"memorisation": torch.full((12,), math.inf)}, "not finite"),
        (MODEL, {"cls": torch.ones(17)}, r"model.safetensors: cls must be .* \(16,\), got .*17"),
        (MODEL, {"cls": torch.full((16,), math.nan)}, "cls holds values that are not finite"),
        (MODEL, {"cls": None}, "model.safetensors has no tensor 'cls'"),
        (MODEL, {"extra": torch.ones(1)}, "holds 'extra', which this network has not"),
        (ENCODER, {"key_mean": torch.ones(3)}, r"key_mean must be .* \(16,\)"),
        (ENCODER, {"key_mean": torch.ones(16).int()}, "got torch.int32"),
        (THUMBNAILS, {"blob": None}, "thumbnails.safetensors: blob must be a vector of uint8"),
        (
            THUMBNAILS,
            {"offsets": torch.ones(2).bfloat16()},
            "thumbnails.safetensors is not readable",
        ),
        (THUMBNAILS, {"shape": torch.tensor([26, 8, 8])}, "one image for each of 27 records"),
    ],
)
def test_wrong_shapes_dtypes_and_values_are_refused_by_name(folder, name, changes, message):
    rewrite(folder / name, **changes)
    reseal(folder)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


def test_a_bank_that_disagrees_with_itself_is_refused(folder):
    bank = read_bundle(folder).bank
    twice = [bank.ids[0], *bank.ids[:-1]]
    ids = torch.frombuffer(bytearray("\n".join(twice).encode()), dtype=torch.uint8)
    rewrite(folder / BANK, ids=ids)
    reseal(folder)
    with pytest.raises(BundleError, match="occurs more than once"):
        read_bundle(folder)
    assert isinstance(bank, MemoryBank)


RECORDS = tiny.random_bundle().records


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (RECORDS[1:], "same ids in the same order"),
        ((RECORDS[1], RECORDS[0], *RECORDS[2:]), "same ids in the same order"),
        ((*RECORDS, RECORDS[0]), "ids must be unique"),
        ((dataclasses.replace(RECORDS[0], label=3), *RECORDS[1:]), r"must be in 0..2, got 3"),
        ((dataclasses.replace(RECORDS[0], label=-1), *RECORDS[1:]), "got -1"),
        ((dataclasses.replace(RECORDS[0], split="mine"), *RECORDS[1:]), "split must be one of"),
        (RECORDS[:-1], "one image for each of 26 records"),
        ((*RECORDS, Record("img-99", 0, "", "test")), r"test_keys must be .* \(7, 16\)"),
    ],
)
def test_records_that_do_not_fit_are_refused(folder, records, message):
    name, data = pack_records(records)
    (folder / name).write_bytes(data)
    reseal(folder)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize(
    "text",
    [
        "id,label,owner\nimg-00,0,me\n",
        "id,label,owner,split\nimg-00,zero,me,private\n",
        "id,label,owner,split\nimg-00\n",
        "\xff",
    ],
)
def test_a_bad_csv_of_records_is_refused(tmp_path, text):
    (tmp_path / CSV).write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=CSV):
        read_records(tmp_path / CSV)


def test_a_bad_parquet_of_records_is_refused(tmp_path):
    (tmp_path / PARQUET).write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(BundleError, match=PARQUET):
        read_records(tmp_path / PARQUET)


def test_records_that_the_manifest_does_not_vouch_for_are_never_read(original, folder):
    (folder / PARQUET).unlink()
    as_csv(folder, original.records)
    reseal(folder)
    forged = [dataclasses.replace(record, owner="someone else") for record in original.records]
    name, data = pack_records(forged)
    (folder / name).write_bytes(data)  # records.parquet, beside the sealed records.csv
    assert read_bundle(folder).records == original.records


def test_metrics_that_are_no_json_are_refused(folder):
    (folder / METRICS).write_text("{")
    reseal(folder)
    with pytest.raises(BundleError, match=METRICS):
        read_bundle(folder)


# -- the manifest ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_format_version_is_refused(folder, version):
    edit_manifest(folder, lambda values: values.update(format_version=version))
    with pytest.raises(BundleError, match=r"bundle tiny: .*format_version must be 1, got"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("files"), "names no model|must name either"),
        (lambda v: v["files"].pop(MODEL), f"names no {MODEL}"),
        (lambda v: v["files"].pop(PARQUET), "must name either"),
        (lambda v: v["files"].update({CSV: "0"}), "must name either"),
        (lambda v: v["files"].update({"../secret": "0"}), r"'../secret', which is no part"),
        (lambda v: v["files"].update({MODEL: 7}), f"files.{MODEL} must be a text, got 7"),
        (lambda v: v.update(files=[]), r"files must be a table, got \[\]"),
        (lambda v: v.pop("dataset"), "manifest.json needs dataset"),
        (lambda v: v["dataset"].pop("classes"), "dataset needs classes"),
        (lambda v: v["dataset"].update(image_size=math.inf), "manifest.json is not valid JSON"),
        (lambda v: v["dataset"].update(image_size="big"), "image_size must be a whole number"),
        (lambda v: v["dataset"].update(classes="ant"), "classes must be a list, got 'ant'"),
        (lambda v: v["dataset"].update(classes=[1, 2]), r"classes\[0\] must be a text, got 1"),
        (lambda v: v["dataset"]["classes"].append("dog"), "head.weight must be"),
        (lambda v: v.update(surprise=1), "surprise"),
        (lambda v: v["model"].update(dim=0), "dim must be above 0"),
        (lambda v: v["model"].update(dim=15), "divisible by heads"),
        (
            lambda v: v["model"].update(dim=32),
            "that manifest.json describes has",
        ),
        (
            lambda v: v["model"].update(layers=2),
            "that manifest.json describes has",
        ),
        (lambda v: v["model"].update(dim="16"), "model.dim must be a whole number, got '16'"),
        (lambda v: v["ensemble"].update(tau=-1), "tau must be between"),
        (lambda v: v["ensemble"].update(tau=math.nan), "manifest.json is not valid JSON"),
        (lambda v: v["ensemble"].update(aggregation="vote"), "aggregation must be one of"),
        (lambda v: v["model"].update(dim=200_000), "dim must be at most 4,096"),
        (lambda v: v["model"].update(layers=10**9), "layers must be at most 64"),
        (lambda v: v["ensemble"].update(tau=1e-320), "tau must be between"),
        (
            lambda v: v["splits"].update(counts={"private": "many"}),
            "counts.private must be a whole",
        ),
        (lambda v: v["provenance"].pop("seconds"), "provenance needs seconds"),
        (lambda v: v["ensemble"].update(k=True), "ensemble.k must be a whole number, got True"),
        (lambda v: v["model"].update(mlp_ratio=math.inf), "manifest.json is not valid JSON"),
        (lambda v: v["encoder"].update(name="clip"), "encoder.name must be one of"),
        (lambda v: v.update(splits=[]), "splits"),
        (lambda v: v.update(near_duplicate="close"), "near_duplicate"),
        (lambda v: v.update(provenance=None), "provenance"),
        (lambda v: v.update(calibration=3), "calibration"),
        (lambda v: v.update(training="long"), "training"),
        (lambda v: v.update(name=7), "name"),
        (lambda v: v.update(owners_simulated="yes"), "owners_simulated"),
        (lambda v: v["ensemble"].update(tau=10**400), "tau must be a finite number"),
    ],
)
def test_a_manifest_that_says_something_wrong_is_refused(folder, change, message):
    edit_manifest(folder, change)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '"x"', "[" * 100_000, '{"format_version": ' + "9" * 5000 + "}"],
    ids=["empty", "open", "null", "list", "number", "text", "deep", "long number"],
)
def test_a_manifest_that_is_no_json_object_is_refused(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="bundle tiny"):
        read_bundle(folder)


def test_a_manifest_in_another_encoding_is_refused(folder):
    (folder / MANIFEST).write_bytes(b"\xff\xfe{}")
    with pytest.raises(BundleError, match=r"manifest.json can't be read"):
        read_bundle(folder)


def test_a_huge_manifest_is_refused_unread(folder):
    with (folder / MANIFEST).open("ab") as stream:
        stream.truncate(8_000_001)
    with pytest.raises(BundleError, match="larger than 8,000,000 bytes"):
        read_bundle(folder)


GOOD = json.loads(tiny.random_bundle().manifest.to_json())
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(values, path=()):
    """Paths of everything inside nested dicts and lists."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def mutated(path, value, remove):
    values = json.loads(json.dumps(GOOD))
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return values


@settings(max_examples=300)
@given(st.sampled_from(list(places(GOOD))), anything, st.booleans())
def test_any_mutated_manifest_is_read_or_refused_with_a_bundle_error(path, value, remove):
    text = json.dumps(mutated(path, value, remove))
    try:
        manifest = Manifest.from_json(text)
    except BundleError:
        return
    assert all(isinstance(name, str) for name in manifest.classes)
    assert Manifest.from_json(manifest.to_json()).to_json() == manifest.to_json()


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_any_text_in_place_of_a_manifest_is_refused(text):
    with pytest.raises(BundleError):
        Manifest.from_json(text)


# -- finding -----------------------------------------------------------------------------------


def test_a_bundle_is_found_by_name_and_by_path(folder, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLES", str(folder.parent))
    assert find_bundle("tiny") == folder
    assert find_bundle(str(folder)) == folder
    assert folder in find_bundles()
    assert "tiny" in [info.name for info in list_bundles()]


def test_of_two_bundles_of_one_name_the_first_folder_wins(folder, monkeypatch, tmp_path):
    second = shutil.copytree(folder, tmp_path / "later" / "tiny")
    places = f"{folder.parent}:{second.parent}"
    monkeypatch.setenv("MUNKEY_BUNDLES", places)
    assert find_bundle("tiny") == folder


def test_an_unknown_bundle_is_refused_with_the_names_there_are(folder, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLES", str(folder.parent))
    with pytest.raises(BundleError, match=r"no bundle 'nope'.*tiny"):
        find_bundle("nope")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        read_bundle(tmp_path)


def test_a_bundle_info_tells_what_is_in_the_bundle(folder, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLES", str(folder.parent))
    info = next(info for info in list_bundles() if info.name == "tiny")
    assert (info.title, info.licence, info.keys, info.test_images) == ("Tiny", "MIT", 12, 6)
    assert info.classes == tiny.CLASSES
    assert info.digest == sha256(folder / MANIFEST)
    assert info.bytes == sum(path.stat().st_size for path in folder.iterdir())
