"""The door to explanations: whom it asks about, with which memory, and what it refuses."""

import numpy as np
import pytest
import tiny
import torch

from munkey_core.bundle.write import write_bundle
from munkey_core.errors import BadInputError, BundleError, UnknownIdError
from munkey_core.explain.pixels import PixelAttribution
from munkey_core.explain.randomisation import SanityCheck
from munkey_core.model.bank import BankView
from munkey_core.progress import finish
from munkey_core.studio import SharedModel, Studio


@pytest.fixture(scope="module")
def shared():
    return SharedModel(tiny.random_bundle())


@pytest.fixture
def studio(shared):
    return Studio(shared)


# -- exemplars ---------------------------------------------------------------------------------


def test_exemplars_are_those_that_answer_in_this_session(studio):
    own = studio.memory.private_ids()[0]
    assert studio.explain.exemplars(own).ids[0] == own
    studio.forget([own])
    found = studio.explain.exemplars(own)
    prediction = studio.predict([own])
    assert found.ids == prediction.retrieval.ids[0]
    assert found.generation == studio.memory.generation == 1
    assert found.full == pytest.approx(float(prediction.probabilities.max()), abs=1e-6)
    assert abs(found.residual) < 1e-12


def test_other_memories_can_be_asked_about_and_the_session_stays_as_it_is(studio):
    own, other = studio.memory.private_ids()[:2]
    studio.forget([own])
    whole = studio.explain.exemplars(own, without=())
    neither = studio.explain.exemplars(own, without=[own, other])
    assert whole.ids[0] == own
    assert not {own, other} & set(neither.ids)
    assert whole.generation == neither.generation == studio.memory.generation
    assert studio.memory.forgotten == (own,)
    nobody = studio.explain.exemplars(own, without=studio.memory.private_ids())
    assert (nobody.ids, nobody.full) == ((), pytest.approx(nobody.empty))


def test_an_image_of_ones_own_is_explained_like_one_of_the_bundle(studio):
    id_ = studio.memory.test_ids()[0]
    grey = studio.pictures.pixels([id_])
    colour = np.repeat(grey[..., None], 3, axis=3)
    wanted = studio.explain.exemplars(id_, target=1)
    for image in (grey, colour):
        found = studio.explain.exemplars(image, target=1)
        assert (found.target, found.ids) == (1, wanted.ids)
        assert found.values == pytest.approx(wanted.values, abs=1e-6)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((1, 8, 8), np.float32),
        np.zeros((1, 8, 8, 4), np.uint8),
    ],
)
def test_what_is_no_single_image_is_refused(studio, image):
    with pytest.raises(BadInputError, match=r"uint8 of shape \(1, H, W\) or \(1, H, W, 3\)"):
        studio.explain.exemplars(image)


def test_ids_and_classes_that_do_not_exist_are_refused(studio):
    with pytest.raises(UnknownIdError, match="'nobody'"):
        studio.explain.exemplars("nobody")
    with pytest.raises(UnknownIdError, match="'nobody'"):
        studio.explain.exemplars(studio.memory.test_ids()[0], without=["nobody"])
    with pytest.raises(BadInputError, match="from 0 to 2, got 3"):
        studio.explain.exemplars(studio.memory.test_ids()[0], target=3)


# -- influence ---------------------------------------------------------------------------------


def test_influence_is_what_the_bundle_stores_or_what_is_computed(studio, digits):
    assert studio.explain.influence() is None
    found = finish(studio.explain.compute_influence())
    assert found.ids == studio.memory.private_ids()
    assert found.n_test == len(studio.memory.test_ids())
    assert digits.explain.influence().ids == digits.memory.private_ids()


def test_influence_is_that_of_the_undiminished_memory(studio):
    before = finish(studio.explain.compute_influence())
    studio.forget(studio.memory.private_ids()[:6])
    after = finish(studio.explain.compute_influence())
    assert np.array_equal(before.total, after.total)
    assert np.array_equal(before.touched, after.touched)


