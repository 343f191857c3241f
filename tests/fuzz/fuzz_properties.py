"""What no input may do: each property takes hostile input and lets nothing through but a result or
one MunkeyError of one line. `RUN` counts the inputs.

`test_fuzz.py` runs them with a small budget, `long_run.py` with a large one.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import json
import os
import shutil
import struct
import sys
import types
import warnings
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "core"))

import tiny
from fuzz_guard import scratch, watched
from fuzz_mutations import ODD_TEXTS, ODD_VALUES, spoiled_bytes, spoiled_json

from munkey_core.audit.reports import report_from_dict
from munkey_core.bundle import manifest as bundles
from munkey_core.bundle.forget_sets import parse_id_csv, select_ids
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.records import PARQUET, THUMBNAILS, read_records
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.data.archives import unpack_zip
from munkey_core.data.images import decode_image
from munkey_core.data.owner_table import rows_of
from munkey_core.errors import MunkeyError
from munkey_core.files.limits import Limits
from munkey_core.files.untrusted import parse_json
from munkey_core.model.side_effects import SideEffects
from munkey_core.progress import finish
from munkey_core.results import Browse
from munkey_core.studio import SharedModel, Studio

RUN = Counter()
ACCEPTED = Counter()
PRIVATE = tiny.random_bundle().records[:12]


@contextlib.contextmanager
def one_input(name, folder, again=False):
    """Counts an input; passes a MunkeyError of one line, and nothing else. again: it is given to
    another reader, and counts once."""
    RUN[name] += not again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with watched(folder):
                yield
            ACCEPTED[name] += not again
        except MunkeyError as error:
            text = str(error)
            assert text.strip(), "a message says something"
            assert "\n" not in text, text
            assert len(text) < 3_000, text[:200]
            assert "Traceback" not in text


# -- CSV and ids -------------------------------------------------------------------------------

_CELL = st.one_of(
    st.sampled_from([record.id for record in PRIVATE]),
    ODD_TEXTS.map(lambda text: text.replace("\ud800", "")),
)
_GOOD_CSV = b'id,label\r\nimg-00,1\r\n"img-01",2\r\n'


@st.composite
def csv_bytes(draw):
    """Tables in many encodings with many kinds of cells, then perhaps spoiled."""
    rows = draw(st.lists(st.lists(_CELL, max_size=4), max_size=8))
    mark = draw(st.sampled_from([",", ";", "\t", "|", ", "]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    quote = draw(st.booleans())
    head = draw(st.sampled_from([[], ["id"], ["file", "owner"], ["label", "ID"], ["id", "id"]]))
    lines = [head, *rows] if head else rows
    cell = (lambda text: '"' + text.replace('"', '""') + '"') if quote else str
    text = end.join(mark.join(map(cell, line)) for line in lines)
    code = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"]))
    data = text.encode(code, "replace")
    return draw(spoiled_bytes(data)) if draw(st.booleans()) else data


CSV_INPUT = st.one_of(csv_bytes(), spoiled_bytes(_GOOD_CSV), st.binary(max_size=120))
_csv_folder = cache(scratch)


def csv_of_ids(data):
    """A CSV file of ids, as an upload; each tenth as owners.csv and records.csv, too."""
    folder = _csv_folder()
    with one_input("CSV", folder):
        ids = parse_id_csv(data, "ids.csv")
        assert ids
        assert all(id_ and id_ == id_.strip() and "\0" not in id_ for id_ in ids)
    if RUN["CSV"] % 10:
        return
    for name in ("owners.csv", "records.csv"):
        (folder / name).write_bytes(data)
    with one_input("CSV", folder, again=True):
        list(rows_of(folder / "owners.csv"))
    with one_input("CSV", folder, again=True):
        read_records(folder / "records.csv")


IDS_INPUT = st.one_of(
    st.text(max_size=60),
    ODD_TEXTS,
    st.lists(_CELL, max_size=6).map(",".join),
    st.text(max_size=30).map("@".__add__),
    st.text(max_size=30).map("owner:".__add__),
    st.text(alphabet="random-0159pct", max_size=14),
)


def ids_of_a_command(spec):
    """IDS of a command line."""
    folder = _csv_folder()
    with contextlib.chdir(folder), one_input("ids", folder):
        ids = select_ids(spec, PRIVATE)
        assert ids
        assert len(set(ids)) == len(ids)


# -- URL ---------------------------------------------------------------------------------------


@cache
def _shared():
    folder = scratch() / "tiny"
    write_bundle(tiny.random_bundle(), folder)
    return SharedModel(read_bundle(folder))


_FITTING = {
    "bundle": "tiny",
    "mode": "joint exact",
    "show": "memorised random near twins exposed influential",
    "class": "0 1 2 9",
    "owner": "owner-1",
    "n": "1 10",
    "seed": "0 7",
    "page": "1 2",
    "of": "basket forgotten random-10pct",
    "attack": "loss",
    "query": "img-00 img-13",
    "space": "keys tokens",
    "hide": "menu jobs",
    "target": "0 2 5",
    "basket": "img-00 img-01",
    "forgotten": "img-02,img-03",
}


@st.composite
def url_query(draw):
    """Parameters of an address, as Streamlit hands them over: name → the last value."""
    from app.session import properties

    names = st.one_of(st.sampled_from([p.name for p in properties.PROPERTIES]), ODD_TEXTS)
    query = {}
    for name in draw(st.lists(names, max_size=6)):
        good = _FITTING.get(name, "x").split()
        value = draw(
            st.one_of(
                st.sampled_from(good),
                st.lists(st.sampled_from(good), max_size=4).map(" ".join),
                ODD_TEXTS,
                st.text(max_size=200),
                st.integers(-(10**12), 10**12).map(str),
                st.text(alphabet="0123456789abcdef", min_size=20, max_size=20).map("@".__add__),
                st.sampled_from([2, 20, 200, 20_000]).map(lambda n: "img-00 " * n),
            )
        )
        query[name] = value
    return query


def url_state(query):
    """An address: read, checked against a model, and written again."""
    from app.session import link_messages, page_url, properties, services, state

    folder = _csv_folder()
    session = Studio(_shared())
    streamlit = types.SimpleNamespace(
        session_state={}, query_params=types.SimpleNamespace(to_dict=lambda: dict(query))
    )
    kept, state.st = state.st, streamlit
    worked, services._work_out = services._work_out, lambda session: None
    try:
        with one_input("URL", folder):
            page_url.read()
            for prop in properties.PROPERTIES:
                value = state.get(prop.name)
                if value != prop.default:
                    assert prop.parse(prop.dump(value)) == value
            services._settle(services.Session("tiny", session, None))
            for message in link_messages.said():
                bare = message.replace("\\<", "").replace("\\[", "").replace("\\!", "")
                assert "<" not in bare, message
                assert "[" not in bare, message
                assert "![" not in bare, message
                assert len(message) < 2_000
            assert set(session.memory.forgotten) <= set(session.memory.private_ids())
    finally:
        state.st, services._work_out = kept, worked


# -- images ------------------------------------------------------------------------------------


@cache
def _good_images():
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (9, 11, 3)).astype(np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (7, 5)).astype(np.uint16))
    clear = colour.convert("RGBA")
    clear.putalpha(100)
    palette = colour.convert("P")
    found = []
    for image, kind, options in [
        (colour, "PNG", {}),
        (deep, "PNG", {}),
        (clear, "PNG", {}),
        (palette, "PNG", {"transparency": 3}),
        (palette, "GIF", {"save_all": True, "append_images": [palette.rotate(90)]}),
        (colour, "JPEG", {"exif": _turned(6)}),
        (colour.convert("CMYK"), "JPEG", {}),
        (colour, "WEBP", {}),
        (colour, "TIFF", {"compression": "tiff_lzw"}),
        (deep, "TIFF", {}),
        (colour, "BMP", {}),
        (colour, "PPM", {}),
        (colour.convert("1"), "TIFF", {"compression": "group4"}),
    ]:
        out = io.BytesIO()
        image.save(out, kind, **options)
        found.append(out.getvalue())
    return found


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


IMAGE_INPUT = st.integers(0, 12).flatmap(lambda i: spoiled_bytes(_good_images()[i]))


def picture(data):
    """A picture that somebody uploads."""
    with one_input("image", _csv_folder()):
        pixels = decode_image(data, 16, max_pixels=250_000)
        assert pixels.shape == (16, 16, 3)
        assert pixels.dtype == np.uint8


# -- archives ----------------------------------------------------------------------------------

_MEMBER = st.one_of(
    st.sampled_from(
        ["a/1.png", "b/2.png", "../x", "/etc/x", "a/../../x", "C:/x", "a\\..\\..\\x", "a"]
    ),
    st.text(min_size=1, max_size=20).map(lambda text: text.replace("\ud800", "")),
)


@st.composite
def zip_bytes(draw):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in draw(st.lists(_MEMBER, max_size=4)):
            info = zipfile.ZipInfo(name.replace("\0", "") or "x")
            info.external_attr = draw(st.sampled_from([0, 0o120777, 0o100644, 0o010644])) << 16
            with contextlib.suppress(ValueError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(
                    info, draw(st.sampled_from([b"", b"x", b"/etc/passwd", b"0" * 9000]))
                )
    data = out.getvalue()
    return draw(spoiled_bytes(data)) if draw(st.booleans()) else data


def archive(data):
    """An archive that somebody uploads."""
    folder = _archive_folder()
    place = folder / "out"
    shutil.rmtree(place, ignore_errors=True)
    with one_input("archive", folder):
        unpack_zip(
            io.BytesIO(data), place, Limits(zip_files=20, zip_bytes=20_000, zip_ratio=100), "a.zip"
        )
        for path in place.rglob("*"):
            assert not path.is_symlink()
            assert path.is_file() or path.is_dir()


_archive_folder = cache(scratch)


# -- JSON of a bundle --------------------------------------------------------------------------


def json_text(data):
    """JSON of unknown origin."""
    with one_input("JSON", _csv_folder()):
        parse_json(data, "x.json")


JSON_INPUT = st.one_of(
    spoiled_bytes(b'{"a": [1, 2.5, {"b": null}], "c": "text", "d": true}'),
    ODD_VALUES.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 100_000).map(lambda n: b"[" * n),
    st.integers(1, 6_000).map(lambda n: b"1" * n),
)


# -- bundles -----------------------------------------------------------------------------------


@cache
def _pristine():
    folder = scratch() / "tiny"
    whole = tiny.random_bundle()
    write_bundle(whole, folder, {bundles.CARD: "# Tiny\n"})
    figures = {"reports": {"random-10pct": report_values()}, "attacks": {}, "tuning": {}}
    (folder / bundles.METRICS).write_text(json.dumps(figures))
    seal(folder, whole.manifest)
    SharedModel(read_bundle(folder))  # it is a good one
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def report_values():
    """A report with everything in it that a report may have, as JSON values."""
    distance = {"agreement": 90.0, "kl": 0.1, "shift": 1.0}
    figures = {
        "family": "by-design",
        "oracle": None,
        "test_accuracy": 90.0,
        "retain_accuracy": 91.0,
        "forget_accuracy": 80.0,
        "mia_auc": 51.0,
        "mia_auc_ci95": [49.0, 53.0],
        "avg_gap": 0.5,
        "avg_gap_cross_seeds": 0.6,
        "unlearn_seconds": 0.001,
        "ci95": {"avg_gap": [0.1, 0.9]},
        "spread": {"mia_auc": 0.1},
        "per_seed": [{"seed": 0.0, "mia_auc": 51.0}],
        "to_oracle_forget": distance,
        "to_oracle_test": distance,
        "forgetting_quality": {"score": 0.5, "null_mean": 0.9, "null_low": 0.8, "n": 3},
        "settings": {"alpha": 0.95},
        "exact": False,
    }
    leak = {
        "memory_accuracy": 1.0,
        "memory_mia": 2.0,
        "image_mia": 50.0,
        "image_mia_ci95": [48.0, 52.0],
        "image_mia_oracle": 50.0,
        "backbone": {
            "points": 0.1,
            "ci95": [-1.0, 1.0],
            "oracle_points": 0.1,
            "excess_points": 0.0,
            "excess_ci95": None,
        },
    }
    return {
        "bundle": "tiny",
        "digest": "",
        "forget": "random-10pct",
        "set_digest": "ab" * 32,
        "n_forget": 1,
        "n_retain": 11,
        "n_test": 6,
        "seeds": [0],
        "models": {"MUNKEY after": figures},
        "null_bands": {"MUNKEY retrained": {"mean": 0.2, "low": 0.1, "high": 0.3, "pairs": 1}},
        "leak": leak,
        "device": "CPU",
        "seconds": 1.0,
    }


REPORT_INPUT = spoiled_json(report_values())


def report(value):
    """A stored report."""
    with one_input("report", _csv_folder()):
        found = report_from_dict(value)
        json.dumps(found.to_dict(), allow_nan=False)


_TENSOR_FILES = (
    bundles.MODEL,
    bundles.ENCODER,
    bundles.BANK,
    bundles.QUERIES,
    bundles.SCORES,
    THUMBNAILS,
)
_DTYPES = ("F32", "F16", "BF16", "F64", "I64", "I32", "U8", "I8", "BOOL", "F8_E4M3", "U64", "C64")


def split_tensors(data):
    """Header and payload of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join_tensors(header, payload, claimed=None):
    text = json.dumps(header).encode()
    length = len(text) if claimed is None else claimed
    return struct.pack("<Q", length % 2**64) + text + payload


