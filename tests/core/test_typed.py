"""Plain values as what they are said to be: every refusal is one line that names the place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal, NotRequired, TypedDict

import pytest
from msgspec import Meta

from munkey_core.errors import BadInputError
from munkey_core.files.typed import Count, Name, checked


@dataclass(frozen=True)
class Leaf:
    n: Count
    share: float = 0.5
    kind: Literal["oak", "elm"] = "oak"

    def __post_init__(self) -> None:
        if self.n == 13:
            raise BadInputError("n must not be 13, got 13")


class Label(TypedDict):
    title: Name
    size: NotRequired[Annotated[int, Meta(ge=1, le=9)]]


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    label: Label | None = None
    named: dict[Name, Leaf] = field(default_factory=dict)
    pair: tuple[float, float] | None = None
    settings: dict[str, int | float] = field(default_factory=dict)
    leaves: Annotated[tuple[Leaf, ...], Meta(max_length=2)] = ()
    green: bool = True


LEAF = {"n": 1}


def tree(**values):
    return checked(Tree, {"leaf": LEAF, **values}, "t.json")


def test_what_fits_is_made():
    assert tree() == Tree(Leaf(1))
    assert tree(named={"a": LEAF}).named == {"a": Leaf(1)}
    assert tree(pair=[1, 2]).pair == (1.0, 2.0)


def test_the_bytes_of_a_json_file_are_read():
    assert checked(Leaf, b'{"n": 2}', "t.json") == Leaf(2)
    with pytest.raises(BadInputError, match=r"^t\.json is not valid JSON"):
        checked(Leaf, b'{"n": NaN}', "t.json")


def test_whole_numbers_stay_whole_where_both_are_wanted():
    found = tree(settings={"epochs": 2, "rate": 0.5}).settings
    assert [type(value) for value in found.values()] == [int, float]


def test_a_table_that_stays_one_keeps_what_nobody_reads():
    values = {"more": [1], "title": "x"}
    assert checked(Label, values, "t.json") is values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"leaf": []}, "t.json: leaf must be a table, got []"),
        ({"leaf": {}}, "t.json: leaf needs n"),
        ({"leaf": {"n": True}}, "t.json: leaf.n must be a whole number, got True"),
        ({"leaf": {"n": 1.0}}, "t.json: leaf.n must be a whole number, got 1.0"),
        ({"leaf": {"n": -1}}, "t.json: leaf.n must be a whole number >= 0, got -1"),
        ({"leaf": {"n": 2**53}}, "t.json: leaf.n must be a whole number <= 9007199254740991, got"),
        ({"leaf": {"n": 13}}, "t.json: n must not be 13, got 13"),
        ({"leaf": {"n": 1, "m": 2}}, "t.json: leaf has no 'm'; known: n, share, kind"),
        ({"leaf": {"n": 1, "share": math.nan}}, "t.json: leaf.share must be a finite number"),
        ({"leaf": {"n": 1, "share": -math.inf}}, "t.json: leaf.share must be a finite number"),
        ({"leaf": {"n": 1, "share": 10**400}}, "t.json: leaf.share must be a finite number"),
        ({"leaf": {"n": 1, "kind": "ash"}}, "t.json: leaf.kind must be one of elm, oak, got 'ash'"),
        (
            {"leaf": {"n": 1, "kind": "a - at `$.x`"}},
            "t.json: leaf.kind must be one of elm, oak, got 'a - at `$.x`'",
        ),
        ({"green": "yes"}, "t.json: green must be true or false, got 'yes'"),
        ({"green": date(2020, 1, 1)}, "t.json: green must be true or false, got datetime.date"),
        ({"pair": [1]}, "t.json: pair must be a list of length 2, got [1]"),
        ({"pair": "ab"}, "t.json: pair must be a list or nothing, got 'ab'"),
        ({"label": {"title": "a\nb"}}, "t.json: label.title must be a text of one line, got"),
        ({"label": {"title": "\u202eb"}}, "t.json: label.title must be a text of one line, got"),
        ({"label": {"title": "x" * 201}}, "t.json: label.title must be a text of length <= 200"),
        ({"label": {"title": "x", "size": 10}}, "t.json: label.size must be a whole number <= 9"),
        ({"leaves": [LEAF] * 3}, "t.json: leaves must be a list of length <= 2, got"),
        ({"leaves": [LEAF, {"n": "x"}]}, "t.json: leaves[1].n must be a whole number, got 'x'"),
        ({"leaves": [LEAF, {"n": 1, "m": 1}]}, "t.json: leaves[1] has no 'm'"),
        ({"settings": {"a": 1, "b": True}}, "t.json: settings.b must be a number, got True"),
        ({"settings": {"a": 10**400}}, "t.json: settings.a must be a finite number of at most"),
        ({"named": {"a\tb": LEAF}}, "t.json: a name in named must be a text of one line, got"),
        ({"named": {"a": {"n": 1, "m": 1}}}, "t.json: named.a has no 'm'"),
        ({"leaf": {"n": 1, "\ud800": 2}}, "t.json holds '\\ud800', which is no text"),
        ({"named": {"a": {"\ud800": 1}, "b": {"n": "x"}}}, "t.json holds '\\ud800'"),
        ({"named": {"b": {"n": "x"}, "c": {"n": 13}, "a": {"\ud800": 1}}}, "t.json: named.b.n"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values, message):
    with pytest.raises(BadInputError) as caught:
        tree(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", range(7))
def test_the_entry_that_is_wrong_is_found(bad):
    values = {f"leaf {i}": {"n": "many" if i == bad else i} for i in range(7)}
    with pytest.raises(BadInputError, match=f"named.leaf {bad}.n must be a whole .* got 'many'"):
        tree(named=values)
    assert values["leaf 6"] != values["leaf 5"]  # nothing was taken out of it


def test_other_names_and_large_numbers_are_let_pass_where_that_is_wished():
    values = {"leaf": {"n": 1, "m": 2, "share": 1e20}, "more": 1}
    assert checked(Tree, values, "t.json", others=(Tree, Leaf)) == Tree(Leaf(1, 1e20))
    with pytest.raises(BadInputError, match=r"leaf.share must be .* at most 1e\+15, got 1e\+20"):
        checked(Tree, values, "t.json", others=(Tree, Leaf), most=1e15)
    with pytest.raises(BadInputError, match=r"t\.json has no 'more'"):
        checked(Tree, values, "t.json", others=(Leaf,))
