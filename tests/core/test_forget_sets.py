"""Which images are meant: every way to name ids, and every way to get it wrong."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from munkey_core.bundle.forget_sets import (
    names_a_set,
    random_forget_set,
    read_id_csv,
    select_ids,
)
from munkey_core.errors import BadInputError, MunkeyError
from munkey_core.results import PRIVATE, Record

RECORDS = [Record(f"img-{i:02d}", 0, f"owner-{i % 3}", PRIVATE) for i in range(40)]
IDS = [record.id for record in RECORDS]

slow_fixture = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_ids_are_taken_once_in_order_of_first_mention():
    assert select_ids(" img-03, img-01 ,,img-03,", RECORDS) == ("img-03", "img-01")


def test_an_owner_means_all_of_that_owner_s_images():
    assert select_ids("owner:owner-1", RECORDS) == tuple(IDS[1::3])
    with pytest.raises(BadInputError, match="'nobody'"):
        select_ids("owner:nobody", RECORDS)


@pytest.mark.parametrize(("percent", "count"), [(1, 1), (5, 2), (10, 4), (50, 20)])
def test_a_canonical_set_has_its_share_of_the_images(percent, count):
    chosen = select_ids(f"random-{percent}pct", RECORDS)
    assert len(chosen) == len(set(chosen)) == count
    assert set(chosen) <= set(IDS)


@pytest.mark.parametrize("spec", ["random-0pct", "random-00pct", "random-05pct", "random-100pct"])
def test_a_share_that_is_no_canonical_set_is_not_taken_for_one(spec):
    assert select_ids(spec, RECORDS) == (spec,)  # an id like any other, refused by the bank


@pytest.mark.parametrize("spec", ["random-10pct", " random-37pct", "one-owner", "near-duplicates"])
def test_a_set_s_name_means_other_images_later(spec):
    assert names_a_set(spec)


@pytest.mark.parametrize("spec", ["img-00", "a b.png, c.png", "owner:random-1pct", "@one-owner"])
def test_what_is_named_one_by_one_means_the_same_images_later(spec):
    assert not names_a_set(spec)


FROZEN_10PCT = ("img-02", "img-04", "img-31", "img-37")


def test_a_canonical_set_is_always_the_same_whatever_the_order_of_the_images():
    assert random_forget_set(IDS, 10) == random_forget_set(IDS[::-1], 10)
    # Quoted in reports, so it may never change.
    assert random_forget_set(IDS, 10) == FROZEN_10PCT


@pytest.mark.parametrize("spec", ["", "  ", ",", ", ,"])
def test_naming_nothing_is_refused_and_the_ways_to_name_are_told(spec):
    with pytest.raises(BadInputError, match=r"@file\.csv, owner:NAME or one of random-1pct"):
        select_ids(spec, RECORDS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("id\na\nb\n", ("a", "b")),
        ("label, ID \n7,a\n8, b\n", ("a", "b")),
        ("a,1\nb,2\n", ("a", "b")),
        ("\ufeffid\r\na\r\n\r\nb", ("a", "b")),
        ('id\n"a"\n', ("a",)),
        ("a,b,c\n", ("a", "b", "c")),
        ("a;b;c", ("a", "b", "c")),
        ("a\tb\tc\n", ("a", "b", "c")),
        ("1,2,3\n", ("1", "2", "3")),
        ("a,b,c\nd,e\n", ("a", "b", "c", "d", "e")),
        ("a,b,\nc,,\n", ("a", "b", "c")),
        ("id\na,b,c\n", ("a", "b", "c")),
        ("id\na;b;c\n", ("a", "b", "c")),
        ("a,7,0.5\nb,8,12%\n", ("a", "b")),
        ("sep=;\r\nid;owner\r\na;x\r\n", ("a",)),
        ('\ufeff"sep=;"\nid;owner\na;x,y\n', ("a",)),
        ("SEP=\t\nowner\tid\nx\ta\n", ("a",)),
        ("sep=|\nid|x\na|b\n", ("a",)),
        ("id;note, free\na;x\n", ("a",)),
        ("id;note, free\na;b, c\nd;e, f\n", ("a", "d")),
        ("note, free; and more;id\nx;y;a\n", ("a",)),
        ("\n  \n;;\nid;x\na;1\n", ("a",)),
        ("file\na b.png\n", ("a b.png",)),
        ("File,ID\nf,a\n", ("a",)),
        ("\u200bid\u00a0,x\na,1\n", ("a",)),
    ],
)
def test_a_csv_gives_its_ids_in_whatever_form(tmp_path, text, wanted):
    file = tmp_path / "ids.csv"
    file.write_text(text, encoding="utf-8", newline="")
    assert read_id_csv(file) == wanted
    assert select_ids(f"@{file}", RECORDS) == wanted


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no ids"),
        (b"\n\n  \n", "holds no ids"),
        (b"label,id\n", "holds no ids"),
        (b"label,id\n7\n", "line 2 has no id in column 2"),
        (b"a\n,b\n", "line 2 has no id in column 1"),
        (b"image_id\na\n", "column id is missing: have image_id"),
        (b"Image ID;Owner\na;Ann\n", "column id is missing: have Image ID, Owner"),
        (b"label,owner\n7,Ann\n", "column id is missing: have label, owner"),
        (b"filename\na.png\n", "column id is missing: have filename"),
        (b"1,0\n2,1\n", "line 1 has several numbers, and no header says"),
        (b"sep=;\nid;x\n;1\n", "line 3 has no id in column 1"),
        (b"\xff\xfe\x00", "wanted a CSV file in UTF-8, got other bytes"),
        (b'id\n"' + b"x" * 200_000 + b'"\n', "line 2 is not a line of a CSV file"),
    ],
)
def test_a_csv_without_ids_is_refused_with_its_name(tmp_path, data, message):
    file = tmp_path / "ids.csv"
    file.write_bytes(data)
    with pytest.raises(BadInputError, match=message) as caught:
        read_id_csv(file)
    assert "ids.csv" in str(caught.value)


@pytest.mark.parametrize("name", ["missing.csv", "", "a\0b", "x" * 5000])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=r"wanted a CSV file|can't be read as a CSV"):
        select_ids(f"@{name}", RECORDS)


def test_a_huge_csv_is_refused_unread(tmp_path):
    file = tmp_path / "ids.csv"
    with file.open("wb") as stream:
        stream.truncate(20_000_001)
    with pytest.raises(BadInputError, match=r"at most 20,000,000 bytes \(\$MUNKEY_MAX_CSV_BYTES\)"):
        read_id_csv(file)


@slow_fixture
@given(st.one_of(st.text(max_size=40), st.text(max_size=10).map("@".__add__)))
def test_any_text_names_images_or_is_refused(spec):
    try:
        chosen = select_ids(spec, RECORDS)
    except MunkeyError:
        return
    assert chosen
    assert len(set(chosen)) == len(chosen)


@slow_fixture
@given(st.one_of(st.binary(max_size=60), st.text(alphabet='id,"\r\n\0ä x', max_size=30)))
def test_any_file_gives_ids_or_is_refused(tmp_path, content):
    file = tmp_path / "ids.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        ids = read_id_csv(file)
    except MunkeyError:
        return
    assert ids
    assert all(id_ and id_ == id_.strip() for id_ in ids)
