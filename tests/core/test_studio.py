"""A session: what it forgets, restores, refuses, and that nobody else notices."""

import io
import itertools

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from munkey_core.bundle.write import write_bundle
from munkey_core.errors import (
    BadInputError,
    BundleError,
    StaleGenerationError,
    UnknownIdError,
)
from munkey_core.results import Browse
from munkey_core.studio import SharedModel, Studio


@pytest.fixture(scope="module")
def shared():
    return SharedModel(tiny.random_bundle())


@pytest.fixture
def studio(shared):
    return Studio(shared)


def probabilities(studio):
    return studio.predict(
        [*studio.memory.private_ids(), *studio.memory.test_ids()]
    ).probabilities.tobytes()


# -- the door ----------------------------------------------------------------------------------


def public(thing):
    return [name for name in dir(thing) if not name.startswith("_")]


def test_the_door_is_narrow_and_says_what_each_member_is_for(studio):
    assert len(public(studio)) <= 20
    assert [name for name in public(studio) if not getattr(studio, name).__doc__] == []


@pytest.mark.parametrize("part", ["memory", "pictures", "audit", "privacy", "erasure", "jobs"])
def test_every_member_of_a_part_says_what_it_is_for(studio, part):
    kind = type(getattr(studio, part))
    assert public(kind)
    assert [name for name in public(kind) if not getattr(kind, name).__doc__] == []


# -- forgetting --------------------------------------------------------------------------------


def test_a_session_neither_sees_nor_disturbs_another(studio):
    other = studio.session()
    before = probabilities(other)
    studio.forget(studio.memory.private_ids()[:6])
    assert probabilities(studio) != before
    assert probabilities(other) == before
    assert (other.memory.forgotten, other.memory.history, other.memory.generation) == ((), (), 0)
    assert (studio.memory.keys_left, other.memory.keys_left, studio.memory.keys_total) == (
        6,
        12,
        12,
    )


def test_forgetting_then_undoing_gives_bit_equal_predictions(studio):
    before = probabilities(studio)
    ids = studio.memory.private_ids()[2:5]
    studio.forget(ids)
    assert probabilities(studio) != before
    back = studio.undo()
    assert back.ids == ids
    assert probabilities(studio) == before
    assert studio.memory.generation == 2


def test_undo_takes_back_one_deletion_after_the_other(studio):
    a, b, c = (studio.memory.private_ids()[i : i + 2] for i in (0, 4, 8))
    for ids in (a, b, c):
        studio.forget(ids)
    assert [entry.ids for entry in studio.memory.history] == [a, b, c]
    for left in ((*a, *b), a, ()):
        studio.undo()
        assert studio.memory.forgotten == left
    with pytest.raises(BadInputError, match="nothing to undo"):
        studio.undo()


def test_restoring_takes_ids_out_of_the_history_wherever_they_stand(studio):
    ids = studio.memory.private_ids()
    studio.forget(ids[0:3])
    studio.forget(ids[3:5])
    studio.forget(ids[5:6])
    studio.restore([ids[1], ids[3], ids[4]])
    assert [entry.ids for entry in studio.memory.history] == [(ids[0], ids[2]), (ids[5],)]
    assert studio.memory.forgotten == (ids[0], ids[2], ids[5])
    studio.undo()
    studio.undo()
    assert studio.memory.forgotten == ()
    assert not studio.memory.history


def test_changes_of_a_restoration_are_those_of_the_deletion_turned_round(studio):
    ids = studio.memory.private_ids()
    [gone] = studio.changes(studio.forget(ids[:1]))
    [back] = studio.changes(studio.restore(ids[:1]))
    assert np.array_equal(back.before, gone.after)
    assert np.array_equal(back.after, gone.before)
    assert back.neighbours_after == gone.neighbours_before


def test_a_restore_that_fails_leaves_the_history_alone(studio):
    ids = studio.memory.private_ids()
    studio.forget(ids[:2])
    with pytest.raises(UnknownIdError, match="not forgotten"):
        studio.restore([ids[0], ids[5]])
    assert studio.memory.forgotten == ids[:2]
    assert [entry.ids for entry in studio.memory.history] == [ids[:2]]
    assert studio.memory.generation == 1


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["img-00", "nobody"], "no image with id 'nobody' in bundle tiny"),
        (["img-00", "img-12"], "'img-12' is a test image: it was never in the memory"),
        (["img-00", "img-18"], "'img-18' is a anchor image"),
        (["img-00", "img-26"], "'img-26' is a calibration image"),
        (["img-00", "img-00"], "once only"),
        ([], "at least one"),
    ],
)
def test_what_cannot_be_forgotten_is_refused_and_nothing_else_is_forgotten(studio, ids, message):
    with pytest.raises(BadInputError, match=message):
        studio.forget(ids)
    assert (studio.memory.forgotten, studio.memory.history, studio.memory.generation) == ((), (), 0)


