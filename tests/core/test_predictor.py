"""One image's way to its prediction, against slow loops; what deletion leaves bit-equal."""

import dataclasses
import math

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from munkey_core.config import EnsembleConfig
from munkey_core.errors import BadInputError, StaleGenerationError
from munkey_core.model import predictor as predictor_module
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import to_float
from munkey_core.model.predictor import Predictor, candidate_similarity, exemplar_weights

AGGREGATIONS = ["mean", "similarity", "rank", "single_pass"]
ANCHORS = [None, 0.2]


def slow_weights(line, config):
    """Shares of one query's candidates, straight from the definitions."""
    if config.aggregation == "mean":
        return [1 / len(line) for _ in line]
    if config.aggregation == "rank":
        order = sorted(range(len(line)), key=lambda i: (-line[i], i))
        raw = [1 / (order.index(i) + 1) for i in range(len(line))]
    else:
        raw = [math.exp((s - max(line)) / config.tau) for s in line]
    return [value / sum(raw) for value in raw]


def slow_pass(model, features, token):
    """Class probabilities of one image with one exemplar token: a forward pass of its own."""
    with torch.no_grad():
        logits = model(model.embed_image(features[None]), token[None])
    return F.softmax(logits[0], dim=0).double()


def slow_predict(predictor, queries, bank, alive):
    """(probabilities, passes, exemplar shares, ids) of each query, one thing after the other."""
    config, model = predictor.config, predictor.model
    answers = []
    for key, features in zip(queries.keys, queries.features, strict=True):
        near = sorted(alive, key=lambda row: (-float(key @ bank.keys[row]), row))[: config.k]
        line = [float(key @ bank.keys[row]) for row in near]
        tokens = [bank.tokens[row] for row in near]
        if config.anchor is not None or not near:
            line.append(0.0 if config.anchor is None else config.anchor)
            tokens.append(model.null_memory.detach())
        shares = slow_weights(line, config)
        if config.aggregation == "single_pass":
            mixed = sum(w * t for w, t in zip(shares, tokens, strict=True))
            passes, weights = [slow_pass(model, features, mixed)], [1.0]
        else:
            passes, weights = [slow_pass(model, features, t) for t in tokens], shares
        total = sum(w * p for w, p in zip(weights, passes, strict=True))
        answers.append((total.tolist(), passes, shares, tuple(bank.ids[row] for row in near)))
    return answers


@pytest.fixture(scope="module")
def bank():
    return tiny.random_bank(10)


# -- weights -----------------------------------------------------------------------------------

cosines = st.lists(
    st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=4
)
configs = st.builds(
    EnsembleConfig,
    aggregation=st.sampled_from(AGGREGATIONS),
    tau=st.floats(1e-3, 10),
    anchor=st.one_of(st.none(), st.floats(-1, 1, width=32)),
)


@settings(max_examples=150)
@given(cosines, configs)
def test_weights_are_those_of_a_slow_loop_and_sum_to_one(lines, config):
    candidates = candidate_similarity(torch.tensor(lines, dtype=torch.float32), config.anchor)
    weights = exemplar_weights(candidates, config)
    for line, got in zip(lines, weights.tolist(), strict=True):
        line = line if config.anchor is None else [*line, config.anchor]
        assert got == pytest.approx(slow_weights(line, config), abs=1e-4)
        assert sum(got) == pytest.approx(1, abs=1e-5)


@settings(max_examples=60)
@given(
    st.lists(st.integers(-100, 100), min_size=4, max_size=4, unique=True),
    st.permutations(range(4)),
    st.sampled_from(AGGREGATIONS),
)
def test_permuted_candidates_have_permuted_weights(hundredths, order, aggregation):
    config = EnsembleConfig(aggregation=aggregation)
    line = torch.tensor([hundredths]) / 100
    straight = exemplar_weights(line, config)
    assert torch.allclose(exemplar_weights(line[:, order], config), straight[:, order], atol=1e-6)


