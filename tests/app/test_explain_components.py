"""Charts of the Explain page on results made by hand: scales, signs, words, foreign texts."""

from __future__ import annotations

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.components import heatmap, shapley_chart
from app.components.heatmap import Heatmap
from app.components.pathway_chart import GROUPS, PATHWAYS, pathway_chart
from app.components.shapley_chart import Answer, Player, points
from app.screens.explain.exemplars import sentence as exemplar_sentence
from app.screens.explain.influence import sentence as influence_sentence
from app.screens.explain.influence import turn
from app.screens.explain.pathways import difference
from app.screens.explain.pathways import sentence as pathway_sentence
from app.screens.explain.pixels import convergence, facts, strength, verdict
from app.session.services import Session
from app.words.theme import palette
from munkey_core.explain.influence import InfluencedQuery
from munkey_core.explain.pathways import PathwayAccuracy, PathwayReport
from munkey_core.explain.pixels import PixelAttribution
from munkey_core.explain.randomisation import SanityCheck, SanityStage
from munkey_core.explain.shapley import ExemplarAttribution

EVIL = '<img src=x onerror="alert(1)">'
LIGHT, DARK = palette(dark=False), palette(dark=True)
PIXEL = "data:image/png;base64,AAAA"


# -- who made the prediction ---------------------------------------------------------------------


def answer(*values: float, kind: str = "before", empty: float = 0.2, **changes) -> Answer:
    made = tuple(Player(PIXEL, "Sandal", f"train-{i}", 0.25, v) for i, v in enumerate(values))
    full = empty + sum(values)
    return Answer(kind, "With the whole memory", "", changes.pop("made", made), empty, full, 0.0)


def sizes(html: str) -> list[float]:
    return [float(size) for size in re.findall(r"--size:([\d.]+)%", html)]


def test_bars_go_from_zero_to_their_side_and_the_largest_is_on_top():
    html = shapley_chart.chart(answer(0.1, -0.4, 0.3), "Sandal", 0.4)
    assert sizes(html) == [50, 37.5, 12.5]
    assert re.findall(r"mk-(for|against)\"", html) == ["against", "for", "for"]
    assert re.findall(r"</div><b>([^<]+)</b>", html) == ["−40.0", "+30.0", "+10.0"]
    assert "−40</i><i>0</i><i>+40 points" in html
    assert "20\u00a0%" in html


@given(st.lists(st.floats(-1, 1), max_size=6), st.lists(st.floats(-1, 1), max_size=6))
def test_one_axis_holds_every_bar_of_both_states(before, after):
    both = [answer(*before), answer(*after, kind="after")]
    scale = shapley_chart.common_scale(both)
    assert scale > 0
    assert all(abs(value) <= scale for value in (*before, *after))
    for one in both:
        assert all(size <= 50 for size in sizes(shapley_chart.chart(one, "Sandal", scale)))


def test_what_is_written_as_zero_has_no_bar_and_no_sign():
    assert [points(value) for value in (0.0, -0.0, 0.0004, -0.0004)] == ["0.0"] * 4
    assert points(-0.0006) == "−0.1"
    assert sizes(shapley_chart.chart(answer(0.0004, -0.0004), "Sandal", 0.01)) == []


def test_nobody_took_part():
    html = shapley_chart.chart(answer(), "Sandal", shapley_chart.common_scale([answer()]))
    assert "listitem" not in html
    assert "points</i>" not in html


def test_the_null_anchor_has_a_sign_of_its_own_and_a_deleted_memory_is_marked():
    made = (
        Player("", "Image alone", "null anchor", 0.1, 0.05),
        Player(PIXEL, "Bag", "b", 0.9, 0.4, True),
    )
    html = shapley_chart.chart(answer(made=made), "Bag", 0.5)
    assert html.count("mk-blank") == 1
    assert html.count("deleted afterwards") == 1


def test_a_miss_of_the_check_sum_is_not_hidden():
    one = Answer("before", "", "", (), 0.2, 0.7, 0.0123)
    assert "within 1.2 points" in shapley_chart.chart(one, "Sandal", 1)


def test_foreign_texts_are_shown_as_text():
    one = Answer("before", EVIL, EVIL, (Player(PIXEL, EVIL, EVIL, 0.5, 0.5),), 0.1, 0.6, 0)
    shown = shapley_chart.chart(one, EVIL, 1.0)
    shown += heatmap.heatmaps(
        PIXEL, [Heatmap(EVIL, np.zeros((2, 2), np.float32), "", EVIL)], 1.0, True, 60, LIGHT
    )
    assert "<img src=x" not in shown
    assert 'onerror="' not in shown
    assert "&lt;img src=x" in shown


# -- pixels --------------------------------------------------------------------------------------

maps = st.lists(st.floats(-9, 9, width=32), min_size=4, max_size=4).map(
    lambda values: np.array(values, np.float32).reshape(2, 2)
)


def rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("mode", [LIGHT, DARK])
def test_signs_have_the_palettes_colours_and_zero_its_middle(mode):
    values = np.array([[-2.0, 0.0], [2.0, 99.0]], np.float32)
    drawn = heatmap.colour(values, 2.0, True, mode)
    assert drawn.dtype == np.uint8
    assert drawn.shape == (2, 2, 3)
    assert drawn[0, 0].tolist() == rgb(mode.diverging[0])
    assert drawn[0, 1].tolist() == rgb(mode.diverging[2])
    assert drawn[1, 0].tolist() == drawn[1, 1].tolist() == rgb(mode.diverging[-1])


def test_methods_without_a_sign_have_the_sequential_colours():
    drawn = heatmap.colour(np.array([[0.0, 3.0]], np.float32), 3.0, False, LIGHT)
    assert drawn[0].tolist() == [rgb(LIGHT.sequential[0]), rgb(LIGHT.sequential[-1])]


@given(maps, maps)
def test_the_scale_is_symmetric_and_common(before, after):
    scale = heatmap.common_scale([before, after])
    assert scale > 0
    assert scale == heatmap.common_scale([after, -before])
    assert scale <= max(np.abs(before).max(), np.abs(after).max()) or scale == 1
    stops = np.array([rgb(colour) for colour in LIGHT.diverging], float)
    assert (stops[0] != stops[-1]).any()
    # A value and its negative lie equally far from the middle of the scale.
    up, down = (heatmap.colour(sign * np.abs(before), scale, True, LIGHT) for sign in (1, -1))
    same = np.abs(before) == 0
    assert (up[same] == down[same]).all()


def test_one_extreme_pixel_does_not_turn_the_others_grey():
    values = np.full((20, 20), 1.0, np.float32)
    values[0, 0] = 1000
    assert heatmap.common_scale([values]) == pytest.approx(1.0)


def test_a_pixel_that_stands_alone_is_still_drawn():
    values = np.zeros((20, 20), np.float32)
    values[0, 0] = -3
    assert heatmap.common_scale([values]) == 3


