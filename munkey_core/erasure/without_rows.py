"""A bundle without some of its rows, and what has to be measured anew in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle, FittedMap
from munkey_core.bundle.card import BEFORE, write_card
from munkey_core.bundle.forget_sets import CANONICAL
from munkey_core.bundle.manifest import EXACT_MODE, EXACT_SCORES, JOINT_MODE
from munkey_core.explain.influence import leave_one_out
from munkey_core.explain.projection import fit_digest
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Progress, Steps
from munkey_core.results import PRIVATE

READING, MEASURING = "reading", "measuring the others anew"


def without_rows(bundle: Bundle, ids: Sequence[str], when: str) -> Bundle:
    """The bundle without some private images, as it is to be written. when: UTC time.

    The other rows keep their bytes, their order and their places on the maps.
    """
    gone = set(ids)
    keep = torch.tensor([id_ not in gone for id_ in bundle.bank.ids])
    bank = bundle.bank.without(ids)
    manifest = bundle.manifest
    counts = {**manifest.splits["counts"], PRIVATE: len(bank)}
    exact_table = {**manifest.exact, "verified": {}} if manifest.exact else {}
    exact = bundle.exact
    if exact is not None:
        exact = replace(exact, tokens=exact.tokens[keep].clone(), scores=_kept(exact.scores, keep))
    left = replace(
        bundle,
        manifest=replace(
            manifest,
            splits={**manifest.splits, "counts": counts},
            exact=exact_table,
            files={},
            erasures=manifest.erasures + 1,
        ),
        bank=bank,
        records=tuple(record for record in bundle.records if record.id not in gone),
        scores={
            name: values
            for name, values in _kept(bundle.scores, keep).items()
            if not name.startswith("influence")
        },
        exact=exact,
        projections=_maps_without(bundle, bank, keep),
        thumbnails=None if bundle.thumbnails is None else bundle.thumbnails.without(ids),
        metrics=_measured_before(bundle, when),
        experiments=None,
    )
    return replace(left, card=write_card(left, left.metrics))


def _kept(tensors: Mapping[str, Tensor], keep: Tensor) -> dict[str, Tensor]:
    return {name: tensor[keep].clone() for name, tensor in tensors.items()}


def can_measure(bundle: Bundle) -> bool:
    """Whether the pictures of a bundle are here, and encoding some of them is quick."""
    kept = bundle.kept_features
    if kept is not None:
        return PRIVATE not in kept.missing
    return bundle.picture_status.ready


def measured_anew(bundle: Bundle, left: Bundle) -> Steps[tuple[Bundle, int]]:
    """Yield progress; return the bundle that is left with the memorisation scores of those images
    anew for which an erased one answered, and how many these are, over all modes."""
    count = 0
    if can_measure(bundle):
        for done, mode in enumerate(bundle.modes):
            yield Progress(MEASURING, done, len(bundle.modes), 0.0)
            old, new = bundle.in_mode(mode), left.in_mode(mode)
            rows = _touched(old, new)
            if not len(rows) or not set(EXACT_SCORES) <= set(new.scores):
                continue
            ids = [new.bank.ids[row] for row in rows.tolist()]
            label = {record.id: record.label for record in new.records}
            predictor = Predictor(new.encoder, new.model, new.manifest.ensemble)
            kept, gone = leave_one_out(
                predictor,
                new.bank,
                bundle.encode(ids).features,
                torch.tensor([label[id_] for id_ in ids]),
                rows,
            )
            scores = {name: values.clone() for name, values in new.scores.items()}
            for name, values in zip(EXACT_SCORES, (kept - gone, kept, gone), strict=True):
                scores[name][rows] = values if mode == JOINT_MODE else values.half().float()
            exact = None if left.exact is None else replace(left.exact, scores=scores)
            left = replace(left, scores=scores) if mode == left.mode else replace(left, exact=exact)
            count += len(rows)
    return left, count


def _touched(old: Bundle, new: Bundle) -> Tensor:
    """(n,) int64 rows of the new bank whose image had an erased entry among the K + 1 nearest."""
    kept = old.bank.rows(new.bank.ids)
    gone = torch.ones(len(old.bank), dtype=torch.bool)
    gone[kept] = False
    rows, _ = BankView(old.bank).search(old.bank.keys[kept], old.manifest.ensemble.k + 1)
    return gone[rows].any(dim=1).nonzero()[:, 0]


def _maps_without(bundle: Bundle, bank: MemoryBank, keep: Tensor) -> dict[str, FittedMap]:
    """Points that stay stay where they are. A map of another memory is dropped."""
    return {
        space: FittedMap(
            fitted.positions[keep.numpy()].copy(), fitted.seed, fit_digest(bank, space, fitted.seed)
        )
        for space, fitted in bundle.projections.items()
        if fitted.digest == fit_digest(bundle.bank, space, fitted.seed)
    }


def _measured_before(bundle: Bundle, when: str) -> dict[str, Any] | None:
    """metrics.json of the erased bundle: the audits of canonical sets, named as of before and
    without the digests of their ids. What was measured before the first erasure stays as it is."""
    metrics = bundle.metrics or {}
    if BEFORE in metrics:
        return {BEFORE: metrics[BEFORE]}
    kept: dict[str, Any] = {}
    own, beside = metrics, metrics.get(EXACT_MODE) or {}
    for mode, part in ((bundle.mode, own), (EXACT_MODE, beside)):
        reports = {
            name: {**report, "set_digest": "", "digest": ""}
            for name, report in (part.get("reports") or {}).items()
            if name in CANONICAL
        }
        if reports:
            kept[mode] = reports
    if not kept:
        return None
    return {BEFORE: {"digest": bundle.version, "until": when, "reports": kept}}
