"""Figures, counts, times and settings as documents and messages write them."""

from collections.abc import Mapping, Sequence


def figure(
    value: float | None,
    ci95: Sequence[float] | None = None,
    spread: float | None = None,
    signed: bool = False,
) -> str:
    """A figure in percent or points with what is known of its spread over seeds and its interval:
    "0.13 ± 0.05 [0.08, 0.33]"; empty for None. signed: with + or - before it and its bounds."""
    if value is None:
        return ""
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    if spread is not None:
        text += f" ± {spread:.2f}"
    return text if ci95 is None else f"{text} {interval(ci95, signed)}"


def interval(ci95: Sequence[float], signed: bool = False) -> str:
    """ "[0.08, 0.33]"."""
    return f"[{', '.join(figure(bound, signed=signed) for bound in ci95)}]"


def duration(seconds: float | None) -> str:
    """A time in a unit that fits, to two digits; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def number(n: int) -> str:
    """A count with its thousands marked: "12,345"."""
    return f"{n:,}"


def counted(n: int, one: str, many: str = "") -> str:
    """ "1 image", "2,000 images". many: where it isn't `one` with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def settings(values: Mapping[str, float]) -> str:
    """ "epochs = 2, alpha = 0.9"."""
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
