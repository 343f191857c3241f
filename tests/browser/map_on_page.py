"""A memory map in a browser, as tests use it: draw a lasso, ask what is drawn and where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Page

Outline = list[tuple[float, float]]


def enclosed(polygon: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """(N,) whether each point lies inside a polygon (M, 2), by counting crossed edges."""
    inside = np.zeros(len(xy), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 > xy[:, 1]) != (y1 > xy[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (xy[:, 1] - y0) / (y1 - y0) * (x1 - x0)
        inside ^= crosses & (xy[:, 0] < at)
    return inside


class MapOnPage:
    """A memory map as its user sees it. Tests of the whole page use it, too."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.locator(".mkmap[data-view]").wait_for()

    def stage(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the points' area, in CSS pixels of the window."""
        left, top, width, height = self.page.locator(".mkmap-stage").evaluate(
            "s => { const b = s.getBoundingClientRect();"
            " return [b.left + s.clientLeft, b.top + s.clientTop, s.clientWidth, s.clientHeight]; }"
        )
        return left, top, width, height

    def view(self) -> dict[str, list[float]]:
        view: dict[str, list[float]] = json.loads(
            self.page.locator(".mkmap").get_attribute("data-view") or ""
        )
        return view

    def drawn(self) -> dict[str, Any]:
        drawn: dict[str, Any] = json.loads(
            self.page.locator(".mkmap").get_attribute("data-drawn") or ""
        )
        return drawn

    def expect_drawn(self, **wanted: int) -> None:
        """Wait until that many points are drawn, hidden, ghosts or in the basket."""
        self.page.wait_for_function(
            "wanted => { const drawn = JSON.parse(document.querySelector('.mkmap').dataset.drawn);"
            " return Object.entries(wanted).every(([name, n]) => drawn[name] === n); }",
            arg=wanted,
        )

    @contextmanager
    def changed_view(self) -> Iterator[None]:
        """Wait until another part of the map is on screen than before."""
        earlier = self.page.locator(".mkmap").get_attribute("data-view")
        yield
        self.page.wait_for_function(
            "earlier => document.querySelector('.mkmap').dataset.view !== earlier",
            arg=earlier,
        )

    def to_screen(self, xy: np.ndarray) -> tuple[float, float]:
        left, top, width, height = self.stage()
        (x0, x1), (y0, y1) = self.view()["x"], self.view()["y"]
        return (
            left + (float(xy[0]) - x0) / (x1 - x0) * width,
            top + (y1 - float(xy[1])) / (y1 - y0) * height,
        )

    def lasso(self, outline: Outline, shift: bool = False) -> np.ndarray:
        """Draw it; corners are shares of the stage. Returns them in data units, (M, 2)."""
        left, top, width, height = self.stage()
        corners = [(round(left + x * width), round(top + y * height)) for x, y in outline]
        mouse, keyboard = self.page.mouse, self.page.keyboard
        if shift:
            keyboard.down("Shift")
        mouse.move(*corners[0])
        mouse.down()
        for corner in corners[1:]:
            mouse.move(*corner)
        mouse.up()
        if shift:
            keyboard.up("Shift")
        (x0, x1), (y0, y1) = self.view()["x"], self.view()["y"]
        return np.array(
            [
                [x0 + (x - left) / width * (x1 - x0), y1 - (y - top) / height * (y1 - y0)]
                for x, y in corners
            ]
        )

    def coordinates(self) -> np.ndarray:
        """(N, 2) where every point is drawn, ghosts too but no rings, in a fixed order."""
        found = self.page.locator(".mkmap-plot").evaluate(
            "plot => plot.data.slice(0, -1).flatMap(t => Array.from(t.x, (x, i) => [x, t.y[i]]))"
        )
        xy = np.array(found, dtype=np.float32)
        order: np.ndarray = np.lexsort((xy[:, 1], xy[:, 0]))
        return xy[order]