@pytest.mark.parametrize("split", ["test", "private"])
def test_influenced_are_the_images_that_deleting_changes_save_the_entrys_own(studio, split):
    ids = studio.memory.test_ids() if split == "test" else studio.memory.private_ids()
    before, n_found = studio.predict(ids).probabilities, 0
    for id_ in studio.memory.private_ids():
        after = studio.predict(ids, [id_]).probabilities
        change = np.abs(after - before).max(axis=1)
        found = {one.id for one in studio.explain.influenced(id_, split)}
        n_found += len(found)
        assert {ids[i] for i in np.flatnonzero(change > 2e-6)} - {id_} <= found
        assert found <= {ids[i] for i in np.flatnonzero(change > 0)} - {id_}
    assert n_found > len(ids)


def test_what_one_entry_does_to_each_test_image_sums_to_its_influence(digits):
    stored = digits.explain.influence()
    row = int(stored.total.argmax())
    found = digits.explain.influenced(stored.ids[row])
    assert sum(abs(one.shift) for one in found) == pytest.approx(stored.total[row], abs=1e-4)
    assert sum(one.shift for one in found) == pytest.approx(stored.shift[row], abs=1e-4)
    assert sum(one.class_before != one.class_after for one in found) == stored.flips[row]


def test_influenced_does_not_depend_on_what_the_session_forgot(digits):
    id_ = digits.memory.private_ids()[0]
    before = digits.explain.influenced(id_)
    digits.forget(digits.memory.private_ids()[:200])
    assert digits.explain.influenced(id_) == before


def test_influenced_refuses_an_id_without_a_key_and_another_split(studio):
    with pytest.raises(UnknownIdError):
        studio.explain.influenced(studio.memory.test_ids()[0])
    with pytest.raises(BadInputError, match="split must be test or private, got 'anchor'"):
        studio.explain.influenced(studio.memory.private_ids()[0], "anchor")


# -- pixels and pathways -----------------------------------------------------------------------


def test_pixels_are_asked_with_the_memory_of_this_session(studio):
    id_ = studio.memory.test_ids()[0]
    assert "saliency" in studio.explain.pixel_methods
    before = studio.explain.pixels(id_, "saliency", target=1)
    studio.forget(studio.predict([id_]).retrieval.ids[0])
    after = studio.explain.pixels(id_, "saliency", target=1)
    again = studio.explain.pixels(id_, "saliency", target=1, without=())
    assert isinstance(after, PixelAttribution)
    assert after.values.shape == (tiny.SIDE, tiny.SIDE)
    assert (before.generation, after.generation, again.generation) == (0, 1, 1)
    assert np.array_equal(before.values, again.values)
    assert not np.array_equal(before.values, after.values)


def test_a_sanity_check_is_of_the_memory_when_it_was_asked(studio):
    steps = studio.explain.sanity_check(studio.memory.test_ids()[0], "saliency", target=1)
    studio.forget(studio.memory.private_ids()[:3])
    check = finish(steps)
    assert isinstance(check, SanityCheck)
    assert (check.target, check.generation) == (1, 0)


def test_pathways_are_those_before_and_after_from_the_undiminished_memory(studio):
    ids = studio.memory.private_ids()[:4]
    before = finish(studio.explain.pathways(ids))
    studio.forget(studio.memory.private_ids()[2:8])
    after = finish(studio.explain.pathways(ids))
    assert before.figures == after.figures
    assert (before.generation, after.generation, after.n_forget) == (0, 1, 4)


def test_without_images_only_ones_own_can_be_explained(tmp_path):
    bundle = tiny.random_bundle(thumbnails=False)
    write_bundle(bundle, tmp_path / "bare")
    studio = Studio.open(str(tmp_path / "bare"))
    image = tiny.random_images(1)
    found = studio.explain.exemplars(image)
    assert len(found.ids) == 3
    for ask in (
        lambda: studio.explain.exemplars(studio.memory.test_ids()[0]),
        lambda: list(studio.explain.compute_influence()),
        lambda: list(studio.explain.pathways([])),
    ):
        with pytest.raises(BundleError, match="came without its pictures"):
            ask()


def test_explaining_disturbs_no_shared_state(studio, shared):
    before = {name: value.clone() for name, value in shared.bundle.model.state_dict().items()}
    studio.explain.exemplars(studio.memory.test_ids()[0])
    finish(studio.explain.compute_influence())
    after = shared.bundle.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert BankView(shared.bundle.bank).alive == 12
