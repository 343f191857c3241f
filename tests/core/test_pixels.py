"""Pixel attributions: what all methods obey, and each against a slow loop or a hand-made case."""

import copy
import dataclasses
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from munkey_core.config import EnsembleConfig, ModelConfig
from munkey_core.errors import BadInputError
from munkey_core.explain import pixels
from munkey_core.explain.pixels import METHODS, attribute
from munkey_core.explain.rollout import attention_rollout, spread
from munkey_core.model.bank import BankView
from munkey_core.model.predictor import Predictor
from munkey_core.model.transformer import ExemplarTransformer
from tests.waiting import together

SIGNED = {"ig", "gradientshap", "occlusion"}
COMPLETE = {"ig", "gradientshap"}
WITH_BASELINE = {"ig", "gradientshap", "occlusion"}
ENSEMBLE = {"k": 3, "tau": 0.5, "anchor": 0.3}


def patches_predictor():
    torch.manual_seed(3)
    config = ModelConfig(tokens="patches", dim=16, layers=2, heads=2, patch_size=4)
    model = ExemplarTransformer(config, tiny.KEY_DIM, 4, len(tiny.CLASSES)).eval()
    model.requires_grad_(False)
    return Predictor(tiny.random_encoder(), model, EnsembleConfig(**ENSEMBLE))


@pytest.fixture(scope="module", params=["features", "patches"])
def predictor(request):
    if request.param == "patches":
        return patches_predictor()
    return tiny.random_predictor(**ENSEMBLE)


@pytest.fixture(params=sorted(METHODS))
def method(request):
    return request.param


def line_of(predictor, view, image):
    """What an image is explained by, its pixels, and its predicted class."""
    question = pixels._question(predictor, view, image, "ig", None)
    return question.line, question.pixels, question.target


def traces(predictor):
    """Everything an attribution might leave behind on the shared modules."""
    found = []
    for root in (predictor.encoder, predictor.model):
        for name, module in root.named_modules():
            hooks = [key for key in vars(module) if key.endswith("_hooks") and vars(module)[key]]
            found.append((name, hooks, module.training))
        for name, p in root.named_parameters():
            found.append((name, p.requires_grad, p.grad, p._version, p.numpy().tobytes()))
        found += [(name, b._version, b.numpy().tobytes()) for name, b in root.named_buffers()]
    return found


def random_states():
    numpy_state = np.random.get_state()
    return torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2:]


# -- what all methods obey -----------------------------------------------------------------------


