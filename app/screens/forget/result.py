"""What a deletion changed: the deleted images first, then everybody else, as it becomes known."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from app.components.prediction import card, legend, percent
from app.session import services, state
from app.session.consequences import Consequences
from app.session.services import Session
from app.shared import near
from app.shared.answers import (
    Retrained,
    counted,
    neighbours,
    retrained_answers,
    series_of,
    share_of,
)
from app.shared.ask import link
from app.shared.leak import backbone_leak
from app.shared.new_answers import compact, others, paged, progress
from app.shared.retrain import retrain_panel
from app.shared.sections import looking
from app.shared.whole_class import about_whole_classes
from app.shared.without_pictures import blind_cards, has_pictures
from app.shared.work import watched
from app.words.foreign import escaped
from app.words.glossary import term
from app.words.phrases import count, milliseconds
from munkey_core.model.side_effects import Change, SideEffects

_ALL_AS_CARDS = 6
_CARDS_OF_MANY = 4


def result(session: Session, job: Consequences) -> None:
    """Show what is known; as long as it is not everything, look again every moment."""
    _headline(session, job)
    near.warning(session, job.deletion.ids, deleted=True)
    about_whole_classes(session, session.studio.memory.forgotten)
    job.wait()
    watched(job, lambda: _show(session, job), watching=not job.finished)


def _show(session: Session, job: Consequences) -> None:
    if job.error and not job.changes and not has_pictures(session):
        _known_without(session, job)
        return
    if job.predicted or (job.stopped and job.changes):
        changed = sorted(job.changes, key=lambda change: change.shift)
        _deleted_images(session, changed, job.deletion.generation)
    if has_pictures(session):  # without them nothing can be trained, as the page says already
        retrain_panel(session, session.studio.memory.forgotten)
    _side_effects(session, job)
    _what_remains(session)


def _known_without(session: Session, job: Consequences) -> None:
    """The deleted images and who answers for them now, where nothing new can be predicted."""
    ids = job.deletion.ids
    if len(ids) > _ALL_AS_CARDS:
        st.caption(f"The first {_CARDS_OF_MANY} of {len(ids):,} deleted images:")
        ids = ids[:_CARDS_OF_MANY]
    blind_cards(session, ids)
    st.caption(
        "Which of the other images get another answer now can't be told without the pictures. "
        "Ready-made sets have stored reports: see Privacy and Compare."
    )
    _what_remains(session)


# -- the deleted images --------------------------------------------------------------------------


def _headline(session: Session, job: Consequences) -> None:
    deletion = job.deletion
    with st.container(horizontal=True, vertical_alignment="center", key="result-head"):
        st.html(
            f'<div class="mk mk-sum" role="status">{count(len(deletion.ids), "key")} deleted in '
            f"{escape(milliseconds(deletion.milliseconds))}</div>",
            width="stretch",
        )
        if not state.hidden("history"):
            st.button(
                "Undo",
                icon=":material/undo:",
                key="undo-newest",
                on_click=services.undo,
                args=(len(session.studio.memory.history) - 1,),
            )


def _deleted_images(session: Session, changed: list[Change], generation: int) -> None:
    retrained = retrained_answers(session)
    if len(changed) > 1:
        st.html(f'<div class="mk mk-sum">{_summary(changed, retrained)}</div>')
    if retrained is not None:
        st.markdown(_agreement(session, changed, retrained))
    st.html(legend(series_of(changed[0], retrained)))
    big = changed if len(changed) <= _ALL_AS_CARDS else changed[:_CARDS_OF_MANY]
    if len(big) < len(changed):
        st.caption(f"The {len(big)} that changed most:")
    cards = "".join(_card(session, change, retrained) for change in big)
    st.html(f'<div class="mk-cards">{cards}</div>')
    _why(changed[0], len(changed))
    rest = changed[len(big) :]
    if rest:
        paged(
            f"rest-{generation}",
            f"The other {len(rest):,}, most changed first (probability of the true class)",
            rest,
            lambda change: compact(session, change, retrained),
        )


def _why(most: Change, n: int) -> None:
    label = "Why? Look inside this answer" if n == 1 else "Why? Look inside the one changed most"
    with st.container(horizontal=True, vertical_alignment="center", key="why-deleted"):
        link(label, ":material/search_insights:", "explain", most.id, "result-why")
        looking("prediction", where="-deleted")


def _summary(changed: Sequence[Change], retrained: Retrained | None) -> str:
    flipped = sum(change.flipped for change in changed)
    truth = {name: percent(mean) for name, mean in counted(changed, retrained).truth.items()}
    oracle = f"; retrained: {truth['retrained']}" if retrained is not None else ""
    taken = f"{'is' if flipped == 1 else 'are'} now taken for something else"
    return (
        f"{flipped:,} of {len(changed):,} forgotten images {taken}."
        f"<small>Mean probability of the true class: {truth['before']} → {truth['after']}"
        f"{oracle}.</small>"
    )


def _agreement(session: Session, changed: Sequence[Change], retrained: Retrained) -> str:
    """How close deleting came to what it stands for: a model that never saw these images."""
    n = len(changed)
    agree = sum(int(c.after.argmax() == retrained[c.id].argmax()) for c in changed)
    gap = float(np.mean([abs(c.after[c.label] - retrained[c.id][c.label]) for c in changed]))
    rounded = round(100 * gap)
    points = count(rounded, "percentage point") if rounded else "less than 1 percentage point"
    model = f"A model **{term('oracle', 'retrained')} without {_all_forgotten(session)}**"
    if n == 1:
        verdict = "gives the same answer" if agree else "gives another answer"
        return f"{model} {verdict}; the true class's probability differs by {points}."
    return (
        f"{model} gives the same answer on **{agree:,} of {n:,}**; the true class's probability "
        f"differs by {points} on average."
    )


def _all_forgotten(session: Session) -> str:
    total = len(session.studio.memory.forgotten)
    newest = len(session.studio.memory.history[-1].ids)
    if total > newest:
        return f"all {total:,} deleted images"
    return "it" if total == 1 else "them"


def _card(session: Session, change: Change, retrained: Retrained | None) -> str:
    own = share_of(change.id, change.neighbours_before, change.weights_before)
    before, after = change.before[change.label], change.after[change.label]
    name = session.studio.about.classes[change.label]
    oracle = f", retrained {percent(retrained[change.id][change.label])}" if retrained else ""
    return card(
        session.pictures.uri(change.id),
        session.whose(change.id),
        session.studio.about.classes,
        change.label,
        series_of(change, retrained),
        f"{name}: {percent(before)} → {percent(after)}{oracle}. "
        f"Before, its own key gave {percent(own)} of the answer.",
        neighbours(session, change.neighbours_after, change.weights_after),
    )


# -- everybody else ------------------------------------------------------------------------------


def _side_effects(session: Session, job: Consequences) -> None:
    if job.predicted:
        st.markdown("**And everybody else?**")
    effects = job.side_effects
    if effects is not None:
        _found(session, effects)
    elif job.error:
        st.error(f"The other images could not be checked: {escaped(job.error)}")
    elif job.stopped:
        done, wanted = len(job.changes), len(job.deletion.ids)
        what = (
            "the other images were not all checked"
            if job.predicted
            else f"{done:,} of {wanted:,} deleted images were checked, and none of the others"
        )
        st.info(f"Stopped: {what}. Undo and delete again to check all.")
    else:
        progress(job)


def _found(session: Session, effects: SideEffects) -> None:
    st.markdown(
        f"**{len(effects.retain):,} of {effects.retain_checked:,}** other training images "
        f"({term('retain-set', 'retain set')}) and **{len(effects.test):,} of "
        f"{effects.test_checked:,}** {term('test-images', 'test images')} get another answer now."
    )
    touched = effects.retain_touched + effects.test_touched
    st.caption(
        f"{count(touched, 'image')} lost a neighbour and {'was' if touched == 1 else 'were'} "
        f"asked again, in {effects.seconds:.1f} s; no other can have changed."
    )
    others(session, effects)


# -- the truth about it --------------------------------------------------------------------------


def _what_remains(session: Session) -> None:
    """Deleting keys is not the whole of forgetting, and the page says so beside every result."""
    if session.studio.about.mode == "exact":
        st.caption(
            "**What remains:** nothing, in this memory. The network was trained on public images "
            "only, and each image was written into the memory alone: what is left is, byte for "
            "byte, what there would be had these images never been written. So *retrained without "
            "it* is *key deleted*. A model that never saw these images still recognises many of "
            "them, so don't expect every answer to turn."
        )
        return
    st.caption(
        f"**What remains:** the network's {term('shared-weights', 'shared weights')} were trained "
        "while these images were in the memory, and deleting keys does not change them. "
        f"{backbone_leak(session)} A model that never saw these images would still recognise many "
        "of them, so don't expect every answer to turn."
    )
