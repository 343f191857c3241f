"""Maps of the memory: every entry's key, or token, as a point of a plane (ours).

UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426) keeps neighbourhoods; PCA is the fast
choice until it is ready. A fitted UMAP object could only be kept as a pickle, which bundles forbid:
what is kept are its coordinates, with a digest of what they were fitted on. A new point is placed
by its nearest entries' positions (`place`), so that it never moves another one.

Trustworthiness (Venna and Kaski 2001; 1 = every neighbour on the map is one in the space too) of
the shipped Fashion-MNIST bundle, 15 neighbours by cosine, 2,000 of its 10,000 entries: keys 0.988
by UMAP and 0.910 by PCA, tokens 0.980 and 0.757. Fitted again on one machine, with one thread or
two, the maps are the same to the bit; another machine's may differ.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.bundle.bundle import FittedMap
from munkey_core.bundle.manifest import SPACES
from munkey_core.errors import BadInputError, ProjectionError
from munkey_core.model.bank import MemoryBank
from munkey_core.progress import Progress, Steps
from munkey_core.results import BoolArray, FloatArray, IntArray, check_generation


@dataclass(frozen=True)
class Projection:
    """The entries of a bank as points of a plane.

    ids: N entry ids in bank order. positions: (N, 2) float32, no unit: only nearness means
    something. space: "keys" or "tokens". method: "umap" or "pca". seed: of the method.
    generation: of the memory when it was asked for; forgetting moves no point, so positions are
    the same in every generation, but what is alive is not.
    """

    ids: tuple[str, ...]
    positions: FloatArray
    space: str
    method: str
    seed: int
    generation: int

    def require(self, generation: int) -> Projection:
        """Return self, or raise StaleGenerationError if the bank has moved on since."""
        check_generation(self.generation, generation)
        return self


@dataclass(frozen=True)
class Placement:
    """Where queries lie on a projection that is already drawn; no other point moves for them.

    positions: (Q, 2) float32. exact: (Q,) whether the query is an entry of the bank, which lies
    where the projection has it; the others lie at the weighted mean of their nearest entries.
    """

    positions: FloatArray
    exact: BoolArray
    generation: int


KEYS, TOKENS = SPACES
UMAP = "umap"
PCA = "pca"
METHODS = (UMAP, PCA)
SEED = 0
_LARGEST_SEED = 2**32 - 1  # NumPy's

# Keys are only ever compared by cosine. Tokens are read through a LayerNorm, which takes out their
# length; a map by Euclidean distance is less true to them (trustworthiness 0.916).
_METRIC = "cosine"
_NEIGHBOURS = 15  # umap-learn's default; the entry itself counts as one
_MIN_DIST = 0.1  # umap-learn's default
_MANY = 10_000  # umap-learn's default is 500 epochs for so many points, 200 for more
_BLOCK_CELLS = 8_000_000  # similarities at a time, 32 MB
_LOOK_SECONDS = 0.25
# Nearer than this (1 − cosine) is float32's own rounding: the same key.
_SAME_KEY = 1e-6


def umap_installed() -> bool:
    """Whether umap-learn is there, without importing it."""
    return importlib.util.find_spec("umap") is not None


def method_for(n: int, method: str) -> str:
    """The method that N entries are really drawn with: with no more entries than UMAP's
    neighbourhood has (15) everybody is everybody's neighbour, and PCA stands in for it."""
    return PCA if n <= _NEIGHBOURS else method


def matrix_of(bank: MemoryBank, space: str) -> FloatArray:
    """(N, d) float32 keys or tokens; tokens as a bundle stores them, in half precision.
    Raises BadInputError for another space."""
    check_space(space)
    tensor = bank.keys if space == KEYS else bank.tokens.half().float()
    matrix: FloatArray = tensor.contiguous().numpy()
    return matrix


def check_space(space: str) -> None:
    """Raises BadInputError unless it is one of SPACES."""
    if space not in SPACES:
        raise BadInputError(f"a map's space must be {' or '.join(SPACES)}, got {space!r}")


def fit_digest(bank: MemoryBank, space: str, seed: int) -> str:
    """SHA-256 (hex) of all that a UMAP depends on beside its library's version: the method's
    settings, the ids in bank order, and the matrix."""
    matrix = matrix_of(bank, space)
    settings = {"space": space, "seed": seed, "shape": matrix.shape}
    settings |= {"init": PCA, **_settings(len(matrix))}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update("\n".join(bank.ids).encode() + b"\0")
    digest.update(matrix.tobytes())
    return digest.hexdigest()


