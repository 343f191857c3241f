"""Where the trace of a forget set lies: in the memory, or in the shared weights (METHOD.md §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt

from munkey_core.audit.figures import Table
from munkey_core.audit.membership.metrics import auroc
from munkey_core.audit.membership.resampling import interval_of_share
from munkey_core.errors import BadInputError
from munkey_core.results import BoolArray
from munkey_core.training.answers import Outputs, Verdicts


@dataclass(frozen=True)
class BackboneLeak:
    """What key deletion can't remove: accuracy of the image pathway alone (exemplar = ∅) on the
    forget set minus the same on test, in points, mean over seeds.

    ci95: over images; None where they have no spread. oracle_points: the same difference in the
    oracles, which never saw the forget images: how much easier than test images they are.
    excess_points, excess_ci95: leak minus oracle_points, paired by image.
    """

    points: float
    ci95: tuple[float, float] | None
    oracle_points: float
    excess_points: float
    excess_ci95: tuple[float, float] | None


@dataclass(frozen=True)
class LeakSplit:
    """Where the trace of the forget set lies, mean over seeds.

    memory_accuracy, memory_mia: what deleting the keys takes away, forget accuracy and MIA AUROC
    before minus after, in points. image_mia: AUROC (percent) of the attack on the image pathway
    alone, which deletion leaves as it is, with its interval, None for a single image;
    image_mia_oracle: the same in the oracles. backbone: None without an oracle.
    """

    memory_accuracy: float
    memory_mia: float
    image_mia: float
    image_mia_ci95: tuple[float, float] | None
    image_mia_oracle: float | None
    backbone: BackboneLeak | None


_Correct = npt.NDArray[np.float64]


def leak_split(
    table: Table,
    before: Sequence[Outputs],
    after: Sequence[Outputs],
    oracle: Sequence[Outputs] | None,
) -> LeakSplit:
    """Where the trace lies. oracle: None if no model was retrained, with the split's backbone
    and image_mia_oracle then None."""
    forget = table.forget

    def attack(forgotten: Verdicts, test: Verdicts) -> float:
        return 100 * auroc(forgotten.truth, test.truth)

    def memory(outputs: Outputs) -> tuple[float, float]:
        own, _, test = table.parts(outputs)
        return 100 * float(own.correct.mean()), attack(own, test)

    removed = [np.subtract(memory(b), memory(a)) for b, a in zip(before, after, strict=True)]
    image = [_image_pathway(outputs, forget) for outputs in after]
    bounds = [
        interval_of_share(
            attack(*pair),
            100 * table.resamples.areas(*pair),
            min(len(verdicts.truth) for verdicts in pair),
        )
        for pair in image
    ]
    known = [pair for pair in bounds if pair is not None]
    against = [_image_pathway(outputs, forget) for outputs in oracle or ()]
    return LeakSplit(
        memory_accuracy=fmean(float(r[0]) for r in removed),
        memory_mia=fmean(float(r[1]) for r in removed),
        image_mia=fmean(attack(*pair) for pair in image),
        image_mia_ci95=(fmean(low for low, _ in known), fmean(high for _, high in known))
        if known
        else None,
        image_mia_oracle=fmean(attack(*pair) for pair in against) if against else None,
        backbone=backbone_leak(
            [(f.correct.astype(float), t.correct.astype(float)) for f, t in image],
            [(f.correct.astype(float), t.correct.astype(float)) for f, t in against],
        )
        if against
        else None,
    )


def _image_pathway(outputs: Outputs, forget: BoolArray) -> tuple[Verdicts, Verdicts]:
    if outputs.image_private is None or outputs.image_test is None:
        raise BadInputError("the image pathway of this model was not evaluated")
    return outputs.image_private[forget], outputs.image_test


def backbone_leak(
    model: list[tuple[_Correct, _Correct]], oracle: list[tuple[_Correct, _Correct]]
) -> BackboneLeak:
    """The leak with its interval. Each list: per seed, correctness (0 or 1) of the image pathway
    alone on each forget image and each test image, in one order for all seeds.

    Images are the units: correctness is averaged over seeds first, then the normal interval of a
    difference of two means is taken over images.
    """
    forget, test = (np.mean([pair[i] for pair in model], axis=0) for i in (0, 1))
    forget_o, test_o = (np.mean([pair[i] for pair in oracle], axis=0) for i in (0, 1))
    points, ci95 = accuracy_difference(forget, test)
    oracle_points, _ = accuracy_difference(forget_o, test_o)
    excess, excess_ci95 = accuracy_difference(forget - forget_o, test - test_o)
    return BackboneLeak(points, ci95, oracle_points, excess, excess_ci95)


def accuracy_difference(a: _Correct, b: _Correct) -> tuple[float, tuple[float, float] | None]:
    """100 · (mean a − mean b), in points, with its normal 95% interval. a, b: correctness of each
    image of two disjoint groups, 0 to 1.

    None instead of an interval where there is no spread to tell it from: a single image, or images
    that are all alike.
    """
    points = 100 * float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2 or a.var() + b.var() == 0:
        return points, None
    half = 196 * float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return points, (points - half, points + half)