def test_a_forgotten_id_is_never_retrieved_and_a_restored_one_is(studio):
    ids = studio.memory.private_ids()
    studio.forget(ids[:5])
    near = studio.predict(ids).retrieval.ids
    assert not {id_ for line in near for id_ in line} & set(ids[:5])
    studio.restore(ids[1:2])
    assert studio.predict(ids[1:2]).retrieval.ids[0][0] == ids[1]


def test_is_forgotten_means_gone_from_this_session_s_memory(studio):
    studio.forget(["img-03"])
    assert studio.memory.is_forgotten("img-03")
    assert not studio.memory.is_forgotten("img-04")
    assert not studio.memory.is_forgotten("img-12")  # a test image never had a key
    assert not studio.memory.is_forgotten("nobody")


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), st.sets(st.integers(0, 11), min_size=1)), max_size=8))
def test_history_and_forgotten_always_tell_the_same(shared, requests):
    """None undoes; a set forgets what is there and restores what is not."""
    studio, stack = Studio(shared), []
    for request in requests:
        if request is None:
            if stack:
                studio.undo()
                stack.pop()
            continue
        ids = [studio.memory.private_ids()[i] for i in sorted(request)]
        back = [id_ for id_ in ids if studio.memory.is_forgotten(id_)]
        away = [id_ for id_ in ids if id_ not in back]
        if back:
            studio.restore(back)
            stack = [kept for group in stack if (kept := [i for i in group if i not in back])]
        if away:
            studio.forget(away)
            stack.append(away)
        assert [list(entry.ids) for entry in studio.memory.history] == stack
    assert studio.memory.forgotten == tuple(id_ for group in stack for id_ in group)
    assert studio.memory.keys_left == 12 - len(studio.memory.forgotten)


# -- results of an older state -----------------------------------------------------------------


def test_changes_of_an_older_deletion_are_refused(studio):
    first = studio.forget(["img-00"])
    studio.forget(["img-01"])
    with pytest.raises(StaleGenerationError, match=r"generation 1 .* now at generation 2"):
        studio.changes(first)
    studio.undo()
    with pytest.raises(StaleGenerationError, match=r"generation 3"):
        studio.changes(first)


def test_a_prediction_of_an_older_generation_is_refused(studio):
    prediction = studio.predict(["img-12"])
    assert prediction.require(studio.memory.generation) is prediction
    studio.forget(["img-00"])
    with pytest.raises(StaleGenerationError, match="ask again"):
        prediction.require(studio.memory.generation)


def test_a_generation_never_comes_back(studio):
    seen = [studio.memory.generation]
    for _ in range(3):
        studio.forget(["img-00"])
        seen.append(studio.memory.generation)
        studio.undo()
        seen.append(studio.memory.generation)
    assert seen == sorted(set(seen))


# -- predicting --------------------------------------------------------------------------------


def test_predicting_without_ids_is_forgetting_them_for_one_question(studio):
    studio.forget(["img-01"])
    asked = ["img-00", "img-12"]
    got = studio.predict(asked, ["img-00", "img-01", "img-02"])
    assert studio.memory.forgotten == ("img-01",)
    assert got.generation == studio.memory.generation
    other = studio.session()
    other.forget(["img-00", "img-01", "img-02"])
    assert got.probabilities.tobytes() == other.predict(asked).probabilities.tobytes()
    with pytest.raises(UnknownIdError, match="img-12"):
        studio.predict(asked, ["img-12"])


def test_an_image_from_outside_is_predicted_like_the_same_image_inside(studio):
    inside = studio.predict(["img-13"])
    file = studio.pictures.png("img-13")
    outside = studio.predict_images(studio.pictures.read(file, invert=False)[..., 0])
    assert outside.probabilities == pytest.approx(inside.probabilities, abs=1e-6)


def test_predicting_nothing_gives_an_empty_prediction(studio):
    assert studio.predict([]).probabilities.shape == (0, 3)


def test_an_unknown_image_is_refused_by_name(studio):
    with pytest.raises(UnknownIdError, match="'nobody'"):
        studio.predict(["img-00", "nobody"])
    with pytest.raises(UnknownIdError, match="'nobody'"):
        studio.pictures.png("nobody")


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_refused(studio, data):
    with pytest.raises(BadInputError):
        studio.pictures.read(data)


