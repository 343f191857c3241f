"""The memory bank and its views: what a deletion touches, and what it must not touch."""

import hashlib

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from munkey_core.errors import BadInputError, UnknownIdError
from munkey_core.model.bank import BankView, MemoryBank

N = 8
IDS = [f"img-{i:02d}" for i in range(N)]


@pytest.fixture(scope="module")
def bank():
    return tiny.random_bank(N)


# -- the bank ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "keys", "tokens", "message"),
    [
        (["a", "a"], torch.eye(2), torch.ones(2, 3), "'a' occurs more than once"),
        (["a"], torch.eye(2), torch.ones(1, 3), r"keys must be float32 of shape \(1, d\)"),
        (["a", "b"], torch.eye(2), torch.ones(3, 3), r"tokens must be .* \(2, d\).*\(3, 3\)"),
        (["a", "b"], torch.eye(2).double(), torch.ones(2, 3), "got torch.float64"),
        (["a", "b"], torch.eye(2), torch.ones(2), r"got torch.float32 \(2,\)"),
        (["a", "b"], 2 * torch.eye(2), torch.ones(2, 3), "unit length"),
        (["a", "b"], torch.zeros(2, 2), torch.ones(2, 3), "unit length"),
        (["a", "b"], torch.eye(2), torch.full((2, 3), torch.inf), "tokens hold values"),
        (["a", "b"], torch.full((2, 2), torch.nan), torch.ones(2, 3), "keys hold values"),
    ],
)
def test_parts_that_do_not_make_a_bank_are_refused(ids, keys, tokens, message):
    with pytest.raises(BadInputError, match=message):
        MemoryBank(ids, keys, tokens)


def test_without_physically_lacks_the_rows_and_keeps_the_bytes_of_the_others(bank):
    left = bank.without(["img-03", "img-00"])
    kept = [id_ for id_ in IDS if id_ not in ("img-00", "img-03")]
    assert list(left.ids) == kept
    assert left.keys.shape[0] == left.tokens.shape[0] == N - 2
    for id_ in kept:
        assert left.row_digest(left.row(id_)) == bank.row_digest(bank.row(id_))
    # Its own memory: nothing of a deleted row hides behind a shared storage.
    assert left.tokens.untyped_storage().nbytes() == left.tokens.numel() * 4
    assert left.keys.untyped_storage().nbytes() == left.keys.numel() * 4


def test_without_leaves_the_bank_it_came_from_alone(bank):
    before = bank.digest()
    left = bank.without(["img-01"])
    assert bank.digest() == before
    assert left.generation == bank.generation + 1
    with pytest.raises(UnknownIdError, match="img-01"):
        left.row("img-01")


def test_the_order_of_deletions_does_not_matter_to_the_digest(bank):
    one = bank.without(["img-01"]).without(["img-05", "img-02"])
    other = bank.without(["img-02"]).without(["img-01"]).without(["img-05"])
    assert one.digest() == other.digest() == bank.without(["img-05", "img-02", "img-01"]).digest()


def test_without_an_unknown_id_names_it(bank):
    with pytest.raises(UnknownIdError, match="'nobody'"):
        bank.without(["img-01", "nobody"])


def test_row_digest_is_the_hash_of_id_key_and_token(bank):
    data = b"img-02" + bank.keys[2].numpy().tobytes() + bank.tokens[2].numpy().tobytes()
    assert bank.row_digest(2) == hashlib.sha256(data).hexdigest()


def test_digest_ignores_the_order_of_rows_and_sees_every_part_of_them(bank):
    order = torch.tensor([3, 1, 0, 2, 7, 6, 5, 4])
    shuffled = MemoryBank([IDS[i] for i in order], bank.keys[order], bank.tokens[order])
    assert shuffled.digest() == bank.digest()
    tokens = bank.tokens.clone()
    tokens[4, 0] = torch.nextafter(tokens[4, 0], torch.tensor(torch.inf))
    assert MemoryBank(IDS, bank.keys, tokens).digest() != bank.digest()
    assert MemoryBank(IDS, bank.keys[order], bank.tokens).digest() != bank.digest()
    renamed = MemoryBank([*IDS[:-1], "img-99"], bank.keys, bank.tokens)
    assert renamed.digest() != bank.digest()


# -- a session's view --------------------------------------------------------------------------


def test_views_of_one_bank_do_not_see_each_other(bank):
    mine, yours = BankView(bank), BankView(bank)
    mine.forget(["img-01"])
    assert "img-01" not in mine
    assert "img-01" in yours
    assert (yours.alive, yours.generation) == (N, bank.generation)


