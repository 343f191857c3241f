"""Long work is run to its end; what it tells on the way; what becomes of it when it is left."""

import pytest

from munkey_core.progress import Progress, changed, drive, finish, staged


def work(result, *steps, left=None):
    """Yields steps and returns the result. left: gets a word once nothing is held any more."""
    try:
        yield from steps
    finally:
        if left is not None:
            left.append("left")
    return result


STEPS = (Progress("a", 0, 2, 0.0), Progress("a", 2, 2, 1.0))


def test_it_returns_what_the_work_returns():
    assert finish(work("late", *STEPS)) == "late"
    assert finish(work("at once")) == "at once"


def test_work_without_a_result_gives_none():
    assert finish(work(None, *STEPS)) is None


def test_every_step_is_seen():
    seen = []
    assert drive(work(3, *STEPS), seen.append) == 3
    assert seen == [*STEPS]


def test_it_tells_each_stage_and_its_end_but_not_every_step():
    told = []
    steps = [Progress("fit", done, 100, done / 100, 1 - done / 100) for done in range(101)]
    finish(work("done", *steps, Progress("save", 0, 1, 0.0, detail={"loss": 0.25})), told.append)
    assert told == [
        "fit: 0/100, 1 s left",
        "fit: 100/100, 0 s left",
        "save: 0/1, loss 0.25",
    ]


def test_a_part_is_told_under_a_longer_name_and_keeps_its_result():
    def whole():
        first = yield from staged("one", work(1, *STEPS))
        second = yield from changed(work(2, *STEPS), lambda step: Progress("all", step.done, 9, 0))
        return first, second

    seen = []
    assert drive(whole(), seen.append) == (1, 2)
    assert [(step.stage, step.done) for step in seen] == [
        ("one: a", 0),
        ("one: a", 2),
        ("all", 0),
        ("all", 2),
    ]


def test_work_that_is_left_lets_go_of_what_it_holds_at_once():
    left = []
    steps = work(1, *STEPS, left=left)
    with pytest.raises(ZeroDivisionError):
        drive(steps, lambda step: 1 // 0)
    assert left == ["left"]
    part = work(1, *STEPS, left=left)
    whole = staged("one", part)
    next(whole)
    whole.close()
    assert left == ["left", "left"]


def test_an_error_of_the_work_is_raised():
    def failing():
        yield STEPS[0]
        raise KeyError("x")

    with pytest.raises(KeyError):
        finish(staged("one", failing()))
