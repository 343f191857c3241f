"""Outputs in few bytes: what may change by rounding, what may not, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from munkey_core.audit.membership.metrics import auroc
from munkey_core.errors import BundleError
from munkey_core.training.answers import Outputs, verdicts
from munkey_core.training.packing import pack, pack_truth, unpack, unpack_truth


def random_outputs(n=60, n_private=40, classes=4, seed=0, sharpness=6.0, image=True):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * sharpness
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    labels = rng.integers(0, classes, n)
    pathway = verdicts(p[::-1].copy(), labels) if image else None
    parts = (pathway[:n_private], pathway[n_private:]) if pathway else (None, None)
    return Outputs(p[:n_private], p[n_private:], 1.25, *parts), labels


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 12),
    sharpness=st.sampled_from([0.0, 0.1, 1.0, 5.0, 40.0]),
)
def test_classes_stay_and_probabilities_hardly_move(seed, classes, sharpness):
    outputs, labels = random_outputs(classes=classes, seed=seed, sharpness=sharpness)
    back = unpack(pack(outputs, labels), labels, 40, classes)
    for before, after in ((outputs.private, back.private), (outputs.test, back.test)):
        # Among classes that are exactly as probable the first is meant, before and after.
        assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
        assert np.abs(before - after).max() < 0.02
        assert np.allclose(after.sum(axis=1), 1, atol=1e-5)
    assert back.seconds == 1.25
    assert (back.image_private.correct == outputs.image_private.correct).all()
    assert np.abs(back.image_test.truth - outputs.image_test.truth).max() < 1e-3


def test_the_attack_s_area_survives_rounding():
    outputs, labels = random_outputs(n=4000, n_private=2000, sharpness=3.0)
    back = unpack(pack(outputs, labels), labels, 2000, 4)
    rows = np.arange(2000)
    areas = [
        auroc(o.private[rows, labels[:2000]], o.test[rows, labels[2000:]]) for o in (outputs, back)
    ]
    assert areas[0] == pytest.approx(areas[1], abs=2e-4)


def test_a_model_without_memory_has_no_image_pathway_of_its_own():
    outputs, labels = random_outputs(image=False)
    back = unpack(pack(outputs, labels), labels, 40, 4)
    assert back.image_private is None
    assert back.image_test is None


def test_reference_truths_survive_to_three_digits():
    truth = np.random.default_rng(0).random((3, 50))
    truth[0, :3] = [0.0, 1.0, 1e-9]
    assert unpack_truth(pack_truth(truth), 3, 50) == pytest.approx(truth, abs=5e-4)


def test_damage_is_refused_in_words():
    outputs, labels = random_outputs()
    packed = pack(outputs, labels)
    with pytest.raises(BundleError, match="'codes'"):
        unpack({**packed, "codes": packed["codes"].float()}, labels, 40, 4)
    with pytest.raises(BundleError, match="can't be unpacked"):
        unpack({**packed, "truth": packed["truth"].flip(0)}, labels, 40, 4)
    with pytest.raises(BundleError, match="must hold"):
        unpack({**packed, "truth": packed["truth"][:20]}, labels, 40, 4)
    with pytest.raises(BundleError, match="must hold"):
        unpack(packed, labels[:-1], 40, 4)
    # Codes of three classes, but an image is said to be of the fourth.
    three = pack(random_outputs(classes=3)[0], np.zeros(60, np.int64))
    with pytest.raises(BundleError, match="below 3"):
        unpack({**three, "classes": packed["classes"]}, labels, 40, 3)
    with pytest.raises(BundleError, match="seconds"):
        unpack({**packed, "seconds": torch.tensor(float("nan"))}, labels, 40, 4)


@pytest.mark.slow
def test_a_bomb_is_not_unpacked():
    outputs, labels = random_outputs()
    bomb = pack_truth(np.zeros((1, 20_000_000)))
    assert len(bomb) < 10_000
    with pytest.raises(BundleError, match="must hold"):
        unpack({**pack(outputs, labels), "truth": bomb}, labels, 40, 4)
