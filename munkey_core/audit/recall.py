"""Who answers for an image, by its stored key, and what is stored of the answer.

Keys of private and test images come with every bundle, so no picture is needed. The answer itself
needs the image's features; without them only answers that the bundle carries are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from munkey_core.audit.evidence import Evidence
from munkey_core.errors import UnknownIdError
from munkey_core.model.bank import BankView
from munkey_core.model.predictor import candidate_similarity, exemplar_weights
from munkey_core.results import FloatArray


@dataclass(frozen=True)
class Recalled:
    """What is known of one image without its picture.

    neighbours: its K nearest entries by its stored key, the nearest first, with similarity (K,)
    and weights (K [+ 1],), each one's share of the answer, the null anchor last. probabilities:
    (C,) if an answer of this state of the memory is stored, else None. truth: probability of the
    true class in [0, 1], which may be stored alone; None if it isn't.
    """

    id: str
    neighbours: tuple[str, ...]
    similarity: FloatArray
    weights: FloatArray
    probabilities: FloatArray | None
    truth: float | None
    generation: int


_WITH, _WITHOUT = "truth_with", "truth_without"


def recall(evidence: Evidence, view: BankView, ids: Sequence[str]) -> tuple[Recalled, ...]:
    """What is known without pictures of private or test images, with the keys that `view` holds.

    Raises UnknownIdError for an image without a stored key.
    """
    bundle, config = evidence.bundle, evidence.bundle.manifest.ensemble
    keys = bundle.stored_keys
    unknown = next((id_ for id_ in ids if id_ not in keys), None)
    if unknown is not None:
        raise UnknownIdError(f"no private or test image with id {unknown!r}")
    if not ids:
        return ()
    rows, similarity = view.search(torch.stack([keys[id_] for id_ in ids]), config.k)
    weights = exemplar_weights(candidate_similarity(similarity, config.anchor), config)
    place_of = {id_: i for i, id_ in enumerate(keys)}
    places = [place_of[id_] for id_ in ids]
    stored = _stored_answers(evidence, view, places)
    return tuple(
        Recalled(
            id=id_,
            neighbours=tuple(bundle.bank.ids[row] for row in rows[i].tolist()),
            similarity=similarity[i].numpy(),
            weights=weights[i].numpy(),
            probabilities=stored[i],
            truth=_truth(evidence, view, places[i], stored[i]),
            generation=view.generation,
        )
        for i, id_ in enumerate(ids)
    )


def _stored_answers(
    evidence: Evidence, view: BankView, places: Sequence[int]
) -> list[FloatArray | None]:
    """(C,) an image, None where nothing stored is of this state of the memory. An image none of
    whose neighbours is deleted still gets the answer of the whole memory.

    places: of the images among the private, then the test images.
    """
    bundle, runs, gone = evidence.bundle, evidence.runs, view.deleted_ids
    before, after = evidence.original(), None
    touched: set[int] = set()
    if gone:
        touched = set(runs.neighbours.touched_by(bundle.bank.rows(gone)).tolist())
        after = runs.shipped.after(runs.seed, gone) if runs.shipped is not None else None
    n = len(bundle.bank)
    found: list[FloatArray | None] = []
    for place in places:
        outputs = after if place in touched else before
        if outputs is None:
            found.append(None)
        else:
            found.append(outputs.private[place] if place < n else outputs.test[place - n])
    return found


def _truth(
    evidence: Evidence, view: BankView, place: int, probabilities: FloatArray | None
) -> float | None:
    """Probability of the true class: of a stored answer, or of the scores that were made when the
    bundle was (nothing deleted, or this one key alone)."""
    bundle = evidence.bundle
    if probabilities is not None:
        return float(probabilities[evidence.labels[place]])
    if place >= len(bundle.bank):
        return None
    name = {(): _WITH, (bundle.bank.ids[place],): _WITHOUT}.get(view.deleted_ids)
    return float(bundle.scores[name][place]) if name and name in bundle.scores else None
