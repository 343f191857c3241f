"""Names that a command line, a spreadsheet or a console makes hard: each comes through."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.studio import Studio
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dashed(tmp_path_factory):
    """A bundle of files whose names begin as options and formulas do, and have blanks in them."""
    folder = tmp_path_factory.mktemp("dashed") / "b"
    made = tiny.random_bundle(private=12, test=6)
    images = made.thumbnails.array([r.id for r in made.records])
    kinds = ("-1/%03d.png", "%%2B1/%03d.png", "Bj%%C3%%B6rn%%20%%26%%20Co/%03d%%20%%281%%29.png")
    new = {r.id: kinds[r.label] % i for i, r in enumerate(made.records)}
    write_bundle(
        dataclasses.replace(
            made,
            bank=type(made.bank)([new[i] for i in made.bank.ids], made.bank.keys, made.bank.tokens),
            records=tuple(dataclasses.replace(r, id=new[r.id]) for r in made.records),
            thumbnails=Thumbnails.from_images(list(new.values()), images),
        ),
        folder,
    )
    return folder


@pytest.mark.parametrize("kind", ["-1/", "%2B1/", "Bj%C3%B6rn", ""])
def test_exported_records_can_be_given_back(dashed, tmp_path, capsys, kind):
    assert main(["show", str(dashed), "--records"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    mine = [row for row in rows if row.endswith("private") and row.lstrip("'").startswith(kind)]
    (tmp_path / "r.csv").write_text("\n".join([head, *mine]))
    main(["erase", str(dashed), f"@{tmp_path / 'r.csv'}", "--json"])
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["ids"]) == len(mine) > 0
    assert (plan["unknown"], plan["public"]) == ([], [])
    ids = Studio.open(str(dashed)).memory.select(f"@{tmp_path / 'r.csv'}")
    assert len(ids) == len(mine)


@pytest.mark.parametrize(
    "typed",
    ["Björn & Co/002 (1).png", "Bjo\u0308rn & Co\\002 (1).png", "'-1/000.png", "./+1/001.png"],
)
def test_an_image_may_be_named_by_its_file(dashed, tmp_path, capsys, typed):
    (tmp_path / "ids.csv").write_text(f"file\n{typed}\n", encoding="utf-8")
    for spec in (typed, f"@{tmp_path / 'ids.csv'}"):
        assert main(["erase", str(dashed), spec, "--json"]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert (len(plan["ids"]), plan["unknown"]) == (1, [])
    assert len(Studio.open(str(dashed)).memory.select(typed)) == 1


def test_an_erased_image_is_known_by_its_file_name(dashed, tmp_path, capsys):
    name, out = "Björn & Co/005 (1).png", tmp_path / "out"
    assert main(["erase", str(dashed), name, "--yes", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["erase", str(out), name]) == 2
    assert "erased already" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["forget", "erase"])
def test_an_image_that_looks_like_an_option_is_helped(dashed, capsys, command):
    assert main([command, str(dashed), "-1/000.png"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "a name that begins with - goes after --: -- -1/000.png" in said
    assert main([command, str(dashed), "--", "-1/000.png"]) == 0


@pytest.mark.parametrize(
    ("encoding", "command"), [("ascii", "erase"), ("cp1252", "show"), ("utf-8", "erase")]
)
def test_a_console_that_lacks_letters_gets_a_plain_form(tmp_path, encoding, command):
    made = tiny.random_bundle()
    odd = "患者 Zoë \u0639\u0644\u06cc"
    write_bundle(
        dataclasses.replace(
            made,
            manifest=dataclasses.replace(
                made.manifest, dataset={**made.manifest.dataset, "title": odd}
            ),
            records=tuple(
                dataclasses.replace(r, owner=odd if r.split == "private" else "")
                for r in made.records
            ),
        ),
        tmp_path / "b",
    )
    words = {"show": ["show", "b"], "erase": ["erase", "b", "img-00"]}[command]
    done = subprocess.run(
        [sys.executable, "-m", "munkey_core.cli", *words],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": encoding,
            "PYTHONUTF8": "0",
        },
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if encoding == "utf-8":
        assert odd in done.stdout.decode()
