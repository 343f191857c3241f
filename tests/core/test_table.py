"""The audit's table, against figures worked out one image at a time."""

import numpy as np
import pytest

from munkey_core.audit.figures import Entry, Table
from munkey_core.audit.leak import leak_split
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