@pytest.mark.parametrize("colour", [False, True])
def test_every_method_keeps_the_contract(predictor, view, image, method, colour):
    if colour:
        image = np.stack([image, 255 - image, image // 2], axis=-1)
    got = attribute(predictor, view, image, method, 2)
    assert (got.method, got.target, got.generation) == (method, 2, view.generation)
    assert got.values.shape == (tiny.SIDE, tiny.SIDE)
    assert got.values.dtype == np.float32
    assert np.isfinite(got.values).all()
    assert np.abs(got.values).max() > 0
    assert got.signed == (method in SIGNED)
    assert (got.values < 0).any() if got.signed else (got.values >= 0).all()
    assert (got.baseline_output is not None) == (method in WITH_BASELINE)
    assert (got.delta is not None) == (method in COMPLETE)
    assert all(isinstance(value, float) for value in got.settings.values())


def test_values_and_delta_add_up(predictor, view, image, method):
    got = attribute(predictor, view, image, method, None)
    if got.delta is None:
        assert got.relative_delta is None
    else:
        change = got.output - got.baseline_output
        assert got.values.sum() - change == pytest.approx(got.delta, abs=1e-4)


@pytest.mark.parametrize(
    "ensemble",
    [
        ENSEMBLE,
        {"aggregation": "mean", "anchor": None},
        {"aggregation": "single_pass", "anchor": 0.2},
        {"aggregation": "rank", "k": 1, "anchor": None},
    ],
)
def test_what_is_explained_are_the_log_odds_of_the_answer(ensemble, view, image):
    predictor = tiny.random_predictor(**ensemble)
    p = predictor.predict(predictor.encode(image), view).probabilities[0].astype(np.float64)
    for method in set(METHODS) - {"rollout"}:
        got = attribute(predictor, view, image, method, 1)
        assert got.output == pytest.approx(np.log(p[1] / (1 - p[1])), abs=1e-4)
        assert got.output_unit == pixels.LOG_ODDS
    assert attribute(predictor, view, image, "ig", None).target == p.argmax()


def test_log_odds_are_exact_where_the_probability_is_rounded_to_one(view, image):
    predictor = tiny.random_predictor(**ENSEMBLE)
    with torch.no_grad():
        predictor.model.head.bias.copy_(torch.tensor([40.0, 0.0, 0.0]))
    line, picture, _ = line_of(predictor, view, image)
    assert 35 < float(line.log_odds(picture, 0)) < 45
    assert np.isfinite(attribute(predictor, view, image, "saliency", 0).values).all()


def test_a_call_repeats_itself_and_disturbs_no_generator(predictor, view, image, method):
    torch.manual_seed(1)
    np.random.seed(1)
    before = random_states()
    first = attribute(predictor, view, image, method, 0)
    assert random_states() == before
    torch.manual_seed(2)
    np.random.seed(2)
    again = attribute(predictor, view, image, method, 0)
    assert first.values.tobytes() == again.values.tobytes()
    assert dataclasses.replace(first, values=again.values) == again


def test_nothing_is_left_on_the_shared_modules(predictor, view, image, method):
    before = traces(predictor)
    attribute(predictor, view, image, method, 0)
    assert traces(predictor) == before


def test_nothing_is_left_after_an_error(predictor, view, image, method, monkeypatch):
    """The second layer norm after the prediction fails: in the method's first forward pass."""
    calls = []
    forward = nn.LayerNorm.forward

    def failing(self, x):
        calls.append(1)
        if len(calls) > limit:
            raise RuntimeError("out of memory")
        return forward(self, x)

    monkeypatch.setattr(nn.LayerNorm, "forward", failing)
    limit = 10_000
    predictor.predict(predictor.encode(image), view)
    limit = len(calls) + 1
    calls.clear()
    before, states = traces(predictor), random_states()
    with pytest.raises(RuntimeError, match="out of memory"):
        attribute(predictor, view, image, method, 0)
    assert traces(predictor) == before
    assert random_states() == states
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_mode_doesnt_matter_and_stays(predictor, view, image, method, mode):
    expected = attribute(predictor, view, image, method, 0)
    with mode():
        got = attribute(predictor, view, image, method, 0)
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert got.values.tobytes() == expected.values.tobytes()


def test_sessions_at_the_same_time_get_what_each_gets_alone(view):
    predictor = tiny.random_predictor(**ENSEMBLE)
    jobs = [(m, tiny.random_images(1, seed=s)) for m in sorted(METHODS) for s in range(2)]
    alone = [attribute(predictor, view, image, m, 0).values.tobytes() for m, image in jobs]
    found = [None] * len(jobs)

    def work(i):
        method, image = jobs[i]
        found[i] = attribute(predictor, view, image, method, 0).values.tobytes()

    together(partial(work, i) for i in range(len(jobs)))
    assert found == alone


# -- the memory ----------------------------------------------------------------------------------


def test_with_an_empty_memory_the_image_pathway_is_explained(predictor, view, image, method):
    view.forget(view.bank.ids)
    got = attribute(predictor, view, image, method, 0)
    assert got.generation == view.generation
    assert np.isfinite(got.values).all()
    if method != "rollout":
        queries = predictor.encode(image)
        p = predictor.image_only(queries.features)[0, 0]
        assert got.output == pytest.approx(float(np.log(p / (1 - p))), abs=1e-4)


def test_forgetting_what_answered_changes_the_map(predictor, view, image, method):
    nearest = predictor.predict(predictor.encode(image), view).retrieval.ids[0]
    after = BankView(view.bank, nearest)
    first, second = (attribute(predictor, v, image, method, 0) for v in (view, after))
    assert not np.allclose(first.values, second.values, rtol=1e-3, atol=1e-6)


def test_forgetting_changes_nothing_where_only_the_anchor_answers(view, image, method):
    predictor = tiny.random_predictor(k=3, tau=1e-3, anchor=1.0)
    prediction = predictor.predict(predictor.encode(image), view)
    assert prediction.weights[0].tolist() == [0, 0, 0, 1]
    after = BankView(view.bank, prediction.retrieval.ids[0])
    first, second = (attribute(predictor, v, image, method, 0) for v in (view, after))
    assert first.values.tobytes() == second.values.tobytes()


def test_the_retrieval_doesnt_move_with_the_pixels(view, image, monkeypatch):
    """The bank is asked once, however often the pixels vary."""
    predictor = tiny.random_predictor(**ENSEMBLE)
    asked = []
    search = BankView.search
    monkeypatch.setattr(
        BankView, "search", lambda self, *args: asked.append(1) or search(self, *args)
    )
    for count, method in enumerate(METHODS, start=1):
        attribute(predictor, view, image, method, 0)
        assert len(asked) == count


# -- each method against a hand-made case or a slow loop -----------------------------------------


class LinearLine:
    """log-odds = Σ weight · pixel: everything about it is known by hand."""

    def __init__(self, weight):
        self.weight = weight

    def log_odds(self, images, target):
        return (self.weight * images).sum(dim=(1, 2, 3))


@pytest.fixture
def linear():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(1, 6, 6, generator=generator)
    image = torch.rand(1, 1, 6, 6, generator=generator)
    image[..., [0, -1], :] = 0
    return LinearLine(weight), image


def find(method, line, image):
    return pixels._METHODS[method].find(line, image, 0)


def test_on_a_linear_model_integrated_gradients_are_weight_times_pixel(linear):
    line, image = linear
    found = find("ig", line, image)
    assert torch.allclose(found.values, line.weight * image[0], atol=1e-5)
    assert found.settings["steps"] == 4 * pixels.STEPS  # nothing had to be refined


def test_on_a_linear_model_saliency_is_the_weights_size(linear):
    line, image = linear
    assert torch.allclose(find("saliency", line, image).values, line.weight.abs())


def test_on_a_linear_model_gradient_shap_is_weight_times_pixel_above_the_static(linear):
    line, image = linear
    found = find("gradientshap", line, image)
    expected = line.weight * (image[0] - pixels.NOISE / 2)
    assert torch.allclose(found.values, expected, atol=0.03 * float(line.weight.abs().max()))
    # A linear model leaves no sampling error but the draw of the baselines, which is accounted for.
    assert float(found.values.sum()) == pytest.approx(found.output - found.baseline_output, 1e-3)


def test_occlusion_equals_a_slow_loop(predictor, view, image):
    line, picture, target = line_of(predictor, view, image)
    got = attribute(predictor, view, image, "occlusion", target)
    assert got.settings == {
        "window": 2.0,
        "stride": 1.0,
        "baseline": float(pixels._baseline(picture)[0, 0, 0, 0]),
    }
    total, count = np.zeros((8, 8)), np.zeros((8, 8))
    for top in range(7):
        for left in range(7):
            window = (slice(top, top + 2), slice(left, left + 2))
            covered = picture.clone()
            covered[0, :, window[0], window[1]] = got.settings["baseline"]
            total[window] += got.output - float(line.log_odds(covered, target))
            count[window] += 1
    assert np.allclose(got.values, total / count, atol=1e-4)


def test_occlusion_counts_a_window_once_whatever_the_colours(view):
    predictor = tiny.random_predictor(**ENSEMBLE)
    image = tiny.random_images(1, seed=5)
    tinted = np.stack([image, image, image], axis=-1)
    tinted[0, 0, 0, 0] ^= 1  # no longer grey, though nobody would see it
    grey = attribute(predictor, view, image, "occlusion", 0).values
    assert np.allclose(attribute(predictor, view, tinted, "occlusion", 0).values, grey, atol=0.05)


def test_equal_colour_channels_are_grey(predictor, view, image, method):
    colour = np.stack([image] * 3, axis=-1)
    grey = attribute(predictor, view, image, method, 0)
    got = attribute(predictor, view, colour, method, 0)
    assert np.allclose(got.values, grey.values, rtol=1e-3, atol=1e-5)


def in_double(line):
    twin = copy.deepcopy(line)
    twin.encoder.double(), twin.model.double()
    object.__setattr__(twin, "tokens", twin.tokens.double())
    return twin


def slow_log_odds(line, picture, target):
    """Mixed prediction and its log-odds, one pass after the other, in double precision."""
    colour = picture.expand(-1, 3, -1, -1)
    features = line.model.config.tokens == "features"
    tokens = line.model.embed_image(line.encoder(colour).features if features else colour)
    p = sum(
        weight * torch.softmax(line.model(tokens, token[None]), dim=1)[0, target]
        for weight, token in zip(line.weights.double(), line.tokens, strict=True)
    )
    return torch.log(p / (1 - p))


def test_saliency_equals_finite_differences(predictor, view, image):
    line, picture, target = line_of(predictor, view, image)
    line, picture, step = in_double(line), picture.double(), 1e-6
    got = attribute(predictor, view, image, "saliency", target).values
    for row, column in [(0, 0), (3, 4), (7, 1), (5, 5)]:
        shift = torch.zeros_like(picture)
        shift[..., row, column] = step
        high, low = (slow_log_odds(line, picture + s, target) for s in (shift, -shift))
        assert got[row, column] == pytest.approx(abs(float(high - low)) / (2 * step), abs=1e-3)


def test_integrated_gradients_equal_a_slow_sum(predictor, view, image):
    line, picture, target = line_of(predictor, view, image)
    got = attribute(predictor, view, image, "ig", target)
    line, picture = in_double(line), picture.double()
    baseline = torch.full_like(picture, got.settings["baseline"])
    total, n = torch.zeros_like(picture), 200
    for i in range(n):
        at = torch.lerp(baseline, picture, (i + 0.5) / n).requires_grad_()
        total += torch.autograd.grad(slow_log_odds(line, at, target), at)[0] / n
    expected = (total * (picture - baseline))[0, 0].numpy()
    assert np.abs(got.values - expected).max() < 0.05 * np.abs(expected).max()


def test_a_way_with_a_step_in_it_is_refined_where_the_step_is():
    class Step:
        def log_odds(self, images, target):
            return torch.sigmoid(400 * (images.mean(dim=(1, 2, 3)) - 0.7))

    image = torch.ones(1, 1, 4, 4)
    image[..., [0, -1], :] = 0
    image[..., [0, -1]] = 0
    image[..., 1:3, 1:3] = 4  # a mean of 1; brighter than any picture, to stay on black
    found = find("ig", Step(), image)
    assert float(found.values.sum()) == pytest.approx(1, abs=pixels.TOLERANCE)
    assert 4 * pixels.STEPS < found.settings["steps"] <= pixels.MAX_STEPS


def test_refining_stops_where_the_output_doesnt_differ_from_the_baselines():
    class Bump:
        def log_odds(self, images, target):
            return torch.sin(1000 * images.mean(dim=(1, 2, 3))) * (images.mean(dim=(1, 2, 3)) < 0.2)

    image = torch.full((1, 1, 4, 4), 0.4)
    found = find("ig", Bump(), image)
    assert found.output == found.baseline_output == 0
    assert found.settings["steps"] <= pixels.MAX_STEPS
    assert torch.isfinite(found.values).all()


def test_the_ground_of_a_picture_is_what_counts_as_empty(view):
    predictor = tiny.random_predictor(**ENSEMBLE)
    ink = np.zeros((1, 8, 8), np.uint8)
    ink[0, 2:6, 3:5] = 200
    for image, ground in ((ink, 0.0), (255 - ink, 1.0)):
        for method in WITH_BASELINE:
            assert attribute(predictor, view, image, method, 0).settings["baseline"] == ground
        values = attribute(predictor, view, image, "ig", 0).values
        assert (values[ink[0] == 0] == 0).all()
        assert (values[ink[0] > 0] != 0).all()


# -- attention rollout ---------------------------------------------------------------------------


def slow_attention(block, x):
    """Mean over the heads of softmax(q · k / √d), head by head and row by row."""
    t, dim = x.shape
    size = dim // block.heads
    qkv = block.qkv(block.norm_attention(x))
    mean = torch.zeros(t, t)
    for head in range(block.heads):
        q, k = (qkv[:, i * dim + head * size :][:, :size] for i in (0, 1))
        for i in range(t):
            scores = torch.stack([q[i] @ k[j] for j in range(t)]) / size**0.5
            mean[i] += torch.softmax(scores, dim=0) / block.heads
    return mean


@torch.no_grad()
def test_rollout_equals_a_slow_loop_and_its_rows_sum_to_one():
    model = patches_predictor().model
    generator = torch.Generator().manual_seed(0)
    tokens = 3 * torch.randn(2, 4, 16, generator=generator)
    exemplars = torch.randn(2, 16, generator=generator)
    got = attention_rollout(model, tokens, exemplars)
    assert torch.allclose(got.sum(dim=2), torch.ones(2, 6), atol=1e-6)
    for image, exemplar, rollout in zip(tokens, exemplars, got, strict=True):
        x = torch.cat([model.cls[None], exemplar[None], image + model.position])
        expected = torch.eye(6)
        for block in model.blocks:
            expected = (0.5 * slow_attention(block, x) + 0.5 * torch.eye(6)) @ expected
            x = block(x[None])[0]
        assert torch.allclose(rollout, expected, atol=1e-5)


@torch.no_grad()
def test_the_attention_shown_is_the_attention_used():
    block = patches_predictor().model.blocks[0]
    x = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0))
    _, _, values = block._queries_keys_values(x)
    mixed = (block.attention(x) @ values).transpose(1, 2).reshape(x.shape)
    middle = x + block.out(mixed)
    assert torch.allclose(block(x), middle + block.mlp(block.norm_mlp(middle)), atol=1e-6)