def test_an_uploaded_image_of_any_kind_takes_the_bundle_s_format(studio):
    buffer = io.BytesIO()
    Image.new("RGBA", (33, 20), (200, 10, 10, 128)).save(buffer, "PNG")
    pixels = studio.pictures.read(buffer.getvalue())
    assert pixels.shape == (1, tiny.SIDE, tiny.SIDE, 3)
    assert pixels.dtype == np.uint8
    inverted = studio.pictures.read(buffer.getvalue(), invert=True)
    assert np.array_equal(inverted, 255 - pixels)


def test_a_bundle_without_images_says_so(tmp_path):
    write_bundle(tiny.random_bundle(thumbnails=False), tmp_path / "bare")
    with pytest.raises(BundleError, match="bare came without its pictures"):
        Studio.open(str(tmp_path / "bare")).pictures.png("img-00")


# -- finding -----------------------------------------------------------------------------------


def test_selecting_names_private_images_only(studio):
    assert studio.memory.select("owner:owner-2") == ("img-02", "img-06", "img-10")
    with pytest.raises(UnknownIdError, match="'img-12' is a test image"):
        studio.memory.select("img-00,img-12")


def test_owners_are_counted_most_first(studio):
    assert studio.memory.owners == {f"owner-{i}": 3 for i in range(4)}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Browse(order="id", classes=(1,)), ["img-01", "img-04", "img-07", "img-10"]),
        (Browse(order="id", owner="owner-3"), ["img-03", "img-07", "img-11"]),
        (Browse(order="id", contains="IMG-1"), ["img-10", "img-11"]),
        (Browse(order="id", classes=(0, 1), owner="owner-0"), ["img-00", "img-04"]),
        (Browse(order="memorised", classes=(2,)), ["img-11", "img-08", "img-05", "img-02"]),
        (Browse(order="id", hide_forgotten=True, owner="owner-0"), ["img-04", "img-08"]),
        (Browse(contains="none such"), []),
    ],
)
def test_browsing_gives_what_fits_all_conditions_in_order(studio, query, wanted):
    studio.forget(["img-00"])
    assert list(studio.browse(query)) == wanted


def test_a_random_sample_is_the_same_for_the_same_seed(studio):
    sample = studio.browse(Browse(order="random", sample=5, seed=3))
    assert sample == studio.browse(Browse(order="random", sample=5, seed=3))
    assert sample != studio.browse(Browse(order="random", sample=5, seed=4))
    assert len(set(sample)) == 5
    assert set(studio.browse(Browse(order="id", sample=5, seed=3))) == set(sample)


def test_an_unknown_order_is_refused(studio):
    wanted = "order must be one of memorised, exposed, influential, id, random, got 'size'"
    with pytest.raises(BadInputError, match=wanted):
        studio.browse(Browse(order="size"))


def test_the_most_influential_come_first_where_the_bundle_knows_them(studio, digits):
    order = digits.browse(Browse(order="influential"))
    scores = [digits.memory.score("influence", id_) for id_ in order]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]
    with pytest.raises(BadInputError, match="munkey influence"):
        studio.browse(Browse(order="influential"))


def test_images_with_a_near_copy_are_those_that_have_one_left(digits):
    pairs = digits.memory.near_duplicates(digits.memory.private_ids())
    assert set(digits.browse(Browse(paired=True))) == {pair.id for pair in pairs}
    gone = pairs[0].other
    digits.forget([gone])
    left = {p.id for p in digits.memory.near_duplicates(digits.memory.private_ids())}
    assert set(digits.browse(Browse(paired=True))) == left
    assert {pair.id for pair in pairs} - left <= {p.id for p in pairs if p.other == gone}


def test_near_duplicates_are_the_pairs_a_slow_loop_finds(digits):
    threshold, bank = digits.about.near_duplicate_threshold, digits._shared.bundle.bank
    digits.forget(digits.memory.private_ids()[100:200])
    asked = digits.memory.private_ids()[:150]
    similarity = (bank.keys @ bank.keys.T).numpy()
    wanted = {
        (bank.ids[i], bank.ids[j])
        for i in range(150)
        for j in range(len(bank))
        if i != j and similarity[i, j] >= threshold and not 100 <= j < 200
    }
    got = digits.memory.near_duplicates(asked)
    assert wanted
    assert {(pair.id, pair.other) for pair in got} == wanted
    for one, next_ in itertools.pairwise(got):
        if one.id == next_.id:
            assert one.similarity >= next_.similarity


def test_an_unknown_score_is_refused_with_those_there_are(studio):
    assert studio.memory.score("memorisation", "img-11") == 1
    with pytest.raises(BadInputError, match="no score 'fame'; there are memorisation"):
        studio.memory.score("fame", "img-00")
