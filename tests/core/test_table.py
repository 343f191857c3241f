"""The audit's table, against figures worked out one image at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from munkey_core.audit.figures import GAP_TERMS, Entry, Table
from munkey_core.audit.leak import leak_split
from munkey_core.audit.membership.resampling import interval_of_share, mean_over_seeds
from munkey_core.errors import BadInputError
from munkey_core.training.answers import Outputs, verdicts

CLASSES = 3


class TinyEvidence:
    """As much of Evidence as a table reads."""

    def __init__(self, n=30, n_test=40, seed=0):
        rng = np.random.default_rng(seed)
        self.private_labels = rng.integers(0, CLASSES, n)
        self.test_labels = rng.integers(0, CLASSES, n_test)

    def rows(self, ids):
        return np.array([int(i) for i in ids], dtype=np.int64)


def outputs(evidence, seed):
    rng = np.random.default_rng(seed)

    def probabilities(n):
        p = rng.random((n, CLASSES)) ** 3
        return (p / p.sum(axis=1, keepdims=True)).astype(np.float32)

    private = probabilities(len(evidence.private_labels))
    test = probabilities(len(evidence.test_labels))
    return Outputs(
        private,
        test,
        1.0,
        verdicts(private, evidence.private_labels),
        verdicts(test, evidence.test_labels),
    )


FORGET = ["3", "4", "11", "20"]


def slow_terms(evidence, o):
    """TA, RA, FA, MIA in percent, by loops."""
    rows = {int(i) for i in FORGET}

    def right(p, y):
        return max(range(CLASSES), key=lambda c: p[c]) == y

    test = [right(p, y) for p, y in zip(o.test, evidence.test_labels, strict=True)]
    private = [right(p, y) for p, y in zip(o.private, evidence.private_labels, strict=True)]
    forget = [private[i] for i in sorted(rows)]
    retain = [r for i, r in enumerate(private) if i not in rows]
    wins = 0.0
    for i in rows:
        member = o.private[i][evidence.private_labels[i]]
        for p, y in zip(o.test, evidence.test_labels, strict=True):
            wins += 1.0 if member > p[y] else 0.5 if member == p[y] else 0.0
    pairs = len(rows) * len(o.test)
    return [
        *(100 * sum(part) / len(part) for part in (test, retain, forget)),
        100 * wins / pairs,
    ]


@pytest.fixture
def evidence():
    return TinyEvidence()


@pytest.fixture
def rows(evidence):
    models = [outputs(evidence, seed) for seed in range(4)]
    return [
        Entry("after", "by-design", models[:2], "retrained", [0.1, 0.3], {"a": 1.0}),
        Entry("retrained", "oracle", models[2:], None, [5.0, 7.0]),
    ]


def test_figures_are_the_slow_loops(evidence, rows):
    figures = Table(evidence, FORGET).figures(rows)["after"]
    slow = [slow_terms(evidence, o) for o in rows[0].outputs]
    against = [slow_terms(evidence, o) for o in rows[1].outputs]
    names = ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc")
    for i, name in enumerate(names):
        assert getattr(figures, name) == pytest.approx(np.mean([s[i] for s in slow]))
        low, high = figures.ci95[name]
        assert low <= getattr(figures, name) <= high
    gaps = np.abs(np.array(slow)[:, None] - np.array(against)[None]).mean(axis=2)
    assert figures.avg_gap == pytest.approx(gaps.diagonal().mean())
    assert figures.avg_gap_cross_seeds == pytest.approx((gaps[0, 1] + gaps[1, 0]) / 2)
    assert figures.unlearn_seconds == pytest.approx(0.2)
    assert figures.settings == {"a": 1.0}
    assert figures.oracle == "retrained"


def test_distances_to_the_oracle_are_the_slow_loops(evidence, rows):
    distance = Table(evidence, FORGET).figures(rows)["after"].to_oracle_forget
    agree, kl, shift = [], [], []
    for own, other in zip(rows[0].outputs, rows[1].outputs, strict=True):
        for i in map(int, FORGET):
            p, q = own.private[i].astype(float), other.private[i].astype(float)
            agree.append(p.argmax() == q.argmax())
            kl.append(sum(q[c] * np.log(q[c] / p[c]) for c in range(CLASSES)))
            y = evidence.private_labels[i]
            shift.append(abs(p[y] - q[y]))
    assert distance.agreement == pytest.approx(100 * np.mean(agree))
    assert distance.kl == pytest.approx(np.mean(kl), rel=1e-4)
    assert distance.shift == pytest.approx(100 * np.mean(shift), rel=1e-4)


def test_a_model_is_no_distance_from_itself(evidence, rows):
    same = [Entry("copy", "by-design", rows[1].outputs, "retrained", [0.0]), rows[1]]
    figures = Table(evidence, FORGET).figures(same)["copy"]
    assert figures.avg_gap == 0
    assert figures.ci95["avg_gap"] == (0, 0)
    assert figures.to_oracle_test.agreement == 100
    assert figures.to_oracle_test.kl == pytest.approx(0, abs=1e-6)
    assert figures.forgetting_quality.score == 1


def test_the_null_band_is_the_gap_between_the_oracle_s_seeds(evidence, rows):
    table = Table(evidence, FORGET)
    [(name, band)] = table.null_bands(rows).items()
    a, b = (np.array(slow_terms(evidence, o)) for o in rows[1].outputs)
    assert name == "retrained"
    assert band.pairs == 1
    assert band.low == band.mean == band.high == pytest.approx(np.abs(a - b).mean())


def test_one_seed_has_neither_band_nor_cross_seed_gap(evidence, rows):
    one = [Entry(r.name, r.family, r.outputs[:1], r.oracle, r.seconds[:1]) for r in rows]
    table = Table(evidence, FORGET)
    assert table.null_bands(one) == {}
    figures = table.figures(one)["after"]
    assert figures.avg_gap_cross_seeds is None
    assert figures.spread["avg_gap"] == 0


def test_without_an_oracle_there_is_no_gap(evidence, rows):
    figures = Table(evidence, FORGET).figures(rows[:1])["after"]
    assert figures.avg_gap is None
    assert figures.oracle is None
    assert figures.to_oracle_forget is None
    assert figures.forgetting_quality is None


@pytest.mark.parametrize("forget", [[], [str(i) for i in range(30)]])
def test_an_empty_forget_or_retain_set_is_refused(evidence, forget):
    with pytest.raises(BadInputError, match="at least one"):
        Table(evidence, forget)


def test_intervals_of_the_gap_cover_it_for_like_models(evidence):
    """Two models whose answers on each image are alike have a small gap, and a tight interval."""
    big = TinyEvidence(400, 400)
    a = outputs(big, 1)
    b = Outputs(a.private.copy(), a.test.copy(), 1.0, a.image_private, a.image_test)
    b.test[:4] = 1 / 3
    table = Table(big, FORGET)
    figures = table.figures([Entry("x", "post-hoc", [a], "o", [1.0]), Entry("o", "oracle", [b])])
    low, high = figures["x"].ci95["avg_gap"]
    assert 0 <= low <= figures["x"].avg_gap <= high < 2


def test_the_leak_split_adds_up(evidence, rows):
    before, after = rows[0].outputs
    table = Table(evidence, FORGET)
    split = leak_split(table, [before], [after], rows[1].outputs[:1])
    slow_before, slow_after = slow_terms(evidence, before), slow_terms(evidence, after)
    assert split.memory_accuracy == pytest.approx(slow_before[2] - slow_after[2])
    assert split.memory_mia == pytest.approx(slow_before[3] - slow_after[3])
    # In this fixture the image pathway says what the whole model says.
    assert split.image_mia == pytest.approx(slow_after[3])
    assert split.image_mia_oracle == pytest.approx(slow_terms(evidence, rows[1].outputs[0])[3])
    assert split.backbone is not None
    low, high = split.image_mia_ci95
    assert low <= split.image_mia <= high
    assert leak_split(table, [before], [after], None).backbone is None


def test_a_model_without_an_image_pathway_has_no_leak_split(evidence):
    o = outputs(evidence, 0)
    bare = Outputs(o.private, o.test, 1.0)
    with pytest.raises(BadInputError, match="image pathway"):
        leak_split(Table(evidence, FORGET), [bare], [bare], None)


# -- intervals ------------------------------------------------------------------------------------


def copies_that_err(evidence, outputs_, rows):
    """The same answers with those on some test images turned into a guess."""
    test = outputs_.test.copy()
    test[rows] = 1 / CLASSES
    return Outputs(
        outputs_.private.copy(),
        test,
        1.0,
        outputs_.image_private,
        verdicts(test, evidence.test_labels),
    )


@given(
    n=st.integers(6, 40),
    n_test=st.integers(2, 40),
    n_forget=st.integers(2, 4),
    seeds=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    alike=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_an_interval_holds_the_figure_that_it_is_of(n, n_test, n_forget, seeds, seed, alike):
    """Avg Gap among them, small or large, of one seed or several; never a width of 0 at 100 %."""
    made = TinyEvidence(n, n_test, seed)
    models = [outputs(made, seed + 1 + i) for i in range(2 * seeds)]
    against = models[seeds:]
    if alike:
        against = [copies_that_err(made, one, [i % n_test]) for i, one in enumerate(models[:seeds])]
    rows = [
        Entry("x", "post-hoc", models[:seeds], "o", [1.0]),
        Entry("o", "oracle", against),
    ]
    found = Table(made, [str(i) for i in range(n_forget)]).figures(rows)["x"]
    assert set(found.ci95) == {*GAP_TERMS, "avg_gap"}
    for term, (low, high) in found.ci95.items():
        value = getattr(found, term)
        assert low <= value <= high, term
        if term != "avg_gap":
            assert 0 <= low < high <= 100, term
    assert found.ci95["avg_gap"][0] >= 0


def test_the_interval_of_a_small_gap_is_not_folded():
    """Half of a folded statistic's resamples lie above a gap near 0: its point lay outside."""
    big = TinyEvidence(400, 400)
    own = outputs(big, 1)
    rows = [
        Entry("x", "post-hoc", [own], "o", [1.0]),
        Entry("o", "oracle", [copies_that_err(big, outputs(big, 2), slice(0, 0))]),
    ]
    ids = [str(i) for i in range(100)]
    table = Table(big, ids)
    a, b = (table._measure(row.outputs[0]) for row in rows)
    folded = np.abs(a.resampled - b.resampled).mean(axis=0)
    gap = table.figures(rows)["x"].avg_gap
    assert np.quantile(folded, 0.5) > gap  # what was averaged before leans upwards
    low, high = table.figures(rows)["x"].ci95["avg_gap"]
    assert low <= gap <= high