def test_blind_attention_reaches_every_token_alike(view, image):
    """One block whose queries are 0 attends equally to all T tokens: half of it, P / T of that."""
    predictor = tiny.random_predictor(**ENSEMBLE)
    with torch.no_grad():
        for parameter in (predictor.model.blocks[0].qkv.weight, predictor.model.blocks[0].qkv.bias):
            parameter[: tiny.MODEL.dim] = 0
    got = attribute(predictor, view, image, "rollout", 0)
    assert got.output == pytest.approx(0.5 * 4 / 6)
    assert np.allclose(got.values, got.output / 64)
    assert got.output_unit == pixels.ATTENTION


def test_rollout_sums_to_its_output_and_is_the_same_for_every_class(predictor, view, image):
    maps = [attribute(predictor, view, image, "rollout", target) for target in range(3)]
    assert [m.target for m in maps] == [0, 1, 2]
    assert all(np.array_equal(m.values, maps[0].values) for m in maps)
    assert maps[0].values.sum() == pytest.approx(maps[0].output, abs=1e-6)
    assert 0 < maps[0].output < 1


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(4, 9), st.integers(4, 9))
def test_spreading_over_pixels_keeps_every_cells_share(rows, columns, height, width):
    shares = torch.arange(1.0, rows * columns + 1)
    spread_out = spread(shares, (rows, columns), (height, width))
    assert spread_out.shape == (height, width)
    for row in range(rows):
        for column in range(columns):
            inside = [
                float(spread_out[i, j])
                for i in range(height)
                for j in range(width)
                if (i * rows // height, j * columns // width) == (row, column)
            ]
            assert sum(inside) == pytest.approx(float(shares[row * columns + column]))


# -- a trained model -----------------------------------------------------------------------------


@pytest.mark.slow
def test_integrated_gradients_converge_on_a_trained_model(digits):
    """Within 5% of the change, or, where there is hardly a change, within a tenth of a nat."""
    predictor, view = digits._shared.predictor, digits._view
    ids = [record.id for record in digits._shared.test[:25]]
    maps = [attribute(predictor, view, digits.pictures.pixels([id_]), "ig", None) for id_ in ids]
    changes = np.array([abs(m.output - m.baseline_output) for m in maps])
    deltas = np.array([abs(m.delta) for m in maps])
    assert np.mean(changes > 1) > 0.8
    assert (deltas < np.where(changes > 1, pixels.TOLERANCE * changes, 0.1)).all()


@pytest.mark.parametrize("method", sorted(SIGNED))
def test_covering_what_speaks_for_a_class_costs_more_than_covering_what_speaks_against(
    digits, method
):
    predictor, view = digits._shared.predictor, digits._view
    falls = []
    for record in digits._shared.test[:6]:
        image = digits.pictures.pixels([record.id])
        line, picture, target = line_of(predictor, view, image)
        got = attribute(predictor, view, image, method, None)
        order = torch.from_numpy(got.values.ravel().argsort().copy())
        for chosen in (order[-8:], order[:8]):
            covered = picture.clone()
            covered.view(-1)[chosen] = got.settings["baseline"]
            falls.append(got.output - float(line.log_odds(covered, target)))
    speaking_for, against = falls[::2], falls[1::2]
    assert np.mean(speaking_for) > 1
    assert np.mean(speaking_for) > np.mean(against) + 1


def test_a_forgotten_image_is_read_anew(digits):
    """Its own memory answered for it; once that is gone the picture itself has to."""
    predictor, view = digits._shared.predictor, digits._view
    record = digits._shared.private[0]
    image = digits.pictures.pixels([record.id])
    after = BankView(view.bank, [record.id])
    first, second = (attribute(predictor, v, image, "ig", record.label) for v in (view, after))
    assert first.output > second.output
    assert not np.allclose(first.values, second.values, atol=1e-3)


# -- errors --------------------------------------------------------------------------------------


def test_an_unknown_method_is_named(predictor, view, image):
    with pytest.raises(BadInputError, match=r"one of ig, saliency, .*, got 'lime'"):
        attribute(predictor, view, image, "lime", 0)


@pytest.mark.parametrize("target", [-1, 3])
def test_a_class_that_isnt_there_is_refused(predictor, view, image, method, target):
    with pytest.raises(BadInputError, match=f"class index from 0 to 2, got {target}"):
        attribute(predictor, view, image, method, target)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((0, 8, 8), np.uint8),
        np.zeros((1, 8, 8, 4), np.uint8),
        np.zeros((1, 0, 8), np.uint8),
        np.zeros((1, 8, 8), np.float32),
    ],
)
def test_what_is_no_single_image_is_refused(predictor, view, method, bad):
    with pytest.raises(BadInputError, match="uint8"):
        attribute(predictor, view, bad, method, 0)


def test_an_image_of_another_size_is_refused_by_a_model_of_patches(view):
    with pytest.raises(BadInputError, match="4 patches of 4 × 4 pixels, got one of 12 × 8"):
        attribute(patches_predictor(), view, np.zeros((1, 12, 8), np.uint8), "ig", 0)


def test_an_image_of_another_size_is_resized_by_an_encoder(view, method):
    predictor = tiny.random_predictor(**ENSEMBLE)
    image = np.random.default_rng(0).integers(0, 256, (1, 10, 13)).astype(np.uint8)
    assert attribute(predictor, view, image, method, 0).values.shape == (10, 13)


# -- the first screen ----------------------------------------------------------------------------


@pytest.mark.slow
def test_opening_the_library_imports_no_captum():
    code = (
        "import sys, munkey_core.studio, munkey_core.explain.pixels; print('captum' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
