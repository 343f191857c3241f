"""How much each pathway can do alone: A_full, A_img and A_mem (METHOD.md §2).

The paper ablates one pathway at a time; the groups, before and after forgetting, are ours.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError
from munkey_core.explain.coalitions import answers, find_candidates, shares
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Progress, Steps
from munkey_core.results import PRIVATE, TEST, BoolArray, Record


@dataclass(frozen=True)
class PathwayAccuracy:
    """Accuracy in percent of one pathway on one group of images. ci95: Wilson 95% interval over
    images. n: images looked at; of: images in the group."""

    accuracy: float
    ci95: tuple[float, float]
    n: int
    of: int


@dataclass(frozen=True)
class PathwayReport:
    """Accuracy with both pathways (full), without the memory (image: exemplar = ∅) and without
    the image (memory: image tokens = ∅), METHOD.md §2.

    figures: by group ("test", "retain", "forget before", "forget after"), then by pathway
    ("full", "image", "memory"). A group that holds no image is missing.
    """

    figures: dict[str, dict[str, PathwayAccuracy]]
    n_forget: int
    generation: int
    seconds: float


PATHWAYS = ("full", "image", "memory")
_SEED = 0
_CHUNK = 128


def pathways(
    predictor: Predictor,
    bank: MemoryBank,
    records: Sequence[Record],
    ids: Sequence[str],
    encode: Callable[[Sequence[str]], Encoded],
    limit: int,
    generation: int,
) -> Steps[PathwayReport]:
    """Yield progress; return the accuracy of each pathway on four groups of images.

    records: private and test images. ids: the forget set. Groups: "forget before" answers with the
    whole bank; "forget after", "retain" and "test" with the bank without `ids`, as the model is
    once it has forgotten. limit: at most so many images a group, drawn by seed 0, the same forget
    images before and after. encode: ids → encoded images. Raises UnknownIdError for an id without
    a key, BadInputError for a limit below 1.
    """
    if limit < 1:
        raise BadInputError(f"limit must be at least 1 image a group, got {limit}")
    whole, without = BankView(bank), BankView(bank, ids)
    gone = set(ids)
    forget = [record for record in records if record.id in gone]
    groups = {
        "test": ([record for record in records if record.split == TEST], without),
        "retain": ([r for r in records if r.split == PRIVATE and r.id not in gone], without),
        "forget before": (forget, whole),
        "forget after": (forget, without),
    }
    start, done = time.perf_counter(), 0
    total = sum(min(limit, len(members)) for members, _ in groups.values())
    figures: dict[str, dict[str, PathwayAccuracy]] = {}
    for name, (members, view) in groups.items():
        drawn = [members[i] for i in np.sort(permutation(len(members), _SEED)[:limit])]
        right = []
        for first in range(0, len(drawn), _CHUNK):
            part = drawn[first : first + _CHUNK]
            right.append(pathways_right(predictor, view, encode([r.id for r in part]), part))
            done += len(part)
            elapsed = time.perf_counter() - start
            yield Progress(name, done, total, elapsed, elapsed / done * (total - done))
        if right:
            correct = np.concatenate(right, axis=1).sum(axis=1).tolist()
            figures[name] = {
                pathway: _accuracy(correct[i], len(drawn), len(members))
                for i, pathway in enumerate(PATHWAYS)
            }
    return PathwayReport(figures, len(gone), generation, time.perf_counter() - start)


def pathways_right(
    predictor: Predictor, view: BankView, queries: Encoded, records: Sequence[Record]
) -> BoolArray:
    """(3, Q) bool, whether each query is answered rightly by both pathways ("full"), by the image
    alone (exemplar = ∅) and by the memory alone (image tokens = ∅).

    The memory alone: the same exemplars answer with the same shares, the null anchor's too. The
    anchor's pass then has neither pathway: it says what the model holds likely of any image, so
    that where the anchor has most of the share, the memory alone knows little.
    """
    candidates = find_candidates(predictor, view, queries.keys, predictor.config.k)
    everybody = candidates.with_null(torch.ones_like(candidates.rows, dtype=torch.bool))[:, None]
    nobody = torch.zeros_like(everybody)
    members = torch.cat([everybody, nobody], dim=1)
    mixes = shares(candidates.similarity, members, predictor.config)
    seeing = answers(predictor, queries.features, candidates, mixes)
    blind = answers(predictor, queries.features, candidates, mixes[:, :1], drop_image=True)
    labels = torch.tensor([record.label for record in records])
    said = torch.cat([seeing, blind], dim=1).argmax(dim=2)
    right: BoolArray = (said == labels[:, None]).T.numpy()
    return right


def _accuracy(correct: int, n: int, of: int) -> PathwayAccuracy:
    from scipy.stats import binomtest  # slow to import, and nothing else of a session needs it

    interval = binomtest(correct, n).proportion_ci(method="wilson")
    return PathwayAccuracy(
        100 * correct / n, (100 * float(interval.low), 100 * float(interval.high)), n, of
    )
