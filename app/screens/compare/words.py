"""A comparison in words: what its figures say, where MUNKEY isn't ahead, what can't be told.

Every sentence follows from the report by `audit.verdict`: who is closer by a test over seeds and
images, what is like a retrained model by one over trainings. Where a gap lies beside the null band
is told, and nothing is concluded from it.
"""

from app.words.figures import number, times, took
from app.words.foreign import escaped
from app.words.phrases import count
from munkey_core.audit import verdict
from munkey_core.audit.audit import AFTER, BEFORE, PLAIN_BEFORE, PLAIN_ORACLE, AuditReport
from munkey_core.audit.figures import ModelFigures

FAMILIES = {
    "by-design": "by design",
    "post-hoc": "repaired afterwards (post-hoc)",
    "oracle": "retrained (oracle)",
    "original": "nothing forgotten",
}
_TITLES = {
    BEFORE: "MUNKEY before deletion",
    AFTER: "MUNKEY, keys deleted",
    PLAIN_BEFORE: "Plain, nothing done",
    PLAIN_ORACLE: "Plain retrained",
}
_LITTLE = 1.5  # The plain model off by less than so many null bands: there is little to repair.


def title(name: str) -> str:
    """A row's name for people."""
    return _TITLES.get(name, name.removesuffix(" after"))


def contenders(report: AuditReport, family: str) -> dict[str, ModelFigures]:
    """The rows of a family that have a gap, the smallest first, MUNKEY's own left out."""
    found = {
        name: figures
        for name, figures in report.models.items()
        if figures.family == family and figures.avg_gap is not None and name != AFTER
    }
    return dict(sorted(found.items(), key=lambda item: item[1].avg_gap or 0.0))


def headline(report: AuditReport) -> str:
    """How far MUNKEY is from its retrained twin, beside the twins of other seeds."""
    own = report.models.get(AFTER)
    if own is None:
        return "This report has no figures of MUNKEY after deletion."
    if own.avg_gap is None:
        return (
            "Nobody has retrained MUNKEY without these images yet, so nobody knows how far off "
            "deletion is."
        )
    if verdict.by_construction(own):
        return f"**MUNKEY, keys deleted: {verdict.construction(own)}.** No gap was measured."
    text = f"After deletion MUNKEY is off its retrained twin by **{_points(own)}** on average"
    band, cross = report.band_of(own), own.avg_gap_cross_seeds
    if band is None or cross is None:
        return (
            f"{text}. With {count(len(report.seeds), 'seed')} nobody knows by how much two honest "
            "retrainings differ on this set: **small differences mean nothing here.**"
        )
    text += (
        f". Two twins from different seeds differ by {number(band.mean)} ({number(band.low)} to "
        f"{number(band.high)}); MUNKEY off twins from other seeds: "
        f"{verdict.against_band(report, own)}. "
    )
    return text + f"**{verdict.trainings_say(report, own)}.**"


def repairs(report: AuditReport) -> str:
    """The best post-hoc method beside MUNKEY, ranked only where the figures allow it."""
    found = contenders(report, "post-hoc")
    if not found:
        return "No repair method (post-hoc) has been run on this set yet."
    name, best = next(iter(found.items()))
    who = f"The best of {count(len(found), 'repair method')}" if len(found) > 1 else "The one"
    text = (
        f"{who}{' repair method here' if len(found) == 1 else ''}, **{_named(name)}**, leaves the "
        f"plain transformer off *its* retrained twin by **{_points(best)}**"
    )
    own = report.models.get(AFTER)
    known = own is not None and own.avg_gap is not None
    return text + (_verdict(report, AFTER, name) if known else ".")


def _verdict(report: AuditReport, own_name: str, name: str) -> str:
    own, other = report.models[own_name], report.models[name]
    if verdict.by_construction(own):
        return f"; MUNKEY's {verdict.construction(own)}."
    for closer, further, who in (
        (own_name, name, "MUNKEY"),
        (name, own_name, "the repaired model"),
    ):
        if verdict.clearly_closer(report, closer, further):
            return f". By a test over seeds and images **{who} is closer to retraining.**"
    if len(own.per_seed) < verdict.SEEDS_TO_RANK or len(other.per_seed) < verdict.SEEDS_TO_RANK:
        return (
            f". With {count(len(report.seeds), 'seed')} **neither can be called closer**: that "
            f"takes a test over {verdict.SEEDS_TO_RANK} seeds or more."
        )
    return ". A test over seeds and images doesn't order them: **neither can be called closer.**"


def little_to_repair(report: AuditReport) -> str:
    """How far off the plain transformer is if nobody does anything; empty if unknown."""
    idle = report.models.get(PLAIN_BEFORE)
    if idle is None or idle.avg_gap is None:
        return ""
    text = f"With nothing done at all the plain transformer is off by {_points(idle)}"
    band, cross = report.band_of(idle), idle.avg_gap_cross_seeds
    if band is not None and cross is not None and cross <= _LITTLE * band.high:
        return (
            f"{text}, hardly more than honest retrainings differ (at most {number(band.high)}): it "
            "has memorised little of these images, so there is little to repair."
        )
    return text + "."


