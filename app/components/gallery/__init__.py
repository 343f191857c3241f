"""The gallery: a grid of small images that one selects by mouse or keyboard.

The page owns the selection (a basket that spans pages of the gallery); the browser only reports
what was added and removed, as ids, through an :class:`~app.components.action_log.ActionLog`. A
click shows at once, before Python answers. ``gallery.js`` is the other half of this file.

A page reads the event first and draws afterwards, so that one run shows everything up to date:

>>> if event := take_event("images"):  # doctest: +SKIP
...     basket = (basket | set(event.added)) - set(event.removed)
>>> gallery(tiles, selected=basket, key="images")  # doctest: +SKIP
"""

import base64
import binascii
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app.components.action_log import ActionLog, kept
from app.components.script import script

_HERE = Path(__file__).parent
_STATE_PREFIX = "_gallery:"
_HTML = (
    '<div class="gallery"><div class="grid"></div><div class="empty" hidden></div>'
    '<div class="live" role="status"></div><div class="keys" id="keys"></div></div>'
)

_component = st.components.v2.component(
    "munkey_gallery",
    html=_HTML,
    css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
    js=script(_HERE / "gallery.js"),
)


@dataclass(frozen=True)
class Tile:
    """One image of the gallery. All texts are shown as text, whatever they contain.

    id: stable, and what comes back in a :class:`GalleryEvent`. src: a ``data:image/...`` URI.
    label: the first line, e.g. the class. caption: a smaller one, e.g. the owner. badges: short
    words in pills. state: "deleted" is drawn as gone. alt: describes the picture where the label
    does not.
    """

    id: str
    src: str
    label: str
    caption: str = ""
    badges: tuple[str, ...] = ()
    state: Literal["kept", "deleted"] = "kept"
    alt: str = ""


