"""A person's own picture: what the model says, who answers, and what a deletion does to it."""

import hashlib

import streamlit as st

from app.components.prediction import Series, card, legend
from app.session import models, services, state, state_keys
from app.session.services import Session
from app.shared.answers import neighbours, row
from app.words.foreign import escaped
from munkey_core.errors import MunkeyError
from munkey_core.files import limits
from munkey_core.results import FloatArray

_INVERT = {"As needed": None, "Keep": False, "Swap light and dark": True}


def own_picture(session: Session) -> None:
    if state.hidden("own"):
        return
    with st.expander("Try a picture of your own", icon=":material/add_photo_alternate:"):
        upload, options = st.columns([2, 1])
        file = upload.file_uploader(
            "A picture of one thing that belongs to one of the classes (PNG or JPEG)",
            max_upload_size=limits.megabytes("picture_bytes"),
            key="own-file",
        )
        choice = options.radio("Light and dark", list(_INVERT), key="own-invert")
        st.caption(
            "The picture stays in this session: it is not stored, never part of the memory and "
            "not in the link. Of an animation the first frame is taken."
        )
        if file is not None:
            _answer(session, file.getvalue(), _INVERT[choice])


def _answer(session: Session, data: bytes, invert: bool | None) -> None:
    try:
        image = session.studio.pictures.read(data, invert)
    except MunkeyError as error:
        st.error(f"This file can't be used: {escaped(str(error))}")
        return
    st.session_state[state_keys.OWN_PICTURE] = (session.studio.about.digest, image)  # For Explain.
    name = hashlib.sha256(image.tobytes()).hexdigest()
    prediction = session.remember(("own", name), lambda: session.studio.predict_images(image))
    now, ids, weights = row(prediction, 0)
    earlier = _earlier(session, name, now)
    series = [Series("before", "before", earlier), Series("after", "now", now)]
    if earlier is now:
        series = [Series("before", "now", now)]
    else:
        st.html(legend(series))
    st.html(
        card(
            models.as_uri(session.studio.pictures.as_png(image[0])),
            "Your picture, as the model gets it",
            session.studio.about.classes,
            None,
            series,
            "The most similar images in the memory answer." if weights.argmax() < len(ids) else "",
            neighbours(session, ids, weights),
        )
    )
    if state.hidden("pick"):
        return
    st.button(
        "Pick the images that answer",
        on_click=services.pick,
        args=(ids,),
        help="Puts them in the basket: delete them and see what your picture is taken for then.",
    )


def _earlier(session: Session, name: str, now: FloatArray) -> FloatArray:
    """The prediction before the last change of the memory; `now` itself if there was none."""
    kept = st.session_state.get(state_keys.OWN_EARLIER, {}).get(name, [])
    generation = session.studio.memory.generation
    if not kept or kept[-1][0] != generation:
        kept = [*kept, (generation, now)][-2:]
        st.session_state[state_keys.OWN_EARLIER] = {name: kept}
    return kept[0][1] if len(kept) > 1 else now
