"""The training of a person's own model: where it stands, and the model when it is done.

Found by the model's name, which stands in the link: after a turn of pages, a reload, or in
another browser the same training is there.
"""

from html import escape

import streamlit as st

from app.components.training_offer import Step, class_bars, parts_bar, steps
from app.screens.own.offer import look_again
from app.session import models, services, state, state_keys, trainings
from app.session.pages import turn_to
from app.shared.changed import polled
from app.shared.job_words import stage_words, where
from app.shared.jobs_note import training_seen, want_training
from app.words.foreign import escaped, quoted
from app.words.phrases import count, duration
from munkey_core.errors import MunkeyError
from munkey_core.jobs.offer import TrainingOffer
from munkey_core.jobs.queue import JobStatus

_POLL = 1.0
_REFUSED = state_keys.REFUSED + "own-again"


def training(name: str) -> None:
    """Draw the training of the model of this name, in whatever state it is."""
    status = trainings.status(name)
    active = status is not None and status.active
    if status is not None and active and status.mine:
        want_training(name)
    elif not active:
        training_seen(name)
    left, right = st.columns([58, 42], gap="medium")
    with left, st.container(border=True, key="own-training"):
        if active:
            polled(_running, seconds=_POLL)(name)
        elif trainings.ready(name):
            _ready(name, status)
        else:
            _ended(name, status)
    with right:
        offer = trainings.offered(name)
        if offer is not None:
            _made_of(offer)


def others_under_way() -> None:
    """Trainings that somebody has started on this server, each with a way to see it."""
    for name in trainings.under_way():
        with st.container(horizontal=True, vertical_alignment="center", key=f"own-other-{name}"):
            st.markdown(f":material/model_training: **{escaped(name)}** is being trained.")
            there = "training", name
            st.button("See how far it is", on_click=state.change, args=there, key=f"own-see-{name}")


def leave() -> None:
    """Back to choosing images."""
    state.change("training", "")


def choose_others() -> None:
    """Back to choosing, with nothing chosen."""
    leave()
    look_again()
    state.change("data", "")


# -- its states ----------------------------------------------------------------------------------


def _running(name: str) -> None:
    status = trainings.status(name)
    if status is None or not status.active:
        st.rerun()  # Draws the page once more, without the timer.
    st.html(f'<div class="mk mk-sum">{_headline(name, status)}</div>')
    st.progress(min(1.0, status.fraction), text=where(status))
    offer = trainings.offered(name)
    if offer is not None and offer.stages:
        st.html(steps(_steps(offer, status)))
    if status.mine:
        st.button("Cancel the training", on_click=trainings.cancel, args=(name,), key="own-cancel")
        st.caption("It goes on while you are elsewhere. Cancelling removes what it has begun.")
    else:
        st.caption("Somebody else on this server asked for it; you can open the model, too.")


def _headline(name: str, status: JobStatus) -> str:
    what = "waits for its turn" if status.state == "queued" else "is being trained"
    return f"{escape(name)} {what}"


def _steps(offer: TrainingOffer, status: JobStatus) -> list[Step]:
    """The stages, as far as they are known beforehand; one that nobody foresaw changes nothing."""
    progress = status.progress if status.state == "running" else None
    names = [stage for stage, _ in offer.stages]
    place = names.index(progress.stage) if progress and progress.stage in names else -1
    now = _group(names[place]) if place >= 0 else ""
    seconds: dict[str, float] = {}
    for stage, took in offer.stages:
        seconds[_group(stage)] = seconds.get(_group(stage), 0.0) + took
    groups = list(seconds)
    at = groups.index(now) if now else -1
    found = []
    for i, group in enumerate(groups):
        if i > at:
            note = f"about {duration(seconds[group])}" if seconds[group] >= 1 else ""
            found.append(Step(group, "to come", note))
        else:
            found.append(Step(group, "done" if i < at else "now"))
    return found


def _group(stage: str) -> str:
    """What the list of steps calls a stage: those of the maps are one step."""
    if stage in ("starting", "planning"):
        return "Getting ready"
    return "Making the memory map" if stage.endswith(("keys", "tokens")) else stage_words(stage)


def _ready(name: str, status: JobStatus | None) -> None:
    took = f" Its training took {duration(status.seconds)}." if status and status.seconds else ""
    st.html(
        f'<div class="mk mk-sum">{escape(name)} is ready<small>Open it, delete a key, and watch it '
        f"forget.{took}</small></div>"
    )
    with st.container(horizontal=True):
        if st.button("Open the model", type="primary", icon=":material/key:", key="own-open"):
            _open(name)
        st.button("Train another one", on_click=choose_others, key="own-another")


def _ended(name: str, status: JobStatus | None) -> None:
    if status is None:
        st.info(
            f"This server knows of no training of {quoted(name)}: it may have been started "
            "anew since, which ends what was not finished."
        )
    elif status.state == "failed":
        st.error(f"The training of {quoted(name)} failed: {escaped(status.reason)}")
    elif status.state == "cancelled":
        st.info(f"The training of {quoted(name)} was cancelled; nothing of it is left.")
    else:
        st.error(
            f"The training of {quoted(name)} ended, but the model can’t be opened: it may "
            "have been removed since."
        )
    refused = st.session_state.pop(_REFUSED, "")
    if refused:
        st.error(f"The training was not started: {escaped(refused)}")
    offer = trainings.offered(name)
    with st.container(horizontal=True):
        if offer is not None:
            st.button(
                "Start again",
                icon=":material/refresh:",
                on_click=_again,
                args=(offer,),
                key="own-restart",
            )
        st.button("Back to the images", on_click=leave, key="own-back")


def _again(offer: TrainingOffer) -> None:
    status = trainings.status(offer.name)
    if status is not None and status.active:
        return  # The second click of a double one.
    try:
        trainings.start(offer, offer.name)
    except MunkeyError as error:
        st.session_state[_REFUSED] = str(error)
    state.touch()


def _open(name: str) -> None:
    models.bundles.clear()  # The list is some seconds old; the model may be younger.
    state.change("bundle", name)
    services.other_model()
    choose_others()
    turn_to("forget")


def _made_of(offer: TrainingOffer) -> None:
    with st.container(border=True, key="own-made-of"):
        st.markdown(f"**From {count(offer.images, 'image')} of {escaped(offer.title)}**")
        st.html(class_bars(offer.classes))
        st.html(parts_bar(offer.parts))
