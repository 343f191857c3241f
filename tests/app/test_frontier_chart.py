"""The chart of recipes on the Compare page: what it shows follows from the experiments."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from app.components.chart_marks import Box, around, place_labels
from app.components.frontier_chart import accuracy_by_leak, off_scale
from app.screens.compare.recipes_tried import how_to_read, recipe_marks, settings_words, table_rows
from app.session import models
from app.words.theme import palette
from munkey_core.bundle.experiments import Experiments, RecipeTried, StateFigures, Trial
from munkey_core.studio import SharedModel
from munkey_core.studio.about import About
from munkey_core.studio.audit import Audit
from tests.app.screen import open_script


def trial(test, leak, seed=0, after=True):
    state = StateFigures(test, 99.0, 98.0, 70.0)
    gone = StateFigures(test - 0.1, 99.0, 71.0, 50.2) if after else None
    bounds = (leak - 1.0, leak + 1.0)
    return Trial(seed, state, gone, test + leak, test, leak, bounds, 12.0, 4, 0.05, 0.6)


def recipe(name, test, leak, kind="variant", seeds=2, **changes):
    trials = tuple(trial(test + s / 5, leak + s / 5, s, kind != "plain") for s in range(seeds))
    train = {k: v for k, v in changes.items() if k not in ("dropout", "layers")}
    model = {k: v for k, v in changes.items() if k in ("dropout", "layers")}
    return RecipeTried(name, kind, f"why {name}", train, model, trials)


def experiments(*recipes, seeds=(0, 1)):
    plain = recipe("plain transformer", 72.8, 3.0, "plain", len(seeds))
    own = recipe("shipped recipe", 71.4, -0.3, "shipped", len(seeds))
    made = (own, *recipes, plain)
    return Experiments("digits", "random-10pct", "d" * 64, 30, 300, 300, seeds, "cpu", made)


FOUR = (
    recipe("p_mem 0.05", 70.8, 5.6, p_mem=0.05),
    recipe("p_mem 0.02", 71.5, 0.3, p_mem=0.02),
    recipe("less dropout", 71.2, 1.1, dropout=0.1),
    recipe("no anchors", 63.4, 0.2, anchor_batch=0),
)


def test_a_mark_a_recipe_the_shipped_one_and_the_plain_one_apart():
    marks, plain = recipe_marks(experiments(*FOUR))
    assert [mark.name for mark in marks] == ["shipped recipe", *(r.name for r in FOUR)]
    assert [mark.shipped for mark in marks] == [True, False, False, False, False]
    assert plain.name == "plain transformer"
    assert marks[1].leak == pytest.approx(5.7)
    assert marks[1].interval == pytest.approx((4.7, 6.7))
    assert marks[1].trials == ((5.6, 70.8), (5.8, 71.0))
    assert "empty memory slot, share of steps 0.05" in marks[1].hover
    assert "why p_mem 0.05" in marks[1].hover


def test_a_recipe_that_never_trained_has_no_mark_but_a_row():
    failed = RecipeTried("too fast", "variant", "", {"learning_rate": 9.0}, {}, (), {"0": "inf"})
    made = experiments(failed)
    assert [mark.name for mark in recipe_marks(made)[0]] == ["shipped recipe"]
    rows = table_rows(made)
    assert rows["Test accuracy"][1] == "not trained"
    assert {len(column) for column in rows.values()} == {3}


def test_a_name_from_elsewhere_is_text():
    marks, _ = recipe_marks(experiments(recipe("<b>x</b>", 70.0, 0.0, p_img=0.1)))
    assert marks[1].name == "&lt;b&gt;x&lt;/b&gt;"
    assert "<b>x</b>" not in marks[1].hover.replace("<b>&lt;", "")


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (FOUR, "of 4 other recipes, **1 has a higher test accuracy than the shipped one, but by"),
        (FOUR[:1], "of 1 other recipe, **none is more accurate than the shipped one.**"),
        ((recipe("x", 74.0, 9.0),), "and it leaves more behind, beyond the bars.**"),
        (
            (recipe("x", 74.0, 9.0), recipe("y", 74.0, 0.1), recipe("z", 60.0, 9.0)),
            "**2 have a higher test accuracy than the shipped one, and 1 of these leaves more",
        ),
        ((recipe("x", 74.0, -9.0),), "none of them can be said to leave more behind"),
        ((), "no deletion reaches."),
    ],
)
def test_one_sentence_says_what_to_read_off_and_no_more_than_the_bars_allow(others, said):
    assert said in how_to_read(experiments(*others))


def test_settings_are_said_in_words():
    assert settings_words(recipe("x", 1.0, 1.0, neighbour_rate=0.5, layers=3)) == (
        "a neighbour's token in the slot, share of steps 0.5; layers 3"
    )
    assert settings_words(recipe("x", 1.0, 1.0, "plain")) == "no memory"


@pytest.mark.parametrize("dark", [False, True])
def test_the_chart_has_dots_bars_seeds_and_the_line_of_the_plain_transformer(dark):
    marks, plain = recipe_marks(experiments(*FOUR))
    figure = accuracy_by_leak(marks, plain, palette(dark))
    dots = [trace for trace in figure.data if trace.name]
    assert {trace.name for trace in dots} == {mark.name for mark in [*marks, plain]}
    star = next(trace for trace in dots if trace.name == "shipped recipe")
    assert star.marker.symbol == "star"
    assert star.marker.color == palette(dark).forget
    assert [shape.y0 for shape in figure.layout.shapes if shape.line.dash] == [plain.accuracy]
    low, high = figure.layout.xaxis.range
    assert all(low < end < high for mark in marks for end in mark.interval)
    assert len(figure.layout.annotations) == len(marks) + 1


def test_a_plain_transformer_far_off_does_not_stretch_the_scale():
    made = experiments(*FOUR)
    far = replace(made.recipes[-1], trials=(trial(72.8, 27.0, after=False),))
    marks, plain = recipe_marks(replace(made, recipes=(*made.recipes[:-1], far)))
    assert off_scale(marks, plain)
    figure = accuracy_by_leak(marks, plain, palette(False))
    assert figure.layout.xaxis.range[1] < 10
    assert any("27.0 →" in one.text for one in figure.layout.annotations)


def test_names_cover_no_mark_and_no_other_name():
    at = {f"recipe number {i}": (100.0 + 30 * (i % 4), 100.0 + 25 * (i // 4)) for i in range(12)}
    marks = [around(x, y) for x, y in at.values()]
    offsets = place_labels(at, marks, Box(0, 0, 700, 400))
    boxes = [
        Box(x + o.dx - o.half, y + o.dy - 8.5, x + o.dx + o.half, y + o.dy + 8.5)
        for (x, y), o in zip(at.values(), offsets.values(), strict=True)
    ]
    assert sum(a.overlap(b) for a, b in combinations(boxes, 2)) < 40
    assert sum(a.overlap(b) for a in boxes for b in marks) < 40


# -- on the page ---------------------------------------------------------------------------------


def page(monkeypatch, digits_folder, known):
    monkeypatch.setenv("MUNKEY_BUNDLES", str(digits_folder.parent))
    monkeypatch.setenv("MUNKEY_BUNDLE", "digits")
    models.bundles.clear()
    monkeypatch.setattr(Audit, "report", lambda self, ids: None)
    about = property(lambda shared: replace(About.of(shared.bundle), experiments=known))
    monkeypatch.setattr(SharedModel, "about", about)
    script = (
        "from app.session import state\n"
        "from app.shared import entrance\n"
        "from app.screens.compare import page as compare\n"
        "session = entrance.enter('compare')\n"
        "compare.show()\n"
    )
    return open_script(script)


def test_the_page_shows_it_only_for_a_bundle_with_experiments(monkeypatch, digits_folder):
    app = page(monkeypatch, digits_folder, experiments(*FOUR))
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    assert any("Accuracy against trace" in str(one.value) for one in app.header)
    assert len(app.table) == 1
    assert any("30 images, before and after" in str(one.value) for one in app.caption)
    without = page(monkeypatch, digits_folder, None)
    assert not without.exception
    assert not without.get("plotly_chart")
