"""Judgements on reports made by hand: who is closer, who is told from a retrained model."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_results_page import report as page_report

from munkey_core.audit import verdict
from munkey_core.audit.audit import AuditReport
from munkey_core.audit.figures import GAP_TERMS, ModelFigures, NullBand
from munkey_core.audit.reports import report_from_dict, report_lines

AFTER, ORACLE = "MUNKEY after", "MUNKEY retrained"


def model(gaps, half=0.1, cross=None, family="post-hoc", oracle=ORACLE, exact=False, terms=None):
    """A row of these gaps, one a seed, with an interval of `half` to either side of their mean.
    terms: (n, 4) figures of each seed."""
    gap = sum(gaps) / len(gaps) if gaps else None
    seeds = [{"avg_gap": g} for g in gaps] or [{} for _ in terms]
    for seed, values in zip(seeds, terms if terms is not None else (), strict=False):
        seed |= dict(zip(GAP_TERMS, map(float, values), strict=True))
    ci95 = {} if gap is None else {"avg_gap": (max(0.0, gap - half), gap + half)}
    return ModelFigures(
        *(family, oracle if gaps else None, 90.0, 99.0, 90.0, 50.0, (49.0, 51.0), gap, cross, 1.0),
        ci95=ci95,
        spread={},
        per_seed=tuple(seeds),
        exact=exact,
    )


def report(models, seeds=3, bands=None, **more):
    return AuditReport(
        *("tiny", "", "random-10pct", "d" * 64, 1000, 9000, 10000, tuple(range(seeds))),
        models,
        bands or {},
        None,
        "cpu",
        1.0,
        **more,
    )


# -- closer ----------------------------------------------------------------------------------------

BANDS = {ORACLE: NullBand(0.2, 0.1, 0.3, 3)}


@pytest.mark.parametrize("places", itertools.product((0.2, 0.9), repeat=2))
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_overlapping_intervals_are_never_closer_wherever_the_bands_are(seeds, places):
    """Case of finding 2: inside a band against outside it, with intervals that overlap."""
    near = model([0.20] * seeds, half=0.2, cross=places[0])
    far = model([0.50] * seeds, half=0.2, cross=places[1])
    made = report({"near": near, "far": far}, seeds, BANDS)
    assert not verdict.clearly_closer(made, "near", "far")
    assert not verdict.clearly_closer(made, "far", "near")


@pytest.mark.parametrize(
    ("near", "far", "closer"),
    [
        # One seed and two never tell, however far apart.
        ([0.2], [9.0], False),
        ([0.2, 0.2], [9.0, 9.0], False),
        # Three seeds: images alone give an error of √2 · 0.1/1.96 = 0.0722, t₂ = 4.303: from
        # 0.311 on, if seeds agree.
        ([0.2, 0.2, 0.2], [0.50, 0.50, 0.50], False),
        ([0.2, 0.2, 0.2], [0.52, 0.52, 0.52], True),
        # Differences 0.1, 0.6, 1.1: error √(0.25/3 + 0.0052) = 0.2976, wanted 1.28, given 0.6.
        ([0.2, 0.2, 0.2], [0.3, 0.8, 1.3], False),
        # The same spread in both is no spread of the difference: seeds are paired.
        ([0.2, 0.7, 1.2], [1.2, 1.7, 2.2], True),
        # Five seeds, t₄ = 2.776: 0.20 is wanted for images alone, but the intervals must part.
        ([0.2] * 5, [0.39] * 5, False),
        ([0.2] * 5, [0.41] * 5, True),
        ([0.2] * 5, [0.2, 0.4, 0.5, 0.7, 0.9], False),  # 0.34 ± 0.39
        ([0.2] * 5, [0.5, 0.6, 0.7, 0.8, 0.9], True),  # 0.50 ± 0.28
    ],
)
def test_closer_by_figures_of_each_seed_alone(near, far, closer):
    made = report({"near": model(near), "far": model(far)}, len(near))
    assert verdict.clearly_closer(made, "near", "far") == closer
    assert not verdict.clearly_closer(made, "far", "near")


@pytest.mark.parametrize(
    ("bounds", "seeds", "closer"),
    [
        ((0.01, 0.9), 3, True),
        ((-0.01, 0.9), 3, False),
        ((0.0, 0.9), 5, False),
        ((0.01, 0.9), 2, False),
        (None, 5, False),
    ],
)
def test_where_the_bootstrap_is_known_it_decides(bounds, seeds, closer):
    models = {"near": model([0.2] * seeds), "far": model([0.9] * seeds)}
    known = {"near": {} if bounds is None else {"far": bounds}, "far": {}}
    made = report(models, seeds, differences=known)
    assert verdict.clearly_closer(made, "near", "far") == closer


def test_what_is_so_by_construction_is_not_ranked():
    exact = model([0.0] * 5, half=0.0, exact=True, cross=0.0)
    made = report({"kNN after": exact, "far": model([9.0] * 5)}, 5)
    assert verdict.place(made, exact) == "equal"
    assert not verdict.clearly_closer(made, "kNN after", "far")
    assert not verdict.clearly_closer(made, "far", "kNN after")
    assert verdict.trainings_say(made, exact) == verdict.PROVED


def test_a_figure_without_an_interval_ranks_nobody():
    bare = replace(model([0.1] * 5), ci95={})
    made = report({"bare": bare, "far": model([9.0] * 5), "none": model([], terms=[[0] * 4])}, 5)
    assert not verdict.clearly_closer(made, "bare", "far")
    assert not verdict.clearly_closer(made, "none", "far")


# -- like a retrained model ------------------------------------------------------------------------


def trainings(unlearned, retrained):
    """A report of one method and its oracle, of these figures (n, 4)."""
    own = model([0.1] * len(unlearned), family="by-design", terms=unlearned)
    made = report({AFTER: own, ORACLE: model([], terms=retrained)}, len(unlearned))
    return made, own


def slow(unlearned, retrained):
    """Excess and p, by loops over all labelings and pairs of different seeds."""
    n = len(unlearned)
    models = [*unlearned, *retrained]

    def gap(i, j):
        return sum(abs(a - b) for a, b in zip(models[i], models[j], strict=True)) / 4

    def excess(group):
        rest = [i for i in range(2 * n) if i not in group]
        between = [gap(i, j) for i in group for j in rest if i % n != j % n]
        within = [gap(i, j) for i, j in itertools.combinations(rest, 2) if i % n != j % n]
        return sum(between) / len(between) - sum(within) / len(within)

    found = [excess(group) for group in itertools.combinations(range(2 * n), n)]
    return found[0], sum(one >= found[0] - 1e-9 for one in found) / len(found)


def drawn(seed, n, shift):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.2, (n, 4)) + shift, rng.normal(0, 0.2, (n, 4))


@pytest.mark.parametrize(("seed", "shift"), [(0, 0.0), (1, 0.2), (2, 3.0)])
def test_the_permutation_test_is_the_slow_loop(seed, shift):
    unlearned, retrained = drawn(seed, 5, shift)
    made, own = trainings(unlearned, retrained)
    found = verdict.like_retrained(made, own)
    excess, p = slow(unlearned.tolist(), retrained.tolist())
    assert found.excess == pytest.approx(excess)
    assert found.p == pytest.approx(p)
    assert found.seeds == 5


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_with_fewer_than_five_trainings_nothing_is_told(n):
    unlearned, retrained = drawn(0, n, 9.0)
    made, own = trainings(unlearned, retrained)
    found = verdict.like_retrained(made, own)
    assert found is None if n == 1 else found.p is None
    said = verdict.trainings_say(made, own)
    assert said.startswith(f"{n} training")
    assert "not enough trainings to tell it from a retrained model (5 are wanted)" in said
    assert "p =" not in said


def test_far_from_retrained_is_told_and_near_is_not():
    for shift, told in ((3.0, True), (0.0, False)):
        unlearned, retrained = drawn(3, 5, shift)
        made, own = trainings(unlearned, retrained)
        found = verdict.like_retrained(made, own)
        assert found.told_apart == told
        said = verdict.trainings_say(made, own)
        assert f"p = {found.p:.3f}" in said
        assert "5 trainings" in said
        assert f"the smallest excess that could have been shown is {found.smallest:.2f}" in said
        assert ("they tell it" in said) == told
        # What could have been shown is less than what was, and more than what was not.
        assert (found.smallest <= found.excess + 1e-9) == told


def test_models_that_are_all_alike_are_not_told():
    made, own = trainings(np.zeros((5, 4)), np.zeros((5, 4)))
    found = verdict.like_retrained(made, own)
    assert (found.p, found.excess) == (1.0, 0.0)
    assert 0 < found.smallest < 0.1


def test_many_seeds_take_a_fixed_draw_of_labelings():
    unlearned, retrained = drawn(4, 20, 0.5)
    made, own = trainings(unlearned, retrained)
    found = verdict.like_retrained(made, own)
    assert found == verdict.like_retrained(made, own)
    assert found.p == pytest.approx(1 / 4000)


@pytest.mark.parametrize("retrained", [np.zeros((4, 4)), np.zeros((0, 4))])
def test_figures_that_do_not_belong_together_tell_nothing(retrained):
    made, own = trainings(np.zeros((5, 4)), retrained)
    assert verdict.like_retrained(made, own) is None
    bare = replace(own, per_seed=({},) * 5)
    assert verdict.like_retrained(made, bare) is None
    alone = report({AFTER: own}, 5)
    assert verdict.like_retrained(alone, own) is None


# -- words -----------------------------------------------------------------------------------------


@given(st.floats(0, 5), st.floats(0, 5))
def test_two_that_differ_are_in_the_order_that_they_have(one, other):
    texts = verdict.two_that_differ(one, other)
    assert texts[0] == f"{one:.{len(texts[0].partition('.')[2])}f}"
    if texts[0] != texts[1]:
        assert (float(texts[0]) < float(texts[1])) == (one < other)
    else:
        assert abs(one - other) < 1e-3


def test_a_near_miss_is_said_as_one():
    own = model([0.24] * 5, cross=0.2611)
    made = report({AFTER: own}, 5, {ORACLE: NullBand(0.18, 0.08, 0.2607, 10)})
    assert verdict.against_band(made, own) == (
        "0.2611 against at most 0.2607 between two retrained models: outside"
    )
    assert verdict.place(made, replace(own, avg_gap_cross_seeds=0.2607)) == "inside"


def test_a_line_of_a_report_says_what_the_table_says():
    said = "\n".join(report_lines(page_report()))
    assert "MUNKEY after against oracles of other seeds: 0.18 against at most 0.29" in said
    assert "MUNKEY after: 3 trainings of each kind: not enough trainings" in said
    assert "kNN after: deletion equals never stored, by construction" in said
    [line] = [one for one in said.splitlines() if one.startswith("kNN after  ")]
    assert "by construction" in line
    assert "0.00 [" not in line
    assert line.endswith("rebuild")


def test_a_stored_interval_of_a_single_image_is_not_shown():
    """Finding 11: an older version stored "25.00 [25.00, 25.00]"."""
    stored = replace(page_report(), n_forget=1)
    found = report_from_dict(stored.to_dict())
    for figures in found.models.values():
        assert not {"forget_accuracy", "mia_auc", "avg_gap"} & set(figures.ci95)
        assert figures.mia_auc_ci95 is None
        assert "test_accuracy" in figures.ci95
    assert found.leak.image_mia_ci95 is None
    said = "\n".join(report_lines(found))
    assert "no interval: one forgotten image" in said
    many = page_report()
    assert report_from_dict(many.to_dict()) == many
