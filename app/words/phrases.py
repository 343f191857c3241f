"""One way to count, one way to say how long something takes."""


def count(n: int, one: str, many: str = "") -> str:
    """ "1 key", "2 keys", "1,000 keys"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def a(noun: str) -> str:
    """ "a key", "an owner"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def milliseconds(value: float) -> str:
    """A duration that nobody has to count zeros in."""
    if value < 0.01:
        return "<0.01 ms"
    return f"{value:.2f} ms" if value < 1 else f"{value:,.1f} ms"


def duration(seconds: float) -> str:
    """Seconds to come or gone by, no more exactly than anybody can know: "40 s", "2 min"."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 170:
        return f"{round(seconds / 30) / 2:g} min"
    return f"{round(seconds / 60):,} min"


def time_words(created: str) -> str:
    """ "2026-11-25 04:12 UTC" of an ISO time in UTC; anything else as it is."""
    plain = created.replace("T", " ")
    return f"{plain[:16]} UTC" if created.endswith("+00:00") and len(created) == 25 else created
