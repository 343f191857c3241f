"""The audit's arithmetic, worked out by hand."""

import numpy as np
import pytest

from munkey_core.audit.figures import avg_gap
from munkey_core.audit.leak import backbone_leak

FIGURES = {
    "test_accuracy": 91.0,
    "retain_accuracy": 99.0,
    "forget_accuracy": 92.0,
    "mia_auc": 52.0,
    "image_only_test": 10.0,
}


def test_avg_gap_is_the_mean_of_the_four_absolute_differences():
    oracle = {
        "test_accuracy": 91.5,
        "retain_accuracy": 98.0,
        "forget_accuracy": 90.0,
        "mia_auc": 52.5,
        "image_only_test": 99.0,  # not one of the four
    }
    assert avg_gap(FIGURES, oracle) == pytest.approx((0.5 + 1.0 + 2.0 + 0.5) / 4)
    assert avg_gap(oracle, FIGURES) == avg_gap(FIGURES, oracle)
    assert avg_gap(FIGURES, FIGURES) == 0


def test_backbone_leak_is_forget_minus_test_and_the_excess_is_over_the_oracle():
    forget, test = np.array([1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0])
    forget_oracle, test_oracle = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.0])
    leak = backbone_leak([(forget, test)], [(forget_oracle, test_oracle)])
    assert leak.points == pytest.approx(25.0)
    assert leak.oracle_points == pytest.approx(0.0)
    assert leak.excess_points == pytest.approx(25.0)
    # var(forget) = 0.25, var(test) = 0.5: half width 1.96 · √(0.25/4 + 0.5/2) = 109.57 points
    assert leak.ci95 == pytest.approx((25 - 109.567, 25 + 109.567), abs=0.01)


def test_the_leak_averages_seeds_before_it_counts_images():
    """Two seeds that err on different images are not twice as many images."""
    one, two = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0])
    leak = backbone_leak([(one, one), (two, two)], [(one, one), (two, two)])
    assert leak.points == 0
    assert leak.ci95 is None  # every image is right in half of the seeds: no spread over images


def test_the_interval_of_the_leak_covers_the_truth_at_the_nominal_rate():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        forget, test = rng.random(200) < 0.8, rng.random(500) < 0.7
        pair = [(forget.astype(float), test.astype(float))]
        low, high = backbone_leak(pair, pair).ci95
        inside += low <= 10 <= high
    assert 0.92 <= inside / 400 <= 0.98
