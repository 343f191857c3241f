"""Texts, JSON and CSV from elsewhere: many forms are understood, all others refused in one line."""

import codecs
import json

import pytest

from munkey_core.errors import BadInputError, MunkeyError
from munkey_core.files.untrusted import is_name, parse_csv, parse_json, plain_cell, safe_cell

ROWS = [["id", "owner"], ["img-00", "Zoë"], ["img-01", "O'Neil, Ann"]]


def cells(data):
    return [row for _, row in parse_csv(data, "t.csv")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t", ", "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_what_spreadsheets_write_is_understood(encoding, mark, end):
    text = end.join(mark.join(f'"{cell}"' for cell in row) for row in ROWS) + end
    assert cells(text.encode(encoding)) == ROWS


def test_lines_are_counted_as_a_person_counts_them():
    found = parse_csv(b'id\n\n"a\nb"\nc\n', "t.csv")
    assert found == [(1, ["id"]), (4, ["a\nb"]), (5, ["c"])]


def test_formulas_are_texts():
    assert cells(b'id\n=HYPERLINK("http://x")\n') == [["id"], ['=HYPERLINK("http://x")']]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id\nZoë\n".encode("latin-1"), "wanted a CSV file in UTF-8, got other bytes"),
        ("id\na\n".encode("utf-16-le"), "control characters"),
        (codecs.BOM_UTF16_LE + b"a", "wanted a CSV file in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "in UTF-8, got other bytes"),
        (b"id\na\0b\n", "control characters"),
        ("id\n\u202eexe.txt\n".encode(), "turn the direction"),
        (b"id\n\x1b[31mred\n", "control characters"),
        (b'id\n"open\n', "line 2 is not a line of a CSV file"),
        (b"id\n" + b"x" * 200_000 + b"\n", "line 2 is not a line of a CSV file"),
    ],
)
def test_other_files_are_refused_with_what_is_wanted(data, message):
    with pytest.raises(BadInputError, match=f"^t.csv: .*{message}"):
        parse_csv(data, "t.csv")


@pytest.mark.slow
def test_a_million_rows_are_refused_soon():
    data = b"id\n" + b"a\n" * 1_000_000
    with pytest.raises(BadInputError, match=r"at most 500,000 rows \(\$MUNKEY_MAX_CSV_ROWS\)"):
        parse_csv(data, "t.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"[" * 100_000, "too deep"),
        (b"[" * 200 + b"]" * 200, "at most 100 levels"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": -Infinity}', "not valid JSON"),
        (b'{"a": 1e999}', "Number out of range"),
        (b"1" * 6_000, "not valid JSON"),
        (b'"\\u0000"', "characters that no text needs"),
        (b'{"\\u202e": 1}', "characters that no text needs"),
        (b'"\\ud800"', "not valid JSON"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_json_that_would_do_harm_is_refused(data, message):
    with pytest.raises(BadInputError, match=f"^f.json.*{message}"):
        parse_json(data, "f.json")


def test_good_json_is_read_as_it_is():
    value = {"a": [1, 2.5, None, True, {"b": "Zoë\n"}], "c": -1e300}
    assert parse_json(json.dumps(value).encode(), "f.json") == value


@pytest.mark.parametrize("name", ["Zoë", "O'Neil", "<b>x</b>", "نام\u200cها", "=1+1", "漢字"])
def test_names_of_people_are_names(name):
    assert is_name(name)


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\0", "\x1b[2J", "\u202eb", "x" * 201, "\u2028"])
def test_what_would_deceive_or_command_is_no_name(name):
    assert not is_name(name)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_compute_is_marked_as_text(text):
    assert safe_cell(text) == "'" + text
    assert plain_cell(str(safe_cell(text))) == text


@pytest.mark.parametrize("text", ["", "'", "'a", "a", "it's", "''=1"])
def test_other_apostrophes_are_left(text):
    assert plain_cell(str(safe_cell(text))) == text


@pytest.mark.parametrize("value", ["a=1", "", 5, -1.5, None, True])
def test_other_cells_stay_as_they_are(value):
    assert safe_cell(value) is value


def test_a_message_is_one_line_whatever_it_is_about():
    text = str(MunkeyError("a\nb\x1b[31m\u202e" + "x" * 5_000))
    assert text.startswith("a b [31m x")
    assert len(text) == 2_001