def fit_map(bank: MemoryBank, space: str, seed: int = SEED) -> Steps[FittedMap]:
    """Yield progress; return the seeded UMAP of a bank's keys or tokens.

    Raises BadInputError for another space or seed, ProjectionError where umap-learn is missing.
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise BadInputError(f"a map's seed must be between 0 and {_LARGEST_SEED}, got {seed}")
    positions = yield from umap_steps(matrix_of(bank, space), seed, space)
    return FittedMap(positions, seed, fit_digest(bank, space, seed))


def fit_maps(bank: MemoryBank, seed: int = SEED) -> Steps[dict[str, FittedMap]]:
    """Yield progress; return the map of every space."""
    found: dict[str, FittedMap] = {}
    for space in SPACES:
        found[space] = yield from fit_map(bank, space, seed)
    return found


def stages(name: str) -> tuple[str, str, str]:
    """What `umap_steps` calls its stages: finding neighbours; importing UMAP and joining them into
    a graph, which can't be watched; laying the graph out. name: of the points."""
    return f"neighbours of {name}", f"preparing map of {name}", f"map of {name}"


def umap_steps(matrix: FloatArray, seed: int, name: str) -> Steps[FloatArray]:
    """Yield progress, in `stages(name)`; return (N, 2) float32 of (N, d) float32 by UMAP over
    cosines, the same for the same seed on one machine. Up to 15 points are drawn by PCA instead
    (`method_for`). Raises ProjectionError for values that are not finite, or where umap-learn is
    missing.

    Neighbours are exact, not NN-descent's approximate ones, and the start is PCA, not the spectral
    layout: both are quick, need no luck, and the map stays turned as its PCA is. Whoever stops
    listening leaves a thread behind that runs to its end; a process of its own can be stopped.
    """
    _check(matrix)
    start = time.perf_counter()
    if method_for(len(matrix), UMAP) == PCA:
        return fit_pca(matrix)
    if not umap_installed():
        raise ProjectionError("fitting a UMAP needs the package umap-learn, which is not installed")
    settings = _settings(len(matrix))
    comparing, preparing, drawing = stages(name)
    points = F.normalize(torch.from_numpy(np.array(matrix)), dim=1)
    found, block = [], max(1, _BLOCK_CELLS // len(points))
    for first in range(0, len(points), block):
        yield _progress(comparing, first, len(points), start, (0, start))
        found.append(_nearest(points, slice(first, first + block)))
    rows = np.concatenate([rows for rows, _ in found])
    distances = np.concatenate([distances for _, distances in found])
    layout = _Layout(matrix, rows, distances, settings, seed)
    layout.start()
    began: tuple[int, float] | None = None
    while layout.is_alive():
        if not layout.done:
            yield _progress(preparing, 0, 1, start, None)
        else:
            began = began or (layout.done, time.perf_counter())
            yield _progress(drawing, layout.done, settings["n_epochs"], start, began)
        layout.join(_LOOK_SECONDS)
    return layout.result()


def fit_pca(matrix: FloatArray) -> FloatArray:
    """(N, d) float32 → (N, 2) float32: the two principal components, largest first.

    Deterministic: worked out in float64, and of each axis the largest entry (in size) is positive.
    An axis that the points don't spread along is zeros. Raises ProjectionError for values that
    are not finite.
    """
    _check(matrix)
    positions = np.zeros((len(matrix), 2), dtype=np.float32)
    if len(matrix) < 2:
        return positions
    centred = matrix.astype(np.float64)
    centred -= centred.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, : min(2, len(matrix) - 1)]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    positions[:, : axes.shape[1]] = centred @ axes
    return positions


def place(similarity: FloatArray, rows: IntArray, positions: FloatArray) -> FloatArray:
    """(Q, 2) float32 positions of new points among those of their K nearest keys.

    similarity: (Q, K) cosines. rows: (Q, K) rows of the neighbours. positions: (N, 2).
    The mean of the neighbours' positions, weighted by `placing_weights`: inside their hull, and
    if they lie in different parts of the map between these, where no entry need be. Ours; UMAP's
    own transform starts from such a mean and then lets the point settle.
    """
    if similarity.shape != rows.shape or similarity.ndim != 2 or not similarity.shape[1]:
        raise ProjectionError(
            "placing needs the same rows and similarities of at least one neighbour each, got "
            f"{rows.shape} and {similarity.shape}"
        )
    weights = placing_weights(similarity)
    placed: FloatArray = np.einsum("qk,qkc->qc", weights, positions[rows]).astype(np.float32)
    return placed


