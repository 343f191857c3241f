"""The table of properties: each value goes into the URL and comes back the same."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from app.session import long_links as links
from app.session import properties
from app.session.long_links import MAX_QUERY, TextStore, UnknownDigestError
from app.words.foreign import escaped


def prop(name):
    return next(p for p in properties.PROPERTIES if p.name == name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bundle", "fashion"),
        ("show", "random"),
        ("class", (3, 0)),
        ("owner", "customer-0001"),
        ("find", "42"),
        ("n", 1000),
        ("seed", 2**31 - 1),
        ("page", 7),
        ("query", "test-00042"),
        ("space", "tokens"),
        ("layout", "pca"),
        ("colour", "memorisation"),
        ("off", (0, 12)),
        ("when", "before"),
        ("method", "occlusion"),
        ("target", 0),
        ("opacity", 0),
        ("large", True),
        ("hide", ("menu", "history")),
        ("owner", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
        ("asks", "\U0001f469\u200d\U0001f467"),
        ("find", "Ann\u00a0Lee"),
        ("owner", "x" * 200),
        ("find", "患者张伟"),
        ("query", "%E6%82%A3" * 400),
        ("request", ("%E6%82%A3" * 400, "b")),
        ("basket", ("train-00001", "a/b_c~%.-2")),
        ("forgotten", (("train-00001", "train-00002"), ("train-00003",))),
    ],
)
def test_a_property_survives_the_url(name, value):
    assert prop(name).parse(prop(name).dump(value)) == value


def test_every_property_has_a_name_of_its_own():
    names = [p.name for p in properties.PROPERTIES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("show", "wild"),
        ("large", "yes"),
        ("class", "T-shirt"),
        ("class", "1 -1"),
        ("owner", "x" * 201),
        ("asks", "\u202eAnn"),
        ("find", "tab\there"),
        ("n", "0"),
        ("n", "5001"),
        ("n", "1e3"),
        ("seed", "-1"),
        ("seed", str(2**31)),
        ("page", ""),
        ("query", "x" * 4_001),
        ("find", "x" * 4_001),
        ("space", "values"),
        ("layout", "tsne"),
        ("colour", "red"),
        ("off", "a"),
        ("when", "now"),
        ("method", "lime"),
        ("target", "-1"),
        ("opacity", "101"),
        ("hide", "everything"),
        ("page", "٣"),
    ],
)
def test_a_bad_value_is_refused(name, raw):
    with pytest.raises(properties.BadValueError):
        prop(name).parse(raw)


@pytest.mark.parametrize("text", ["a b.png", "a,b", "@a", "a\u00a0b", "é\u3000 x", "a\tb"])
def test_a_request_for_what_is_no_id_is_one_name_in_a_link(text):
    back = prop("request").parse(prop("request").dump((text, "img-1")))
    assert len(back) == 2
    assert back[1] == "img-1"
    assert unquote(back[0]) == text


def test_repeated_ids_count_once():
    assert prop("basket").parse("b a b,a") == ("b", "a")
    assert prop("forgotten").parse("a a,,b") == (("a",), ("b",))


def test_a_long_list_becomes_a_digest_and_comes_back():
    ids = " ".join(f"train-{i:05d}" for i in range(1000))
    short = links.shorten({"basket": ids, "seed": "1"}, ("basket", "forgotten"))
    assert short["seed"] == "1"
    assert len(short["basket"]) < 30
    assert links.spell_out(short["basket"]) == ids


def test_only_the_longest_list_is_shortened_if_that_is_enough():
    query = {"basket": "a b", "forgotten": "x" * MAX_QUERY}
    short = links.shorten(query, ("basket", "forgotten"))
    assert short["basket"] == "a b"
    assert short["forgotten"].startswith("@")


def test_the_store_is_bounded_and_names_what_it_lost(monkeypatch):
    monkeypatch.setattr(links, "_MAX_TEXTS", 2)
    store = TextStore()
    first, second, third = (store.put(text) for text in "abc")
    assert store.get(second) == "b"
    assert store.get(third) == "c"
    with pytest.raises(UnknownDigestError):
        store.get(first)


def test_the_store_is_bounded_by_all_its_characters_too(monkeypatch):
    monkeypatch.setattr(links, "_MAX_CHARACTERS", 10)
    store = TextStore()
    first, second = store.put("a" * 6), store.put("b" * 4)
    assert store.get(first) == "a" * 6  # the last one used
    third, far_too_long = store.put("c" * 4), store.put("d" * 11)
    assert store.get(third) == "c" * 4
    for gone in (second, far_too_long):
        with pytest.raises(UnknownDigestError):
            store.get(gone)


@pytest.mark.parametrize("name", ["علی\u200cرضا", "\U0001f469\u200d\U0001f467", "Ann\u00a0Lee"])
def test_names_of_all_scripts_are_shown_as_they_are(name):
    assert escaped(name) == name


@pytest.mark.parametrize("text", ["![x](http://evil)", "<b>", "a*b_c`d", "[l](javascript:x)"])
def test_foreign_text_is_shown_as_it_is(text):
    shown = escaped(text)
    assert shown.replace("\\", "") == text
    assert "](" not in shown
    assert "<" not in shown.replace("\\<", "")
