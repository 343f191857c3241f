"""The memory map: every memory as a point that one can look at, pick and see disappear.

Plotly draws the points on the graphics card; what a person does with them is handled here, since
Streamlit's chart can neither clear a selection nor treat Shift as "take out". The browser names
images by their ids, never by positions or point numbers, and Python checks each id that comes
back through an :class:`~app.components.action_log.ActionLog`. ``memory_map.js`` is the other half.

What never changes (:class:`Points`) travels as one message of bytes that Streamlit's cache keeps
in the browser; what does (:class:`Scene`) is small:

>>> cloud = points(ids, positions, labels, classes)  # doctest: +SKIP
>>> memory_map(cloud, scene, key="map", on_event=apply)  # doctest: +SKIP
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from app.components.action_log import ActionLog, kept
from app.components.plotly_library import plotly_library
from app.components.script import script

_HERE = Path(__file__).parent
_STATE_PREFIX = "_memory_map:"
_JS = script(_HERE / "memory_map.js")
MAX_WANTED = 200
"""So many pictures are asked for at once, at most."""
_MOST_GROUPS = 10_000

# One script for all three, which tell by their data what they are: parts of one map have to be in
# one module to know each other.
_map = st.components.v2.component(
    "munkey_memory_map",
    html=(_HERE / "memory_map.html").read_text(encoding="utf-8"),
    css=(_HERE / "memory_map.css").read_text(encoding="utf-8"),
    js=_JS,
    isolate_styles=False,  # Plotly writes its own rules into the page.
)
_points = st.components.v2.component("munkey_memory_map_points", js=_JS, isolate_styles=False)
_pictures = st.components.v2.component("munkey_memory_map_pictures", js=_JS, isolate_styles=False)

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Points:
    """What stays the same while people look at one map. Make it with :func:`points`."""

    name: str
    payload: bytes = field(repr=False)
    ids: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class Group:
    """One line of the legend: a class, an owner, a range of a score.

    light, dark: its colour in either mode. at: where its name stands on the map, None for nowhere.
    """

    label: str
    light: str
    dark: str
    count: int
    at: tuple[float, float] | None = None


@dataclass(frozen=True)
class Value:
    """The number behind a colouring, for the tooltip: name, then value · factor, then unit."""

    name: str
    values: Floats
    factor: float = 1.0
    digits: int = 0
    signed: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Link:
    """A line from the query to one who answers. share: in words, e.g. "62 %". gone: answers no
    more, as its key is deleted."""

    id: str
    at: tuple[float, float]
    picture: str
    share: str
    weight: float
    gone: bool = False


@dataclass(frozen=True)
class Query:
    """The star on the map and its neighbours. note: a few words under the star."""

    at: tuple[float, float]
    picture: str
    label: str
    links: tuple[Link, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Scene:
    """How the points are to be shown now.

    title: of the legend. codes: (N,) group of each point, an index into groups. shown: (N,) bool,
    False for points that a filter leaves out. basket, deleted: ids. ghosts: whether deleted
    points are drawn as such ("after") or like the others ("before"). off: groups that the legend
    hides. pickable: False for a mere display.
    """

    title: str
    groups: Sequence[Group]
    codes: npt.NDArray[np.integer[Any]]
    shown: npt.NDArray[np.bool_]
    basket: Sequence[str] = ()
    deleted: Sequence[str] = ()
    ghosts: bool = True
    off: Sequence[int] = ()
    value: Value | None = None
    query: Query | None = None
    pickable: bool = True


@dataclass(frozen=True)
class MapEvent:
    """What a person did since the last event, each id in at most one of the two.

    off: the legend's hidden groups if they changed. clicked: the id clicked last, "" for none.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    off: tuple[int, ...] | None = None
    clicked: str = ""


@dataclass
class _Record:
    """What this session knows of one map; changed in place, as its log is."""

    log: ActionLog = field(default_factory=ActionLog)
    ids: frozenset[str] = frozenset()
    inbox: dict[str, bool] = field(default_factory=dict)  # id -> added
    off: tuple[int, ...] | None = None
    clicked: str = ""

    @property
    def news(self) -> bool:
        return bool(self.inbox) or self.off is not None or bool(self.clicked)


def points(
    ids: Sequence[str], positions: Floats, labels: Sequence[int], classes: Sequence[str]
) -> Points:
    """Pack the points of a map. positions: (N, 2). labels: (N,) index into classes.

    Raises ValueError if they don't fit together, or a position is not finite.
    """
    if positions.shape != (len(ids), 2) or len(labels) != len(ids):
        raise ValueError(
            f"a map of {len(ids)} ids needs as many labels and positions of shape "
            f"({len(ids)}, 2), got {len(labels)} labels and positions {positions.shape}"
        )
    if not np.isfinite(positions).all():
        raise ValueError("positions on a map must be finite")
    body = b"".join(
        (
            np.ascontiguousarray(positions, dtype="<f4").tobytes(),
            np.asarray(labels, dtype="<u2").tobytes(),
            "\n".join(ids).encode(),
        )
    )
    name = hashlib.sha256(body + "\n".join(classes).encode()).hexdigest()[:24]
    head = {"role": "points", "name": name, "n": len(ids), "classes": list(classes)}
    return Points(name, json.dumps(head).encode() + b"\n" + body, frozenset(ids))


