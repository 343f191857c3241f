"""The smallest page around a memory map. The query says how it behaves.

``n``: points; ``ghosts``: so many are deleted; ``slow``: seconds a run takes; ``before``: deleted
points look like the others; ``passive``: nothing can be picked; ``query``: with a star.
"""

from __future__ import annotations

import base64
import io
import json
import time

import numpy as np
import streamlit as st
from PIL import Image

from app.components.memory_map import (
    Group,
    Link,
    MapEvent,
    Points,
    Query,
    Scene,
    Value,
    map_pictures,
    memory_map,
    points,
)
from app.components.style import use_style
from app.words.theme import palette

CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat")


def positions(n: int) -> np.ndarray:
    """Five clouds side by side, float32 (n, 2)."""
    rng = np.random.default_rng(0)
    centres = np.array([[-6.0, 0], [-3, 3], [0, -1], [3, 3], [6, 0]])
    return (centres[np.arange(n) % 5] + rng.normal(0, 1, (n, 2))).astype(np.float32)


def name(i: int) -> str:
    return f"img-{i:06d}"


@st.cache_resource
def cloud(n: int) -> Points:
    ids = [name(i) for i in range(n)]
    return points(ids, positions(n), [i % 5 for i in range(n)], CLASSES)


def picture(id_: str) -> tuple[str, str]:
    seed = int(id_.removeprefix("img-"))
    pixels = np.random.default_rng(seed).integers(0, 255, (28, 28), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return uri, f"customer {seed // 3:04d}"


def classes(n: int) -> Scene:
    light, dark = palette(dark=False).classes, palette(dark=True).classes
    xy = positions(n)
    groups = [
        Group(
            label,
            light[g],
            dark[g],
            len(xy[g::5]),
            (float(np.median(xy[g::5, 0])), float(np.median(xy[g::5, 1]))),
        )
        for g, label in enumerate(CLASSES)
    ]
    return Scene("Class", groups, np.arange(n) % 5, np.ones(n, bool))


def halves(n: int) -> Scene:
    """Coloured by a number: little or much of it."""
    values = np.linspace(-1, 1, n)
    codes = (values > 0).astype(int)
    groups = [
        Group("little", "#86B0D0", "#226188", int((codes == 0).sum())),
        Group("much", "#003F66", "#B9E2FA", int((codes == 1).sum())),
    ]
    score = Value("By heart", values, 100, 0, True, " points")
    return Scene("By heart", groups, codes, np.ones(n, bool), value=score)


st.set_page_config(layout="wide")
query = st.query_params
state = st.session_state
state.setdefault("basket", [])
state.setdefault("off", ())
state.setdefault("events", [])
state.runs = state.get("runs", 0) + 1
n = int(query.get("n", 2000))


def apply(event: MapEvent) -> None:
    kept = [i for i in state.basket if i not in event.removed]
    state.basket = kept + [i for i in event.added if i not in kept]
    if event.off is not None:
        state.off = event.off
    state.events.append([sorted(event.added), sorted(event.removed), event.off, event.clicked])


use_style()
st.title("Memory map")
left, middle, right, last, _ = st.columns([1, 1, 1, 1, 2])
number = left.toggle("By heart", on_change=lambda: state.update(off=()))
middle.button("Empty basket", on_click=lambda: state.update(basket=[]))
hide = right.toggle("Hide trousers")
last.button("Rerun")

time.sleep(float(query.get("slow", 0)) / 2)
scene = halves(n) if number else classes(n)
shown = np.arange(n) % 5 != 1 if hide else np.ones(n, bool)
answer = None
if "query" in query:
    near = [5, 10, 15, 20]
    links = tuple(
        Link(name(i), tuple(map(float, positions(n)[i])), picture(name(i))[0], f"{s} %", s / 100)
        for i, s in zip(near, (62, 20, 12, 6), strict=True)
    )
    answer = Query((-6.0, 0.0), picture(name(0))[0], "img-000000", links)
memory_map(
    cloud(n),
    Scene(
        scene.title,
        scene.groups,
        scene.codes,
        shown,
        basket=state.basket,
        deleted=[name(i) for i in range(int(query.get("ghosts", 0)))],
        ghosts="before" not in query,
        off=state.off,
        value=scene.value,
        query=answer,
        pickable="passive" not in query,
    ),
    key="map",
    on_event=apply,
)


@st.fragment
def pictures() -> None:
    map_pictures("map", picture)


pictures()
time.sleep(float(query.get("slow", 0)) / 2)
with st.container(key="facts"):
    st.text(
        json.dumps({"basket": sorted(state.basket), "off": list(state.off), "runs": state.runs})
    )
with st.container(key="events"):
    st.text(json.dumps([[len(e[0]), len(e[1]), e[2], e[3]] for e in state.events]))