@st.composite
def spoiled_tensors(draw, good):
    """A safetensors file with another header, other values, or other lengths."""
    header, payload = split_tensors(good)
    kind = draw(st.integers(0, 5))
    names = [name for name in header if name != "__metadata__"]
    name = draw(st.sampled_from(names))
    if kind == 0:
        header = draw(spoiled_json(header))
    elif kind == 1:
        header[name]["dtype"] = draw(st.sampled_from(_DTYPES))
    elif kind == 2:
        header[name]["shape"] = draw(
            st.lists(st.sampled_from([0, 1, 2, 12, 16, 2**32, 2**62]), max_size=4)
        )
    elif kind == 3:  # other values of the same kind and shape
        first, last = header[name]["data_offsets"]
        filler = draw(
            st.sampled_from([b"\xff", b"\0", b"\x7f", b"\x7e\x7f", b"\0\0\x80\x7f", b"A"])
        )
        payload = payload[:first] + (filler * (last - first))[: last - first] + payload[last:]
    elif kind == 4:
        return join_tensors(
            header, payload, draw(st.sampled_from([0, 1, 2**63, 2**64 - 1, 10**8, 50]))
        )
    else:
        payload = draw(spoiled_bytes(payload))
    return join_tensors(header, payload)


@st.composite
def spoiled_records(draw):
    """records.parquet of other rows, columns and kinds, or spoiled bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    good = pq.read_table(io.BytesIO(_pristine()[PARQUET])).to_pydict()
    if draw(st.integers(0, 3)) == 0:
        return draw(spoiled_bytes(_pristine()[PARQUET]))
    name = draw(st.sampled_from(sorted(good)))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(good[name]) - 1))
        good[name][place] = draw(ODD_VALUES)
    else:
        good[name] = draw(st.lists(ODD_VALUES, min_size=len(good[name]), max_size=len(good[name])))
    out = io.BytesIO()
    try:
        codec = draw(st.sampled_from(["snappy", "gzip", "zstd", "none"]))
        pq.write_table(pa.table(good), out, compression=codec)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        return draw(spoiled_bytes(_pristine()[PARQUET]))
    return out.getvalue()


@st.composite
def bundle_changes(draw):
    """(name of a file, its new bytes or what stands in its place, whether it is sealed)."""
    files = _pristine()
    kind = draw(st.integers(0, 9))
    sealed = draw(st.integers(0, 9)) > 0
    if kind <= 2:
        manifest = draw(spoiled_json(json.loads(files[bundles.MANIFEST])))
        return bundles.MANIFEST, json.dumps(manifest).encode(), False
    if kind == 3:
        metrics = draw(spoiled_json(json.loads(files[bundles.METRICS])))
        return bundles.METRICS, json.dumps(metrics).encode(), sealed
    if kind == 4:
        return PARQUET, draw(spoiled_records()), sealed
    if kind <= 7:
        name = draw(st.sampled_from(_TENSOR_FILES))
        return name, draw(spoiled_tensors(files[name])), sealed
    if kind == 8:
        name = draw(st.sampled_from(sorted(files)))
        return name, draw(spoiled_bytes(files[name])), sealed and name != bundles.MANIFEST
    name = draw(st.sampled_from([*sorted(files), "oracles"]))
    return name, draw(st.sampled_from(["link", "pipe", "folder", "gone", "loop", "device"])), False


_bundle_folder = cache(scratch)


def bundle(change):
    """A bundle with one thing in it that is not what it should be: opened, then used."""
    name, content, sealed = change
    files = dict(_pristine())
    folder = _bundle_folder() / "tiny"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if isinstance(content, bytes):
        files[name] = content
        if sealed:
            manifest = json.loads(files[bundles.MANIFEST])
            manifest["files"][name] = hashlib.sha256(content).hexdigest()
            files[bundles.MANIFEST] = json.dumps(manifest).encode()
    for one, data in files.items():
        (folder / one).write_bytes(data)
    if not isinstance(content, bytes):
        _replace(folder / name, content)
    with one_input("bundle", _bundle_folder()):
        studio = Studio(SharedModel(read_bundle(folder)))
        use(studio)


def _replace(path, what):
    path.unlink(missing_ok=True)
    outside = _csv_folder() / "outside"
    outside.write_bytes(_pristine().get(path.name, b"x"))
    if what == "link":
        path.symlink_to(outside)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path)
    elif what == "device":
        path.symlink_to("/dev/zero")


def use(studio):
    """What the app asks of a model that has just been opened. Each part may be refused."""
    first = studio.memory.private_ids()[:2]
    parts = [
        lambda: studio.predict(list(first)),
        lambda: studio.predict(list(studio.memory.test_ids()[:2])),
        lambda: studio.browse(Browse(order="memorised")),
        lambda: studio.memory.canonical_sets(),
        lambda: (
            studio.audit.report(first),
            studio.audit.main_report(),
            studio.memory.owners,
            studio.about.manifest,
        ),
        lambda: (studio.privacy.exposure, studio.privacy.has_exposure, studio.explain.influence()),
        lambda: studio.maps.projection("keys", "pca"),
        lambda: studio.pictures.png(first[0]),
        lambda: studio.memory.near_duplicates(first),
        lambda: studio.jobs.seconds("retrain"),
    ]
    for part in parts:
        with contextlib.suppress(MunkeyError):
            part()
    with contextlib.suppress(MunkeyError):
        deletion = studio.forget(first)
        found = studio.changes(deletion)
        assert len(found) == len(first)
        assert isinstance(finish(studio.side_effects(deletion)), SideEffects)
        studio.undo()


@dataclasses.dataclass(frozen=True)
class Property:
    """A property, what it is fed with, and its share of a run."""

    run: object
    inputs: object
    share: float


# What a search by coverage starts from, where the input is bytes.
SEEDS = {
    "CSV": lambda: [
        _GOOD_CSV,
        _GOOD_CSV.decode().encode("utf-16"),
        b"\xef\xbb\xbffile;owner\r\na.png;Ann\r\n",
        b"id,label,owner,split\nimg-00,1,Ann,private\nimg-01,2,Bob,test\n",
    ],
    "ids": lambda: [b"img-00,img-01", b"owner:owner-1", b"random-10pct", b"@ids.csv"],
    "JSON": lambda: [b'{"a": [1, 2.5e3, {"b": null}], "c": "\\u00e9", "d": true}'],
    "image": _good_images,
    "archive": lambda: [_packed(["a/1.png", "b/2.png"]), _packed(["../x"]), _packed(["a", "a"])],
}


def _packed(names):
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        warnings.simplefilter("ignore")
        for name in names:
            packed.writestr(name, b"x" * 50)
    return out.getvalue()


def all_properties():
    """Those of this file, and those that other files beside it add."""
    for path in sorted(Path(__file__).parent.glob("fuzz_*.py")):
        importlib.import_module(path.stem)
    return PROPERTIES


PROPERTIES = {
    "CSV": Property(csv_of_ids, CSV_INPUT, 0.25),
    "ids": Property(ids_of_a_command, IDS_INPUT, 0.25),
    "URL": Property(url_state, url_query(), 0.06),
    "image": Property(picture, IMAGE_INPUT, 0.20),
    "archive": Property(archive, zip_bytes(), 0.02),
    "JSON": Property(json_text, JSON_INPUT, 0.17),
    "report": Property(report, REPORT_INPUT, 0.03),
    "bundle": Property(bundle, bundle_changes(), 0.02),
}
