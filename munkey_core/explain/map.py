"""The door to maps of the memory: what a session asks of projections."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from weakref import WeakValueDictionary

import numpy as np

from munkey_core.bundle.bundle import Bundle, FittedMap
from munkey_core.bundle.manifest import PROJECTIONS, SPACES
from munkey_core.bundle.read import read_bundle, read_projections
from munkey_core.bundle.versions import rewriting
from munkey_core.bundle.write import seal, write_projections
from munkey_core.errors import BadInputError, BundleError, ProjectionError
from munkey_core.explain.projection import (
    METHODS,
    PCA,
    SEED,
    Placement,
    Projection,
    check_space,
    fit_digest,
    fit_map,
    fit_pca,
    matrix_of,
    method_for,
    place,
)
from munkey_core.files.cache import cache_folder
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Prediction
from munkey_core.progress import Steps
from munkey_core.results import FloatArray, check_generation


class BankMaps:
    """What is known of one bank's maps, worked out once and shared by all sessions."""

    def __init__(self, bank: MemoryBank) -> None:
        self._bank = bank
        self._lock = RLock()
        self._pca: dict[str, FloatArray] = {}
        self._umap: dict[str, FittedMap] = {}
        self._digests: dict[tuple[str, int], str] = {}

    def digest(self, space: str, seed: int = SEED) -> str:
        """`fit_digest`, hashed once."""
        with self._lock:
            if (space, seed) not in self._digests:
                self._digests[space, seed] = fit_digest(self._bank, space, seed)
            return self._digests[space, seed]

    def folder(self) -> Path:
        """The cache's folder for this bank's maps, whether it is there yet or not."""
        both = "".join(self.digest(space) for space in SPACES)
        name = hashlib.sha256(both.encode()).hexdigest()[:24]
        return cache_folder() / "projections" / name

    def path(self, space: str, seed: int = SEED) -> Path:
        """Where the cache keeps a map, whether it is there yet or not."""
        return self.folder() / f"{space}-{self.digest(space, seed)[:24]}.safetensors"

    def pca(self, space: str) -> FloatArray:
        """(N, 2) float32, read-only."""
        with self._lock:
            if space not in self._pca:
                self._pca[space] = _read_only(fit_pca(matrix_of(self._bank, space)))
            return self._pca[space]

    def umap(self, space: str, shipped: FittedMap | None) -> FittedMap | None:
        """The shipped map if it was fitted on this very bank, else the cache's, else None."""
        with self._lock:
            if space not in self._umap:
                found = shipped if self._fits(space, shipped) else self.cached(space)
                if found is None:
                    return None
                _read_only(found.positions)
                self._umap[space] = found
            return self._umap[space]

    def cached(self, space: str, seed: int = SEED) -> FittedMap | None:
        """A map from the cache, None if it isn't there; a damaged file counts as none."""
        path = self.path(space, seed)
        if not path.is_file():
            return None
        try:
            found = read_projections(path, len(self._bank)).get(space)
        except BundleError:
            found = None
        if found is None or found.seed != seed or not self._fits(space, found):
            path.unlink(missing_ok=True)
            return None
        return found

    def fit(self, space: str, seed: int = SEED) -> Steps[FittedMap]:
        """Yield progress; return the UMAP, which is kept in the cache."""
        fitted = yield from fit_map(self._bank, space, seed)
        write_projections(self.path(space, seed), {space: fitted})
        return fitted

    def _fits(self, space: str, fitted: FittedMap | None) -> bool:
        return fitted is not None and fitted.digest == self.digest(space, fitted.seed)


