"""Shapley values of the exemplars: against every order of arrival, by hand, and their axioms."""

import itertools
import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from munkey_core.config import EnsembleConfig
from munkey_core.errors import BadInputError
from munkey_core.explain.shapley import every_coalition, shapley, shapley_values
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor

AGGREGATIONS = ["mean", "similarity", "rank", "single_pass"]
NULL = "∅"


def games(players):
    values = st.floats(-10, 10, width=32)
    return st.lists(values, min_size=2**players, max_size=2**players)


def as_game(values):
    return torch.tensor([values], dtype=torch.float64)


def in_every_order(players, worth):
    """Mean of what each player adds, over all orders of arrival. worth: frozenset → number."""
    added = dict.fromkeys(players, 0.0)
    for order in itertools.permutations(players):
        there = frozenset()
        for player in order:
            added[player] += worth(there | {player}) - worth(there)
            there |= {player}
    return {player: total / math.factorial(len(players)) for player, total in added.items()}


# -- the values of a game ----------------------------------------------------------------------


def test_two_players_worked_by_hand():
    # ½[(0.5 − 0.1) + (0.9 − 0.3)] and ½[(0.3 − 0.1) + (0.9 − 0.5)].
    assert shapley_values(as_game([0.1, 0.5, 0.3, 0.9]))[0].tolist() == pytest.approx([0.5, 0.3])


@given(st.integers(1, 4).flatmap(games))
def test_values_are_the_mean_over_all_orders_of_arrival(values):
    n = len(values).bit_length() - 1
    wanted = in_every_order(range(n), lambda there: values[sum(2**i for i in there)])
    assert shapley_values(as_game(values))[0].tolist() == pytest.approx(list(wanted.values()))


@given(games(3), games(3), st.floats(-3, 3))
def test_values_are_linear_in_the_game(one, other, factor):
    both = shapley_values(as_game(one) + factor * as_game(other))
    apart = shapley_values(as_game(one)) + factor * shapley_values(as_game(other))
    assert torch.allclose(both, apart, atol=1e-9)


@given(games(3), st.floats(-3, 3))
def test_whoever_always_adds_the_same_gets_that_and_changes_nobody_elses_value(values, alone):
    # A fourth player, the highest bit, who adds `alone` to every coalition of the other three.
    game = as_game([*values, *(value + alone for value in values)])
    found = shapley_values(game)[0]
    assert float(found[3]) == pytest.approx(alone, abs=1e-9)
    assert torch.allclose(found[:3], shapley_values(as_game(values))[0], atol=1e-9)


def test_coalitions_are_all_subsets_from_nobody_to_everybody():
    coalitions = every_coalition(3)
    assert len({tuple(row) for row in coalitions.tolist()}) == 8
    assert not coalitions[0].any()
    assert coalitions[-1].all()


# -- the values of exemplars -------------------------------------------------------------------


def worth_of(predictor, bank, query, target):
    """What a coalition is worth, by really making the memory that holds its members only."""

    def worth(coalition):
        rows = sorted(player for player in coalition if player != NULL)
        config = EnsembleConfig(
            k=max(1, len(rows)),
            aggregation=predictor.config.aggregation,
            tau=predictor.config.tau,
            anchor=predictor.config.anchor if NULL in coalition else None,
        )
        memory = MemoryBank([bank.ids[row] for row in rows], bank.keys[rows], bank.tokens[rows])
        said = Predictor(predictor.encoder, predictor.model, config).predict(
            query, BankView(memory)
        )
        return float(said.probabilities[0, target])

    return worth


@pytest.mark.parametrize("left", [0, 1, 2, 6])
@pytest.mark.parametrize("anchor", [None, 0.2])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_values_are_those_of_memories_that_hold_the_members_only(aggregation, anchor, left):
    predictor = tiny.random_predictor(k=3, aggregation=aggregation, tau=0.3, anchor=anchor)
    bank = tiny.random_bank(6)
    view = BankView(bank, bank.ids[left:])
    queries = tiny.random_queries(2)
    predicted = predictor.predict(queries, view)
    for q, found in enumerate(shapley(predictor, queries, view)):
        target = int(predicted.classes[q])
        worth = worth_of(predictor, bank, queries[q : q + 1], target)
        players = [bank.row(id_) for id_ in found.ids]
        if predicted.has_anchor:
            players.append(NULL)
        wanted = in_every_order(players, worth)
        values = [*found.values, *([found.anchor_value] if predicted.has_anchor else [])]
        assert found.target == target
        assert found.ids == predicted.retrieval.ids[q]
        assert (found.anchor_value is not None) == predicted.has_anchor
        assert values == pytest.approx(list(wanted.values()), abs=1e-5)
        assert found.full == pytest.approx(predicted.probabilities[q, target], abs=1e-6)
        assert found.empty == pytest.approx(
            predictor.image_only(queries.features)[q, target], abs=1e-6
        )
        assert found.weights == pytest.approx(predicted.exemplar_weights[q], abs=1e-6)
        assert found.alone == pytest.approx([worth({player}) for player in players], abs=1e-6)
        assert abs(found.residual) < 1e-12


