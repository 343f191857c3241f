"""The memory map page without a browser: what it draws, and whatever a link may say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.components.memory_map import Group, MapEvent, Scene
from app.session import state_keys
from munkey_core.explain.map import Maps
from tests.app.screen import open_script
from tests.servers import ROOT
from tests.shipped import needs_fashion

KEPT, GONE = "train-14265", "train-00042"

pytestmark = needs_fashion
PAGE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from app.session import link_messages, page_url, services, state_keys
from app.shared import entrance
from app.screens.map import page as memory_map
entrance.enter("map")
page_url.write(services.current().groups)
for message in link_messages.said():
    import streamlit as st
    st.warning(message)
memory_map.show()
"""


class Drawn:
    """Stands in for the component: keeps what it was given."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self.apply = None

    def __call__(self, cloud, scene, *, key, on_event, height, print_scale=1.0) -> None:
        self.cloud, self.apply = cloud, on_event
        self.scenes.append(scene)

    @property
    def scene(self) -> Scene:
        return self.scenes[-1]

    def group(self, label: str) -> Group:
        return next(group for group in self.scene.groups if group.label == label)


@pytest.fixture(autouse=True)
def drawn(on_fashion, monkeypatch) -> Drawn:
    from app.screens.map import page as memory_map

    fake = Drawn()
    monkeypatch.setattr(memory_map, "memory_map", fake)
    return fake


def open_page(**query) -> AppTest:
    return open_script(PAGE, **{"layout": "pca", **query})


def do(app: AppTest, monkeypatch, event: MapEvent) -> None:
    """Run the page again with what a person did on the map."""
    from app.screens.map import page as memory_map

    events = [event]

    def take(key, apply) -> bool:
        if not events:
            return False
        apply(events.pop())
        return True

    monkeypatch.setattr(memory_map, "take_event", take)
    app.run()
    assert not app.exception


def test_every_memory_is_a_point_with_its_class(drawn):
    app = open_page()
    assert app.title[0].value == "The memory, seen from above"
    assert len(drawn.cloud.ids) == 10_000
    assert drawn.scene.shown.all()
    assert [group.label for group in drawn.scene.groups][:2] == ["T-shirt/top", "Trouser"]
    assert sum(group.count for group in drawn.scene.groups) == 10_000
    assert all(group.at is not None for group in drawn.scene.groups)


@pytest.mark.parametrize(
    "colour", ["class", "owner", "memorisation", "exposure", "influence", "deleted"]
)
def test_every_colouring_counts_every_point_once(drawn, colour):
    app = open_page(colour=colour, forgotten=GONE, basket=KEPT)
    assert not app.warning
    counts = np.bincount(drawn.scene.codes, minlength=len(drawn.scene.groups))
    for group, n in zip(drawn.scene.groups, counts, strict=True):
        assert group.count in (n, n - 1)  # The deleted one is left out but where it is meant.
    total = sum(group.count for group in drawn.scene.groups)
    assert total == (10_000 if colour == "deleted" else 9_999)


def test_memorisation_is_cut_at_its_edges(drawn):
    open_page(colour="memorisation")
    values, codes = drawn.scene.value.values, drawn.scene.codes
    edges = (-1, 0.01, 0.05, 0.2, 0.5, 0.8, 1)
    for g, (low, high) in enumerate(pairwise(edges)):
        assert ((values[codes == g] > low) & (values[codes == g] <= high)).all()


def test_shares_name_what_they_hold(drawn):
    open_page(colour="exposure")
    counts = [group.count for group in drawn.scene.groups]
    assert counts == [5_000, 3_000, 1_500, 400, 100]
    values, codes = drawn.scene.value.values, drawn.scene.codes
    assert values[codes == 4].min() >= values[codes == 3].max()


def test_filters_leave_points_out(drawn):
    open_page(**{"class": "1 3"})
    assert drawn.scene.shown.sum() == 2_000
    assert drawn.group("Trouser").count == 1_000
    assert drawn.group("Coat").count == 0
    open_page(owner="customer-0002")
    assert 0 < drawn.scene.shown.sum() < 2_000


def test_deleted_keys_are_ghosts_after_and_points_before(drawn):
    open_page(forgotten=GONE)
    assert drawn.scene.deleted == (GONE,)
    assert drawn.scene.ghosts
    cloud = drawn.cloud
    open_page(forgotten=GONE, when="before")
    assert not drawn.scene.ghosts
    assert drawn.cloud.name == cloud.name  # No point has moved.
    assert sum(group.count for group in drawn.scene.groups) == 10_000


def test_what_a_person_does_goes_into_the_state(drawn, monkeypatch):
    app = open_page(forgotten=GONE)
    do(app, monkeypatch, MapEvent(added=(KEPT, GONE), clicked=KEPT))
    assert drawn.scene.basket == (KEPT,)  # What is deleted can't be picked.
    assert any(button.label == "The point I clicked" for button in app.button)
    do(app, monkeypatch, MapEvent(off=(0, 2)))
    assert drawn.scene.off == (0, 2)
    do(app, monkeypatch, MapEvent(removed=(KEPT,)))
    assert drawn.scene.basket == ()


def test_another_colouring_shows_all_its_groups(drawn, monkeypatch):
    app = open_page(off="0 9")
    assert drawn.scene.off == (0, 9)
    app.selectbox(key="munkey-widget:colour").select("memorisation").run()
    assert drawn.scene.off == ()


def test_a_link_may_hide_groups_that_are_not_there(drawn):
    app = open_page(off="3 77")
    assert "off must be group numbers from 0 to 9" in app.warning[0].value
    assert drawn.scene.off == (3,)


def test_a_query_has_a_star_and_its_neighbours(drawn):
    open_page(query="test-00007")
    query = drawn.scene.query
    assert query.label == "test-00007"
    assert len(query.links) == 4
    assert query.note.startswith("image alone")
    nearest = query.links[0].id
    open_page(query="test-00007", forgotten=nearest)
    after = drawn.scene.query
    assert [link.id for link in after.links if link.gone] == [nearest]
    assert sum(not link.gone for link in after.links) == 4
    open_page(query="test-00007", forgotten=nearest, when="before")
    assert drawn.scene.query == query


def test_an_entry_lies_on_its_own_point(drawn):
    open_page(query=KEPT)
    from app.session import models

    maps: Maps = models.shared("fashion").studio.maps
    [own] = maps.positions([KEPT], maps.projection("keys", "pca"))
    assert drawn.scene.query.at == tuple(map(float, own))
    assert KEPT not in [link.id for link in drawn.scene.query.links]
    open_page(query=KEPT, forgotten=KEPT)
    assert drawn.scene.query.at == tuple(map(float, own))


def test_an_unknown_query_gets_a_message_and_no_star(drawn):
    app = open_page(query="<b>nobody</b>")
    assert drawn.scene.query is None
    assert "query must be" in app.warning[0].value
    app.text_input(key=state_keys.MAP_FIND).input("nobody").run()
    assert "No training or test image has the id" in app.error[0].value
    app.text_input(key=state_keys.MAP_FIND).input("test-00001").run()
    assert not app.error
    assert drawn.scene.query.label == "test-00001"


def test_pca_is_shown_until_there_is_a_umap(drawn, monkeypatch):
    monkeypatch.setattr(Maps, "ready", lambda self, space, method="umap": method == "pca")
    app = open_page(layout="umap")
    assert len(drawn.cloud.ids) == 10_000
    assert any("flat shadow" in caption.value for caption in app.caption)
    assert app.button(key="job-start-project").label.startswith("Make the map now")


@pytest.mark.parametrize(
    ("hidden", "keys"),
    [
        ("settings", {"class", "owner"}),
        ("filters", {"colour", "space", "layout"}),
        ("settings filters", set()),
    ],
)
def test_a_link_can_hide_controls(drawn, hidden, keys):
    app = open_page(hide=hidden)
    found = {box.key for box in [*app.selectbox, *app.multiselect]}
    assert {f"munkey-widget:{key}" for key in keys} == {k for k in found if "widget" in k}


def test_deleting_can_be_hidden(drawn):
    assert any(b.key == "delete" for b in open_page(basket=KEPT).button)
    assert not any(b.key == "delete" for b in open_page(basket=KEPT, hide="delete").button)