@pytest.mark.parametrize("aggregation", ["similarity", "single_pass"])
def test_a_small_temperature_picks_the_nearest_and_a_large_one_the_mean(aggregation):
    line = torch.tensor([[0.3, 0.9, 0.8, -0.4]])
    nearest = exemplar_weights(line, EnsembleConfig(aggregation=aggregation, tau=1e-4))
    assert nearest.tolist() == [[0, 1, 0, 0]]
    mean = exemplar_weights(line, EnsembleConfig(aggregation=aggregation, tau=1e6))
    assert mean[0].tolist() == pytest.approx([0.25] * 4, abs=1e-5)


def test_rank_weights_fall_like_one_over_the_rank_and_break_ties_by_column():
    weights = exemplar_weights(torch.tensor([[0.5, 0.9, 0.5]]), EnsembleConfig(aggregation="rank"))
    total = 1 + 1 / 2 + 1 / 3
    assert weights[0].tolist() == pytest.approx([1 / 2 / total, 1 / total, 1 / 3 / total])


def test_the_anchor_is_the_last_candidate_and_all_that_is_left_of_an_empty_memory():
    line = torch.tensor([[0.5, 0.4]])
    assert candidate_similarity(line, None) is line
    assert candidate_similarity(line, 0.7)[0].tolist() == pytest.approx([0.5, 0.4, 0.7])
    assert candidate_similarity(torch.empty(2, 0), None).shape == (2, 1)


# -- prediction --------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("gone", [[], ["img-03", "img-00", "img-08"]])
def test_a_prediction_is_what_a_slow_loop_predicts(bank, aggregation, anchor, gone):
    predictor = tiny.random_predictor(k=4, aggregation=aggregation, tau=0.3, anchor=anchor)
    queries = tiny.random_queries(5)
    alive = [row for row, id_ in enumerate(bank.ids) if id_ not in gone]
    got = predictor.predict(queries, BankView(bank, gone))
    wanted = slow_predict(predictor, queries, bank, alive)
    for i, (probabilities, passes, shares, ids) in enumerate(wanted):
        assert got.retrieval.ids[i] == ids
        assert got.probabilities[i] == pytest.approx(probabilities, abs=1e-5)
        assert got.exemplar_weights[i] == pytest.approx(shares, abs=1e-5)
        assert got.pass_probabilities[i] == pytest.approx(np.stack(passes), abs=1e-5)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("anchor", ANCHORS)
def test_probabilities_are_the_weighted_passes(bank, aggregation, anchor):
    predictor = tiny.random_predictor(k=4, aggregation=aggregation, anchor=anchor)
    got = predictor.predict(tiny.random_queries(6), BankView(bank))
    mixed = np.einsum("qp,qpc->qc", got.weights, got.pass_probabilities)
    assert got.probabilities == pytest.approx(mixed, abs=1e-6)
    assert got.probabilities.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    assert got.exemplar_weights.shape == (6, 4 + (anchor is not None))
    assert got.has_anchor == (anchor is not None)
    if aggregation == "single_pass":
        assert got.weights.tolist() == [[1.0]] * 6
        assert got.pass_probabilities.shape == (6, 1, 3)
    else:
        assert np.array_equal(got.weights, got.exemplar_weights)
    assert got.classes.tolist() == [int(np.argmax(line)) for line in got.probabilities]


def test_a_single_pass_differs_from_an_ensemble_of_passes(bank):
    queries, view = tiny.random_queries(6), BankView(bank)
    one = tiny.random_predictor(aggregation="single_pass", tau=0.3).predict(queries, view)
    many = tiny.random_predictor(aggregation="similarity", tau=0.3).predict(queries, view)
    assert np.array_equal(one.exemplar_weights, many.exemplar_weights)
    assert not np.allclose(one.probabilities, many.probabilities, atol=1e-3)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_fewer_entries_than_k_all_take_part(aggregation):
    bank, queries = tiny.random_bank(3), tiny.random_queries(2)
    predictor = tiny.random_predictor(k=8, aggregation=aggregation, tau=0.3)
    got = predictor.predict(queries, BankView(bank, ["img-01"]))
    assert [sorted(line) for line in got.retrieval.ids] == [["img-00", "img-02"]] * 2
    for line, wanted in zip(
        got.probabilities, slow_predict(predictor, queries, bank, [0, 2]), strict=True
    ):
        assert line == pytest.approx(wanted[0], abs=1e-5)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("anchor", ANCHORS)
