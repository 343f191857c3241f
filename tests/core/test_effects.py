"""What a deletion changes for everybody else: the quick answer against predicting everything."""

import dataclasses

import numpy as np
import pytest
import tiny

from munkey_core.config import EnsembleConfig
from munkey_core.errors import StaleGenerationError
from munkey_core.model.side_effects import SideEffects
from munkey_core.progress import Progress, drive
from munkey_core.studio import SharedModel, Studio


def answers(studio):
    """Class and neighbours of every private and test image, predicted outright."""
    ids = [*studio.memory.private_ids(), *studio.memory.test_ids()]
    prediction = studio.predict(ids)
    return {
        id_: (int(class_), near)
        for id_, class_, near in zip(ids, prediction.classes, prediction.retrieval.ids, strict=True)
    }


def finished(steps):
    progress = []
    result = drive(steps, progress.append)
    assert all(isinstance(step, Progress) for step in progress)
    assert isinstance(result, SideEffects)
    return result


def check_against_brute_force(studio, ids):
    """Forget `ids` and compare the side effects with all predictions before and after."""
    before = answers(studio)
    deletion = studio.forget(ids)
    after = answers(studio)
    result = finished(studio.side_effects(deletion))
    changed = {
        id_: (before[id_][0], after[id_][0]) for id_ in before if before[id_][0] != after[id_][0]
    }
    touched = {id_ for id_ in before if before[id_][1] != after[id_][1]}
    gone = set(studio.memory.forgotten)
    retain = [id_ for id_ in studio.memory.private_ids() if id_ not in gone]
    test = studio.memory.test_ids()
    assert set(result.retain) == {(i, *changed[i]) for i in retain if i in changed}
    assert set(result.test) == {(i, *changed[i]) for i in test if i in changed}
    assert len(set(result.retain)) == len(result.retain)
    assert (result.retain_checked, result.test_checked) == (len(retain), len(test))
    assert result.retain_touched == len(touched & set(retain))
    assert result.test_touched == len(touched & set(test))
    assert result.generation == studio.memory.generation
    return result


def most_memorised(studio, count):
    return sorted(
        studio.memory.private_ids(), key=lambda i: -studio.memory.score("memorisation", i)
    )[:count]


def test_side_effects_on_digits_are_those_of_predicting_everything(digits):
    result = check_against_brute_force(digits, digits.memory.select("random-10pct"))
    assert result.retain_touched > 0
    assert result.test_touched > 0


def test_side_effects_of_a_whole_class_are_those_of_predicting_everything(digits):
    sevens = [id_ for id_ in digits.memory.private_ids() if digits.memory.record(id_).label == 7]
    result = check_against_brute_force(digits, sevens)
    assert result.test  # without sevens some test images get another class


def test_side_effects_are_right_while_earlier_deletions_stand(digits):
    digits.forget(digits.memory.private_ids()[:60])
    digits.forget(digits.memory.private_ids()[100:130])
    check_against_brute_force(digits, digits.memory.private_ids()[60:100])


def test_side_effects_are_right_after_a_restore(digits):
    digits.forget(digits.memory.private_ids()[:60])
    digits.restore(digits.memory.private_ids()[20:40])
    check_against_brute_force(
        digits, [*digits.memory.private_ids()[30:40], *digits.memory.private_ids()[200:]]
    )


@pytest.fixture(scope="module")
def shared():
    return SharedModel(tiny.random_bundle(private=20, test=15))


@pytest.mark.parametrize("left", [4, 3, 2, 1, 0])
def test_side_effects_are_right_down_to_an_empty_memory(shared, left):
    studio = Studio(shared)
    check_against_brute_force(studio, studio.memory.private_ids()[left:])
    again = Studio(shared)
    again.forget(again.memory.private_ids()[4:])
    if left < 4:
        check_against_brute_force(again, again.memory.private_ids()[left:4])


@pytest.mark.parametrize("aggregation", ["mean", "rank", "single_pass"])
def test_side_effects_are_right_for_every_aggregation(shared, aggregation):
    ensemble = EnsembleConfig(k=2, aggregation=aggregation)
    manifest = dataclasses.replace(shared.bundle.manifest, ensemble=ensemble)
    studio = Studio(SharedModel(dataclasses.replace(shared.bundle, manifest=manifest)))
    check_against_brute_force(studio, studio.memory.private_ids()[3:9])


def test_side_effects_of_an_older_deletion_are_refused(shared):
    studio = Studio(shared)
    deletion = studio.forget(studio.memory.private_ids()[:2])
    studio.forget(studio.memory.private_ids()[2:3])
    with pytest.raises(StaleGenerationError, match=r"generation 1 .* now at generation 2"):
        studio.side_effects(deletion)


def test_side_effects_under_way_are_not_disturbed_by_the_session_going_on(shared):
    studio, other = Studio(shared), Studio(shared)
    ids = studio.memory.private_ids()[:8]
    wanted = finished(other.side_effects(other.forget(ids)))
    steps = studio.side_effects(studio.forget(ids))
    studio.undo()
    studio.forget(studio.memory.private_ids()[10:])
    got = finished(steps)
    assert (got.retain, got.test) == (wanted.retain, wanted.test)
    assert (got.retain_touched, got.test_touched) == (wanted.retain_touched, wanted.test_touched)


def test_changes_pair_the_predictions_before_and_after(shared):
    studio = Studio(shared)
    ids = studio.memory.private_ids()[:4]
    before = studio.predict(ids)
    deletion = studio.forget(ids)
    after = studio.predict(ids)
    for i, change in enumerate(studio.changes(deletion)):
        assert change.id == ids[i]
        assert np.array_equal(change.before, before.probabilities[i])
        assert np.array_equal(change.after, after.probabilities[i])
        assert change.neighbours_before == before.retrieval.ids[i]
        assert change.neighbours_after == after.retrieval.ids[i]
        assert change.flipped == (before.classes[i] != after.classes[i])
        truth = studio.memory.record(ids[i]).label
        assert change.shift == pytest.approx(
            float(after.probabilities[i, truth] - before.probabilities[i, truth])
        )
        assert change.neighbours_before[0] == change.id  # its own key answered
        assert not set(change.neighbours_after) & set(ids)
