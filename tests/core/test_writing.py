"""Writing: a row's bytes depend on its own image and label, on θ and the settings, on nothing else.

All at the real batch size, on a tiny network with fixed weights.
"""

import pytest
import tiny
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from munkey_core.config import WriteConfig
from munkey_core.errors import BadInputError
from munkey_core.model.tokens import pack_tokens, round_tokens, unpack_tokens
from munkey_core.progress import Progress, drive
from munkey_core.training.exact import rounded_model
from munkey_core.training.rows import BATCH, write_rows

CONFIG = WriteConfig(steps=6)
N = BATCH + 30


def written(features, labels, config=CONFIG, model=None):
    steps = []
    tokens = drive(write_rows(model or theta(), features, labels, config), steps.append)
    assert all(isinstance(step, Progress) for step in steps)
    return tokens


def theta():
    return rounded_model(tiny.random_model())


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(N, tiny.N_TOKENS, tiny.KEY_DIM, generator=generator)
    return features, torch.arange(N) % len(tiny.CLASSES)


@pytest.fixture(scope="module")
def tokens(images):
    return written(*images)


def test_a_written_token_answers_for_its_image_with_and_without_it(images):
    features, labels = images
    model = theta().eval()
    tokens = written(features, labels, WriteConfig(steps=20, learning_rate=0.4))
    rows = torch.arange(N)
    with torch.inference_mode():
        image = model.embed_image(features)
        null = torch.softmax(model(image, model.null_memory.expand(N, -1)), 1)[rows, labels]
        own = torch.softmax(model(image, tokens), 1)[rows, labels]
        blind = torch.ones(N, dtype=torch.bool)
        alone = torch.softmax(model(image, tokens, drop_image=blind), 1)[rows, labels]
        nobody = torch.softmax(model(image, model.null_memory.expand(N, -1), drop_image=blind), 1)[
            rows, labels
        ]
    assert float((own > null).float().mean()) > 0.95
    assert float((alone > nobody).float().mean()) > 0.95


def test_a_row_has_the_same_bytes_in_any_order(images, tokens):
    features, labels = images
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    assert torch.equal(written(features[order], labels[order]), tokens[order])


@pytest.mark.parametrize("kept", [1, 7, BATCH - 1, BATCH, BATCH + 1])
def test_a_row_has_the_same_bytes_in_any_company(images, tokens, kept):
    features, labels = images
    assert torch.equal(written(features[-kept:], labels[-kept:]), tokens[-kept:])


def test_a_row_does_not_know_what_its_neighbours_in_the_batch_are(images, tokens):
    features, labels = images
    others = features.flip(0) * 3
    others[17] = features[17]
    changed = (labels + 1) % len(tiny.CLASSES)
    changed[17] = labels[17]
    assert torch.equal(written(others, changed)[17], tokens[17])


def test_a_row_has_the_same_bytes_on_one_thread_and_on_two(images, tokens):
    features, labels = images
    torch.set_num_threads(2)
    try:
        again = written(features, labels)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(again, tokens)


def test_writing_draws_nothing_at_random_and_leaves_theta_as_it_was(images, tokens):
    model = theta()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(12345)
    state = torch.get_rng_state()
    assert torch.equal(written(*images, model=model), tokens)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_its_first_step_is_one_of_adam_from_the_null_token(images):
    """A slow loop over images one by one, without batches, padding or rounding."""
    features, labels = (part[:3] for part in images)
    model = theta().eval()
    for i in range(3):
        token = model.null_memory.detach().clone()
        start = round_tokens(token[None]).requires_grad_()
        loss = F.cross_entropy(
            model(model.embed_image(features[i : i + 1]), start), labels[i, None]
        )
        (slope,) = torch.autograd.grad(loss, start)
        wanted = token - 0.1 * slope[0] / (slope[0].abs() + 1e-8)  # Adam's first step: the sign
        config = WriteConfig(steps=1, learning_rate=0.1, p_img=0.0)
        got = written(features[i : i + 1], labels[i : i + 1], config, model)[0]
        assert torch.allclose(got, round_tokens(wanted[None])[0], atol=2e-2)


def test_no_image_is_no_row():
    nothing = torch.empty(0, tiny.N_TOKENS, tiny.KEY_DIM)
    assert written(nothing, torch.empty(0, dtype=torch.int64)).shape == (0, tiny.MODEL.dim)


@pytest.mark.parametrize(
    "settings_", [{"steps": 0}, {"steps": 100_000}, {"learning_rate": 0.0}, {"p_img": 1.0}]
)
def test_settings_that_make_no_sense_are_refused(settings_):
    with pytest.raises(BadInputError, match=next(iter(settings_))):
        WriteConfig(**settings_)


# -- few bits ----------------------------------------------------------------------------------

values = st.floats(-300, 300, width=32, allow_subnormal=False)
rows = st.integers(1, 9).flatmap(
    lambda dim: st.lists(st.lists(values, min_size=dim, max_size=dim), min_size=1, max_size=5)
)


@given(rows)
@settings(max_examples=150)
def test_rounded_tokens_survive_packing_half_precision_and_rounding_again(some):
    tokens = round_tokens(torch.tensor(some, dtype=torch.float32))
    packed, scales = pack_tokens(tokens)
    assert packed.dtype == torch.uint8
    assert packed.shape == (len(some), (len(some[0]) + 1) // 2)
    assert scales.dtype == torch.float16
    for same in (
        unpack_tokens(packed, scales, tokens.shape[1]),
        tokens.half().float(),
        round_tokens(tokens),
    ):
        assert same.numpy().tobytes() == tokens.numpy().tobytes()  # -0.0 is not 0.0 here


@given(rows)
@settings(max_examples=100)
def test_rounding_moves_a_value_by_at_most_half_a_step(some):
    tokens = torch.tensor(some, dtype=torch.float32)
    step = tokens.abs().amax(dim=1, keepdim=True).clamp(min=7 * 2.0**-10) / 7
    assert bool(((round_tokens(tokens) - tokens).abs() <= 0.52 * step + 1e-6).all())
