"""The new model's name, what its training takes, and the button that starts it."""

import streamlit as st

from app.screens.own.offer import encoder_words, look_again
from app.session import state, state_keys, trainings
from app.words.foreign import escaped, quoted
from app.words.phrases import duration
from munkey_core.errors import MunkeyError
from munkey_core.jobs.offer import TrainingOffer

_REFUSED = state_keys.REFUSED + "own-start"


def start_card(offer: TrainingOffer) -> None:
    """Name and start it; nothing can be started that has a problem, or a name that is taken."""
    with st.container(border=True, key="own-start-card"):
        st.markdown("**Your model**")
        name = _name(offer)
        is_taken = bool(name) and trainings.taken(name)
        if is_taken:
            st.error(
                f"There is a model named {quoted(name)} on this server already: choose "
                "another name.",
                icon=":material/label_off:",
            )
        if offer.problem:
            st.error(f"It can’t be trained here: {escaped(offer.problem)}")
        _takes(offer)
        st.button(
            "Start training",
            type="primary",
            icon=":material/model_training:",
            width="stretch",
            disabled=is_taken or not name or bool(offer.problem),
            on_click=_start,
            args=(offer,),
            key="own-start",
        )
        refused = st.session_state.pop(_REFUSED, "")
        if refused:
            st.error(f"The training was not started: {escaped(refused)}")
        st.caption(
            "It goes on while you are elsewhere, and can be cancelled. Whoever can open this app "
            "can open the model, and see its pictures."
        )
        st.button("Look at the images again", icon=":material/refresh:", on_click=look_again)


def _name(offer: TrainingOffer) -> str:
    named = st.session_state.get(state_keys.OWN_NAMED)
    given = named[1] if named is not None and named[0] == offer.source else offer.name
    st.session_state[state_keys.OWN_NAME] = given

    def keep() -> None:
        st.session_state[state_keys.OWN_NAMED] = offer.source, _typed()

    st.text_input(
        "Name",
        max_chars=trainings.MOST_LETTERS,
        key=state_keys.OWN_NAME,
        on_change=keep,
        help="Letters, digits, - and _. It is the model's name in lists and links.",
    )
    return given


def _typed() -> str:
    return str(st.session_state.get(state_keys.OWN_NAME, "")).strip()


def _takes(offer: TrainingOffer) -> None:
    rows = (
        ("Time here", f"about {duration(offer.seconds)}"),
        ("Memory", f"up to {size(offer.memory_bytes)}"),
        ("Disk", size(offer.disk_bytes)),
        ("Encoder", encoder_words(offer.encoder)),
    )
    st.markdown("  \n".join(f"{name}: **{escaped(value)}**" for name, value in rows))


def size(n: int) -> str:
    """Bytes in the unit in which nobody counts zeros: "80 MB", "1.4 GB"."""
    if n < 995_000_000:
        return f"{max(1, round(n / 1e6)):,} MB"
    return f"{n / 1e9:.1f} GB"


def _start(offer: TrainingOffer) -> None:
    # The field's own value: its change and this click may arrive together.
    name = _typed()
    if not name or state.get("training") == name:
        return  # The second click of a double one.
    st.session_state[state_keys.OWN_NAMED] = offer.source, name
    try:
        trainings.start(offer, name)
    except MunkeyError as error:
        st.session_state[_REFUSED] = str(error)
    else:
        state.change("training", name)
