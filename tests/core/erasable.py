"""A tiny bundle that holds everything a bundle can hold, what is planted in it, and how to search
a folder for it: every byte, and what is inside compressed content."""

import dataclasses
import io
import json
import lzma
import sqlite3
import zipfile
import zlib
from dataclasses import asdict

import numpy as np
import pyarrow.parquet as pq
import tiny
import torch
from PIL import Image
from safetensors.numpy import load, save_file
from test_results_page import report

from munkey_core.bundle.bundle import ExactMode, FittedMap
from munkey_core.bundle.card import write_card
from munkey_core.bundle.experiments import Experiments, experiments_text
from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.bundle.manifest import EXACT, EXACT_MODE, METRICS, ORACLES
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.thumbnails import _TRANSFORMS
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.config import EnsembleConfig, TrainConfig, WriteConfig
from munkey_core.explain.map import maps_of
from munkey_core.explain.projection import fit_digest
from munkey_core.model.tokens import pack_tokens, round_tokens
from munkey_core.training.answers import Outputs, verdicts
from munkey_core.training.exact import rounded_model
from munkey_core.training.retraining import MUNKEY, PLAIN, Run
from munkey_core.training.runs import Runs, runs_folder
from munkey_core.training.shipped import References, all_labels, write_answers, write_references

OWNER = "owner-3"  # of the tiny bundle's simulated owners
PRIVATE, TEST = 24, 8
LEAK = "excess -0.06 points"


def make(folder):
    """Write the bundle and return it, as read back."""
    base = tiny.random_bundle(private=PRIVATE, test=TEST)
    generator = torch.Generator().manual_seed(7)

    def scores():
        return torch.rand(PRIVATE, generator=generator).half().float()

    names = ("memorisation", "truth_with", "truth_without")
    influence = ("influence", "influence_shift", "influence_flips", "influence_touched")
    ensemble = EnsembleConfig(k=3, tau=0.1, anchor=0.3)
    torch.manual_seed(5)
    exact = ExactMode(
        rounded_model(tiny.random_model()),
        round_tokens(torch.randn(PRIVATE, tiny.MODEL.dim, generator=generator)),
        ensemble,
        {name: scores() for name in names},
    )
    verified = {"one-owner": {"n_forget": 6, "rows": PRIVATE - 6}}
    table = {
        "training": asdict(TrainConfig()),
        "write": asdict(WriteConfig()),
        "ensemble": asdict(ensemble),
        "calibration": {},
        "provenance": {"device": "CPU", "seconds": {"writing": 1.0}},
        "verified": {},
    }
    bundle = dataclasses.replace(
        base,
        manifest=dataclasses.replace(
            base.manifest, exact=table, near_duplicate=_similar(base.bank.keys)
        ),
        scores={name: torch.rand(PRIVATE, generator=generator) for name in (*names, *influence)},
        exact=exact,
        projections={
            space: FittedMap(
                torch.randn(PRIVATE, 2, generator=generator).numpy(),
                0,
                fit_digest(base.bank, space, 0),
            )
            for space in ("keys", "tokens")
        },
    )
    reports = {one: report(one).to_dict() for one in ("random-10pct", "one-owner")}
    spec = bundle.bank.ids[3]  # a forget set whose very name is an id
    reports[spec] = {**report(spec).to_dict(), "set_digest": forget_set_digest([spec])}
    metrics = {"reports": reports, EXACT_MODE: {"reports": {"one-owner": reports["one-owner"]}}}
    texts = {
        "CARD.md": write_card(bundle, json.loads(json.dumps(metrics))),
        "NOTICE": "a notice",
        "recipe.toml": 'name = "tiny"\n',
        METRICS: json.dumps(metrics),
        "experiments.json": experiments_text(
            Experiments(
                "tiny", "random-10pct", forget_set_digest([spec]), 2, 24, 8, (0,), "cpu", ()
            )
        ),
    }
    write_bundle(bundle, folder, texts)
    _write_oracles(bundle, folder)
    manifest = dataclasses.replace(bundle.manifest, exact={**table, "verified": verified})
    seal(folder, manifest)
    return read_bundle(folder)


def _similar(keys):
    """A similarity that one pair in ten reaches."""
    return float(
        (keys @ keys.T)[torch.triu_indices(len(keys), len(keys), 1).unbind()].quantile(0.9)
    )


def answers(bundle, seed):
    """What a model that never was says of all images."""
    generator = np.random.default_rng(seed)
    said = generator.dirichlet(np.ones(3), PRIVATE + TEST).astype(np.float32)
    seen = verdicts(said, all_labels(bundle))
    return Outputs(said[:PRIVATE], said[PRIVATE:], 1.0, seen[:PRIVATE], seen[PRIVATE:])


