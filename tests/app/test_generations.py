"""After a deletion nothing of an older state of the memory is shown: refused, or computed anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.session.models import Pictures
from app.session.services import Session
from munkey_core.errors import StaleGenerationError
from munkey_core.explain.pathways import PathwayReport
from munkey_core.explain.randomisation import SanityCheck
from munkey_core.progress import finish
from munkey_core.results import check_generation

# What pages show, by name → how it is asked of a session's Studio about one image.
RESULTS = {
    "prediction": lambda studio, id_: studio.predict([id_]),
    "map": lambda studio, id_: studio.maps.projection("keys", "pca"),
    "place on the map": lambda studio, id_: studio.maps.place(
        studio.predict([id_]), [id_], studio.maps.projection("keys", "pca")
    ),
    "exemplars": lambda studio, id_: studio.explain.exemplars(id_),
    "pixels": lambda studio, id_: studio.explain.pixels(id_, "saliency"),
    "sanity check": lambda studio, id_: finish(studio.explain.sanity_check(id_, "saliency")),
    "pathways": lambda studio, id_: finish(studio.explain.pathways([id_], limit=50)),
}


@pytest.fixture
def session(digits):
    return Session("digits", digits, Pictures(digits))


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_knows_its_generation_and_is_refused_in_the_next(name, session):
    studio, id_ = session.studio, session.studio.memory.private_ids()[0]
    old = session.remember(name, lambda: RESULTS[name](studio, id_))
    check_generation(old.generation, studio.memory.generation)
    studio.forget([id_])
    with pytest.raises(StaleGenerationError, match="ask again"):
        check_generation(old.generation, studio.memory.generation)


@pytest.mark.parametrize("name", RESULTS)
def test_a_page_computes_anew_after_a_deletion_and_after_undo(name, session):
    studio, id_ = session.studio, session.studio.memory.private_ids()[0]

    def ask():
        return session.remember(name, lambda: RESULTS[name](studio, id_))

    first = ask()
    assert ask() is first
    for change in (lambda: studio.forget([id_]), studio.undo):
        change()
        assert ask() is not first
        assert ask().generation == studio.memory.generation


def test_a_result_of_another_generation_is_not_kept(session):
    studio = session.studio
    prediction = studio.predict([studio.memory.private_ids()[0]])
    stale = replace(
        prediction, retrieval=replace(prediction.retrieval, generation=prediction.generation + 1)
    )
    with pytest.raises(StaleGenerationError):
        session.remember("prediction", lambda: stale)
    assert session.remember("prediction", lambda: prediction) is prediction


def test_places_of_another_state_are_refused(session):
    studio = session.studio
    id_, other = studio.memory.private_ids()[:2]
    prediction, drawn = studio.predict([id_]), studio.maps.projection("keys", "pca")
    studio.forget([other])
    with pytest.raises(StaleGenerationError):
        studio.maps.place(prediction, [id_], drawn)
    with pytest.raises(StaleGenerationError):
        studio.maps.place(studio.predict([id_]), [id_], drawn)


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        (PathwayReport, lambda studio, id_: studio.explain.pathways([id_], limit=50)),
        (SanityCheck, lambda studio, id_: studio.explain.sanity_check(id_, "saliency")),
    ],
)
def test_long_work_that_a_deletion_overtook_carries_its_own_generation(kind, start, session):
    """It began before the deletion, so a page that waited for it must not show it."""
    studio, id_ = session.studio, session.studio.memory.private_ids()[0]
    begun, steps = studio.memory.generation, start(studio, id_)
    next(steps)
    studio.forget([id_])
    result = finish(steps)
    assert isinstance(result, kind)
    assert result.generation == begun != studio.memory.generation
