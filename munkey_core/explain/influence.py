"""What one memory does: predictions with and without a single entry of the bank.

Leave-one-out by key deletion (ours): exact, because a deletion leaves all weights and other rows
as they are. Deleting an entry concerns only the queries that have it among their K nearest, and
their new K are the others and the one that came next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import SCORES
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import rewriting
from munkey_core.bundle.write import seal
from munkey_core.errors import BundleChangedError
from munkey_core.explain.coalitions import Candidates, answers, find_candidates, shares
from munkey_core.files.durable import write_whole
from munkey_core.files.tensors import read_tensors
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Pace, Steps
from munkey_core.results import TEST, FloatArray, IntArray, Record


@dataclass(frozen=True)
class Influence:
    """What would change for test images if one entry were forgotten: exact, one entry at a time,
    in the undiminished bank.

    ids: N entries in bank order. touched: (N,) int64 test images it is among the K nearest of.
    flips: (N,) int64 test images whose most probable class would change. shift: (N,) float32 sum
    over test images of the change of the true class's probability; negative = the entry helps.
    total: (N,) float32 sum over test images of |change|: how much the entry does at all.
    n_test: test images that were looked at.
    """

    ids: tuple[str, ...]
    touched: IntArray
    flips: IntArray
    shift: FloatArray
    total: FloatArray
    n_test: int


@dataclass(frozen=True)
class InfluencedQuery:
    """One image whose answer would change if an entry were forgotten. shift: change of the true
    class's probability, in [-1, 1]. class_before, class_after: most probable class."""

    id: str
    shift: float
    class_before: int
    class_after: int


_CHUNK = 256
_NOBODY = -1  # no bank row: nothing is left out
# Less is rounding of float32 probabilities, not an answer that changes.
_CHANGE = 1e-6