def test_with_every_key_deleted_the_image_pathway_answers_alone(bank, aggregation, anchor):
    predictor = tiny.random_predictor(aggregation=aggregation, anchor=anchor)
    queries = tiny.random_queries(4)
    got = predictor.predict(queries, BankView(bank, bank.ids))
    assert got.probabilities == pytest.approx(predictor.image_only(queries.features), abs=1e-6)
    assert got.retrieval.ids == ((),) * 4
    assert got.has_anchor
    never = MemoryBank([], torch.empty(0, tiny.KEY_DIM), torch.empty(0, tiny.MODEL.dim))
    assert np.array_equal(
        predictor.predict(queries, BankView(never)).probabilities, got.probabilities
    )


def test_of_two_equal_keys_the_lower_row_answers_first():
    keys = tiny.random_bank(4).keys[torch.tensor([0, 1, 1, 2])]
    bank = MemoryBank(["d", "c", "b", "a"], keys, tiny.random_bank(4).tokens)
    predictor = tiny.random_predictor(k=1, aggregation="mean")
    query = dataclasses.replace(tiny.random_queries(1), keys=keys[1:2])
    assert predictor.predict(query, BankView(bank)).retrieval.ids == (("c",),)
    assert predictor.predict(query, BankView(bank, ["c"])).retrieval.ids == (("b",),)


def test_the_size_of_a_block_does_not_matter(bank, monkeypatch):
    predictor, queries = tiny.random_predictor(k=4), tiny.random_queries(7)
    whole = predictor.predict(queries, BankView(bank))
    monkeypatch.setattr(predictor_module, "_SEQUENCES", 9)  # two images a block
    parts = predictor.predict(queries, BankView(bank))
    assert parts.probabilities == pytest.approx(whole.probabilities, abs=1e-6)


def test_without_the_image_only_the_exemplar_answers(bank):
    predictor, queries = tiny.random_predictor(), tiny.random_queries(3)
    tokens = bank.tokens[:2].expand(3, -1, -1)
    blind = predictor.passes(queries.features, tokens, drop_image=True)
    assert torch.allclose(blind, blind[:1].expand_as(blind), atol=1e-6)
    assert not torch.allclose(blind[0, 0], blind[0, 1], atol=1e-3)
    seeing = predictor.passes(queries.features, tokens)
    assert not torch.allclose(seeing[0], seeing[1], atol=1e-3)


def test_grey_and_colour_copies_of_an_image_are_encoded_alike():
    predictor, images = tiny.random_predictor(), tiny.random_images(3)
    grey = predictor.encode(images)
    colour = predictor.encode(np.repeat(images[..., None], 3, axis=3))
    assert torch.equal(grey.keys, colour.keys)
    assert torch.equal(grey.features, colour.features)
    assert torch.allclose(grey.keys.norm(dim=1), torch.ones(3), atol=1e-5)


def test_to_float_gives_three_channels_between_0_and_1():
    images = np.array([[[0, 255], [51, 102]]], dtype=np.uint8)
    got = to_float(images)
    assert got.shape == (1, 3, 2, 2)
    assert got[0, 1].flatten().tolist() == pytest.approx([0, 1, 0.2, 0.4])


# -- what a deletion leaves alone --------------------------------------------------------------


