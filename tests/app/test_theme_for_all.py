"""The palette by published numbers: contrast of what is drawn, and colours as whoever lacks
green or red cones sees them, in CAM02-UCS, where 1 is about the smallest difference one notices.

`test_theme.py` checks the same colours in CIELAB with matrices of its own; here the simulation and
the space are colorspacious's, so that a slip in either shows.
"""

from __future__ import annotations

import itertools

import numpy as np
import plotly.graph_objects as go
import pytest
from colorspacious import cspace_convert

from app.components import attack_charts, gap_charts, pathway_chart
from app.components.blank_picture import _TEXT
from app.words.theme import BASE_FONT_PX, Palette, enlarge, palette, plotly_layout
from tests.app.test_theme import contrast

# Forget, retain and retrained carry the story: they have to be told apart at a glance and in thin
# lines. The others (test, neutral) never stand for one another, and always have a name beside them.
STORY, OTHERS = 15.0, 10.0
EYES = ("normal", "deuteranomaly", "protanomaly")


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def colours(request: pytest.FixtureRequest) -> Palette:
    return palette(dark=request.param)


def seen(colour: str, eyes: str) -> np.ndarray:
    """J'a'b' of a colour; a severity of 100 stands for cones that are missing altogether."""
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    if eyes != "normal":
        space = {"name": "sRGB1+CVD", "cvd_type": eyes, "severity": 100}
        rgb = np.clip(cspace_convert(rgb, space, "sRGB1"), 0, 1)
    return np.asarray(cspace_convert(rgb, "sRGB1", "CAM02-UCS"))


def apart(a: str, b: str, eyes: str) -> float:
    return float(np.linalg.norm(seen(a, eyes) - seen(b, eyes)))


def test_the_simulation_makes_red_and_green_alike() -> None:
    assert apart("#D00000", "#5B7A00", "normal") > 2 * apart("#D00000", "#5B7A00", "deuteranomaly")


@pytest.mark.parametrize("eyes", EYES)
def test_the_colours_of_the_story_are_told_apart(colours: Palette, eyes: str) -> None:
    story = (colours.forget, colours.retain, colours.retrained)
    for a, b in itertools.combinations(story, 2):
        assert apart(a, b, eyes) >= STORY, (a, b, apart(a, b, eyes))


@pytest.mark.parametrize("eyes", EYES)
def test_the_other_meanings_differ_from_the_story(colours: Palette, eyes: str) -> None:
    story = (colours.forget, colours.retain, colours.retrained)
    for other, one in itertools.product((colours.test, colours.neutral), story):
        assert apart(other, one, eyes) >= OTHERS, (other, one, apart(other, one, eyes))


@pytest.mark.parametrize("eyes", EYES)
def test_both_ends_of_the_signed_scale_differ_from_its_middle(colours: Palette, eyes: str) -> None:
    low, _, middle, _, high = colours.diverging
    assert min(apart(low, middle, eyes), apart(high, middle, eyes)) >= 30
    assert apart(low, high, eyes) >= 40


def test_every_line_and_mark_of_a_chart_stands_out_from_the_page(colours: Palette) -> None:
    drawn = {
        *attack_charts.colours(colours).values(),
        *gap_charts.colours(colours).values(),
        *pathway_chart.colours(colours).values(),
        colours.muted,  # guessing, and other lines of reference
    }
    for colour in drawn:
        assert contrast(colour, colours.page) >= 3, colour


def test_every_letter_of_a_chart_is_legible(colours: Palette) -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[1])).update_layout(plotly_layout(colours))
    layout = figure.layout
    fonts = (layout.font, layout.legend.font, layout.xaxis.tickfont, layout.xaxis.title.font)
    for font in fonts:
        assert contrast(font.color, colours.page) >= 4.5
    assert contrast(layout.hoverlabel.font.color, layout.hoverlabel.bgcolor) >= 4.5


def test_the_strongest_of_a_magnitude_stands_out(colours: Palette) -> None:
    assert contrast(colours.sequential[-1], colours.page) >= 3
    assert contrast(colours.sequential[2], colours.page) >= 1.5  # a half can be seen at all


def test_a_card_without_a_picture_can_be_read_on_both_pages() -> None:
    for dark in (False, True):
        assert contrast(_TEXT, palette(dark).page) >= 3  # large and bold


def test_large_print_enlarges_letters_marks_and_height_and_leaves_the_data() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[30, 40], marker={"size": 10}))
    figure.update_layout(**plotly_layout(palette(dark=False)), height=200)
    figure.add_annotation(x=1, y=30, text="a", ax=20, ay=-10, font={"size": 12})
    large = enlarge(figure, 1.5)
    assert enlarge(figure, 1) is figure
    assert large.layout.height == 300
    assert large.layout.font.size == 1.5 * figure.layout.font.size
    assert large.layout.xaxis.tickfont.size == 1.5 * figure.layout.xaxis.tickfont.size
    assert large.data[0].marker.size == 15
    assert list(large.data[0].y) == [30, 40]
    assert (large.layout.annotations[0].ax, large.layout.annotations[0].x) == (30, 1)
    assert BASE_FONT_PX >= 16
