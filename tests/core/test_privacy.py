"""Attacks on a forget set: against scikit-learn and slow loops, and every way to have none."""

import inspect
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tiny
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from app.shared import attacks as attack_words
from munkey_core.audit import privacy as module
from munkey_core.audit.attacks import (
    AFTER,
    ATTACKS,
    BEFORE,
    LIRA_ONLINE,
    PLAIN_ORIGINAL,
    RETRAINED,
    SAME_ORDER,
    Target,
    attack_scores,
)
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.exposure import exposure
from munkey_core.audit.membership.bootstrap import Bootstrap
from munkey_core.audit.membership.metrics import auroc, tpr_at_fpr
from munkey_core.audit.membership.scores import rmia
from munkey_core.audit.privacy import FAMILY, LOG_ODDS, Judge, PrivacyReport, privacy, roc_points
from munkey_core.bundle.forget_sets import CANONICAL_TITLES
from munkey_core.errors import AttackError, BadInputError, UnknownIdError
from munkey_core.progress import Progress, drive, finish
from munkey_core.results import Browse
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.answers import Outputs, Verdicts
from munkey_core.training.retraining import MUNKEY, PLAIN, in_reference
from munkey_core.training.runs import Runs
from munkey_core.training.shipped import References

N, T, K, CLASSES = 200, 300, 8, 4
NEEDS_REFERENCES = ("LiRA online", "LiRA offline", "RMIA")


ROOT = Path(__file__).resolve().parents[2]


def probabilities(phi, labels):
    """(n, C) whose true class has the log-odds phi; the rest is spread evenly."""
    truth = 1 / (1 + np.exp(-phi))
    p = np.repeat(((1 - truth) / (CLASSES - 1))[:, None], CLASSES, axis=1)
    p[np.arange(len(labels)), labels] = truth
    return p