def _write_oracles(bundle, folder):
    place = folder / ORACLES
    both = {f"{family}.0": answers(bundle, i) for i, family in enumerate((MUNKEY, PLAIN))}
    write_answers(bundle, place / "originals.safetensors", both)
    forget = bundle.bank.ids[2:5]
    write_answers(bundle, place / "random-10pct.safetensors", both, forget)
    truth = np.random.default_rng(3).random((2, PRIVATE + TEST))
    member = np.ones((2, PRIVATE + TEST), dtype=np.bool_)
    write_references(place / "references.safetensors", {MUNKEY: References(truth, member)})


def fill_cache(bundle):
    """What a person who has used the bundle has in the cache; returns the folders' names."""
    folders = []
    for seed, mode in enumerate(bundle.modes):
        one = bundle.in_mode(mode)
        runs, said = Runs(one, torch.device("cpu")), answers(bundle, 10 + seed)
        path = runs.path(Run(PLAIN, (bundle.bank.ids[1],), 0))
        path.parent.mkdir(parents=True)
        save_file(
            {
                "private": said.private,
                "test": said.test,
                "seconds": np.array(1.0),
                "tokens": one.bank.tokens.half().numpy(),
            },
            path,
        )
        (path.parent / "report-0.json").write_text(json.dumps({"ids": one.bank.ids}))
        maps = maps_of(one.bank).folder()
        maps.mkdir(parents=True, exist_ok=True)
        points = {"keys": np.ones((PRIVATE, 2), np.float32), "of": one.bank.keys.numpy()}
        save_file(points, maps / "keys-0.safetensors")
        jobs = maps.parent.parent / "jobs"
        jobs.mkdir(exist_ok=True)
        (jobs / f"retrain-{runs_folder(one).name}.json").write_text("[]")
        folders += [path.parent, maps]
    return folders


# -- searching -----------------------------------------------------------------------------------


def canaries(bundle, ids):
    """By name, bytes that stand for some images anywhere: none of them may be found afterwards."""
    found = {}
    rows = bundle.bank.rows(ids).tolist()
    images = bundle.thumbnails.array(ids)
    codes, _ = pack_tokens(bundle.exact.tokens)
    stored = load((bundle.folder / EXACT).read_bytes()) if bundle.folder else {}
    for i, (id_, row) in enumerate(zip(ids, rows, strict=True)):
        found[f"id {id_}"] = id_.encode()
        found[f"key {id_}"] = bundle.bank.keys[row].numpy().tobytes()
        found[f"half a key {id_}"] = bundle.bank.keys[row, :8].numpy().tobytes()
        found[f"token {id_}"] = bundle.bank.tokens[row].half().numpy().tobytes()
        found[f"exact token {id_}"] = codes[row].numpy().tobytes()
        found[f"row digest {id_}"] = stored["digests"][row].tobytes()
        for name, (do, _) in _TRANSFORMS.items():
            found[f"image ({name}) {id_}"] = do(images[i : i + 1]).tobytes()
        for name, values in bundle.scores.items():
            if name in ("memorisation", "influence"):
                found[f"{name} {id_}"] = values[row].numpy().tobytes()
        for space, fitted in bundle.projections.items():
            found[f"point of {space} {id_}"] = fitted.positions[row].tobytes()
        for seed in (10, 11):
            said = answers(bundle, seed).private[row]
            found[f"logit row {seed} {id_}"] = said.tobytes()
    return found


def in_folder(folder, patterns):
    """Names of the patterns that are somewhere in a folder: in a file's bytes, in anything that is
    compressed in it, or in the name of a file."""
    found = set()
    for path in sorted(folder.rglob("*")):
        texts = [str(path.relative_to(folder)).encode()]
        if path.is_file():
            texts += contents(path.read_bytes())
        for text in texts:
            found |= {name for name, pattern in patterns.items() if pattern in text}
    return found


def contents(data):
    """The bytes themselves, and all that can be unpacked from them wherever it begins."""
    yield data
    for magic, unpack in _UNPACKERS.items():
        start = data.find(magic)
        while start >= 0:
            inner = unpack(data[start:])
            if inner:
                yield inner
                if inner[:4] in (b"PAR1", b"PK\3\4"):
                    yield from contents(inner)
            start = data.find(magic, start + 1)
    if data[:4] == b"PAR1":
        yield str(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
    if data[:15] == b"SQLite format 3":
        connection = sqlite3.connect(":memory:")
        connection.deserialize(data)
        yield "\n".join(connection.iterdump()).encode()


def _xz(data):
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    except lzma.LZMAError:
        return b""


def _deflated(data):
    try:
        return zlib.decompressobj(47).decompress(data)  # zlib or gzip, by its head
    except zlib.error:
        return b""


def _zip(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return b""


def _png(data):
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.tobytes()
    except (OSError, SyntaxError, ValueError):
        return b""


_UNPACKERS = {
    b"\xfd7zXZ\x00": _xz,
    b"\x1f\x8b\x08": _deflated,
    b"\x78\x01": _deflated,
    b"\x78\x9c": _deflated,
    b"\x78\xda": _deflated,
    b"PK\3\4": _zip,
    b"\x89PNG\r\n\x1a\n": _png,
}
