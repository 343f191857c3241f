"""`munkey write` and `munkey verify`: what they find, and what they say when something is wrong."""

import shutil

import pytest
import tiny
from safetensors.torch import load_file, save_file

from munkey_core.bundle.card import write_card
from munkey_core.bundle.manifest import EXACT, MODEL, read_manifest
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import MANIFEST
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.cli import main
from munkey_core.erasure import verification
from munkey_core.model.tokens import pack_tokens, round_tokens

WITHOUT = "img-02,img-05"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A bundle to which `munkey write` has added an exact mode."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(tiny.random_bundle(), folder)
    assert main(["write", str(folder)]) == 0
    return folder


@pytest.fixture
def folder(both, tmp_path):
    return shutil.copytree(both, tmp_path / "tiny")


def spoil(path, at=-9):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def other_token(folder, row, digest=True):
    """Another token in one row, sealed: only its content is wrong."""
    bundle = read_bundle(folder)
    tokens = bundle.exact.tokens.clone()
    tokens[row] = round_tokens(tokens[row : row + 1] + 0.3)[0]
    packed, scales = pack_tokens(tokens)
    tensors = {**load_file(folder / EXACT), "codes": packed, "scales": scales}
    if not digest:
        from munkey_core.bundle.write import row_digests
        from munkey_core.model.bank import MemoryBank

        bank = bundle.bank
        tensors["digests"] = row_digests(MemoryBank(bank.ids, bank.keys, tokens))
    save_file(tensors, folder / EXACT)
    seal(folder, read_manifest(folder)[0])


def test_write_adds_an_exact_mode_and_says_so_on_the_card(both):
    bundle = read_bundle(both)
    assert bundle.modes == ("joint", "exact")
    assert bundle.card == write_card(bundle, bundle.metrics)
    assert "## The exact mode" in bundle.card
    assert {"training", "calibration", "writing"} <= bundle.manifest.exact["provenance"][
        "seconds"
    ].keys()


def test_write_writes_again_and_finds_no_difference(munkey, folder):
    before = (folder / EXACT).read_bytes()
    code, document, _ = munkey("write", folder)
    assert code == 0
    assert document["written"] == 12
    assert document["bytes"] == 12 * 16 * 2
    assert document["bytes_differing"] == document["rows_differing"] == 0
    assert (folder / EXACT).read_bytes() == before


def test_write_says_how_many_bytes_differ(munkey, folder):
    other_token(folder, 3)
    code, document, _ = munkey("write", folder)
    assert code == 1
    assert document["rows_differing"] == 1
    assert document["bytes_differing"] > 0


def test_write_needs_the_images(munkey, tmp_path):
    write_bundle(tiny.random_bundle(thumbnails=False), tmp_path / "bare")
    code, document, err = munkey("write", tmp_path / "bare")
    assert (code, document) == (2, None)
    assert err.count("\n") <= 2
    assert "images" in err


def test_verify_checks_every_file(munkey, folder):
    code, document, _ = munkey("verify", folder)
    assert code == 0
    assert document["files"] == len(read_manifest(folder)[0].files)
    assert document["damaged"] == {}
    assert document["rows_without_their_digest"] == 0


@pytest.mark.parametrize("name", [EXACT, MODEL])
def test_verify_fails_for_one_spoiled_byte(munkey, folder, name):
    spoil(folder / name)
    for extra in ([], ["--exact", "--without", WITHOUT]):
        code, document, _ = munkey("verify", folder, *extra)
        assert code == 1
        assert list(document["damaged"]) == [name]


def test_verify_names_a_file_that_is_gone(munkey, folder):
    (folder / EXACT).unlink()
    code, document, _ = munkey("verify", folder)
    assert code == 1
    assert "missing" in document["damaged"][EXACT]


def test_verify_sees_a_row_that_is_not_its_digest(munkey, folder):
    other_token(folder, 3)
    code, document, _ = munkey("verify", folder)
    assert code == 1
    assert document["rows_without_their_digest"] == 1