def simulated(lift=1.5, members=N, seed=0, references=True):
    """A model that was trained on the first `members` of N + T images, which lifts their φ, and
    K references trained on the halves that `in_reference` gives."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, N + T)
    difficulty = rng.normal(2, 1.2, N + T)
    inside = np.arange(N + T) < members
    phi = difficulty + lift * inside + rng.normal(0, 0.4, N + T)
    member = np.stack([in_reference(k, N + T).numpy() for k in range(K)])
    others = difficulty + lift * member + rng.normal(0, 0.4, (K, N + T))
    known = References(1 / (1 + np.exp(-others)), member) if references else None
    return Target(probabilities(phi, labels), labels, N, known)


def judge(members=None, others=None):
    members = np.arange(N) < N // 2 if members is None else members
    return Judge(members, ~members if others is None else others, T)


# -- the attacks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_scores_members_higher(name):
    figures = judge().figures(attack_scores(name, simulated()))
    assert figures.auroc > 55
    assert figures.auroc_ci95[0] > 50
    assert figures.balanced_accuracy > 50


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_gives_one_half_where_training_left_no_trace(name):
    judged, inside = judge(), 0
    for draw in range(10):
        figures = judged.figures(attack_scores(name, simulated(lift=0, seed=draw)))
        inside += figures.auroc_ci95[0] <= 50 <= figures.auroc_ci95[1]
    assert inside >= 7


@pytest.mark.parametrize("name", ATTACKS)
def test_figures_equal_scikit_learn_and_survive_a_monotone_transform(name):
    scores = attack_scores(name, simulated())
    judged = judge()
    figures = judged.figures(scores)
    members, others = judged.split(scores)
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    both = np.r_[members, others]
    assert figures.auroc == pytest.approx(100 * roc_auc_score(truth, both))
    false, true, _ = roc_curve(truth, both, drop_intermediate=False)
    assert figures.tpr_1pct == pytest.approx(100 * true[false <= 0.01].max())
    for rate, found in figures.roc:
        assert found == pytest.approx(100 * true[false <= rate / 100 + 1e-12].max())
    again = judge().figures(np.arctan(scores * 1e-3) * 5 + 7)
    assert again.auroc == pytest.approx(figures.auroc)
    assert again.tpr_1pct == pytest.approx(figures.tpr_1pct)
    assert again.balanced_accuracy == pytest.approx(figures.balanced_accuracy)


def test_attacks_with_references_beat_the_loss_where_images_differ_in_difficulty():
    target = simulated()
    loss = judge().figures(attack_scores("loss", target))
    for name in NEEDS_REFERENCES:
        assert judge().figures(attack_scores(name, target)).auroc > loss.auroc + 5


def test_rmia_leaves_out_references_that_were_trained_on_a_population_image():
    rng = np.random.default_rng(7)
    target, references = rng.random(5), rng.random((4, 5))
    z, references_z = rng.random(6), rng.random((4, 6))
    member, member_z = rng.random((4, 5)) < 0.5, rng.random((4, 6)) < 0.5
    member[0], member_z[0] = False, False
    scores = rmia(target, references, z, references_z, member, member_population=member_z)
    for i in range(5):
        r_x = target[i] / np.mean([references[j, i] for j in range(4) if not member[j, i]])
        beaten = 0
        for m in range(6):
            prior = np.mean([references_z[j, m] for j in range(4) if not member_z[j, m]])
            beaten += r_x / (z[m] / prior) > 1
        assert scores[i] == pytest.approx(beaten / 6)
    member_z[:, 3] = True
    with pytest.raises(BadInputError, match=r"outside the training set.*1 are not"):
        rmia(target, references, z, references_z, member, member_population=member_z)


# -- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(30, 150), (700, 500)])
def test_fast_intervals_agree_with_resampling_image_by_image(n, m):
    rng = np.random.default_rng(1)
    members, others = rng.normal(0.5, 1, n).round(1), rng.normal(0, 1, m).round(1)
    fast = Bootstrap(n, m, resamples=4000)
    slow = scipy.stats.bootstrap(
        (members, others),
        auroc,
        n_resamples=2000,
        vectorized=False,
        method="percentile",
        random_state=rng,
    )
    assert fast.auroc(members, others) == pytest.approx(tuple(slow.confidence_interval), abs=0.012)
    slow = [tpr_at_fpr(rng.choice(members, n), rng.choice(others, m), 0.1) for _ in range(2000)]
    assert fast.tpr_at_fpr(members, others, 0.1) == pytest.approx(
        np.quantile(slow, [0.025, 0.975]), abs=0.04
    )
    slow = [
        ((rng.choice(members, n) > 0.2).mean() + (rng.choice(others, m) <= 0.2).mean()) / 2
        for _ in range(2000)
    ]
    assert fast.balanced_accuracy(members, others, 0.2) == pytest.approx(
        np.quantile(slow, [0.025, 0.975]), abs=0.012
    )


def test_identical_distributions_cover_one_half_at_the_nominal_rate():
    rng = np.random.default_rng(2)
    resamples = Bootstrap(80, 120, resamples=400)
    draws = [resamples.auroc(rng.normal(size=80), rng.normal(size=120)) for _ in range(200)]
    assert 178 <= sum(low <= 0.5 <= high for low, high in draws) <= 200


def test_swapping_members_and_non_members_mirrors_area_and_interval():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.5, 1, 400), rng.normal(0, 1, 300)
    low, high = Bootstrap(400, 300, resamples=4000).auroc(a, b)
    other_low, other_high = Bootstrap(300, 400, resamples=4000).auroc(b, a)
    assert auroc(a, b) == pytest.approx(1 - auroc(b, a))
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low), abs=0.006)


def test_one_image_has_no_interval_and_other_sizes_are_refused():
    single = Bootstrap(1, 10)
    assert single.auroc(np.ones(1), np.zeros(10)) is None
    assert single.tpr_at_fpr(np.ones(1), np.zeros(10), 0.1) is None
    assert single.balanced_accuracy(np.ones(1), np.zeros(10), 0.5) is None
    with pytest.raises(BadInputError, match="of 1 members and 10 non-members, got 2"):
        single.auroc(np.ones(2), np.zeros(10))
    with pytest.raises(BadInputError, match="at least one image"):
        Bootstrap(0, 10)


def test_the_curve_ends_at_all_images_and_is_spaced_by_logarithms():
    rng = np.random.default_rng(4)
    points = roc_points(rng.normal(1, 1, 50), rng.normal(0, 1, 2000))
    assert points[0][0] == pytest.approx(0.05)
    assert points[-1] == (100, 100)
    assert len([rate for rate, _ in points if rate <= 1]) >= 15


# -- what can't be computed ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEEDS_REFERENCES)
def test_without_references_an_attack_is_an_error_in_words(name):
    with pytest.raises(AttackError, match="needs reference models of its kind"):
        attack_scores(name, simulated(references=False))


def test_one_reference_is_too_few_to_have_seen_every_image_both_ways():
    target = simulated()
    one = replace(
        target, references=References(target.references.truth[:1], target.references.member[:1])
    )
    with pytest.raises(AttackError, match="inside the training set of at least one"):
        attack_scores(LIRA_ONLINE, one)


@pytest.mark.parametrize("name", ATTACKS)
def test_probabilities_that_are_not_finite_are_an_error(name):
    target = simulated()
    target.probabilities[3, 1] = np.nan
    with pytest.raises(AttackError, match="finite"):
        attack_scores(name, target)


def test_scores_that_are_not_finite_are_an_error(monkeypatch):
    monkeypatch.setitem(ATTACKS, "broken", lambda target: np.full(N + T, np.inf))
    with pytest.raises(AttackError, match="not finite"):
        attack_scores("broken", simulated())
    with pytest.raises(AttackError, match="finite"):
        judge().figures(np.full(N + T, np.inf))
    with pytest.raises(AttackError, match="no attack 'nobody'"):
        attack_scores("nobody", simulated())


def test_empty_groups_are_an_error():
    nobody = np.zeros(N, dtype=bool)
    with pytest.raises(AttackError, match="got 0 and 300"):
        Judge(nobody, ~nobody, T)
    with pytest.raises(AttackError, match="got 200 and 0"):
        Judge(~nobody, nobody, 0)


def test_a_figure_that_cannot_be_had_is_none_with_its_reason():
    scores = attack_scores("loss", simulated())
    figures = judge().figures(scores)
    assert figures.tpr_01pct is None
    assert "at least 1,000 non-members, got 300" in figures.errors["tpr_01pct"]
    everybody = np.ones(N, dtype=bool)
    alone = judge(everybody, ~everybody).figures(scores)
    assert alone.balanced_accuracy is None
    assert "threshold" in alone.errors["balanced_accuracy"]


# -- the report on a bundle ------------------------------------------------------------------------


class Known(Evidence):
    """Evidence made up: answers of models by name instead of any training."""

    def __init__(self, bundle, seeds=(0, 1), plain=True, references=True, retrained=True):
        super().__init__(Runs(bundle, torch.device("cpu")))
        self.n, self.t = len(self.private_labels), len(self.test_labels)
        self.seeds, self.plain, self.known, self.has = seeds, plain, references, retrained
        self.ids = bundle.bank.ids

    def outputs(self, lift, gone=(), seed=0, image=True):
        rng = np.random.default_rng(seed)
        labels = np.r_[self.private_labels, self.test_labels]
        phi = np.random.default_rng(50).normal(1, 1, len(labels)) + rng.normal(0, 0.3, len(labels))
        kept = np.array([id_ not in set(gone) for id_ in self.ids])
        phi[: self.n][kept] += lift
        truth = 1 / (1 + np.exp(-phi))
        p = np.repeat(((1 - truth) / 2)[:, None], 3, axis=1)
        p[np.arange(len(labels)), labels] = truth
        p = p.astype(np.float32)
        alone = [Verdicts(p[part, 0], p[part, 0] > 0.5) for part in self.parts()]
        return Outputs(p[: self.n], p[self.n :], 0.0, *(alone if image else (None, None)))

    def parts(self):
        return slice(0, self.n), slice(self.n, None)

    def before(self):
        yield Progress("predicting", 0, 2, 0.0)
        return self.outputs(3)

    def after(self, ids):
        yield from ()
        return self.outputs(3, ids)

    def original(self, family=MUNKEY, seed=None):
        return self.outputs(2) if family == MUNKEY or self.plain else None

    def retrained(self, ids, family=MUNKEY, seed=None):
        if not self.has or (family == PLAIN and not self.plain) or (seed or 0) not in self.seeds:
            return None
        return self.outputs(3, ids, 10 + (seed or 0))

    def references(self, family, at_most=256):
        if not self.known:
            return None
        labels = np.r_[self.private_labels, self.test_labels]
        member = np.stack([in_reference(k, len(labels)).numpy() for k in range(4)])
        phi = np.random.default_rng(50).normal(1, 1, len(labels)) + 2 * member
        noise = np.random.default_rng(60).normal(0, 0.3, member.shape)
        return References(1 / (1 + np.exp(-phi - noise)), member)


@pytest.fixture(scope="module")
def bundle():
    return tiny.random_bundle(private=120, test=1200, thumbnails=False)


def report(evidence, ids):
    steps = []
    last = drive(privacy(evidence, ids), steps.append)
    assert all(isinstance(step, Progress) for step in steps)
    assert isinstance(last, PrivacyReport)
    return last


def test_the_report_holds_every_attack_on_every_model_and_is_plain_json(bundle):
    ids = bundle.bank.ids[:60]
    found = report(Known(bundle), ids[::-1])
    assert list(found.figures) == list(ATTACKS)
    for name, models in found.figures.items():
        assert list(models) == list(FAMILY)
        assert models[BEFORE].auroc > models[AFTER].auroc + 10
        assert models[BEFORE].n_members == 60
        assert models[BEFORE].n_non_members == 1200
        assert found.errors[name] == {}
        band = found.null_bands[name][MUNKEY]
        assert band.seeds == (0, 1)
        assert band.low <= models[RETRAINED].auroc <= band.high
        for histogram in found.histograms[name].values():
            assert len(histogram.edges) == len(histogram.members) + 1
            assert sum(histogram.members) == pytest.approx(100)
            assert sum(histogram.non_members) == pytest.approx(100)
    assert (found.n_forget, found.n_retain, found.n_test) == (60, 60, 1200)
    assert found.references == {MUNKEY: 4, PLAIN: 4}
    assert found.missing == ()
    assert found.leak is not None
    assert json.loads(json.dumps(found.to_dict()))["figures"]["RMIA"][AFTER]["roc"]
    brief = json.loads(json.dumps(found.to_dict(charts=False)))
    assert "histograms" not in brief
    assert "roc" not in brief["figures"]["RMIA"][AFTER]


def test_what_nobody_trained_is_missing_and_said_to_be(bundle):
    found = report(
        Known(bundle, plain=False, references=False, retrained=False), bundle.bank.ids[:20]
    )
    assert found.missing == (RETRAINED, PLAIN_ORIGINAL, "plain retrained")
    assert found.references == {MUNKEY: 0, PLAIN: 0}
    assert set(found.errors["RMIA"]) == {BEFORE, AFTER}
    assert found.figures["RMIA"] == {}
    assert found.null_bands["loss"] == {}
    assert found.leak is not None
    assert found.leak.backbone is None


def test_a_leak_that_was_not_measured_has_its_reason(bundle):
    class Blind(Known):
        def after(self, ids):
            yield from ()
            return self.outputs(3, ids, image=False)

    found = report(Blind(bundle), bundle.bank.ids[:20])
    assert found.leak is None
    assert "image pathway" in found.leak_error


def test_a_threshold_is_never_chosen_on_what_it_is_reported_on(bundle, monkeypatch):
    seen = []
    real = module.best_threshold

    def spy(members, others):
        seen.append((set(members.tolist()), set(others.tolist())))
        return real(members, others)

    monkeypatch.setattr(module, "best_threshold", spy)
    scores = np.arange(N + T, dtype=float)
    members = np.arange(N) < 50
    judge(members).figures(scores)
    (chosen_members, chosen_others) = seen[0]
    assert chosen_members == set(range(50, N))
    assert len(chosen_others) == T // 2
    assert chosen_others < set(range(N, N + T))


@pytest.mark.parametrize("ids", [(), "all"])
def test_forget_sets_that_leave_nothing_to_attack_are_refused(bundle, ids):
    ids = bundle.bank.ids if ids == "all" else ids
    with pytest.raises(BadInputError, match="at least one image"):
        report(Known(bundle), ids)


def test_an_unknown_id_is_refused(bundle):
    with pytest.raises(UnknownIdError):
        report(Known(bundle), ["nobody"])


def test_the_plain_model_shows_that_the_attacks_work(bundle):
    ids = bundle.bank.ids[: N // 2]
    figures = {name: of["plain"] for name, of in report(Known(bundle), ids).figures.items()}
    assert set(figures) == set(ATTACKS)
    assert figures["loss"].n_members == len(ids)
    for name in NEEDS_REFERENCES:
        assert figures[name].auroc > figures["loss"].auroc
    assert figures["loss"].balanced_accuracy is not None


# -- exposure --------------------------------------------------------------------------------------


def test_exposure_is_lira_where_there_are_references_and_log_odds_else(bundle):
    by_lira = exposure(Known(bundle))
    assert (by_lira.attack, by_lira.k) == (LIRA_ONLINE, 4)
    assert list(by_lira.scores) == list(bundle.bank.ids)
    plainly = exposure(Known(bundle, references=False))
    assert (plainly.attack, plainly.k) == (LOG_ODDS, 0)
    outputs = Known(bundle).original()
    for row, (id_, label) in enumerate(
        zip(bundle.bank.ids, Known(bundle).private_labels, strict=True)
    ):
        p = float(outputs.private[row, label])
        assert plainly.scores[id_] == pytest.approx(math.log(p / (1 - p)), rel=1e-4)


def test_the_gallery_can_be_ordered_by_exposure(bundle):
    shared = SharedModel(bundle)
    studio = Studio(shared)
    assert studio.privacy.exposure is None
    with pytest.raises(BadInputError, match="order by exposure needs"):
        studio.browse(Browse(order="exposed"))
    shared.evidence = Known(bundle)
    scores = studio.privacy.exposure.scores
    found = studio.browse(Browse(order="exposed"))
    assert list(found) == sorted(scores, key=lambda id_: -scores[id_])
    with pytest.raises(BadInputError, match="exposed"):
        studio.browse(Browse(order="wild"))


def test_a_session_asks_about_any_private_images_and_no_others(bundle):
    shared = SharedModel(bundle)
    shared.evidence = Known(bundle)
    studio = Studio(shared)
    found = finish(studio.privacy.run(bundle.bank.ids[:5]))
    assert found.n_forget == 5
    assert tuple(found.figures) == studio.privacy.attacks
    assert set(studio.memory.canonical_sets()) <= set(CANONICAL_TITLES)
    with pytest.raises(UnknownIdError, match="never in the memory"):
        studio.privacy.run([studio.memory.test_ids()[0]])


def test_three_of_the_attacks_order_images_alike_and_say_so():
    """Of two images none puts the one first and another the other; only ties may differ."""
    target = simulated()
    scores = [attack_scores(name, target) for name in SAME_ORDER]
    order = np.argsort(scores[0], kind="stable")
    for other in scores[1:]:
        assert (np.diff(other[order]) >= 0).all()
    said = "they order images alike"
    assert said in (ROOT / "tutorials" / "METHOD.md").read_text("utf-8").replace("\n  ", " ")
    assert said in (ROOT / "tutorials" / "RESULTS.md").read_text("utf-8")
    caption = inspect.getsource(attack_words.references).replace('"\n        "', "")
    assert "True-class probability, loss and population order images alike" in caption
