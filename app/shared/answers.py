"""From the library's results to what a prediction card wants."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.components.prediction import Neighbour, Series
from app.session.services import Session
from app.shared.job_words import RETRAIN
from munkey_core.erasure.request_page import AnswersEvidence
from munkey_core.model.predictor import Prediction
from munkey_core.model.side_effects import Change
from munkey_core.results import FloatArray

BEFORE = "with its key (before)"
AFTER = "key deleted (after)"
RETRAINED = "retrained without it"
_IMAGE_ALONE = "image alone"

Retrained = Mapping[str, FloatArray]


def neighbours(
    session: Session, ids: Sequence[str], weights: FloatArray, own: str = ""
) -> list[Neighbour]:
    """Who answers, the largest share first.

    weights: (K,) or (K + 1,), the null anchor last. own: the id of the image itself.
    """
    found = [
        Neighbour(
            session.pictures.uri(id_),
            "this image itself" if id_ == own else session.class_name(id_),
            float(weight),
        )
        for id_, weight in zip(ids, weights, strict=False)
    ]
    if len(weights) > len(ids):
        found.append(Neighbour("", _IMAGE_ALONE, float(weights[-1])))
    return sorted(found, key=lambda neighbour: -neighbour.share)


def share_of(id_: str, ids: Sequence[str], weights: FloatArray) -> float:
    """The share that an image's own key has in its answer."""
    return float(weights[ids.index(id_)]) if id_ in ids else 0.0


def series_of(change: Change, retrained: Retrained | None = None) -> list[Series]:
    """The bars of one deleted image: before, after and, where it is known, retrained."""
    series = [Series("before", BEFORE, change.before), Series("after", AFTER, change.after)]
    if retrained is not None:
        series.append(Series("retrained", RETRAINED, retrained[change.id]))
    return series


def retrained_answers(session: Session, without: Sequence[str] = ()) -> Retrained | None:
    """Every image's probabilities by the model retrained without exactly these images (default:
    those that are forgotten now); None if there is no such model yet."""
    ids = tuple(without) or session.studio.memory.forgotten
    if not ids or not session.studio.jobs.done(RETRAIN, ids):
        return None
    return session.remember((RETRAIN, ids), lambda: session.studio.audit.retrained(ids))


def counted(changes: Sequence[Change], retrained: Retrained | None) -> AnswersEvidence:
    """How many of the images are taken for what they are, in each state."""
    states = {
        "before": [change.before for change in changes],
        "after": [change.after for change in changes],
    }
    if retrained is not None:
        states["retrained"] = [retrained[change.id] for change in changes]
    labels = [change.label for change in changes]
    right, truth = {}, {}
    for name, rows in states.items():
        answers = list(zip(rows, labels, strict=True))
        right[name] = sum(int(row.argmax()) == label for row, label in answers)
        truth[name] = float(np.mean([row[label] for row, label in answers]))
    return AnswersEvidence(len(labels), right, truth)


def row(prediction: Prediction, i: int) -> tuple[FloatArray, tuple[str, ...], FloatArray]:
    """Probabilities, neighbours and shares of the i-th query."""
    return (
        prediction.probabilities[i],
        prediction.retrieval.ids[i],
        prediction.exemplar_weights[i],
    )
