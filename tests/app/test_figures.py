"""Numbers for people: no more digits than the interval supports."""

import pytest

from app.words.figures import decimals, interval, number, share, times, took


@pytest.mark.parametrize(
    ("bounds", "wanted"),
    [
        ((91.12, 92.20), 1),  # ± 0.5: one digit of its own
        ((90.5, 93.7), 1),  # ± 1.6: two digits
        ((30.0, 70.0), 0),  # ± 20
        ((45.0, 55.0), 0),  # ± 5
        ((0.04, 0.36), 2),  # ± 0.16
        ((0.1234, 0.1236), 2),  # never more than two
        ((100.0, 100.0), 2),
        (None, 2),
    ],
)
def test_decimals(bounds, wanted):
    assert decimals(bounds) == wanted


def test_number_and_interval_have_the_same_digits():
    assert number(91.674, (91.12, 92.20)) == "91.7"
    assert interval((91.12, 92.20)) == "91.1–92.2"
    assert number(50.4, (30.0, 70.0)) == "50"
    assert interval((30.2, 70.4)) == "30–70"
    assert number(100.0, (100.0, 100.0)) == "100.00"


def test_signs():
    assert number(-0.001, (-0.1, 0.1)) == "0.00"
    assert number(-1.26, (-2.0, -0.5)) == "−1.3"
    assert interval((-0.63, 0.51)) == "−0.6 to 0.5"


@pytest.mark.parametrize(
    ("percent", "wanted"), [(100.0, "100.0"), (99.97, ">99.9"), (99.94, "99.9"), (98.1, "98.1")]
)
def test_only_all_is_a_hundred_percent(percent, wanted):
    assert share(percent) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0.0, "<0.01 ms"),
        (4e-6, "<0.01 ms"),
        (0.000435, "0.43 ms"),
        (0.0002, "0.2 ms"),
        (0.0131, "13 ms"),
        (0.34, "340 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (8.46, "8.5 s"),
        (81.2, "81 s"),
        (99.6, "1 min 40 s"),
        (120.2, "2 min"),
        (125.0, "2 min 5 s"),
        (3569.0, "59 min 29 s"),
        (5400.0, "1.5 h"),
    ],
)
def test_time_in_a_unit_that_fits(seconds, wanted):
    assert took(seconds) == wanted


@pytest.mark.parametrize(
    ("factor", "wanted"), [(2.34, "2.3"), (87.2, "87"), (186_321.0, "190,000"), (2049.0, "2,000")]
)
def test_how_many_times(factor, wanted):
    assert times(factor) == wanted