def test_a_view_answers_like_a_bank_that_physically_lacks_the_rows(bank):
    queries = tiny.random_queries(6)
    gone = ["img-06", "img-02", "img-03"]
    physical = bank.without(gone)
    rows, similarity = BankView(bank, gone).search(queries.keys, 4)
    wanted_rows, wanted = BankView(physical).search(queries.keys, 4)
    ids = [[bank.ids[row] for row in line] for line in rows.tolist()]
    assert ids == [[physical.ids[row] for row in line] for line in wanted_rows.tolist()]
    assert torch.allclose(similarity, wanted, atol=1e-6)


def test_a_deletion_tells_what_it_did(bank):
    view = BankView(bank)
    deletion = view.forget(["img-05", "img-01"])
    assert deletion.ids == ("img-05", "img-01")
    assert (deletion.generation_before, deletion.generation) == (0, 1)
    assert deletion.remaining == N - 2
    assert deletion.milliseconds >= 0


@pytest.mark.parametrize(
    ("act", "ids", "error", "message"),
    [
        ("forget", [], BadInputError, "at least one"),
        ("forget", ["img-02", "img-02"], BadInputError, "once only"),
        ("forget", ["img-02", "nobody"], UnknownIdError, "'nobody'"),
        ("forget", ["img-02", "img-00"], UnknownIdError, "'img-00' is already forgotten"),
        ("restore", [], BadInputError, "at least one"),
        ("restore", ["img-00", "img-02"], UnknownIdError, "'img-02' is not forgotten"),
        ("restore", ["img-00", "nobody"], UnknownIdError, "'nobody'"),
        ("restore", ["img-00", "img-00"], BadInputError, "once only"),
    ],
)
def test_a_change_that_cannot_be_made_whole_changes_nothing(bank, act, ids, error, message):
    view = BankView(bank, ["img-00"])
    with pytest.raises(error, match=message):
        getattr(view, act)(ids)
    assert view.deleted_ids == ("img-00",)
    assert (view.alive, view.generation) == (N - 1, bank.generation)


some_ids = st.lists(st.sampled_from([*IDS, "nobody"]), max_size=4)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.sampled_from(["forget", "restore"]), some_ids), max_size=12))
def test_any_sequence_of_changes_does_what_a_plain_list_does(changes):
    bank = tiny.random_bank(N)
    queries, digest = tiny.random_queries(3).keys, bank.digest()
    view, deleted, generation = BankView(bank), [], bank.generation
    for act, ids in changes:
        fits = [i in IDS and (i in deleted) == (act == "restore") for i in ids]
        possible = bool(ids) and len(set(ids)) == len(ids) and all(fits)
        if possible:
            getattr(view, act)(ids)
            deleted = [*deleted, *ids] if act == "forget" else [i for i in deleted if i not in ids]
            generation += 1
        else:
            with pytest.raises(BadInputError):
                getattr(view, act)(ids)
        assert view.deleted_ids == tuple(deleted)
        assert view.generation == generation
        assert view.alive == N - len(deleted)
        assert [id_ in view for id_ in IDS] == [id_ not in deleted for id_ in IDS]
        rows, _ = view.search(queries, N)
        left = sorted(IDS.index(id_) for id_ in IDS if id_ not in deleted)
        assert all(sorted(line) == left for line in rows.tolist())
    assert bank.digest() == digest


@settings(max_examples=40)
@given(st.lists(st.sampled_from(IDS), min_size=1, unique=True), st.randoms())
def test_the_order_of_deletions_does_not_matter_to_the_answers(ids, random):
    bank, queries = tiny.random_bank(N), tiny.random_queries(4).keys
    together, one_by_one = BankView(bank), BankView(bank)
    together.forget(ids)
    for id_ in random.sample(ids, len(ids)):
        one_by_one.forget([id_])
    for wanted, got in zip(together.search(queries, 4), one_by_one.search(queries, 4), strict=True):
        assert torch.equal(wanted, got)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(IDS), min_size=1, unique=True))
def test_forgetting_and_restoring_gives_the_same_answers_bit_for_bit(ids):
    bank, queries = tiny.random_bank(N), tiny.random_queries(4).keys
    view = BankView(bank)
    before = view.search(queries, 4)
    view.forget(ids)
    view.restore(ids[::-1])
    for wanted, got in zip(before, view.search(queries, 4), strict=True):
        assert torch.equal(wanted, got)