def same_bits(one, other):
    return (
        one.probabilities.tobytes() == other.probabilities.tobytes()
        and one.pass_probabilities.tobytes() == other.pass_probabilities.tobytes()
        and one.weights.tobytes() == other.weights.tobytes()
        and one.retrieval.ids == other.retrieval.ids
        and one.retrieval.similarity.tobytes() == other.retrieval.similarity.tobytes()
    )


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("anchor", ANCHORS)
def test_deleting_then_restoring_gives_bit_equal_predictions(bank, aggregation, anchor):
    predictor = tiny.random_predictor(aggregation=aggregation, anchor=anchor)
    queries, view = tiny.random_queries(6), BankView(bank)
    before = predictor.predict(queries, view)
    view.forget(before.retrieval.ids[0][:2])
    between = predictor.predict(queries, view)
    view.restore(before.retrieval.ids[0][:2])
    after = predictor.predict(queries, view)
    assert same_bits(before, after)
    assert not same_bits(before, between)
    assert (before.generation, between.generation, after.generation) == (0, 1, 2)


def test_the_order_of_deletions_does_not_matter_to_a_prediction(bank):
    predictor, queries = tiny.random_predictor(), tiny.random_queries(6)
    one, other = BankView(bank), BankView(bank)
    one.forget(["img-01", "img-07"])
    one.forget(["img-04"])
    for id_ in ("img-04", "img-07", "img-01"):
        other.forget([id_])
    assert same_bits(predictor.predict(queries, one), predictor.predict(queries, other))


def test_deleting_and_predicting_changes_no_weight_and_no_row(bank):
    predictor, view = tiny.random_predictor(), BankView(bank)
    modules = (predictor.model, predictor.encoder)
    weights = [{k: v.clone() for k, v in module.state_dict().items()} for module in modules]
    rows = [bank.row_digest(row) for row in range(len(bank))]
    view.forget(["img-00", "img-05"])
    predictor.predict(tiny.random_queries(4), view)
    assert [bank.row_digest(row) for row in range(len(bank))] == rows
    for module, before in zip(modules, weights, strict=True):
        after = module.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_content_of_a_deleted_row_has_no_influence(bank):
    predictor, queries = tiny.random_predictor(), tiny.random_queries(5)
    keys, tokens = bank.keys.clone(), bank.tokens.clone()
    keys[3], tokens[3] = queries.keys[0], 100.0  # nearest of all, and loud
    other = MemoryBank(bank.ids, keys, tokens)
    assert other.row_digest(3) != bank.row_digest(3)
    assert same_bits(
        predictor.predict(queries, BankView(bank, ["img-03"])),
        predictor.predict(queries, BankView(other, ["img-03"])),
    )
    assert not same_bits(
        predictor.predict(queries, BankView(bank)), predictor.predict(queries, BankView(other))
    )


def test_a_result_of_an_older_generation_is_refused(bank):
    view = BankView(bank)
    prediction = tiny.random_predictor().predict(tiny.random_queries(1), view)
    assert prediction.require(view.generation) is prediction
    view.forget(["img-00"])
    with pytest.raises(StaleGenerationError, match=r"generation 0 .* now at generation 1"):
        prediction.require(view.generation)


# -- what it is given ----------------------------------------------------------------------------


def test_a_predictor_leaves_what_it_is_given_as_it_is():
    encoder, model = tiny.random_encoder(), tiny.random_model().requires_grad_(True)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    predictor = Predictor(encoder, model, EnsembleConfig(k=3))
    answer = predictor.predict(tiny.random_queries(2), BankView(tiny.random_bank(5)))
    assert predictor.model is model
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    again = Predictor(encoder, model.requires_grad_(False), EnsembleConfig(k=3))
    same = again.predict(tiny.random_queries(2), BankView(tiny.random_bank(5)))
    assert answer.probabilities.tobytes() == same.probabilities.tobytes()


@pytest.mark.parametrize("which", ["encoder", "model"])
def test_what_is_still_in_training_can_not_answer(which):
    parts = {"encoder": tiny.random_encoder(), "model": tiny.random_model()}
    parts[which].train()
    with pytest.raises(BadInputError, match="evaluation mode"):
        Predictor(**parts, config=EnsembleConfig())
    assert parts[which].training
