"""Membership inference: signals, attacks and metrics against slow loops and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from munkey_core.audit.membership.bootstrap import Bootstrap
from munkey_core.audit.membership.forgetting_quality import (
    CONFIDENCE_THRESHOLDS,
    ENTROPY_THRESHOLDS,
    forgetting_quality,
    quality_at,
)
from munkey_core.audit.membership.metrics import (
    auroc,
    balanced_accuracy,
    best_threshold,
    tpr_at_fpr,
)
from munkey_core.audit.membership.scores import lira_offline, lira_online, population, rmia
from munkey_core.audit.membership.signals import SIGNALS, modified_entropy
from munkey_core.errors import BadInputError

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12).map(np.array)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# -- metrics -------------------------------------------------------------------------------------


@given(scores, scores)
def test_auroc_counts_pairs_with_ties_as_half(members, others):
    pairs = [(m > o) + 0.5 * (m == o) for m in members for o in others]
    assert auroc(members, others) == pytest.approx(sum(pairs) / len(pairs))


@given(scores, scores)
def test_swapping_members_and_non_members_gives_one_minus_auroc(members, others):
    assert auroc(members, others) == pytest.approx(1 - auroc(others, members))


def test_auroc_equals_scikit_learn_and_survives_a_monotone_transform():
    rng = np.random.default_rng(0)
    members, others = rng.normal(0.4, 1, 300), rng.normal(0, 1, 500)
    truth = np.r_[np.ones(300), np.zeros(500)]
    wanted = roc_auc_score(truth, np.r_[members, others])
    assert auroc(members, others) == pytest.approx(wanted)
    assert auroc(np.exp(members), np.exp(others)) == pytest.approx(wanted)


@pytest.mark.parametrize("fpr", [0.01, 0.1])
def test_tpr_at_fpr_is_the_last_point_of_the_roc_curve_below_it(fpr):
    rng = np.random.default_rng(1)
    members, others = rng.normal(1, 1, 400).round(1), rng.normal(0, 1, 1000).round(1)
    truth = np.r_[np.ones(400), np.zeros(1000)]
    false, true, _ = roc_curve(truth, np.r_[members, others], drop_intermediate=False)
    assert tpr_at_fpr(members, others, fpr) == pytest.approx(true[false <= fpr].max())


def test_tpr_at_a_rate_that_cannot_be_measured_is_refused():
    with pytest.raises(BadInputError, match="at least 1,000 non-members, got 999"):
        tpr_at_fpr(np.ones(5), np.ones(999), 0.001)


def test_best_threshold_is_the_best_of_all_thresholds():
    rng = np.random.default_rng(2)
    members, others = rng.normal(1, 1, 60).round(1), rng.normal(0, 1, 80).round(1)
    best = best_threshold(members, others)
    everywhere = [balanced_accuracy(members, others, t) for t in np.r_[members, others]]
    assert balanced_accuracy(members, others, best) == pytest.approx(max(everywhere))


def test_identical_distributions_cover_one_half_at_the_nominal_rate():
    rng = np.random.default_rng(3)
    inside = 0
    for draw in range(200):
        low, high = Bootstrap(80, 120, resamples=200, seed=draw).auroc(
            rng.normal(size=80), rng.normal(size=120)
        )
        inside += low <= 0.5 <= high
    # 95% of 200, give or take three standard errors and the percentile bootstrap's small bias.
    assert 178 <= inside <= 200


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf])])
def test_scores_that_cannot_be_judged_raise_and_never_give_one_half(bad):
    good = np.array([0.0, 1.0])
    for measure in (auroc, lambda a, b: Bootstrap(2, 2).auroc(a, b), best_threshold):
        with pytest.raises(BadInputError):
            measure(bad, good)
        with pytest.raises(BadInputError):
            measure(good, bad)


# -- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_is_larger_for_a_surer_right_answer(name):
    sure, unsure = np.array([[0.96, 0.03, 0.01]]), np.array([[0.5, 0.3, 0.2]])
    label = np.array([0])
    assert SIGNALS[name](sure, label)[0] > SIGNALS[name](unsure, label)[0]


def test_modified_entropy_equals_its_formula_term_by_term():
    p = softmax(np.random.default_rng(4).normal(size=(20, 5)))
    labels = np.arange(20) % 5
    for i, y in enumerate(labels):
        others = sum(p[i, k] * math.log(1 - p[i, k]) for k in range(5) if k != y)
        wanted = -(-(1 - p[i, y]) * math.log(p[i, y]) - others)
        assert modified_entropy(p, labels)[i] == pytest.approx(wanted)


def test_modified_entropy_tells_a_sure_wrong_answer_from_a_sure_right_one():
    p = np.array([[0.98, 0.01, 0.01]])
    right, wrong = np.array([0]), np.array([1])
    assert modified_entropy(p, right)[0] > modified_entropy(p, wrong)[0]
    assert SIGNALS["entropy"](p, right)[0] == SIGNALS["entropy"](p, wrong)[0]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_saturated_softmax_still_gives_a_finite_signal(name):
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.isfinite(SIGNALS[name](p, np.array([0, 0]))).all()


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_refuse_what_are_no_probabilities(name):
    for bad in (np.array([[0.9, 0.9]]), np.array([[np.nan, 1.0]]), np.array([0.5, 0.5])):
        with pytest.raises(BadInputError):
            SIGNALS[name](bad, np.zeros(1, dtype=np.int64))


# -- attacks -------------------------------------------------------------------------------------


def simulated_references(n=400, k=8, lift=2.0, seed=5):
    """φ of n images under a target and K references; training on an image lifts its φ."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 3, n)
    member = rng.random((k, n)) < 0.5
    member[0], member[1] = True, False  # every image has one reference on either side
    target_member = rng.random(n) < 0.5
    phi = difficulty + lift * target_member + rng.normal(0, 0.7, n)
    references = difficulty + lift * member + rng.normal(0, 0.7, (k, n))
    return 1 / (1 + np.exp(-phi)), 1 / (1 + np.exp(-references)), member, target_member