def leave_one_out(
    predictor: Predictor,
    bank: MemoryBank,
    features: Tensor,
    labels: Tensor,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """True-class probability of private images with and without their own entry.

    rows: (n,) int64 of the bank, those of the images; None for all. features: (n, ...) of these
    images, in that order; labels: (n,) int64. Returns two (n,) float32 in [0, 1]. Their difference
    is the memorisation score (METHOD.md §6).
    """
    view = BankView(bank)
    rows = torch.arange(len(bank)) if rows is None else rows
    truth = []
    for part in torch.arange(len(rows)).split(_CHUNK):
        own = rows[part]
        candidates = find_candidates(predictor, view, bank.keys[own], predictor.config.k + 1)
        said = _without(predictor, features[part], candidates, _first_nobody(own[:, None]))
        truth.append(_of_class(said, labels[part]).float())
    kept, gone = torch.cat(truth).unbind(dim=1)
    return kept, gone


def influence(
    predictor: Predictor, bank: MemoryBank, labels: Tensor, encode: Callable[[slice], Encoded]
) -> Steps[Influence]:
    """Yield progress; return what forgetting each entry alone would change for all test images.

    labels: (n_test,) int64. encode: a slice of the test images → these, encoded. Equal to deleting
    one key after another and predicting every test image each time, up to rounding.
    """
    pace = Pace("influence", len(labels))
    view, k = BankView(bank), predictor.config.k
    touched, flips = torch.zeros(2, len(bank), dtype=torch.int64)
    shift, total = torch.zeros(2, len(bank), dtype=torch.float64)
    for first in range(0, len(labels), _CHUNK):
        part = slice(first, min(first + _CHUNK, len(labels)))
        queries = encode(part)
        candidates = find_candidates(predictor, view, queries.keys, k + 1)
        entries = candidates.rows[:, :k]
        said = _without(predictor, queries.features, candidates, _first_nobody(entries))
        truth, classes = _of_class(said, labels[part]), said.argmax(dim=2)
        change = (truth[:, 1:] - truth[:, :1]).flatten()
        rows = entries.flatten()
        touched.index_add_(0, rows, torch.ones_like(rows))
        flips.index_add_(0, rows, (classes[:, 1:] != classes[:, :1]).flatten().long())
        shift.index_add_(0, rows, change)
        total.index_add_(0, rows, change.abs())
        yield pace.at(part.stop)
    return Influence(
        ids=bank.ids,
        touched=touched.numpy(),
        flips=flips.numpy(),
        shift=shift.float().numpy(),
        total=total.float().numpy(),
        n_test=len(labels),
    )


def influence_of(bundle: Bundle, predictor: Predictor) -> Steps[Influence]:
    """Yield progress; return the influence of every entry of a bundle on all its test images."""
    test = bundle.records_of(TEST)
    return influence(
        predictor,
        bundle.bank,
        torch.tensor([record.label for record in test]),
        lambda part: bundle.encode([record.id for record in test[part]]),
    )


def influenced(
    predictor: Predictor, bank: MemoryBank, id_: str, records: Sequence[Record], queries: Encoded
) -> tuple[InfluencedQuery, ...]:
    """The queries whose probabilities would change if one entry alone were forgotten, those whose
    true class changes most first. records: of the queries."""
    if not records:
        return ()
    labels = torch.tensor([record.label for record in records])
    candidates = find_candidates(predictor, BankView(bank), queries.keys, predictor.config.k + 1)
    entry = torch.full((len(records), 1), bank.row(id_))
    said = _without(predictor, queries.features, candidates, _first_nobody(entry))
    changed = (said[:, 1] - said[:, 0]).abs().amax(dim=1) > _CHANGE
    before, after = _of_class(said, labels).unbind(dim=1)
    classes = said.argmax(dim=2).tolist()
    shift = (after - before).tolist()
    found = [
        InfluencedQuery(records[i].id, shift[i], *classes[i])
        for i in changed.nonzero()[:, 0].tolist()
    ]
    return tuple(sorted(found, key=lambda query: -abs(query.shift)))


def _first_nobody(entries: Tensor) -> Tensor:
    """(Q, M) bank rows → (Q, 1 + M): first with everybody, then without each of them."""
    return torch.cat([torch.full_like(entries[:, :1], _NOBODY), entries], dim=1)


def _without(
    predictor: Predictor, features: Tensor, candidates: Candidates, entries: Tensor
) -> Tensor:
    """(Q, M, C) float64 probabilities without one entry each time. candidates: K + 1 entries.
    entries: (Q, M) bank rows."""
    others = candidates.rows[:, None] != entries[..., None]
    members = others & (others.cumsum(dim=-1) <= predictor.config.k)
    mixes = shares(candidates.similarity, candidates.with_null(members), predictor.config)
    return answers(predictor, features, candidates, mixes)


def _of_class(said: Tensor, labels: Tensor) -> Tensor:
    """(Q, M, C) → (Q, M) probability of each query's true class."""
    return said[torch.arange(len(labels)), :, labels]


# -- as scores of a bundle ---------------------------------------------------------------------


def influence_scores(found: Influence) -> dict[str, Tensor]:
    """The tensors of a bundle's scores, each (N,) float32; "influence" is what it does at all."""
    return {
        "influence": torch.from_numpy(found.total),
        "influence_shift": torch.from_numpy(found.shift),
        "influence_flips": torch.from_numpy(found.flips).float(),
        "influence_touched": torch.from_numpy(found.touched).float(),
    }


def stored_influence(bundle: Bundle) -> Influence | None:
    """What a bundle's scores say of each entry; None if they say nothing."""
    scores = bundle.scores
    try:
        return Influence(
            ids=bundle.bank.ids,
            touched=scores["influence_touched"].long().numpy(),
            flips=scores["influence_flips"].long().numpy(),
            shift=scores["influence_shift"].numpy(),
            total=scores["influence"].numpy(),
            n_test=len(bundle.test_keys),
        )
    except KeyError:
        return None


def save_influence(folder: Path, found: Influence) -> None:
    """Put the influence among the scores of the bundle in this folder. Raises BundleError."""
    with rewriting(folder) as draft:
        bundle = read_bundle(draft)
        if found.ids != bundle.bank.ids:
            raise BundleChangedError(folder.name)
        path = draft / SCORES
        stored = read_tensors(path)
        write_whole(path, save({**stored, **influence_scores(found)}))
        seal(draft, bundle.manifest)
