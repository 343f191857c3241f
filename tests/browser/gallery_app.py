"""The smallest page around a gallery. The query says how it behaves.

``slow``: seconds a run takes; ``take``: read the event at the top of the page, not where the
gallery is drawn; ``single``, ``passive``, ``nothing``: options of the gallery.
"""

from __future__ import annotations

import base64
import io
import json
import time

import numpy as np
import streamlit as st
from PIL import Image

from app.components.gallery import GalleryEvent, Tile, gallery, take_event

PER_PAGE = 12
CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Ankle boot")
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


def picture(seed: int) -> str:
    """Draw something with pixels to count: a lit ellipse on a dark ground, 28x28."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    wide, high = rng.uniform(0.35, 0.9, 2)
    inside = (x / wide) ** 2 + (y / high) ** 4 < 1
    shade = 150 + 90 * (x - y) / 2 + rng.normal(0, 14, (28, 28))
    pixels = np.where(inside, shade, 0).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def tile(i: int) -> Tile:
    return Tile(
        id=f"img-{i:03d}",
        src=picture(i),
        label=HOSTILE if i == 5 else CLASSES[i % len(CLASSES)],
        caption=f"customer {i // 3:04d}",
        badges=("near-copy",) if i in (3, 9) else ("memorised", "exposed") if i == 6 else (),
        state="deleted" if i in (8, 10) else "kept",
    )


st.set_page_config(layout="wide")
query = st.query_params
state = st.session_state
state.setdefault("basket", [])
state.setdefault("events", [])
state.setdefault("page", 0)
state.runs = state.get("runs", 0) + 1


def apply(event: GalleryEvent) -> None:
    kept = [i for i in state.basket if i not in event.removed]
    state.basket = kept + [i for i in event.added if i not in kept]
    state.events.append([list(event.added), list(event.removed)])


if "take" in query:
    take_event("images", apply)

st.title("Training images")
left, middle, right, last, _ = st.columns([1, 1, 1, 1, 4])
if left.button("Turn page"):
    state.page = 1 - state.page
if middle.button("Empty basket"):
    state.basket = []
right.button("Rerun")
moved = last.toggle("Move")

time.sleep(float(query.get("slow", 0)) / 2)
first = state.page * PER_PAGE
shown = [] if "nothing" in query else [tile(i) for i in range(first, first + PER_PAGE)]
with st.container() if moved else st.empty():  # The other place in the tree mounts it anew.
    happened = gallery(
        shown,
        selected=state.basket,
        key="images",
        selectable="passive" not in query,
        single="single" in query,
    )
if happened:
    apply(happened)
time.sleep(float(query.get("slow", 0)) / 2)

with st.container(key="facts"):
    st.text(json.dumps({"basket": sorted(state.basket), "page": state.page, "runs": state.runs}))
with st.container(key="events"):
    st.text(json.dumps(state.events))
st.button("Delete 3 keys", type="primary")
