"""What a chart shows, said for whoever can't see it: the figures in the sentence are the data's."""

from __future__ import annotations

import numpy as np

from app.components import heatmap, prediction, shapley_chart
from app.components.gap_charts import Band, Mark
from app.components.heatmap import Heatmap
from app.components.prediction import Series
from app.components.shapley_chart import Answer, Player
from app.screens.compare.charts import gaps_in_words, times_in_words
from app.shared.attacks import histograms_in_words, roc_in_words
from munkey_core.audit.privacy import AttackFigures, ScoreHistogram


def test_bars_of_a_prediction_with_the_true_class_first_and_each_model() -> None:
    before = Series("before", "with its key", np.array([0.9, 0.1], np.float32))
    after = Series("after", "key deleted", np.array([0.2, 0.8], np.float32))
    said = prediction.in_words(("Bag", "<i>"), 1, [before, after])
    assert said == (
        "Probabilities. <i>, the true class: 10\u00a0% with its key, 80\u00a0% key deleted; "
        "Bag: 90\u00a0% with its key, 20\u00a0% key deleted."
    )
    card = prediction.card("data:image/png;base64,", "x", ("Bag", "<i>"), 1, [before], "", [])
    assert 'aria-label="Probabilities. &lt;i&gt;, the true class' in card


def test_bars_of_who_answered_the_longest_first() -> None:
    players = (
        Player("", "Image alone", "null anchor", 0.1, -0.02),
        Player("", "Bag", "b", 0.9, 0.4),
    )
    answer = Answer("before", "t", "s", players, 0.1, 0.5, 0.0)
    said = shapley_chart.in_words(answer, "Coat")
    assert said.index("Bag (b) +40.0 points") < said.index("Image alone (null anchor) −2.0 points")
    assert "no memory took part" in shapley_chart.in_words(
        Answer("before", "t", "s", (), 0.1, 0.1, 0.0), "Coat"
    )


def test_a_map_of_pixels_says_the_sign_and_the_place() -> None:
    values = np.zeros((9, 9), np.float32)
    values[0, 8], values[1, 7] = 3, -1
    assert heatmap.in_words(Heatmap("a", values), signed=True) == (
        "a: 75 % of the colour speaks for the class, 25 % against it; "
        "it lies around the upper right."
    )
    assert heatmap.in_words(Heatmap("a", values), signed=False).endswith("the upper right.")
    assert "no pixel matters" in heatmap.in_words(Heatmap("a", 0 * values), signed=True)


def test_histograms_give_both_medians() -> None:
    one = ScoreHistogram((-2.0, 0.0, 2.0, 4.0), (0.0, 20.0, 80.0), (70.0, 20.0, 10.0))
    said = histograms_in_words({"before": one})
    assert (
        "before deletion, half of the images in question score above 3, half of the unseen" in said
    )
    assert "above −1" in said


def test_roc_gives_what_is_found_at_one_percent() -> None:
    figures = AttackFigures(
        *(80.0, None, 30.0, None, None, None, None, None),
        n_members=10,
        n_non_members=1000,
        roc=((0.1, 5.0), (1.0, 30.0), (10.0, 60.0)),
    )
    assert "before deletion, 30.0 %; guessing finds 1 %" in roc_in_words({"before": figures})


def test_gaps_and_times_are_in_order() -> None:
    marks = [
        Mark("Slow", "post-hoc", 0.5, None, 10.0),
        Mark("Quick", "by-design", 0.25, None, 0.001),
    ]
    said = gaps_in_words(marks, [Band("MUNKEY retrained", 0.1, 0.3)])
    assert "Quick 0.25, Slow 0.50" in said
    assert "Null band: MUNKEY retrained 0.10–0.30" in said
    assert "Quick 1 ms, 0.25 points; Slow 10 s, 0.50 points" in times_in_words(marks)