def test_verify_finds_a_manifest_that_cannot_be_read(munkey, folder):
    (folder / MANIFEST).write_text("{}")
    code, document, _ = munkey("verify", folder)
    assert code == 1
    assert "format_version" in document["damaged"][MANIFEST]


def test_verify_exact_finds_nothing_and_notes_it(munkey, folder):
    code, document, _ = munkey("verify", folder, "--exact", "--without", WITHOUT, "--save")
    assert code == 0
    assert document["exact"]
    (check,) = document["checks"]
    assert (check["n_forget"], check["rows"], check["answers"]) == (2, 10, 16)
    assert check["token_bytes_differing"] == check["bits_differing"] == 0
    bundle = read_bundle(folder)
    noted = bundle.manifest.exact["verified"]["2 images"]
    assert noted["token_bytes"] == 10 * 16 * 2
    assert "| 2 images | 2 | 10 |" in bundle.card
    assert munkey("verify", folder)[0] == 0


def test_verify_exact_fails_for_one_row_that_was_not_written_so(munkey, folder):
    other_token(folder, 3, digest=False)
    code, document, _ = munkey("verify", folder, "--exact", "--without", WITHOUT, "--save")
    assert code == 1
    assert document["rows_without_their_digest"] == 0
    assert document["checks"][0]["rows_differing"] == 1
    assert document["checks"][0]["bits_differing"] > 0
    assert read_bundle(folder).manifest.exact["verified"] == {}
    # The row itself deleted, all is well again: nothing of it is in any other.
    code, document, _ = munkey("verify", folder, "--exact", "--without", "img-03")
    assert code == 0


def test_rows_of_another_machine_are_compared_with_what_this_one_writes(munkey, folder):
    """Their last bits may differ; whether a deleted image was ever there still can't be told."""
    other_token(folder, 3, digest=False)
    manifest, _ = read_manifest(folder)
    manifest.exact["provenance"]["versions"]["torch"] = "1.0"
    seal(folder, manifest)
    code, document, _ = munkey("verify", folder, "--exact", "--without", WITHOUT)
    assert code == 0
    (check,) = document["checks"]
    assert check["rows_elsewhere"] == 1
    assert check["token_bytes_differing"] == check["rows_differing"] == check["bits_differing"] == 0


def test_writing_that_minds_its_company_is_found_on_any_machine(munkey, folder, monkeypatch):
    """The comparison among memories of this machine can fail, too."""
    manifest, _ = read_manifest(folder)
    manifest.exact["provenance"]["versions"]["torch"] = "1.0"
    seal(folder, manifest)
    whole = verification.write_again

    def leaky(bundle, private):
        tokens = yield from whole(bundle, private)
        return round_tokens(tokens + 0.5 * private.images.keys.sum())

    monkeypatch.setattr(verification, "write_again", leaky)
    code, document, _ = munkey("verify", folder, "--exact", "--without", WITHOUT)
    assert code == 1
    assert document["checks"][0]["rows_differing"] > 0


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["--exact"], "go together"),
        (["--without", WITHOUT], "go together"),
        (["--exact", "--without", "img-99"], "img-99"),
        (["--exact", "--without", "random-99pct"], "at least one"),
        (["--exact", "--without", "nothing of the kind"], "nothing of the kind"),
    ],
)
def test_bad_input_gets_one_line(munkey, folder, argv, wanted):
    code, document, err = munkey("verify", folder, *argv)
    assert (code, document) == (2, None)
    assert wanted in err.splitlines()[-1]


def test_a_joint_bundle_has_nothing_exact_to_verify(munkey, tmp_path):
    write_bundle(tiny.random_bundle(), tmp_path / "joint")
    assert munkey("verify", tmp_path / "joint")[0] == 0
    code, _, err = munkey("verify", tmp_path / "joint", "--exact", "--without", WITHOUT)
    assert code == 2
    assert "munkey write" in err