def test_two_exemplars_worked_by_hand():
    # Mean of two passes a and b, no anchor: worth 0.5(a + b) together, e without any. The first
    # one's value is ½[(a − e) + (½(a + b) − b)].
    predictor = tiny.random_predictor(k=2, aggregation="mean")
    view, queries = BankView(tiny.random_bank(5)), tiny.random_queries(1)
    [found] = shapley(predictor, queries, view, target=1)
    a, b = predictor.predict(queries, view).pass_probabilities[0, :, 1].astype(np.float64)
    e = float(predictor.image_only(queries.features)[0, 1])
    first = 0.5 * (a - e) + 0.25 * (a - b)
    second = 0.5 * (b - e) + 0.25 * (b - a)
    assert found.values.tolist() == pytest.approx([first, second], abs=1e-7)


@pytest.mark.parametrize("aggregation", ["mean", "similarity", "single_pass"])
def test_equal_exemplars_get_equal_values(aggregation):
    bank, twice = tiny.random_bank(4), [0, 1, 1, 2]
    view = BankView(MemoryBank(bank.ids, bank.keys[twice], bank.tokens[twice]))
    predictor = tiny.random_predictor(k=4, aggregation=aggregation, tau=0.3, anchor=0.1)
    [found] = shapley(predictor, tiny.random_queries(1), view)
    value = dict(zip(found.ids, found.values, strict=True))
    assert value["img-01"] == pytest.approx(value["img-02"], abs=1e-7)
    assert value["img-00"] != pytest.approx(value["img-01"], abs=1e-4)


def test_an_exemplar_that_says_what_the_image_says_alone_adds_nothing():
    # Its token is ∅ and so is the only other player, the anchor.
    predictor = tiny.random_predictor(k=1, tau=0.3, anchor=0.1)
    bank = tiny.random_bank(1)
    same = MemoryBank(bank.ids, bank.keys, predictor.model.null_memory[None].clone())
    [found] = shapley(predictor, tiny.random_queries(1), BankView(same))
    assert [*found.values, found.anchor_value] == pytest.approx([0, 0], abs=1e-7)


def test_the_class_asked_about_is_explained_and_values_of_all_classes_sum_to_nothing():
    predictor = tiny.random_predictor(k=3, tau=0.3, anchor=0.1)
    view, queries = BankView(tiny.random_bank(6)), tiny.random_queries(1)
    found = [shapley(predictor, queries, view, target=c)[0] for c in range(len(tiny.CLASSES))]
    assert [one.target for one in found] == [0, 1, 2]
    assert sum(one.values for one in found) == pytest.approx(0, abs=1e-6)


def test_values_of_a_hundred_images_sum_to_full_minus_empty(digits):
    shared = digits._shared
    ids = [record.id for record in shared.test[:100]]
    queries = shared.predictor.encode(shared.bundle.thumbnails.array(ids))
    found = shapley(shared.predictor, queries, digits._view)
    assert len(found) == 100
    assert max(abs(one.residual) for one in found) < 1e-5
    said = digits.predict(ids).probabilities
    assert [one.full for one in found] == pytest.approx(said.max(axis=1).tolist(), abs=1e-6)
    assert max(abs(one.full - one.empty) for one in found) > 0.1


def test_values_do_not_depend_on_the_company_of_a_query(monkeypatch):
    predictor = tiny.random_predictor(k=3, aggregation="single_pass", tau=0.3)
    view, queries = BankView(tiny.random_bank(6)), tiny.random_queries(5)
    together = shapley(predictor, queries, view)
    monkeypatch.setattr("munkey_core.explain.shapley._BLOCK_CELLS", 1)
    for one, other in zip(together, shapley(predictor, queries, view), strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-6)


def test_more_than_twelve_exemplars_are_refused_but_a_small_memory_is_not():
    predictor = tiny.random_predictor(k=13)
    queries = tiny.random_queries(1)
    with pytest.raises(BadInputError, match=r"2\^K coalitions: K must be at most 12, got 13"):
        shapley(predictor, queries, BankView(tiny.random_bank(20)))
    [found] = shapley(predictor, queries, BankView(tiny.random_bank(4)))
    assert len(found.values) == 4


@pytest.mark.parametrize("target", [-1, 3])
def test_a_class_that_does_not_exist_is_refused(target):
    with pytest.raises(BadInputError, match=f"from 0 to 2, got {target}"):
        shapley(
            tiny.random_predictor(), tiny.random_queries(1), BankView(tiny.random_bank(4)), target
        )