@pytest.mark.parametrize(
    ("n", "n_test", "n_forget", "without"),
    [
        (30, 40, 1, {"forget_accuracy", "mia_auc", "avg_gap"}),
        (30, 1, 4, {"test_accuracy", "mia_auc", "avg_gap"}),
        (5, 40, 4, {"retain_accuracy", "avg_gap"}),
        (2, 1, 1, {*GAP_TERMS, "avg_gap"}),
    ],
)
def test_a_figure_of_a_single_image_has_no_interval(n, n_test, n_forget, without):
    made = TinyEvidence(n, n_test)
    models = [outputs(made, i) for i in range(2)]
    ids = [str(i) for i in range(n_forget)]
    table = Table(made, ids)
    rows = [Entry("x", "post-hoc", models[:1], "o", [1.0]), Entry("o", "oracle", models[1:])]
    found = table.figures(rows)["x"]
    assert {*GAP_TERMS, "avg_gap"} - set(found.ci95) == without
    assert (found.mia_auc_ci95 is None) == ("mia_auc" in without)
    assert found.avg_gap is not None
    assert table.differences(rows) == {}
    split = leak_split(table, models[:1], models[:1], None)
    assert (split.image_mia_ci95 is None) == ("mia_auc" in without)


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_a_share_at_its_end_has_wilsons_interval(n):
    z2 = 1.959963984540054**2
    resampled = np.full(10, 100.0)
    low, high = interval_of_share(100.0, resampled, n)
    assert (low, high) == (pytest.approx(100 * n / (n + z2)), 100.0)
    low, high = interval_of_share(0.0, 0 * resampled, n)
    assert (low, high) == (0.0, pytest.approx(100 * z2 / (n + z2)))
    assert interval_of_share(100.0, resampled, 1) is None
    assert interval_of_share(50.0, np.linspace(0, 100, 41), n) == (2.5, 97.5)