def placing_weights(similarity: FloatArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(Q, K) float64 shares of neighbours, rows sum to 1: Shepard's inverse squared distance.

    w_k ∝ 1 / (1 − s_k), which is 1 / ‖q − k‖² up to a factor for keys of unit length (Shepard
    1968). A neighbour with the query's own key takes all of it; several such share it.
    """
    if not np.isfinite(similarity).all():
        raise ProjectionError("similarities must be finite numbers")
    distance = 1.0 - similarity.astype(np.float64)
    same = distance <= _SAME_KEY
    weights = np.where(
        same.any(axis=1, keepdims=True), same.astype(np.float64), 1.0 / distance.clip(_SAME_KEY)
    )
    shares: np.ndarray[Any, np.dtype[np.float64]] = weights / weights.sum(axis=1, keepdims=True)
    return shares


# -- inside UMAP -------------------------------------------------------------------------------


def _settings(n: int) -> dict[str, Any]:
    """umap-learn's defaults, spelled out: a later version's others would be another map."""
    return {
        "n_neighbors": _NEIGHBOURS,
        "min_dist": _MIN_DIST,
        "metric": _METRIC,
        "n_epochs": 500 if n <= _MANY else 200,
    }


def _check(matrix: FloatArray) -> None:
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise ProjectionError(f"a map needs a matrix (N, d), got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).sum())
        raise ProjectionError(f"a map needs finite numbers, {bad} of {matrix.size} are not")


def _nearest(points: Tensor, block: slice) -> tuple[IntArray, FloatArray]:
    """Rows and cosine distances, each (B, 15), of the points nearest to one block, itself first.

    points: (N, d) of unit length.
    """
    distances = (points[block] @ points.T).neg_().add_(1)
    own = torch.arange(len(distances))
    distances[own, block.start + own] = -1  # before its duplicates
    nearest, rows = distances.topk(_NEIGHBOURS, largest=False)
    return rows.numpy(), nearest.clamp(min=0).numpy()


def _start(matrix: FloatArray, seed: int) -> FloatArray:
    """Where UMAP's points set out from: their PCA, and a little noise that parts duplicates."""
    start = fit_pca(matrix)
    noise = np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)
    return (start / (start.std() or 1.0) + noise).astype(np.float32)


class _Layout(threading.Thread):
    """UMAP's own work, in a thread, because it can only be watched from beside it."""

    def __init__(
        self,
        matrix: FloatArray,
        rows: IntArray,
        distances: FloatArray,
        settings: dict[str, Any],
        seed: int,
    ) -> None:
        super().__init__(name="umap", daemon=True)
        self._matrix, self._rows, self._distances = matrix, rows, distances
        self._settings, self._seed = settings, seed
        self._positions: FloatArray | None = None
        self._error: Exception | None = None
        self.done = 0  # epochs

    def result(self) -> FloatArray:
        """The positions. Raises what went wrong."""
        if self._error is not None:
            raise ProjectionError(f"UMAP failed: {self._error}") from self._error
        if self._positions is None or not np.isfinite(self._positions).all():
            raise ProjectionError("UMAP gave positions that are not finite")
        return self._positions

    def run(self) -> None:
        try:
            import umap  # takes seconds: never on the way to the first screen

            progress = {
                "file": self,
                "bar_format": "{n}",
                "mininterval": _LOOK_SECONDS,
                "miniters": 1,
                "disable": False,
            }
            model = umap.UMAP(
                **self._settings,
                init=_start(self._matrix, self._seed),
                random_state=self._seed,
                n_jobs=1,  # the only way to be the same twice
                precomputed_knn=(self._rows, self._distances),
                tqdm_kwds=progress,
            )
            with warnings.catch_warnings():
                # That a new point can't be transformed, which we don't want.
                warnings.filterwarnings("ignore", message="precomputed_knn", module="umap")
                self._positions = model.fit_transform(self._matrix).astype(np.float32)
        except Exception as error:  # told by `result`, in the thread that asks
            self._error = error

    def write(self, text: str) -> None:
        """What tqdm, which counts UMAP's epochs, writes to its file."""
        count = text.strip()
        self.done = int(count) if count.isdigit() else self.done

    def flush(self) -> None:
        """Nothing is held back."""


def _progress(
    stage: str, done: int, total: int, start: float, began: tuple[int, float] | None
) -> Progress:
    """began: a step that was done, and when; what came since tells what is left."""
    now, left = time.perf_counter(), None
    if began is not None and done > began[0]:
        left = (now - began[1]) / (done - began[0]) * (total - done)
    return Progress(stage, done, total, now - start, left)
