"""By what the points of the memory map are coloured: the groups of its legend."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from app.components.heatmap import between
from app.components.memory_map import Group, Value
from app.session import properties, state
from app.session.services import MEMORISATION, Session
from app.words.theme import palette
from munkey_core.results import FloatArray

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_OWNERS = 10
_MEMORISED = (0.01, 0.05, 0.2, 0.5, 0.8)
_SHARES = (0.5, 0.8, 0.95, 0.99)
_SHARE_NAMES = ("lower half", "top 20 to 50 %", "top 5 to 20 %", "top 1 to 5 %", "top 1 %")
_HEART_CELLS = 14


@dataclass(frozen=True)
class Colouring:
    """codes: (N,) group of each entry in bank order. labels, light, dark: of the groups, the one
    drawn last, on top, at the end. named: whether the groups' names belong on the map."""

    title: str
    labels: tuple[str, ...]
    light: tuple[str, ...]
    dark: tuple[str, ...]
    codes: Codes = field(repr=False)
    value: Value | None = field(default=None, repr=False)
    named: bool = False

    def groups(self, counted: Mask, positions: FloatArray) -> list[Group]:
        """The lines of the legend. counted: (N,) which entries count. positions: (N, 2)."""
        counts = np.bincount(self.codes[counted], minlength=len(self.labels))
        return [
            Group(
                label,
                self.light[g],
                self.dark[g],
                int(counts[g]),
                _heart(positions[counted & (self.codes == g)]) if self.named else None,
            )
            for g, label in enumerate(self.labels)
        ]


def offered(session: Session) -> list[str]:
    """Values of the property "colour" for which this model has what it takes."""
    there = {
        "owner": bool(session.studio.memory.owners),
        "memorisation": session.scored,
        "exposure": session.studio.privacy.has_exposure,
        "influence": session.studio.explain.influence() is not None,
    }
    return [name for name in properties.COLOURS if there.get(name, True)]


def colouring(session: Session, name: str) -> Colouring:
    """The groups of one colouring; "deleted" depends on the basket, the others don't."""
    if name == "deleted":
        return _by_state(session)
    make = {
        "class": _by_class,
        "owner": _by_owner,
        "memorisation": _by_memorisation,
        "exposure": _by_exposure,
        "influence": _by_influence,
    }[name]
    return session.remember(("map-colours", name), lambda: make(session))


def labels(session: Session) -> Codes:
    """(N,) class of each entry."""
    memory = session.studio.memory
    return session.remember(
        "map-labels", lambda: np.array([memory.record(i).label for i in memory.private_ids()])
    )


def owners(session: Session) -> npt.NDArray[Any]:
    """(N,) owner of each entry, a text."""
    memory = session.studio.memory
    return session.remember(
        "map-owners", lambda: np.array([memory.record(i).owner for i in memory.private_ids()])
    )


def _by_class(session: Session) -> Colouring:
    names = session.studio.about.classes
    light, dark = (_repeated(palette(mode).classes, len(names)) for mode in (False, True))
    return Colouring("Class", names, light, dark, labels(session), named=len(names) <= 20)


def _by_owner(session: Session) -> Colouring:
    """The largest owners each, drawn over all others."""
    largest = list(session.studio.memory.owners)[:_OWNERS]
    of = owners(session)
    codes = np.zeros(len(of), dtype=np.int64)
    for g, name in enumerate(largest, start=1):
        codes[of == name] = g
    first = (f"{len(session.studio.memory.owners) - len(largest):,} others",)
    light, dark = (
        (palette(mode).neutral, *_repeated(palette(mode).classes, len(largest)))
        for mode in (False, True)
    )
    title = session.owner_word.capitalize()
    return Colouring(title, (*first, *largest), light, dark, codes)


def _by_memorisation(session: Session) -> Colouring:
    studio = session.studio
    values = np.array([studio.memory.score(MEMORISATION, i) for i in studio.memory.private_ids()])
    points = [round(100 * edge) for edge in _MEMORISED]
    ranges = [f"+{a} to +{b}" for a, b in pairwise(points)]
    names = (f"under +{points[0]}", *ranges, f"over +{points[-1]}")
    value = Value("By heart", values, 100, 0, signed=True)
    return _by_number("By heart, in points", names, values, _MEMORISED, value)


def _by_exposure(session: Session) -> Colouring:
    found = session.studio.privacy.exposure
    if found is None:
        return _by_class(session)
    values = np.array([found.scores[id_] for id_ in session.studio.memory.private_ids()])
    value = Value(f"{found.attack} score", values, 1, 1, signed=True)
    return _by_number("Exposed to the attack", _SHARE_NAMES, values, _edges(values), value)


def _by_influence(session: Session) -> Colouring:
    found = session.studio.explain.influence()
    if found is None:
        return _by_class(session)
    value = Value("Influence on test images", found.total, 1, 2)
    names, edges = _SHARE_NAMES, _edges(found.total)
    return _by_number("Influence on test images", names, found.total, edges, value)


def _by_number(
    title: str,
    names: tuple[str, ...],
    values: npt.NDArray[Any],
    edges: tuple[float, ...],
    value: Value,
) -> Colouring:
    codes = np.searchsorted(np.array(edges), values, side="left").astype(np.int64)
    light, dark = (_scale(palette(mode).sequential, len(names)) for mode in (False, True))
    return Colouring(title, names, light, dark, codes, value)


def _edges(values: npt.NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(edge) for edge in np.quantile(values, _SHARES))


def _by_state(session: Session) -> Colouring:
    memory, picked = session.studio.memory, frozenset(state.get("basket"))
    codes = np.array(
        [2 if memory.is_forgotten(i) else int(i in picked) for i in memory.private_ids()],
        dtype=np.int64,
    )
    light, dark = (
        (palette(mode).retain, palette(mode).forget, palette(mode).muted) for mode in (False, True)
    )
    return Colouring("Memory", ("kept", "in the basket", "deleted"), light, dark, codes)


def _repeated(colours: tuple[str, ...], n: int) -> tuple[str, ...]:
    return tuple(colours[i % len(colours)] for i in range(n))


def _scale(colours: tuple[str, ...], n: int) -> tuple[str, ...]:
    """n colours from a little to much. The very first of the scale is the page's own and would
    not be seen on it."""
    first = 1 / (len(colours) - 1)
    mixed = between(colours, np.linspace(first, 1, n))
    return tuple("#" + "".join(f"{v:02X}" for v in row) for row in mixed)


def _heart(positions: FloatArray) -> tuple[float, float] | None:
    """Where most of them lie, in the middle of the fullest cell of a grid: a class of two clouds
    has its median in neither of them."""
    if not len(positions):
        return None
    counts, x, y = np.histogram2d(positions[:, 0], positions[:, 1], bins=_HEART_CELLS)
    i, j = np.unravel_index(int(counts.argmax()), counts.shape)
    inside = (
        (positions[:, 0] >= x[i])
        & (positions[:, 0] <= x[i + 1])
        & (positions[:, 1] >= y[j])
        & (positions[:, 1] <= y[j + 1])
    )
    middle = np.median(positions[inside], axis=0)
    return float(middle[0]), float(middle[1])
