"""An image is named by its id, or by its file as it is on disk, wherever ids are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from munkey_core.bundle.forget_sets import select_ids
from munkey_core.bundle.image_names import ImageNames
from munkey_core.data.naming import file_of, id_of
from munkey_core.errors import BadInputError
from munkey_core.files.untrusted import safe_cell
from munkey_core.results import PRIVATE, Record

FILES = (
    "Björn & Co/IMG 00 (1).png",
    "cats/a, b.png",
    "cats/plain.png",
    "-1/000.png",
    "+1/000.png",
    "肺炎/患者 1.png",
    "dogs/50%.png",
    "a'b/'c.png",
)
IDS = tuple(map(id_of, FILES))
NAMES = ImageNames(IDS)
BETWEEN = r"[\s,;]+"


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "written",
    [
        str,
        id_of,
        safe_cell,
        lambda file: safe_cell(id_of(file)),
        lambda file: "./" + file,
        lambda file: file.replace("/", "\\"),
        lambda file: ".\\" + file.replace("/", "\\"),
        lambda file: file.replace("ö", "o\u0308"),
        lambda file: file.replace(" ", "\u00a0"),
        lambda file: "\ufeff" + file,
        lambda file: id_of(file).replace("%28", "(").replace("%29", ")"),
    ],
)
def test_a_file_is_found_however_it_is_written(file, written):
    assert NAMES.find(written(file)) == id_of(file)


@pytest.mark.parametrize(
    "text", ["", "IMG 00 (1).png", "cats", "CATS/plain.png", "../cats", "x" * 9, "\ud800"]
)
def test_what_names_no_image_stays_as_it_is(text):
    assert NAMES.find(text) is None
    assert NAMES.id_for(text) == text


def test_two_files_that_differ_in_what_nobody_sees_are_never_taken_for_each_other():
    twins = ImageNames(map(id_of, ("a/x y.png", "a/x\u00a0y.png")))
    assert twins.find("a/x y.png") == "a/x%20y.png"
    assert twins.find("a/x\u00a0y.png") == "a/x%C2%A0y.png"
    assert twins.find("a/x  y.png") is None


@pytest.mark.parametrize("mark", [", ", ",", "; ", " ", "  ", "\n", "\r\n", "\t", ",\n"])
def test_a_field_takes_ids_and_file_names_in_any_order(mark):
    typed = mark.join([FILES[0], IDS[1], FILES[2], "unknown", FILES[1], FILES[5]])
    wanted = (IDS[0], IDS[1], IDS[2], "unknown", IDS[1], IDS[5])
    assert NAMES.in_text(typed, BETWEEN) == wanted


@given(st.text(max_size=60))
def test_any_text_is_split_into_names_without_blanks_around(text):
    for names in (NAMES, ImageNames(["a-1"])):
        found = names.in_text(text, BETWEEN)
        assert all(name and name == name.strip() for name in found)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_an_id_says_its_file(name):
    assert file_of(id_of(name)) == name


RECORDS = [
    Record(id_, 0, owner, PRIVATE)
    for id_, owner in zip(
        IDS, ["José", "Ann Lee", "José", "", "=Ann", "", "Ann", "ann"], strict=True
    )
]


@pytest.mark.parametrize(
    "spec", [FILES[0], FILES[1], f"{FILES[0]}, {FILES[1]}", "'-1/000.png", ".\\cats\\plain.png"]
)
def test_the_command_line_takes_file_names(spec):
    chosen = select_ids(spec, RECORDS, NAMES)
    assert set(chosen) <= set(IDS)


@pytest.mark.parametrize("header", ["id", "file", "File", "ID;x", "sep=;\nid;owner"])
def test_a_table_takes_file_names(tmp_path, header):
    mark = ";" if ";" in header else ","
    rows = "\n".join(f'"{name}"' + (f"{mark}1" if ";" in header else "") for name in FILES)
    (tmp_path / "ids.csv").write_text(f"{header}\n{rows}\n", encoding="utf-8")
    assert select_ids(f"@{tmp_path / 'ids.csv'}", RECORDS, NAMES) == IDS


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ("Jose\u0301", [0, 2]),
        ("\ufeffJosé ", [0, 2]),
        ("Ann\u00a0 Lee", [1]),
        ("Ann\u200d", [6]),
        ("'=Ann", [4]),
    ],
)
def test_an_owner_is_asked_for_in_any_spelling(asked, rows):
    assert select_ids(f"owner:{asked}", RECORDS, NAMES) == tuple(IDS[row] for row in rows)


@pytest.mark.parametrize("asked", ["ANN", "\u0410nn"])
def test_an_owner_who_only_looks_alike_is_named(asked):
    with pytest.raises(BadInputError, match="'Ann', 'ann', whose name looks alike"):
        select_ids(f"owner:{asked}", RECORDS, NAMES)


@pytest.mark.parametrize("asked", ["", " ", "\u200b", "nobody"])
def test_nobody_owns_what_has_no_owner(asked):
    with pytest.raises(BadInputError, match="no private image belongs"):
        select_ids(f"owner:{asked}", RECORDS, NAMES)
