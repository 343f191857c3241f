"""Cascading randomisation (Adebayo et al. 2018): a map of the model loses its likeness."""

import numpy as np
import pytest
import tiny
import torch
from scipy.stats import spearmanr

from munkey_core.config import EnsembleConfig, ModelConfig
from munkey_core.errors import BadInputError
from munkey_core.explain.pixels import METHODS, attribute, sanity_check
from munkey_core.explain.randomisation import SanityCheck, likeness
from munkey_core.model.bank import BankView
from munkey_core.model.predictor import Predictor
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress, drive, finish

STAGES = ["head", "head to block 2", "head to block 1", "head to embedding", "head to encoder"]


def run(predictor, view, image, method, target=None):
    progress = []
    result = drive(sanity_check(predictor, view, image, method, target), progress.append)
    return progress, result


def contents(predictor):
    """Name and bytes of everything the shared modules hold, and whether it takes gradients."""
    return {
        (part, name): (tensor.numpy().tobytes(), tensor.requires_grad, tensor._version)
        for part in ("encoder", "model")
        for name, tensor in [
            *getattr(predictor, part).named_parameters(),
            *getattr(predictor, part).named_buffers(),
        ]
    }


@pytest.fixture(scope="module")
def predictor():
    return tiny.random_predictor(k=3, tau=0.5, anchor=0.3)


# -- a trained model -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("method", "at_most"), [("ig", 0.6), ("saliency", 0.4)])
def test_a_trained_models_map_loses_its_likeness(digits, method, at_most):
    predictor, view = digits._shared.predictor, digits._view
    before = contents(predictor)
    correlations = []
    for record in digits._shared.test[:4]:
        _, result = run(predictor, view, digits.pictures.pixels([record.id]), method)
        assert [stage.randomised for stage in result.stages] == STAGES
        correlations.append([stage.rank_correlation for stage in result.stages])
    mean = np.mean(correlations, axis=0)
    assert (mean < 0.75).all()  # one random head is enough to change what the pixels say
    assert mean[-1] < at_most
    assert contents(predictor) == before


# -- the cascade ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_stage_is_reported_and_the_shared_modules_stay(predictor, view, image, method):
    before = contents(predictor)
    state = torch.get_rng_state()
    trained = attribute(predictor, view, image, method, 1)
    progress, result = run(predictor, view, image, method, 1)
    assert isinstance(result, SanityCheck)
    assert (result.method, result.target, result.generation) == (method, 1, view.generation)
    assert [stage.randomised for stage in result.stages] == [
        "head",
        "head to block 1",
        "head to embedding",
        "head to encoder",
    ]
    assert all(isinstance(step, Progress) for step in progress)
    assert [(step.done, step.total) for step in progress] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert progress[-1].remaining_seconds == 0
    for stage in result.stages:
        assert stage.values.shape == trained.values.shape
        assert stage.rank_correlation == pytest.approx(likeness(trained.values, stage.values))
    assert contents(predictor) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_rollout_doesnt_see_the_head_and_says_so(predictor, view, image):
    _, result = run(predictor, view, image, "rollout")
    trained = attribute(predictor, view, image, "rollout", None)
    assert result.stages[0].rank_correlation == pytest.approx(1)
    assert np.array_equal(result.stages[0].values, trained.values)
    assert not np.allclose(result.stages[1].values, trained.values)


def test_a_model_of_patches_has_no_encoder_to_randomise(view, image):
    config = ModelConfig(tokens="patches", dim=16, layers=2, heads=2, patch_size=4)
    model = ExemplarTransformer(config, tiny.KEY_DIM, 4, len(tiny.CLASSES)).eval()
    predictor = Predictor(tiny.random_encoder(), model, EnsembleConfig())
    _, result = run(predictor, view, image, "saliency")
    assert [stage.randomised for stage in result.stages] == STAGES[:-1]


def test_a_check_repeats_itself(predictor, view, image):
    first, second = (run(predictor, view, image, "saliency")[1] for _ in range(2))
    assert [s.values.tobytes() for s in first.stages] == [s.values.tobytes() for s in second.stages]


def test_a_check_keeps_the_class_and_the_generation_it_began_with(predictor, view, image):
    steps = sanity_check(predictor, view, image, "saliency", None)
    next(steps)
    generation = view.generation
    view.forget(view.bank.ids)
    result = finish(steps)
    assert result.generation == generation
    assert (
        result.target == predictor.predict(predictor.encode(image), BankView(view.bank)).classes[0]
    )


def test_a_check_that_is_left_halfway_leaves_nothing_behind(predictor, view, image):
    before = contents(predictor)
    with torch.no_grad():
        steps = sanity_check(predictor, view, image, "ig", None)
        next(steps)
        assert not torch.is_grad_enabled()
        steps.close()
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert contents(predictor) == before


@pytest.mark.parametrize(("method", "target"), [("lime", 0), ("ig", 3)])
def test_bad_input_is_refused_before_the_first_stage(predictor, view, image, method, target):
    with pytest.raises(BadInputError):
        next(sanity_check(predictor, view, image, method, target))


# -- the likeness --------------------------------------------------------------------------------


def test_likeness_is_spearmans_of_the_absolute_values():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 7, 5)).round(1).astype(np.float32)
    first[first == 0], second[second == 0] = 0.1, 0.1
    expected = spearmanr(abs(first).ravel(), abs(second).ravel()).statistic
    assert likeness(first, second) == pytest.approx(expected)
    assert likeness(first, -3 * first) == pytest.approx(1)


def test_likeness_leaves_out_what_is_zero_in_both():
    first = np.array([[0, 0, 0, 1, 2, 3]], np.float32)
    second = np.array([[0, 0, 0, 3, 2, 1]], np.float32)
    assert likeness(first, second) == pytest.approx(-1)


@pytest.mark.parametrize("flat", [0.0, 2.0])
def test_a_map_without_an_order_is_like_none(flat):
    first = np.array([[1, 2, 3]], np.float32)
    assert likeness(first, np.full_like(first, flat)) == 0
    assert likeness(0 * first, 0 * first) == 0
