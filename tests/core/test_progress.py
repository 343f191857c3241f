"""Long work is run to its end; what it tells on the way."""

from munkey_core.progress import Progress, finish


def test_it_returns_the_last_thing_that_is_no_progress():
    steps = iter([Progress("a", 0, 2, 0.0), "early", Progress("a", 2, 2, 1.0), "late"])
    assert finish(steps) == "late"


def test_work_without_a_result_gives_none():
    assert finish([Progress("a", 1, 1, 0.0)]) is None


def test_it_tells_each_stage_and_its_end_but_not_every_step():
    told = []
    steps = [Progress("fit", done, 100, done / 100, 1 - done / 100) for done in range(101)]
    finish([*steps, Progress("save", 0, 1, 0.0, detail={"loss": 0.25}), "done"], told.append)
    assert told == [
        "fit: 0/100, 1 s left",
        "fit: 100/100, 0 s left",
        "save: 0/1, loss 0.25",
    ]