def test_reference_attacks_beat_the_plain_probability_where_images_differ_in_difficulty():
    target, references, member, truth = simulated_references()
    plain = auroc(target[truth], target[~truth])
    z, refs_z, _, _ = simulated_references(n=1000, lift=0.0, seed=6)
    for score in (
        lira_online(target, references, member),
        lira_offline(target, references, member),
        rmia(target, references, z, refs_z, member),
    ):
        assert auroc(score[truth], score[~truth]) > plain + 0.1


def test_lira_online_equals_the_slow_formula():
    target, references, member, _ = simulated_references(n=12, k=5)
    phi, ref = np.log(target / (1 - target)), np.log(references / (1 - references))

    def pooled(use):
        squares, freedom = 0.0, 0
        for i in range(12):
            values = [ref[j, i] for j in range(5) if use[j, i]]
            squares += sum((v - np.mean(values)) ** 2 for v in values)
            freedom += len(values) - 1
        return math.sqrt(squares / freedom)

    s_in, s_out = pooled(member), pooled(~member)
    for i, got in enumerate(lira_online(target, references, member)):
        m_in = np.mean([ref[j, i] for j in range(5) if member[j, i]])
        m_out = np.mean([ref[j, i] for j in range(5) if not member[j, i]])
        log_in = -0.5 * ((phi[i] - m_in) / s_in) ** 2 - math.log(s_in)
        log_out = -0.5 * ((phi[i] - m_out) / s_out) ** 2 - math.log(s_out)
        assert got == pytest.approx(log_in - log_out)


def test_rmia_counts_the_population_that_is_beaten():
    target, references, member, _ = simulated_references(n=9, k=4)
    z, refs_z, _, _ = simulated_references(n=15, k=4, seed=7)
    scores = rmia(target, references, z, refs_z, member, gamma=1.1, a=0.6)
    for i in range(9):
        p_x = np.mean([references[j, i] for j in range(4) if not member[j, i]])
        r_x = target[i] / (0.8 * p_x + 0.2)
        r_z = [z[m] / (0.8 * refs_z[:, m].mean() + 0.2) for m in range(15)]
        assert scores[i] == pytest.approx(np.mean([r_x / r > 1.1 for r in r_z]))