def test_a_second_level_shows_the_spread_over_seeds():
    """Hand-worked: no spread over images, means 0 and 2 of two seeds. 0, 1 or 2 of the draws are of
    the second seed, and are set √2 times as far from the middle."""
    mean = mean_over_seeds(np.stack([np.zeros(4000), np.full(4000, 2.0)]))
    assert set(np.round(mean, 6)) == {round(1 - 2**0.5, 6), 1.0, round(1 + 2**0.5, 6)}
    assert mean.mean() == pytest.approx(1, abs=0.1)
    assert mean.var() == pytest.approx(np.var([0, 2], ddof=1) / 2, rel=0.1)
    assert (mean_over_seeds(np.arange(6.0).reshape(1, 6)) == np.arange(6)).all()


def test_differences_are_paired_and_leave_out_what_is_exact(evidence, rows):
    models = [outputs(evidence, seed) for seed in range(20, 23)]
    oracle = Entry("o", "oracle", models)
    near = [copies_that_err(evidence, one, [i]) for i, one in enumerate(models)]
    entries = [
        Entry("near", "post-hoc", near, "o", [1.0] * 3),
        Entry("twice", "post-hoc", near, "o", [1.0] * 3),
        Entry("far", "post-hoc", [outputs(evidence, s) for s in range(30, 33)], "o", [1.0] * 3),
        Entry("same", "by-design", models, "o", [1.0] * 3, exact=True),
        Entry("before", "original", near, "o"),
        oracle,
    ]
    table = Table(evidence, FORGET)
    found = table.differences(entries)
    assert set(found) == {"near", "twice", "far"}
    assert set(found["near"]) == {"far"}  # equal gaps are in no order
    low, high = found["near"]["far"]
    figures = table.figures(entries)
    assert low <= figures["far"].avg_gap - figures["near"].avg_gap <= high
    one_seed = [replace(e, outputs=e.outputs[:1], seconds=e.seconds[:1]) for e in entries]
    assert Table(evidence, FORGET).differences(one_seed) == {}