def memory_map(
    cloud: Points,
    scene: Scene,
    *,
    key: str,
    on_event: Callable[[MapEvent], None],
    height: int = 430,
    print_scale: float = 1.0,
) -> None:
    """Draw the map. A person's next action runs the page again, with `on_event` called first.

    Click toggles a point in the basket; a lasso or box adds what it encloses, with Shift it takes
    it out; the legend hides groups. Arrow keys go from point to point, Space toggles, and a button
    picks all that is on screen. Deleted and hidden points are never picked.

    Args:
        cloud: The points, all of them, deleted ones too.
        scene: How they are shown.
        key: Names this map in the session.
        on_event: Called before the page runs with what the person did; it counts as handed out
            only when this has returned (see :func:`take_event`).
        height: Of the points' area, in CSS pixels.
        print_scale: How many times their normal size names and pictures on it have.
    """
    record = kept(_STATE_PREFIX + key, _Record)
    record.ids = cloud.ids

    def received() -> None:
        take_event(key, on_event)

    plotly_library()
    _points(key=key + "-mkmap-part", data=cloud.payload)
    _map(
        key=key,
        data={
            "role": "map",
            **record.log.head,
            "points": cloud.name,
            "height": height,
            "print": print_scale,
            "title": scene.title,
            "groups": [asdict(group) for group in scene.groups],
            "codes": _base64(np.asarray(scene.codes), "<u2"),
            "shown": _base64(np.asarray(scene.shown), "u1"),
            "basket": list(scene.basket),
            "deleted": list(scene.deleted),
            "ghosts": scene.ghosts,
            "off": list(scene.off),
            "value": _value(scene.value),
            "query": asdict(scene.query) if scene.query else None,
            "pickable": scene.pickable,
        },
        on_batch_change=received,
    )


def take_event(key: str, apply: Callable[[MapEvent], None]) -> bool:
    """Hand what the person did to `apply`, once; return whether there was anything."""
    record = kept(_STATE_PREFIX + key, _Record)
    _receive(key, record)
    if not record.news:
        return False
    apply(
        MapEvent(
            added=tuple(id_ for id_, on in record.inbox.items() if on),
            removed=tuple(id_ for id_, on in record.inbox.items() if not on),
            off=record.off,
            clicked=record.clicked,
        )
    )
    record.inbox.clear()
    record.off, record.clicked = None, ""
    record.log.deliver()
    return True


def map_pictures(key: str, answer: Callable[[str], tuple[str, str] | None]) -> None:
    """Give the map of this key the pictures it asks for; call it inside an ``st.fragment``.

    answer: id → data URI and one line about the image; None for an id that is not known.
    """
    record = kept(_STATE_PREFIX + key, _Record)
    name = key + "-mkmap-part-pictures"
    state = st.session_state.get(name)
    wanted = state.get("wanted") if isinstance(state, Mapping) else None
    ids = [i for i in wanted if isinstance(i, str)] if isinstance(wanted, list) else []
    known = {id_: answer(id_) for id_ in ids[:MAX_WANTED] if id_ in record.ids}
    _pictures(
        key=name,
        data={
            "role": "pictures",
            "scope": record.log.scope,
            "pictures": {id_: list(found) for id_, found in known.items() if found},
        },
        on_wanted_change=lambda: None,
    )


def _base64(values: npt.NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()


def _value(value: Value | None) -> dict[str, Any] | None:
    if value is None:
        return None
    plain = {name: getattr(value, name) for name in ("name", "factor", "digits", "signed", "unit")}
    return plain | {"values": _base64(value.values, "<f4")}


def _receive(key: str, record: _Record) -> None:
    """Take the actions not seen yet from the component's state into the inbox."""
    for action in record.log.news(key):
        match action:
            case ["add" | "remove" | "click-add" | "click-remove" as kind, [*values]]:
                ids = [id_ for id_ in values if isinstance(id_, str) and id_ in record.ids]
                for id_ in ids:
                    record.inbox.pop(id_, None)  # The last word also decides the order.
                    record.inbox[id_] = kind in ("add", "click-add")
                if ids and kind.startswith("click"):
                    record.clicked = ids[-1]
            case ["off", [*groups]] if all(
                type(group) is int and 0 <= group < _MOST_GROUPS for group in groups
            ):
                record.off = tuple(groups)
    if not record.news:
        record.log.deliver()
