"""The palette's promises, in numbers: contrast, and colours told apart without red or green."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import plotly.graph_objects as go
import pytest

from app.words.theme import Palette, is_dark, palette, plotly_layout, streamlit_options
from tests.waiting import PATIENCE

MEANINGS = ("forget", "retain", "retrained", "test", "neutral")

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}


def linear_rgb(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast ratio, 1 to 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(linear_rgb(c) @ weights) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of a linear RGB colour."""
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    x, y, z = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = [np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(a: str, b: str, vision: str) -> float:
    """CIE76 difference as this eye sees it; about 2 is just noticeable."""
    matrix = VISION[vision]
    return float(np.linalg.norm(lab(matrix @ linear_rgb(a)) - lab(matrix @ linear_rgb(b))))


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def colours(request: pytest.FixtureRequest) -> Palette:
    return palette(dark=request.param)


def test_reference_contrast_and_distance() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)  # WebAIM's example
    assert lab(linear_rgb("#FFFFFF")) == pytest.approx([100, 0, 0], abs=0.02)
    # Pure red and a dark yellow-green: far apart, until green cones are missing.
    assert distance("#FF0000", "#A39000", "normal") > 3 * distance(
        "#FF0000", "#A39000", "deuteranopia"
    )


@pytest.mark.parametrize("name", MEANINGS)
def test_meaning_is_legible_as_mark_and_as_text(colours: Palette, name: str) -> None:
    colour = getattr(colours, name)
    assert contrast(colour, colours.page) >= 4.5
    assert contrast(colour, colours.panel) >= 4.5
    assert contrast(colour, colours.on_mark) >= 4.5


def test_text_is_legible(colours: Palette) -> None:
    for background in (colours.page, colours.panel):
        assert contrast(colours.text, background) >= 12
        assert contrast(colours.muted, background) >= 4.5


def test_primary_carries_the_white_label_of_streamlits_buttons(colours: Palette) -> None:
    assert contrast(colours.primary, "#FFFFFF") >= 4.5
    assert contrast(colours.primary, colours.page) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_forget_retain_and_retrained_are_told_apart(colours: Palette, vision: str) -> None:
    for a, b in itertools.combinations((colours.forget, colours.retain, colours.retrained), 2):
        assert distance(a, b, vision) >= 30


@pytest.mark.parametrize("vision", VISION)
def test_no_two_meanings_look_the_same(colours: Palette, vision: str) -> None:
    for a, b in itertools.combinations(MEANINGS, 2):
        assert distance(getattr(colours, a), getattr(colours, b), vision) >= 12, (a, b)


@pytest.mark.parametrize("vision", VISION)
def test_class_colours_are_told_apart_and_from_forget(colours: Palette, vision: str) -> None:
    assert len(colours.classes) == 10
    for colour in colours.classes:
        assert contrast(colour, colours.page) >= 3
    for a, b in itertools.combinations((*colours.classes, colours.forget), 2):
        assert distance(a, b, vision) >= (30 if vision == "normal" else 18), (a, b)


def test_every_colour_is_written_in_full(colours: Palette) -> None:
    for field in fields(Palette):
        value = getattr(colours, field.name)
        for colour in (value,) if isinstance(value, str) else value:
            assert len(colour) == 7, field.name
            assert colour.startswith("#")


def test_scales_wear_no_colour_of_the_story(colours: Palette) -> None:
    """What speaks for a class is not what is deleted, and what speaks against it doesn't stay."""
    story = (colours.forget, colours.retain, colours.retrained, colours.test)
    for scale in (colours.diverging, colours.sequential):
        for colour, meaning in itertools.product((scale[0], *scale[-2:]), story):
            assert distance(colour, meaning, "normal") >= 30, (colour, meaning)


def test_plotly_takes_the_layout(colours: Palette) -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[1])).update_layout(plotly_layout(colours))
    assert figure.layout.font.color == colours.text
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_streamlit_knows_every_option_of_the_theme() -> None:
    """An option that the installed version lacks would stop ``munkey app`` at its first line."""
    script = (
        "import sys\n"
        "from streamlit import config\n"
        "config.get_config_options()\n"
        "for flag in sys.argv[1:]:\n"
        "    config.set_option(flag, config.get_option(flag))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *streamlit_options()],
        env={**os.environ, "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for mode in ("light", "dark"):
        assert f"theme.{mode}.primaryColor" in streamlit_options()


def test_is_dark_outside_a_session_is_light() -> None:
    assert is_dark() is False
