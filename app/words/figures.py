"""Numbers for people: no more digits than an interval supports, and units that fit."""

from math import floor, log10

Bounds = tuple[float, float]

_MOST_DECIMALS = 2
_LEADING = 3.55  # An uncertainty of 0.2 bears two digits of its own, one of 0.5 only one.


def decimals(bounds: Bounds | None) -> int:
    """Digits after the point that an interval supports, at most two.

    >>> decimals((91.1, 92.2)), decimals((90.5, 93.7)), decimals((30.0, 70.0))
    (1, 1, 0)
    """
    half = (bounds[1] - bounds[0]) / 2 if bounds else 0.0
    if half <= 0:
        return _MOST_DECIMALS
    exponent = floor(log10(half))
    digits = (1 if half / 10**exponent < _LEADING else 0) - exponent
    return min(max(digits, 0), _MOST_DECIMALS)


def number(value: float, bounds: Bounds | None = None) -> str:
    """A figure, rounded to what its interval supports; to two decimals without one."""
    return _signed(f"{value:.{decimals(bounds)}f}")


def interval(bounds: Bounds) -> str:
    """ "91.1–92.2"; with a sign of its own on both ends if one is negative."""
    places = decimals(bounds)
    low, high = (f"{bound:.{places}f}" for bound in bounds)
    if min(bounds) < 0:
        return f"{_signed(low)} to {_signed(high)}"
    return f"{low}–{high}"


def share(percent: float) -> str:
    """A percentage of which 100 must mean all: 99.96 is not rounded up to it."""
    if 99.95 <= percent < 100:
        return ">99.9"
    return f"{percent:.1f}"


def took(seconds: float) -> str:
    """A time in a unit in which nobody counts zeros: "0.4 ms", "8.5 s", "2 min 5 s"."""
    if seconds < 1e-5:
        return "<0.01 ms"
    if seconds < 0.9995:
        return f"{_two_digits(1000 * seconds)} ms"
    if seconds < 99.5:
        return f"{_two_digits(seconds)} s"
    if seconds < 3570:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{_two_digits(seconds / 3600)} h"


def times(factor: float) -> str:
    """How many times, to the digit or two that a measured time is worth."""
    if factor < 10:
        return f"{factor:.1f}"
    return f"{round(factor, 1 - floor(log10(factor))):,.0f}"


def signed(value: float, digits: int = 1) -> str:
    """ "+1.2", "−0.3": a difference, always with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _two_digits(value: float) -> str:
    places = max(0, 1 - floor(log10(value)))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _signed(text: str) -> str:
    """With a minus sign, not a hyphen, and no negative zero."""
    if not text.strip("-0."):
        return text.lstrip("-")
    return text.replace("-", "−")
