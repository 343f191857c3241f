"""The measured part of an image's trace that deleting its key does not remove."""

from app.session.services import Session
from app.words.figures import signed
from app.words.glossary import term
from app.words.phrases import count
from munkey_core.audit.audit import AuditReport
from munkey_core.audit.leak import BackboneLeak


def backbone_leak(session: Session) -> str:
    """The measured leak in sentences, with its interval; empty if it was not measured.

    Of exactly the images that this session has forgotten, if that was ever audited; else of the
    bundle's main audit. The forget images of a measurement may be easier than test images, so what
    counts is the excess over models that never saw them. Empty in an exact mode: there is none.
    """
    if session.studio.about.mode == "exact":
        return ""
    found = session.remember("leak", lambda: _measured(session))
    if found is None or found.leak is None or found.leak.backbone is None:
        return ""
    leak = found.leak.backbone
    return (
        f"Measured by deleting {count(found.n_forget, 'image')} and retraining without them "
        f"{count(len(found.seeds), 'time')} ({term('backbone-leak', 'backbone leak')}): with the "
        f"memory left out, the network is right on them {_points(leak.points)} more often than on "
        f"test images; models that never saw them, {_points(leak.oracle_points)}. "
        f"The trace is the difference, {_points(leak.excess_points)}{_interval(leak)}."
    )


def _measured(session: Session) -> AuditReport | None:
    studio = session.studio
    own = studio.audit.report(studio.memory.forgotten) if studio.memory.forgotten else None
    if own is not None and own.leak is not None and own.leak.backbone is not None:
        return own
    return studio.audit.main_report()


def _points(value: float) -> str:
    return f"{signed(value)} percentage points"


def _interval(leak: BackboneLeak) -> str:
    if leak.excess_ci95 is None:
        return ""
    low, high = leak.excess_ci95
    verdict = ": none that this measurement can tell from zero" if low <= 0 <= high else ""
    return f" (95 % interval {signed(low)} to {signed(high)}){verdict}"
