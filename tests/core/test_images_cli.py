"""`munkey images`: where the pictures are, how to get them, and that they are remembered."""

import json
import os

import picture_trees as trees
import pytest

from munkey_core.cli import main
from munkey_core.data import cifar10
from munkey_core.errors import DataError


@pytest.fixture
def cifar(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("MUNKEY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MUNKEY_IMAGES", "")
    names, images = trees.cifar_bundle(tmp_path / "mine")
    return tmp_path / "mine", names, trees.write_tree(tmp_path / "tree", names, images)


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_without_pictures_it_tells_how_to_get_them(cifar, capsys):
    code, out, err = run(capsys, "images", cifar[0])
    assert code == 1
    assert err == ""
    lines = out.splitlines()
    assert "came without its pictures" in lines[0]
    assert lines[1].startswith("  munkey images mine --download ")
    assert lines[2].startswith("  munkey images mine --from PATH ")


def test_a_place_that_fits_is_remembered_for_every_other_command(cifar, capsys, monkeypatch):
    folder, names, tree = cifar
    code, _, err = run(capsys, "predict", folder, names[0][0])
    assert code == 2
    assert "munkey images mine" in err
    code, out, _ = run(capsys, "images", folder, "--from", tree)
    assert code == 0
    assert out.splitlines() == [
        f"pictures found in {tree}",
        "they match: 12 of 12 sampled pictures are near their own key (12 nearer than to any "
        "other), median cosine 1.000",
    ]
    monkeypatch.setenv("MUNKEY_IMAGES", "")
    code, out, _ = run(capsys, "predict", folder, names[0][0], "--json")
    assert code == 0
    assert json.loads(out)["images"][0]["neighbours"][0]["id"] == names[0][0]
    code, out, _ = run(capsys, "images", folder, "--json")
    document = json.loads(out)
    assert (code, document["state"], document["place"]) == (0, "found", str(tree))
    assert document["match"]["matched"] == 12


def test_what_does_not_fit_is_refused_and_not_remembered(cifar, capsys, tmp_path, monkeypatch):
    folder, names, _ = cifar
    wrong = trees.write_tree(tmp_path / "wrong", names, trees.photographs(27, seed=3))
    code, out, _ = run(capsys, "images", folder, "--from", wrong)
    assert code == 1
    assert out.startswith(f"{wrong} does not hold the pictures of bundle mine: ")
    monkeypatch.setenv("MUNKEY_IMAGES", "")
    code, out, _ = run(capsys, "images", folder)
    assert out.startswith("bundle mine came without its pictures")


def test_the_option_names_a_place_for_one_run(cifar, capsys, monkeypatch):
    folder, names, tree = cifar
    code, out, _ = run(capsys, "forget", folder, names[0][0], "--images", tree)
    assert code == 0
    assert "1 key deleted" in out
    assert os.environ["MUNKEY_IMAGES"] == str(tree)
    monkeypatch.setenv("MUNKEY_IMAGES", "")
    code, _, err = run(capsys, "forget", folder, names[0][0])
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", [["predict", "{b}", "x"], ["images", "{b}"], ["app"]])
def test_a_place_that_is_not_there_is_bad_input(cifar, capsys, command):
    option = "--from" if command[0] == "images" else "--images"
    filled = [word.format(b=cifar[0]) for word in command]
    code, _, err = run(capsys, *filled, option, "/no/such/place")
    assert code == 2
    assert f"{option} must name a folder or an archive, there is no /no/such/place" in err


def test_a_download_happens_only_when_asked_for_and_is_found_afterwards(
    cifar, capsys, tmp_path, monkeypatch
):
    folder, _, tree = cifar
    asked = []

    def download():
        root = tmp_path / "data" / "cifar10"
        asked.append(root)
        root.parent.mkdir(parents=True, exist_ok=True)
        tree.rename(root)
        return root

    monkeypatch.setattr(cifar10, "download", download)
    assert run(capsys, "images", folder)[0] == 1
    assert asked == []
    code, out, err = run(capsys, "images", folder, "--download")
    assert (code, asked) == (0, [tmp_path / "data" / "cifar10"])
    assert "downloading CIFAR-10" in err
    assert "12 of 12" in out


def test_a_download_that_fails_says_why(cifar, capsys, monkeypatch):
    def download():
        raise DataError("CIFAR-10: not found and can't be downloaded (offline)")

    monkeypatch.setattr(cifar10, "download", download)
    code, _, err = run(capsys, "images", cifar[0], "--download")
    assert code == 2
    assert "offline" in err
    assert run(capsys, "images", cifar[0], "--download", "--from", cifar[2])[0] == 2


def test_a_bundle_with_its_pictures_needs_none(digits_folder, capsys):
    code, out, _ = run(capsys, "images", digits_folder)
    assert (code, out) == (0, "bundle digits carries its pictures\n")
    assert run(capsys, "images", digits_folder, "--download")[0] == 2
