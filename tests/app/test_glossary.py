"""Each term is explained once, in one sentence, and every place that names one finds it."""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path

import pytest

import app
from app.components.glossary_list import glossary_list
from app.words.glossary import GROUPS, TERMS, Term, html, plain, term
from app.words.readings import READINGS

ROOT = Path(app.__file__).parent
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.py"))
    if path.name != "glossary.py"
}
FUNCTIONS = ("term", "html", "plain")
WANTED = (
    *("key", "exemplar-token", "memory-bank", "retain-set", "forget-set", "auroc", "null-band"),
    *("oracle", "backbone-leak", "memorisation", "tpr1", "avg-gap", "null-anchor", "shapley"),
    *("influence", "membership-inference", "joint", "exact", "umap"),
)


def calls() -> list[tuple[str, str]]:
    """(file, slug) of every use of a term whose slug stands there as text."""
    found = []
    for path, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in FUNCTIONS
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.append((path.name, str(node.args[0].value)))
    return found


def test_the_terms_that_nobody_should_have_to_look_up_are_there() -> None:
    assert set(WANTED) <= set(TERMS)


@pytest.mark.parametrize("slug", TERMS)
def test_a_term_is_explained_in_one_sentence(slug: str) -> None:
    one = TERMS[slug]
    assert sum(slug in terms for terms in GROUPS.values()) == 1
    assert one.name
    assert one.where
    assert one.plain.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", one.plain), "one sentence"
    assert 20 <= len(one.plain) <= 230
    assert re.fullmatch(r"[a-z0-9-]+", slug)


def test_no_two_terms_have_one_name_or_one_explanation() -> None:
    assert len({one.name.casefold() for one in TERMS.values()}) == len(TERMS)
    assert len({one.plain for one in TERMS.values()}) == len(TERMS)


def test_every_term_that_a_page_names_is_known_and_no_explanation_is_copied() -> None:
    found = calls()
    assert len(found) > 40
    assert [(file, slug) for file, slug in found if slug not in TERMS] == []
    for path, source in SOURCES.items():
        for slug, one in TERMS.items():
            assert one.plain[:50] not in source, f"{path.name} explains {slug} by itself"


def test_a_term_is_a_link_in_both_languages_and_foreign_text_is_escaped() -> None:
    assert term("key", "keys") == "[keys](#term-key)"
    assert term("auroc") == "[AUROC](#term-auroc)"
    assert html("key", "<b>") == '<a href="#term-key">&lt;b&gt;</a>'
    for unknown in (term, html, plain):
        with pytest.raises(KeyError):
            unknown("no-such-term")


def test_the_list_holds_every_term_once_and_escapes_what_is_added() -> None:
    shown = glossary_list([Term("<x>", "From <elsewhere>.", "")])
    for one in TERMS.values():
        assert len(re.findall(rf"<dt>{re.escape(escape(one.name))}(?:<| <i>)", shown)) == 1
    assert "&lt;x&gt;" in shown
    assert "<x>" not in shown


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_says_what_is_shown_what_to_look_for_and_what_it_does_not_say(name: str) -> None:
    reading = READINGS[name]
    for part in (reading.shows, reading.look_for, reading.does_not_say):
        text = re.sub(r"\[([^\]]*)\]\(#term-[a-z0-9-]+\)", r"\1", part)
        assert 30 <= len(text) <= 420
        assert text.endswith((".", "?"))
    for slug in re.findall(r"\(#term-([a-z0-9-]+)\)", " ".join(vars(reading).values())):
        assert slug in TERMS


def test_every_reading_stands_beside_a_chart() -> None:
    used = {
        str(node.args[-1].value)
        for source in SOURCES.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and (node.func.id == "looking" or (node.func.id == "section" and len(node.args) > 1))
        and isinstance(node.args[-1], ast.Constant)
    }
    assert used == set(READINGS)