def overlays(html: str) -> list[np.ndarray]:
    found = re.findall(r'base64,([^"]+)" style="opacity', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_pictures_are_enlarged_by_whole_numbers_on_one_scale_and_the_opacity_is_the_overlays():
    values = np.linspace(-1, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
    html = heatmap.heatmaps(
        PIXEL,
        [Heatmap("a", values, "before"), Heatmap("b", values / 2, "after")],
        1.0,
        True,
        35,
        LIGHT,
    )
    assert html.count("width:252px") == 4
    assert html.count("opacity:0.35") == 2
    first, second = overlays(html)
    assert first.shape == (28, 28, 3)
    assert (first == heatmap.colour(values, 1.0, True, LIGHT)).all()
    assert (second == heatmap.colour(values / 2, 1.0, True, LIGHT)).all()


def test_a_large_picture_is_not_shrunk_unevenly():
    assert heatmap.enlarged(28, 112) == 112
    assert heatmap.enlarged(32, 252) == 256
    assert heatmap.enlarged(300, 100) == 300


def test_the_colour_bar_says_what_the_ends_mean():
    bar = heatmap.colour_bar(0.0123, True, LIGHT)
    assert bar.index("speaks against") < bar.index("−0.012 and below") < bar.index("speaks for")
    assert ",".join(LIGHT.diverging) in bar
    assert "against" not in heatmap.colour_bar(1.0, False, LIGHT)


def attribution(values=((1.0, -0.5), (0.25, 0.25)), **changes) -> PixelAttribution:
    given_ = {
        "method": "ig",
        "target": 0,
        "values": np.array(values, np.float32),
        "signed": True,
        "output": 3.0,
        "baseline_output": 2.0,
        "output_unit": "log-odds",
        "delta": 0.02,
        "settings": {},
        "generation": 0,
    }
    return PixelAttribution(**(given_ | changes))


def test_the_convergence_error_is_said_with_the_share_that_makes_sense():
    assert convergence(attribution()) == (
        "the pixels' sum is off by 0.020 (2.0 % of the difference from an empty picture)"
    )
    cancelled = attribution(baseline_output=2.99)
    assert "1.0 % of what the pixels move in all" in convergence(cancelled)
    assert "less than 0.001" in convergence(attribution(delta=1e-7))
    assert convergence(attribution(delta=None)) is None
    assert convergence(attribution(((0, 0), (0, 0)), baseline_output=3.0, delta=0.0))
    assert "before, the pixels" in facts((attribution(), attribution()))
    assert "does not promise" in facts((attribution(delta=None),))


def test_how_much_the_pixels_matter_is_compared():
    weak, strong = attribution(), attribution(((5, -2.5), (1.25, 1.25)))
    assert "**5.0 times as much**" in strength(weak, strong)
    assert strength(weak, strong).startswith("After")
    assert strength(strong, weak).startswith("Before")
    assert "about as much" in strength(weak, weak)
    assert "about as much" in strength(weak, attribution(((0, 0), (0, 0))))


@pytest.mark.parametrize(
    ("correlation", "said", "number"),
    [
        (0.02, "depends on what the model has learned", "0.02"),
        (-0.1, "depends on what the model has learned", "−0.10"),
        (0.45, "in part", "0.45"),
        (0.93, "more than the model", "0.93"),
    ],
)
def test_the_verdict_of_the_sanity_check_says_no_more_than_it_knows(correlation, said, number):
    stage = SanityStage("head to encoder", correlation, np.zeros((2, 2), np.float32))
    text = verdict(SanityCheck("ig", 0, (stage,), 0))
    assert said in text
    assert f"likeness <b>{number}</b>" in text
    assert "proves" not in text


# -- one memory less -----------------------------------------------------------------------------


def test_influence_in_words():
    none = influence_sentence(())
    assert "nobody else" in none
    hardly = influence_sentence((InfluencedQuery("test-1", 1e-5, 1, 1),))
    assert "1 test image would" in hardly
    assert "practically nobody" in hardly
    some = (InfluencedQuery("test-1", -0.4, 1, 2), InfluencedQuery("test-2", 0.01, 1, 1))
    text = influence_sentence(some)
    assert "2 test images" in text
    assert "at most 40.0 points" in text
    assert "<b>1</b> would get another answer" in text
    assert turn(("a", "b", "c"), some[0]) == "b → c"
    assert turn(("a", "b", "c"), some[1]) == "still b"


# -- pathways ------------------------------------------------------------------------------------


def right(percent: float, half: float = 1.0, n: int = 100) -> PathwayAccuracy:
    return PathwayAccuracy(percent, (max(0, percent - half), min(100, percent + half)), n, 200)


def report(image_of_forgotten: float = 95.0, **groups) -> PathwayReport:
    figures = {
        group: {"full": right(90), "image": right(80), "memory": right(60)}
        for group in ("test", "retain")
    }
    for group, full in (("forget before", 100.0), ("forget after", 91.0)):
        image = right(image_of_forgotten)
        figures[group] = {"full": right(full), "image": image, "memory": right(70)}
    return PathwayReport(figures | groups, 10, 0, 1.0)


def test_every_pathway_has_a_dot_and_an_interval_a_group():
    figure = pathway_chart(report().figures, LIGHT, 10)
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(dots) == len(PATHWAYS) * len(GROUPS)
    assert [trace.name for trace in dots][:2] == [
        "Image and memory, test images",
        "Image and memory, images that stay",
    ]
    assert len({trace.y[0] for trace in dots}) == len(dots)
    bars = [trace for trace in figure.data if trace.mode == "lines"]
    for dot, bar in zip(dots, bars, strict=True):
        assert bar.x[0] <= dot.x[0] <= bar.x[1]
        assert bar.y[0] == dot.y[0]
    assert tuple(figure.layout.xaxis.range) == (0, 101)


def test_a_group_that_is_missing_has_no_row():
    figures = {"test": report().figures["test"]}
    figure = pathway_chart(figures, DARK, 10)
    words = " ".join(figure.layout.yaxis.ticktext)
    assert words.count("test images") == 3
    assert "forget" not in words
    assert pathway_sentence(PathwayReport(figures, 0, 0, 1.0)) == ""


def test_the_leak_is_only_claimed_where_its_interval_excludes_zero():
    points_, (low, high) = difference(right(95), right(80))
    assert points_ == 15
    assert (low, high) == pytest.approx((15 - 2**0.5, 15 + 2**0.5))
    assert "still knows more" in pathway_sentence(report(95.0))
    assert "no difference that this measurement can tell" in pathway_sentence(report(80.5))
    assert "still knows more" not in pathway_sentence(report(60.0))


@pytest.mark.parametrize(
    ("share", "wanted"),
    [(0.97, "adds 49.9 points to “bee”"), (0.002, "would speak for “bee” (+49.9 points), but")],
)
def test_a_memory_that_is_hardly_asked_is_not_said_to_have_made_the_answer(share, wanted):
    bees = SimpleNamespace(
        about=SimpleNamespace(classes=("ant", "bee")),
        memory=SimpleNamespace(record=lambda id_: SimpleNamespace(label=1, owner="")),
    )
    session = Session("bees", bees, None)
    found = ExemplarAttribution(
        target=1,
        ids=("train-1",),
        values=np.array([0.499]),
        anchor_value=-0.498,
        weights=np.array([share, 1 - share], np.float32),
        alone=np.array([0.9, 0.0], np.float32),
        full=0.001,
        empty=0.0,
        generation=0,
    )
    image = SimpleNamespace(name="test-1")
    assert wanted in exemplar_sentence(session, image, found, 0)
