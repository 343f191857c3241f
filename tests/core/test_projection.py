"""Maps of the memory: the methods, the placing of new points, and what a digest tells apart."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import random_bank

from munkey_core.bundle.bundle import FittedMap
from munkey_core.errors import BadInputError, ProjectionError
from munkey_core.explain.projection import (
    SPACES,
    fit_digest,
    fit_map,
    fit_pca,
    matrix_of,
    method_for,
    place,
    placing_weights,
    stages,
    umap_steps,
)
from munkey_core.model.bank import MemoryBank
from munkey_core.progress import Progress, drive, finish

N = 60


def clouds(n=N, dim=6, seed=0):
    """Three clouds far apart, as many points in each; and which cloud each point is of."""
    rng = np.random.default_rng(seed)
    which = np.arange(n) % 3
    points = 5 * np.eye(3, dim)[which] + rng.normal(scale=0.3, size=(n, dim))
    return points.astype(np.float32), which


def fit_umap(points, seed):
    return finish(umap_steps(points, seed, "points"))


@pytest.fixture(scope="module")
def clouds_umap():
    return fit_umap(clouds()[0], seed=3)


# -- PCA -----------------------------------------------------------------------------------------


def test_pca_is_the_two_directions_of_most_variance():
    points, _ = clouds()
    found = fit_pca(points)
    centred = points.astype(np.float64) - points.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    for column in range(2):
        wanted = centred @ axes[column]
        sign = np.sign(axes[column][np.abs(axes[column]).argmax()])
        np.testing.assert_allclose(found[:, column], sign * wanted, atol=1e-5)
        assert np.linalg.norm(found[:, column]) == pytest.approx(singular[column], rel=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("n", "dim"), [(0, 3), (1, 3), (2, 3), (3, 3), (5, 1), (15, 2)])
def test_few_points_or_dimensions_are_no_problem(n, dim):
    points = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)
    for found in (fit_pca(points), fit_umap(points, 0)):
        assert found.shape == (n, 2)
        assert np.isfinite(found).all()
    if n > 1:  # as many axes as there can be: distances stay
        kept = min(dim, n - 1)
        assert np.abs(found[:, kept:]).max(initial=0) < 1e-6


def test_up_to_fifteen_points_umap_is_said_to_be_pca():
    points = clouds(15)[0]
    assert method_for(15, "umap") == "pca"
    assert method_for(16, "umap") == "umap"
    assert list(umap_steps(points, 0, "x")) == []
    np.testing.assert_array_equal(fit_umap(points, 0), fit_pca(points))


@pytest.mark.parametrize("fit", [fit_pca, lambda points: fit_umap(points, 0)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(fit, bad):
    points = clouds()[0]
    points[4, 2] = bad
    with pytest.raises(ProjectionError, match="1 of 360 are not"):
        fit(points)
    with pytest.raises(ProjectionError, match=r"\(N, d\)"):
        fit(points[0])


# -- UMAP ----------------------------------------------------------------------------------------


def test_umap_keeps_clouds_apart(clouds_umap):
    _, which = clouds()
    distances = np.linalg.norm(clouds_umap[:, None] - clouds_umap[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (which[distances.argmin(axis=1)] == which).all()
    assert clouds_umap.shape == (N, 2)
    assert clouds_umap.dtype == np.float32


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_map(clouds_umap):
    points = clouds()[0]
    np.testing.assert_array_equal(fit_umap(points, seed=3), clouds_umap)
    assert (fit_umap(points, seed=4) != clouds_umap).any()


def test_umap_tells_how_far_it_is():
    steps = []
    found = drive(umap_steps(clouds(600)[0], 0, "keys"), steps.append)
    assert isinstance(found, np.ndarray)
    assert all(isinstance(step, Progress) for step in steps)
    names = stages("keys")
    order = [names.index(step.stage) for step in steps]
    assert order == sorted(order)
    assert order[0] == 0
    for name in names:
        done = [step.done for step in steps if step.stage == name]
        assert done == sorted(done)
    assert all(0 <= step.done <= step.total for step in steps)


@pytest.mark.parametrize("same", [40, 60])
def test_duplicates_however_many_are_no_problem(same):
    points = clouds()[0]
    points[:same] = points[0]
    assert np.isfinite(fit_umap(points, 0)).all()


@pytest.mark.slow
def test_importing_the_studio_imports_neither_umap_nor_numba():
    script = "import sys, munkey_core.studio; print({'umap', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_without_umap_learn_the_message_names_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ProjectionError, match="umap-learn, which is not installed"):
        fit_umap(clouds()[0], 0)


# -- fitted to a bank ----------------------------------------------------------------------------


def fitted(bank, space, seed=0):
    result = finish(fit_map(bank, space, seed))
    return result


@pytest.mark.parametrize("space", SPACES)
def test_a_map_is_in_the_order_of_the_bank(space):
    bank = random_bank(20)
    found = fitted(bank, space)
    assert isinstance(found, FittedMap)
    np.testing.assert_array_equal(found.positions, fit_umap(matrix_of(bank, space), 0))
    assert found.digest == fit_digest(bank, space, 0)


def changed(**what):
    bank = random_bank(8)
    values = {"ids": bank.ids, "keys": bank.keys, "tokens": bank.tokens, **what}
    return MemoryBank(**values)


def test_the_digest_knows_the_bank_the_space_and_the_seed():
    bank = random_bank(8)
    known = {space: fit_digest(bank, space, 0) for space in SPACES}
    assert len({*known.values(), fit_digest(bank, "keys", 1)}) == 3
    assert {s: fit_digest(random_bank(8), s, 0) for s in SPACES} == known
    order = [1, 0, 2, 3, 4, 5, 6, 7]
    others = {
        "ids": changed(ids=["x", *bank.ids[1:]]),
        "keys": changed(keys=bank.keys[order]),
        "tokens": changed(tokens=bank.tokens[order]),
    }
    for name, other in others.items():
        same = {space for space in SPACES if fit_digest(other, space, 0) == known[space]}
        assert same == ({"ids": set(), "keys": {"tokens"}, "tokens": {"keys"}}[name])


def test_tokens_count_as_a_bundle_stores_them():
    tokens = random_bank(8).tokens
    assert (tokens.half().float() != tokens).any()
    rounded = changed(tokens=tokens.half().float())
    assert fit_digest(rounded, "tokens", 0) == fit_digest(random_bank(8), "tokens", 0)


@given(st.sets(st.integers(0, 7), min_size=1, max_size=7))
def test_a_bank_that_lost_a_row_is_another_one(gone):
    bank = random_bank(8)
    rest = bank.without([bank.ids[row] for row in gone])
    for space in SPACES:
        assert fit_digest(rest, space, 0) != fit_digest(bank, space, 0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_must_be_numpys(seed):
    with pytest.raises(BadInputError, match="seed must be between"):
        fitted(random_bank(4), "keys", seed)
    with pytest.raises(BadInputError, match="keys or tokens"):
        fitted(random_bank(4), "colours")


# -- placing new points --------------------------------------------------------------------------

COSINES = st.floats(-1, 1, width=32)


def test_a_placing_worked_by_hand():
    """Distances 1 − s of 0.1 and 0.3: shares 3/4 and 1/4."""
    positions = np.array([[0, 0], [4, 8], [100, 100]], dtype=np.float32)
    found = place(np.array([[0.9, 0.7]], np.float32), np.array([[0, 1]]), positions)
    np.testing.assert_allclose(found, [[1, 2]], rtol=1e-5)


def test_shares_follow_the_squared_distance_of_keys():
    bank = random_bank(9)
    query = torch.nn.functional.normalize(bank.keys[0] + bank.keys[1], dim=0)
    similarity = (bank.keys @ query).numpy()[None]
    wanted = np.array([1 / float(((query - key) ** 2).sum()) for key in bank.keys])
    np.testing.assert_allclose(placing_weights(similarity)[0], wanted / wanted.sum(), rtol=1e-5)


@given(arrays(np.float32, (3, 4), elements=COSINES))
def test_shares_are_shares_and_the_nearer_the_larger(similarity):
    weights = placing_weights(similarity)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    for row, shares in zip(similarity, weights, strict=True):
        order = np.argsort(row)
        assert (np.diff(shares[order]) >= -1e-12).all()


@given(
    arrays(np.float32, (3, 4), elements=COSINES),
    arrays(np.int64, (3, 4), elements=st.integers(0, 5)),
    arrays(np.float32, (6, 2), elements=st.floats(-50, 50, width=32)),
    arrays(np.float32, (1, 4), elements=COSINES),
)
def test_a_point_lies_among_its_neighbours_and_moves_nobody(similarity, rows, positions, another):
    before = positions.copy()
    found = place(similarity, rows, positions)
    np.testing.assert_array_equal(positions, before)
    for angle in np.linspace(0, np.pi, 7):  # in the hull: between the outermost in any direction
        direction = np.array([np.cos(angle), np.sin(angle)])
        along = positions[rows] @ direction
        assert (found @ direction >= along.min(axis=1) - 1e-3).all()
        assert (found @ direction <= along.max(axis=1) + 1e-3).all()
    company = place(np.concatenate([similarity, another]), np.tile(rows[:1], (4, 1)), positions)
    alone = place(similarity[:1], rows[:1], positions)
    np.testing.assert_array_equal(company[0], alone[0])


def test_a_query_with_an_entrys_key_lies_on_its_point():
    bank = random_bank(30)
    rows, similarity = bank.retriever.search(bank.keys, 4, torch.empty(0, dtype=torch.int64))
    positions = fit_pca(matrix_of(bank, "keys"))
    np.testing.assert_array_equal(place(similarity.numpy(), rows.numpy(), positions), positions)


def test_coming_nearer_to_an_entry_a_query_nears_its_point():
    positions = np.array([[0, 0], [10, 0]], dtype=np.float32)
    rows = np.array([[0, 1]])
    near = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0]
    found = [place(np.array([[s, 0.4]], np.float32), rows, positions)[0, 0] for s in near]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 0
    assert found[-2] < 0.01


@pytest.mark.parametrize(
    ("similarity", "rows", "message"),
    [
        (np.zeros((2, 0)), np.zeros((2, 0), int), "at least one neighbour"),
        (np.zeros((2, 3)), np.zeros((2, 2), int), "at least one neighbour"),
        (np.zeros(3), np.zeros(3, int), "at least one neighbour"),
        (np.array([[np.nan]]), np.zeros((1, 1), int), "finite"),
    ],
)
def test_a_placing_without_neighbours_is_refused(similarity, rows, message):
    with pytest.raises(ProjectionError, match=message):
        place(similarity, rows, np.zeros((1, 2), np.float32))