class Maps:
    """Maps of one bundle's memory as one session sees it."""

    def __init__(self, bundle: Bundle, view: BankView) -> None:
        self._bundle = bundle
        self._view = view
        self._known = maps_of(bundle.bank)

    def ready(self, space: str, method: str = "umap") -> bool:
        """Whether `projection` would answer at once instead of raising ProjectionError.

        Raises BadInputError for another space or method."""
        return self._method(space, method) == PCA or self._umap(space) is not None

    def projection(self, space: str = "keys", method: str = "umap") -> Projection:
        """All entries of the undiminished bank, forgotten ones too, as points.

        PCA is computed on the spot, once; UMAP comes from the bundle or from an earlier `fit`. Up
        to 15 entries are drawn by PCA whatever was asked for, and the result's `method` says so.
        Raises ProjectionError if nobody has fitted the UMAP, or if the bundle's is another
        memory's; BadInputError for another space or method.
        """
        if self._method(space, method) == PCA:
            return self._projection(space, PCA, self._known.pca(space), 0)
        fitted = self._umap(space)
        if fitted is None:
            raise ProjectionError(self._why_none(space))
        return self._projection(space, method, fitted.positions, fitted.seed)

    def fit(self, space: str = "keys") -> Steps[Projection]:
        """Yield progress; return the seeded UMAP, which is kept in the cache.

        Raises BadInputError for another space, ProjectionError where umap-learn is missing.
        """
        yield from self._known.fit(space)
        self._bundle.settle(self._known.path(space))
        return self.projection(space)

    def place(self, prediction: Prediction, ids: Sequence[str], on: Projection) -> Placement:
        """Where predicted images lie on a map. ids: their ids, "" for a person's own image.

        An entry of the undiminished bank lies on its own point, or its ghost; any other image at
        the weighted mean of the K entries that answered for it (`projection.place`). Raises
        StaleGenerationError if one of the two belongs to another state of the memory,
        ProjectionError for a map of another memory or an image for which no key is left.
        """
        check_generation(prediction.generation, self._view.generation)
        on.require(self._view.generation)
        self._check_map(on)
        found = prediction.retrieval
        if len(ids) != len(found.ids):
            raise BadInputError(f"{len(found.ids)} images were predicted, got {len(ids)} ids")
        bank = self._bundle.bank
        exact = np.array([id_ in bank for id_ in ids], dtype=np.bool_)
        positions = np.zeros((len(ids), 2), dtype=np.float32)
        positions[exact] = self.positions([id_ for id_ in ids if id_ in bank], on)
        if not exact.all():
            if not found.similarity.shape[1]:
                raise ProjectionError("the memory is empty: no key is left to place an image by")
            near = [row for row, is_entry in zip(found.ids, exact, strict=True) if not is_entry]
            rows = np.stack([bank.rows(row).numpy() for row in near])
            positions[~exact] = place(found.similarity[~exact], rows, on.positions)
        return Placement(positions, exact, self._view.generation)

    def positions(self, ids: Sequence[str], on: Projection) -> FloatArray:
        """(n, 2) float32 positions of entries, in the order of `ids`; the same in every
        generation. Raises UnknownIdError, ProjectionError for a map of another memory."""
        self._check_map(on)
        found: FloatArray = on.positions[self._bundle.bank.rows(ids).numpy()]
        return found

    def _umap(self, space: str) -> FittedMap | None:
        return self._known.umap(space, self._bundle.projections.get(space))

    def _method(self, space: str, method: str) -> str:
        """The method that is really used."""
        check_space(space)
        if method not in METHODS:
            raise BadInputError(f"a map's method must be {' or '.join(METHODS)}, got {method!r}")
        return method_for(len(self._bundle.bank), method)

    def _projection(self, space: str, method: str, positions: FloatArray, seed: int) -> Projection:
        ids = self._bundle.bank.ids
        return Projection(ids, positions, space, method, seed, self._view.generation)

    def _why_none(self, space: str) -> str:
        folder = self._bundle.folder
        name = folder.resolve().name if folder else self._bundle.manifest.name
        if space in self._bundle.projections:
            why = f"the map of the {space} in this bundle was fitted on another memory"
        else:
            why = f"nobody has fitted a map of the {space} yet"
        return f"{why}: run `munkey project {name}`, or look at its PCA meanwhile"

    def _check_map(self, on: Projection) -> None:
        if on.ids != self._bundle.bank.ids or on.positions.shape != (len(on.ids), 2):
            raise ProjectionError("this map belongs to another memory: ask for it again")


_KNOWN: WeakValueDictionary[int, BankMaps] = WeakValueDictionary()
_KNOWN_LOCK = RLock()


def maps_of(bank: MemoryBank) -> BankMaps:
    """The maps of a bank: the same object for the same bank as long as anybody holds it."""
    with _KNOWN_LOCK:
        known = _KNOWN.get(id(bank))
        if known is None:
            known = _KNOWN[id(bank)] = BankMaps(bank)
        return known


def save_projections(folder: Path, fitted: dict[str, FittedMap]) -> None:
    """Put maps into a bundle, beside those of other spaces, and seal it anew.

    Raises ProjectionError if the bundle's memory is not the one that they were fitted on.
    """
    with rewriting(folder) as draft:
        bundle = read_bundle(draft)
        for space, one in fitted.items():
            if one.digest != fit_digest(bundle.bank, space, one.seed):
                raise ProjectionError(
                    f"bundle {folder.name} has changed since its {space} were fitted"
                )
        write_projections(draft / PROJECTIONS, {**bundle.projections, **fitted})
        seal(draft, bundle.manifest)


def _read_only(positions: FloatArray) -> FloatArray:
    positions.setflags(write=False)
    return positions