def not_ahead(report: AuditReport) -> list[str]:
    """Where another row is better than MUNKEY, and what its deletion is not."""
    own = report.models.get(AFTER)
    if own is None:
        return []
    lines = [*_exact_ones(report, own), *_more_accurate(report, own), *_faster(report, own)]
    lines += _told_apart(report, own)
    lines.append(
        "This is the exact mode: the shared weights saw public images only, so MUNKEY retrained "
        "without these images is MUNKEY with their keys deleted, by construction."
        if own.exact
        else "Deleting keys is not exact unlearning: the shared weights were trained while these "
        "images were in the memory, and stay as they are."
    )
    return lines


def _told_apart(report: AuditReport, own: ModelFigures) -> list[str]:
    """Whether the forgetting-quality score tells MUNKEY from its oracle, and how many others."""
    quality = own.forgetting_quality
    if quality is None or not _below_null(own):
        return []
    others = contenders(report, "post-hoc")
    alike = sum(_below_null(figures) for figures in others.values())
    too = f", as it does {alike} of {count(len(others), 'repair method')}" if others else ""
    return [
        f"The forgetting-quality score tells MUNKEY from its retrained twin{too}: "
        f"{quality.score:.2f}, where two models that can be exchanged give {quality.null_low:.2f} "
        "or more in 95 of 100 cases. It looks at single images, where honest retrainings differ "
        "among themselves too."
    ]


def _below_null(figures: ModelFigures) -> bool:
    quality = figures.forgetting_quality
    return quality is not None and quality.score < quality.null_low


def _exact_ones(report: AuditReport, own: ModelFigures) -> list[str]:
    """By-design methods that forget exactly, and what their accuracy is."""
    lines = []
    for name, other in contenders(report, "by-design").items():
        if other.exact:
            text = f"**{_named(name)}** forgets exactly, by construction"
        elif own.avg_gap is not None and verdict.clearly_closer(report, name, AFTER):
            text = f"**{_named(name)}** is closer to its retrained twin ({_points(other)})"
        else:
            continue
        lines.append(
            f"{text}; it is right on {_percent(other, 'test_accuracy')} of the test images, "
            f"MUNKEY on {_percent(own, 'test_accuracy')}."
        )
    return lines


def _more_accurate(report: AuditReport, own: ModelFigures) -> list[str]:
    rivals = {
        name: f for name, f in report.models.items() if f.family != "original" and name != AFTER
    }
    if not rivals:
        return []
    name = max(rivals, key=lambda one: rivals[one].test_accuracy)
    best = rivals[name]
    if best.test_accuracy <= own.test_accuracy:
        return []
    bounds = best.ci95.get("test_accuracy"), own.ci95.get("test_accuracy")
    apart = bounds[0] is not None and bounds[1] is not None and bounds[0][0] > bounds[1][1]
    surely = "" if apart else ", a difference inside the 95 % intervals"
    return [
        f"Most test images are got right by **{_named(name)}**: "
        f"{_percent(best, 'test_accuracy')}, MUNKEY {_percent(own, 'test_accuracy')}{surely}."
    ]


def _faster(report: AuditReport, own: ModelFigures) -> list[str]:
    timed = {
        name: f.unlearn_seconds
        for name, f in report.models.items()
        if f.unlearn_seconds is not None and f.family != "oracle" and name != AFTER
    }
    if not timed or own.unlearn_seconds is None:
        return []
    name = min(timed, key=lambda one: timed[one])
    if timed[name] * 2 > own.unlearn_seconds:  # Less is no more than a busy machine.
        return []
    return [
        f"**{_named(name)}** is faster: {took(timed[name])} "
        f"({verdict.operation(name, report.models[name])}) against {took(own.unlearn_seconds)} "
        f"({verdict.operation(AFTER, own)})."
    ]


def speed(report: AuditReport) -> str:
    """How long deletion takes beside retraining; empty if either is unknown."""
    own = report.models.get(AFTER)
    oracle = report.models.get(own.oracle or "") if own else None
    if own is None or oracle is None or not own.unlearn_seconds or not oracle.unlearn_seconds:
        return ""
    factor = oracle.unlearn_seconds / own.unlearn_seconds
    text = (
        f"Hiding the keys in a view took {took(own.unlearn_seconds)}, retraining "
        f"{took(oracle.unlearn_seconds)}"
    )
    text = f"{text}: {times(factor)} times as long." if factor > 2 else f"{text}."
    return f"{text} Erasing them from the files is another operation, and was not timed here."


def basis(report: AuditReport) -> str:
    """n, seeds and device, as a caption."""
    return (
        f"{count(report.n_forget, 'image')} forgotten, {report.n_retain:,} retained, "
        f"{report.n_test:,} test images; {count(len(report.seeds), 'seed')} "
        f"({', '.join(map(str, report.seeds))}); trained on {escaped(report.device)}."
    )


def _named(name: str) -> str:
    """A row's name as Markdown: a report may come with a bundle from elsewhere."""
    return escaped(title(name))


def _points(figures: ModelFigures) -> str:
    gap = number(figures.avg_gap or 0.0, figures.ci95.get("avg_gap"))
    return f"{gap} percentage points"


def _percent(figures: ModelFigures, term: str) -> str:
    return f"{number(getattr(figures, term), figures.ci95.get(term))} %"