def test_the_population_attack_holds_its_false_positive_rate():
    rng = np.random.default_rng(8)
    calls = population(rng.normal(size=4000), rng.normal(size=4000)) > 0.95
    assert calls.mean() == pytest.approx(0.05, abs=0.015)


def test_attacks_refuse_images_without_the_references_they_need():
    target, references, member, _ = simulated_references(n=6, k=4)
    member[:, 2] = True
    with pytest.raises(BadInputError, match=r"outside the training set.*1 are not"):
        lira_offline(target, references, member)
    member[:, 2] = False
    with pytest.raises(BadInputError, match="inside the training set"):
        lira_online(target, references, member)
    with pytest.raises(BadInputError, match="population"):
        population(target, np.array([]))


@pytest.mark.parametrize("setting", [{"gamma": 0.0}, {"gamma": float("nan")}, {"a": 1.5}])
def test_rmia_refuses_settings_that_mean_nothing(setting):
    target, references, member, _ = simulated_references(n=6, k=4)
    with pytest.raises(BadInputError, match="gamma must be above 0"):
        rmia(target, references, target, references, member, **setting)


# -- forgetting quality ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tpr", "fpr", "wanted"),
    [
        (1.0, 0.0, 0.0),  # told apart without an error
        (0.0, 1.0, 1.0),  # FPR at 1 counts as no attack
        (1.0, 1.0, 1.0),
        (0.5, 0.5, 1.0),  # guessing: ε = max(0, ln((0.5 − δ)/0.5)) = 0
        # FPR 0 (kept at 1e-10), FNR 0.5: ε = ln((1 − 1e-5)/0.5) = 0.69314, FQ = 2^−ε
        (0.5, 0.0, 0.61850),
        # FPR 0.2, FNR 0.1: min[ln(0.79999/0.1), ln(0.89999/0.2)] = ln 4.49995 = 1.50407
        (0.9, 0.2, 0.35255),
    ],
)
def test_quality_at_a_threshold_equals_the_formula_worked_out_by_hand(tpr, fpr, wanted):
    assert quality_at(np.array([tpr]), np.array([fpr]))[0] == pytest.approx(wanted, abs=1e-5)


def test_the_score_equals_a_slow_loop_over_values_directions_and_thresholds():
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=(30, 4)) * 2, rng.normal(size=(30, 4)) * 3

    def values(logits):
        found = []
        for row in logits:
            p = softmax(row[None] / 2)[0]
            q = softmax(row[None])[0]
            entropy = -sum(x * math.log(x) for x in p)
            top = max(q)
            found.append((round(entropy, 2), round(math.log(top) - math.log(1 - top), 2)))
        return found

    worst = 1.0
    for which, thresholds in enumerate((ENTROPY_THRESHOLDS, CONFIDENCE_THRESHOLDS)):
        low, high = thresholds[0], thresholds[-1]
        x, y = ([min(max(v[which], low), high) for v in values(m)] for m in (a, b))
        for positive, negative in ((x, y), (y, x)):
            for t in thresholds:
                tpr = np.mean([v >= t for v in positive])
                fpr = np.mean([v >= t for v in negative])
                worst = min(worst, float(quality_at(np.array([tpr]), np.array([fpr]))[0]))
    assert forgetting_quality(a, b, permutations=1).score == pytest.approx(worst)


def test_two_models_alike_score_one_and_the_null_shows_what_chance_gives():
    rng = np.random.default_rng(10)
    logits = rng.normal(size=(200, 10)) * 3
    assert forgetting_quality(logits, logits, permutations=1).score == 1.0
    alike = forgetting_quality(logits, rng.permutation(logits), permutations=50)
    assert 0.8 < alike.null_mean < 1.0
    assert alike.null_low <= alike.null_mean
    apart = forgetting_quality(logits, logits * 0.05, permutations=50)
    assert apart.score < apart.null_low


@settings(max_examples=20)
@given(st.integers(1, 6))
def test_the_score_of_one_or_two_images_says_nothing_and_its_null_says_so(seed):
    rng = np.random.default_rng(seed)
    result = forgetting_quality(rng.normal(size=(1, 3)), rng.normal(size=(1, 3)), permutations=20)
    assert result.n == 1
    assert result.score == pytest.approx(result.null_mean)
