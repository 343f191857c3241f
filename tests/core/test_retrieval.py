"""Exact retrieval against a slow loop: order, ties, deletions, sizes."""

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from munkey_core.model import search as retrieval
from munkey_core.model.search import ExactRetriever, cosines, near_pairs, nearest

NOTHING = torch.empty(0, dtype=torch.int64)


def slow_search(keys, queries, k, deleted):
    """[(row, cosine), …] of each query: sort all rows that are left by (-cosine, row)."""
    found = []
    for query in queries.double():
        left = []
        for row, key in enumerate(keys.double()):
            if row not in deleted:
                left.append((row, sum(float(a * b) for a, b in zip(query, key, strict=True))))
        found.append(sorted(left, key=lambda pair: (-pair[1], pair[0]))[:k])
    return found


def axis_keys(axes, d=4):
    """Keys along coordinate axes: their cosines are exactly 0 or 1, so ties are exact."""
    return torch.eye(d)[torch.tensor(axes, dtype=torch.int64)]


@pytest.mark.parametrize("k", [1, 4, 19, 20])
@pytest.mark.parametrize("deleted", [[], [3], [0, 7, 19, 11]])
def test_finds_what_a_slow_loop_finds(k, deleted):
    bank, queries = tiny.random_bank(20), tiny.random_queries(7)
    rows, similarity = ExactRetriever(bank.keys).search(
        queries.keys, k, torch.tensor(deleted).long()
    )
    wanted = slow_search(bank.keys, queries.keys, k, deleted)
    assert rows.tolist() == [[row for row, _ in line] for line in wanted]
    for got, line in zip(similarity.tolist(), wanted, strict=True):
        assert got == pytest.approx([cosine for _, cosine in line], abs=1e-6)


@settings(max_examples=60)
@given(
    axes=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    queries=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    k=st.integers(1, 14),
    data=st.data(),
)
def test_among_equal_similarities_the_lower_row_comes_first(axes, queries, k, data):
    deleted = data.draw(st.lists(st.integers(0, len(axes) - 1), unique=True))
    keys, asked = axis_keys(axes), axis_keys(queries)
    rows, similarity = ExactRetriever(keys).search(asked, k, torch.tensor(deleted).long())
    wanted = slow_search(keys, asked, k, deleted)
    assert rows.tolist() == [[row for row, _ in line] for line in wanted]
    assert similarity.tolist() == [[cosine for _, cosine in line] for line in wanted]


def test_copies_of_one_dense_key_come_in_row_order():
    keys = tiny.random_bank(5).keys[torch.tensor([2, 0, 2, 1, 2, 3, 2])]
    rows, similarity = ExactRetriever(keys).search(keys[:1], 3, NOTHING)
    assert rows.tolist() == [[0, 2, 4]]
    assert similarity[0] == pytest.approx([1, 1, 1], abs=1e-6)
    assert len(set(similarity[0].tolist())) == 1


@pytest.mark.parametrize(("total", "deleted", "left"), [(3, [], 3), (3, [1], 2), (3, [0, 1, 2], 0)])
def test_asking_for_more_than_is_left_gives_what_is_left(total, deleted, left):
    keys = tiny.random_bank(total).keys
    rows, similarity = ExactRetriever(keys).search(keys, 4, torch.tensor(deleted).long())
    assert rows.shape == similarity.shape == (total, left)
    assert not set(rows.flatten().tolist()) & set(deleted)


def test_an_empty_bank_answers_with_nothing():
    rows, similarity = ExactRetriever(torch.empty(0, 4)).search(axis_keys([0, 1]), 4, NOTHING)
    assert rows.shape == similarity.shape == (2, 0)
    assert rows.dtype == torch.int64


def test_the_size_of_a_block_does_not_matter(monkeypatch):
    bank, queries = tiny.random_bank(20), tiny.random_queries(7)
    whole = ExactRetriever(bank.keys).search(queries.keys, 4, torch.tensor([5]))
    monkeypatch.setattr(retrieval, "_BLOCK_CELLS", 45)  # two queries a block
    parts = ExactRetriever(bank.keys).search(queries.keys, 4, torch.tensor([5]))
    assert parts[0].tolist() == whole[0].tolist()
    assert torch.allclose(parts[1], whole[1], atol=1e-6)


def test_a_search_leaves_keys_and_queries_as_they_are():
    bank, queries = tiny.random_bank(20), tiny.random_queries(3)
    before = bank.keys.clone(), queries.keys.clone()
    ExactRetriever(bank.keys).search(queries.keys, 4, torch.tensor([0, 1]))
    assert torch.equal(bank.keys, before[0])
    assert torch.equal(queries.keys, before[1])


def test_a_cosine_never_leaves_its_range():
    keys = tiny.random_bank(200, seed=3).keys
    _, similarity = ExactRetriever(keys).search(keys, 4, NOTHING)
    assert float(similarity.max()) <= 1
    assert float((keys @ keys.T).max()) > 1  # what rounding gives without care


# -- everybody else's search ---------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_cosines_come_in_blocks_that_make_the_whole(block):
    keys, queries = tiny.random_bank(20).keys, tiny.random_queries(7).keys
    found = list(cosines(queries, keys, block=block))
    assert [first for first, _ in found] == list(range(0, 7, block))
    assert torch.allclose(torch.cat([part for _, part in found]), queries @ keys.T, atol=1e-6)


def test_nobody_is_near_to_themselves():
    keys = tiny.random_bank(9).keys
    rows = torch.tensor([4, 0, 8])
    ((_, part),) = cosines(keys[rows], keys, rows)
    assert (part == -torch.inf).nonzero().tolist() == [[0, 4], [1, 0], [2, 8]]


@pytest.mark.parametrize(("k", "others"), [(3, False), (3, True), (9, False), (9, True)])
def test_nearest_finds_what_a_slow_loop_finds(k, others):
    keys = tiny.random_bank(9).keys
    rows, similarity = nearest(keys, keys, k, others)
    assert rows.shape == similarity.shape == (9, k - (others and k == 9))
    for row in range(9):
        ((*wanted,),) = slow_search(keys, keys[row : row + 1], k, {row} if others else set())
        assert rows[row].tolist() == [other for other, _ in wanted]
        assert similarity[row].tolist() == pytest.approx([s for _, s in wanted], abs=1e-6)


def test_nobody_asks_and_nobody_is_found():
    keys = tiny.random_bank(9).keys
    rows, similarity = nearest(keys[:0], keys, 3)
    assert rows.shape == similarity.shape == (0, 3)
    assert list(near_pairs(keys, 0.1, NOTHING)) == []
    assert list(near_pairs(keys[:0], 0.1)) == []
    assert nearest(keys[:1], keys[:1], others=True)[0].shape == (1, 0)


def test_near_pairs_are_all_that_are_near_enough_whoever_is_asked_for():
    keys = tiny.random_bank(12).keys
    keys[7] = keys[2]
    close = {
        (i, j): float(keys[i] @ keys[j])
        for i in range(12)
        for j in range(12)
        if i != j and float(keys[i] @ keys[j]) >= 0.3
    }
    found = {(i, j): cosine for i, j, cosine in near_pairs(keys, 0.3)}
    assert found == pytest.approx(close)
    assert (2, 7) in found
    assert found[2, 7] == pytest.approx(1)
    some = [7, 0, 3]
    asked = {(i, j) for i, j, _ in near_pairs(keys, 0.3, torch.tensor(some))}
    assert asked == {(i, j) for i, j in close if i in some}
