"""What erasing a request's images would change, measured while they are still there.

Afterwards nobody can measure it: the images are gone. So what is known when somebody erases goes
into the report of the request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from app.components.prediction import percent
from app.session.background import Background
from app.session.consequences import Consequences
from app.session.services import Session
from app.shared import attacks as words
from app.shared.answers import Retrained, counted, retrained_answers
from app.shared.job_words import RETRAIN
from app.shared.new_answers import compact, others, paged, progress
from app.shared.retrain import retrain_panel
from app.shared.without_pictures import has_pictures
from app.shared.work import watched, work
from app.words.foreign import escaped
from munkey_core.audit.privacy import PrivacyReport
from munkey_core.erasure.plan import ErasurePlan
from munkey_core.erasure.request_page import RequestEvidence
from munkey_core.model.side_effects import Change

_ANSWERS, _PRIVACY = "desk-answers", "desk-privacy"


@dataclass(frozen=True)
class Effect:
    """What is being found out about exactly the images that would go."""

    answers: Consequences | None
    privacy: Background[PrivacyReport] | None


def effect(session: Session, plan: ErasurePlan) -> Effect:
    """Start finding out, one after the other, and draw what is known."""
    if not has_pictures(session):
        st.caption("What the answers would be can't be worked out without the model's pictures.")
        return Effect(None, None)

    def ask() -> Consequences:
        probe = session.studio.session()
        return Consequences(probe, (probe.forget(plan.ids),))

    found = work(session, _ANSWERS, plan.ids, ask)
    job = found.begun()
    job.wait()
    watching = not job.finished
    watched(job, lambda: _show_answers(session, plan, job, found.start), watching)
    retrain_panel(session, plan.ids)
    return Effect(job, None if watching else _attackers(session, plan))


# -- answers -------------------------------------------------------------------------------------


def _show_answers(
    session: Session, plan: ErasurePlan, job: Consequences, again: Callable[[], None]
) -> None:
    if job.changes and (job.predicted or job.stopped):
        retrained = _retrained(session, plan)
        changes = sorted(job.changes, key=lambda change: change.shift)
        st.html(f'<div class="mk mk-sum">{_summary(changes, retrained)}</div>')
        paged(
            f"desk-answers-{hash(plan.ids)}",
            "Each image’s answer, before → after",
            changes,
            lambda change: compact(session, change, retrained),
            closed=True,
        )
    effects = job.side_effects
    if effects is not None:
        st.markdown(
            f"Of the others, **{len(effects.retain):,} of {effects.retain_checked:,}** in the "
            f"memory and **{len(effects.test):,} of {effects.test_checked:,}** test images would "
            "get another answer."
        )
        others(session, effects)
    elif job.error:
        st.caption(f"The answers could not be worked out: {escaped(job.error)}")
    elif job.stopped:
        st.caption("Stopped: the other images were not all checked.")
        st.button("Check again", key="desk-check-again", on_click=again)
    else:
        progress(job)


def _retrained(session: Session, plan: ErasurePlan) -> Retrained | None:
    """Answers of the model retrained without them. In an exact mode that is the model after
    deletion, and there is nothing to look up."""
    return None if session.studio.about.mode == "exact" else retrained_answers(session, plan.ids)


def _summary(changes: Sequence[Change], retrained: Retrained | None) -> str:
    found = counted(changes, retrained)
    steps = " → ".join(f"{found.right[name]:,}" for name in ("before", "after"))
    sure = " → ".join(percent(found.truth[name]) for name in ("before", "after"))
    if "retrained" in found.right:
        steps += f"; by a model retrained without them {found.right['retrained']:,}"
        sure += f"; retrained {percent(found.truth['retrained'])}"
    return (
        f"Recognised: {steps} of {found.n:,}<small>before → after. Mean probability of the true "
        f"class {sure}.</small>"
    )


# -- attackers -----------------------------------------------------------------------------------


def _attackers(session: Session, plan: ErasurePlan) -> Background[PrivacyReport] | None:
    studio, key = session.studio, (plan.ids, session.studio.jobs.done(RETRAIN, plan.ids))
    found = work(
        session, _PRIVACY, key, lambda: Background(lambda: studio.privacy.run(plan.ids), _PRIVACY)
    )
    found.begun()
    report = found.result(words.STAGES)
    if report is not None:
        attack = words.default_attack(report)
        if {"before", "after"} <= report.figures.get(attack, {}).keys():
            n = len(plan.ids)
            who = "the image" if n == 1 else f"one of the {n:,} images"
            st.html(words.sentence(report, attack, who))
            st.html(words.stats(report, attack))
            st.caption(f"{words.verdict(report, attack)} The attack: {attack}.".strip())
        if report.leak is not None:
            with st.expander("Where the trace lies"):
                st.markdown(words.leak_sentences(report.leak, studio.about.mode == "exact"))
    return found.job


# -- for the report ------------------------------------------------------------------------------


def still_measuring(found: Effect) -> bool:
    """Whether something is on its way that the report could tell."""
    jobs = (found.answers, found.privacy)
    return any(job is not None and not job.finished for job in jobs) or (
        found.answers is not None and found.answers.result is not None and found.privacy is None
    )


def evidence(session: Session, plan: ErasurePlan, found: Effect, reference: str) -> RequestEvidence:
    """What is known now. reference: how whoever handles the request names it."""
    studio, exact = session.studio, session.studio.about.mode == "exact"
    answers = None
    if found.answers is not None and found.answers.changes:
        changes = list(found.answers.changes)
        answers = counted(changes, _retrained(session, plan))
        if exact:  # by construction
            answers.right["retrained"] = answers.right["after"]
            answers.truth["retrained"] = answers.truth["after"]
    privacy = found.privacy.result if found.privacy is not None else None
    [owner] = plan.owners if len(plan.owners) == 1 else [""]
    return RequestEvidence(
        title=studio.about.title,
        reference=reference,
        asked=len(plan.ids) + len(plan.gone),
        gone=len(plan.gone),
        owners=len(plan.owners),
        whole_owner=bool(owner) and studio.memory.owners.get(owner) == len(plan.ids),
        owners_simulated=studio.about.owners_simulated,
        near_copies=len({pair.other for pair in plan.near_duplicates}),
        mode=studio.about.mode,
        answers=answers,
        others=found.answers.side_effects if found.answers is not None else None,
        attack=words.default_attack(privacy) if privacy is not None else "",
        privacy=privacy,
    )


def measured_words(found: Effect) -> str:
    """What the report will say of the figures, as a caption."""
    if still_measuring(found):
        return (
            "Still being measured: what isn't known when you erase can't be measured afterwards, "
            "and the report will do without it."
        )
    known = found.answers is not None and bool(found.answers.changes)
    return "These figures go into the report." if known else ""
