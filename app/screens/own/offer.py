"""What was found in the chosen images, and what a training would make of them."""

from functools import partial

import streamlit as st

from app.components.training_offer import class_bars, left_out, parts_bar
from app.session import state, state_keys, trainings
from app.session.background import Background
from app.shared.job_words import stage_words
from app.shared.work import watched
from app.words.foreign import escaped
from app.words.phrases import count
from munkey_core.jobs import own_data
from munkey_core.jobs.offer import TrainingOffer

_ENCODERS = {
    "conv": "a small network, trained here on the public part of your images",
    "efficientnet_lite0": "a network that knows everyday photographs (ImageNet), used as it is",
    "resnet18": "a network that knows everyday photographs (ImageNet), used as it is",
    "vit_b_16": "a large network that knows everyday photographs (ImageNet), used as it is",
}


def find_out(source: str, label: str) -> tuple[TrainingOffer | None, bool]:
    """What is known about these images, and whether they can't be used; until it is known, the
    progress is on the screen."""
    kept = st.session_state.get(state_keys.OWN_OFFER)
    if kept is None or kept[0] != source or kept[1].stopped:
        if kept is not None:
            kept[1].stop()
        look = partial(own_data.offer, source, trainings.suggested_name(label))
        kept = source, Background(look, "own-offer")
        st.session_state[state_keys.OWN_OFFER] = kept
    job: Background[TrainingOffer] = kept[1]
    job.wait()
    if not job.finished:
        with st.container(border=True, key="own-looking"):
            st.markdown(f"**Looking at {escaped(label)}**")
            watched(job, lambda: _progress(job))
    elif job.result is None:
        # The reason may name the file by its path on the server, which is nobody's business.
        reason = job.error.replace(source, label)
        st.error(f"These images can’t be used: {escaped(reason)}")
        st.button("Look again", icon=":material/refresh:", on_click=look_again, key="own-again")
    return job.result, job.finished and job.result is None


def look_again() -> None:
    """Read the images anew: they may have changed."""
    kept = st.session_state.pop(state_keys.OWN_OFFER, None)
    if kept is not None:
        kept[1].stop()


def facts(offer: TrainingOffer) -> None:
    """Everything that is known about the images and what becomes of them."""
    with st.container(border=True, key="own-facts"):
        st.html(f'<div class="mk mk-sum">{_found(offer)}<small>{_how(offer)}</small></div>')
        if offer.warnings:
            lines = "\n".join(f"- {escaped(warning)}" for warning in offer.warnings)
            st.warning(lines)
        if offer.skipped:
            n = len(offer.skipped)
            are = "is" if n == 1 else "are"
            with st.expander(f"{count(n, 'file')} {are} left out", icon=":material/block:"):
                st.html(left_out(offer.skipped))
        st.markdown("**Images by class**")
        st.html(class_bars(offer.classes))
        st.markdown("**What becomes of them**")
        st.html(parts_bar(offer.parts))


def encoder_words(name: str) -> str:
    """What looks at the images, for people."""
    return _ENCODERS.get(name, name)


def _found(offer: TrainingOffer) -> str:
    return f"{count(offer.images, 'image')} in {count(len(offer.classes), 'class', 'classes')}"


def _how(offer: TrainingOffer) -> str:
    if offer.owners is None:
        owners = "the data names no owners"
    else:
        owners = f"of {count(offer.owners, 'owner')}"
    colour = "grey" if offer.grey else "in colour"
    return f"{colour}, brought to {offer.image_size} × {offer.image_size} pixels; {owners}"


def _progress(job: Background[TrainingOffer]) -> None:
    progress, text = job.progress, "Starting"
    if progress is not None:
        text = escaped(stage_words(progress.stage))
        text += f": {progress.done:,} of {progress.total:,}" if progress.total > 1 else " …"
    st.progress(job.fraction, text=text)
    st.button("Stop", on_click=_stop, args=(job,), key="own-stop")


def _stop(job: Background[TrainingOffer]) -> None:
    job.stop()
    state.change("data", "")