@dataclass(frozen=True)
class GalleryEvent:
    """What the person changed since the last event, each id in at most one of the two.

    Apply it as ``(basket | added) - removed``. An id may already be in (or out of) the basket:
    somebody who adds and removes within one batch is reported by the last word only.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass
class _Record:
    """What this session knows of one gallery; changed in place, as its log is."""

    log: ActionLog = field(default_factory=ActionLog)
    inbox: dict[str, bool] = field(default_factory=dict)  # id -> added; not yet given to the page
    shown: set[str] = field(default_factory=set)  # only ids that were on offer can come back
    single: bool = False
    selected: frozenset[str] = frozenset()


def gallery(
    tiles: Sequence[Tile],
    *,
    selected: Collection[str],
    key: str,
    size: int = 88,
    selectable: bool = True,
    single: bool = False,
    deleted_selectable: bool = False,
    label: str = "Images",
    empty: str = "No images match. Loosen a filter to see some.",
) -> GalleryEvent | None:
    """Show the tiles and return what the person changed, once per batch of actions.

    Click or Space toggles; Shift+click makes everything from the tile last toggled like that
    tile; arrows, Home and End move; Ctrl/Cmd+A selects the page, Escape clears it.

    Args:
        tiles: One page of images, ids unique.
        selected: The ids that are selected now, those of other pages included.
        key: Names this gallery in the session; the same on every run and for every page of it.
        size: Side of the pictures in CSS pixels. Small pictures are enlarged by a whole number,
            so that all their pixels are alike: 88 becomes 84 for 28x28 and 96 for 32x32.
        selectable: False for a mere display.
        single: At most one id is selected: adding one removes the others.
        deleted_selectable: Whether deleted tiles can be added, e.g. to restore them.
        label: The grid's name for screen readers.
        empty: Shown instead of the grid when there are no tiles.

    Returns:
        The event, unless :func:`take_event` took it earlier in this run; None if there is none.
        As it is known only after the gallery was drawn, anything above still shows the old
        basket: prefer ``take_event`` at the top of the page, or call ``st.rerun()``.

    Raises:
        ValueError: Two tiles have one id, or a source is no ``data:image/`` URI.
    """
    _check(tiles)
    record = kept(_STATE_PREFIX + key, _Record)
    ids = {tile.id for tile in tiles}
    current = frozenset(selected)
    record.shown |= ids
    record.single = single
    record.selected = current
    side, pixelated = _display_size(tiles, size)
    _component(
        key=key,
        data={
            **record.log.head,
            "tiles": [asdict(tile) for tile in tiles],
            "selected": sorted(current & ids) if not single else sorted(current),
            "size": side,
            "pixelated": pixelated,
            "selectable": selectable,
            "single": single,
            "deletedSelectable": deleted_selectable,
            "label": label,
            "empty": empty,
        },
        on_batch_change=lambda: _receive(key, record),
    )
    return take_event(key)


def take_event(
    key: str, apply: Callable[[GalleryEvent], None] | None = None
) -> GalleryEvent | None:
    """Return what the person changed in the gallery of this key, before it is drawn.

    Call it at the top of a page, update the basket, then draw the page once. Each change is
    handed out once. It also works on pages that do not show the gallery: a click made just
    before leaving its page is still there.

    A newer click may interrupt a run at any ``st.`` call, ``st.session_state`` included. Between
    receiving the event and storing the basket nothing else should happen; ``apply`` makes even
    that airtight, because the event counts as handed out only when ``apply`` has returned.
    """
    record = kept(_STATE_PREFIX + key, _Record)
    _receive(key, record)
    if not record.inbox:
        return None
    event = GalleryEvent(
        added=tuple(id_ for id_, on in record.inbox.items() if on),
        removed=tuple(id_ for id_, on in record.inbox.items() if not on),
    )
    if apply is not None:
        apply(event)
    record.inbox.clear()
    record.log.deliver()
    return event if apply is None else None


def _receive(key: str, record: _Record) -> None:
    """Take the actions not seen yet from the component's state into the inbox."""
    for action in record.log.news(key):
        added, removed = _ids(action)
        if record.single and added:
            # Other pages' ids are unknown to the browser, yet only one may stay.
            others = (record.selected | record.inbox.keys()) - set(added)
            removed = [*removed, *sorted(others)]
        for id_, on in [*((i, False) for i in removed), *((i, True) for i in added)]:
            if id_ in record.shown or id_ in record.selected:
                record.inbox.pop(id_, None)  # The last word also decides the order.
                record.inbox[id_] = on
    if not record.inbox:
        record.log.deliver()


def _ids(action: list[Any]) -> tuple[list[str], list[str]]:
    """Added and removed ids of an action; none of one that is not well-formed."""
    match action:
        case [[*added], [*removed]] if all(isinstance(id_, str) for id_ in (*added, *removed)):
            return added, removed
    return [], []


def _check(tiles: Sequence[Tile]) -> None:
    seen: set[str] = set()
    for tile in tiles:
        if tile.id in seen:
            raise ValueError(f"tile ids must be unique, but {tile.id!r} comes twice")
        seen.add(tile.id)
        if not tile.src.startswith("data:image/"):
            raise ValueError(
                f"a tile's src must be a data:image/ URI, but {tile.id!r} has {tile.src[:40]!r}"
            )


def _display_size(tiles: Sequence[Tile], size: int) -> tuple[int, bool]:
    """Return the side to draw at, and whether the pictures are enlarged pixel by pixel.

    The first tile speaks for all: a gallery shows images of one data set.
    """
    native = _png_side(tiles[0].src) if tiles else None
    if native is None or round(size / native) < 2:
        return size, False
    return round(size / native) * native, True


def _png_side(src: str) -> int | None:
    """Return the longer side of a PNG in a data URI, from its header alone; None if it is none."""
    head, _, payload = src.partition(";base64,")
    if head != "data:image/png":
        return None
    try:
        header = base64.b64decode(payload[:32], validate=True)
    except binascii.Error:
        return None
    if len(header) < 24 or not header.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    return max(int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) or None
