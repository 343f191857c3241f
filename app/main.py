"""MUNKEY Studio: ``streamlit run app/main.py``, from any folder."""

import sys
from pathlib import Path

# Streamlit puts this file's folder on the path; the packages lie one above.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

import streamlit as st

st.set_page_config(page_title="MUNKEY Studio", page_icon="🗝️", layout="wide")

from app.components.plotly_library import plotly_library_soon
from app.components.style import use_picture_size, use_print, use_style
from app.components.term_tips import term_tips
from app.screens.desk import page as desk
from app.screens.lessons import page as lessons
from app.screens.own import page as own
from app.screens.teacher import page as teacher
from app.session import link_messages, models, page_url, state, state_keys
from app.session.pages import pages
from app.shared.basket import sidebar
from app.shared.changed import bundle_changed
from app.shared.entrance import enter
from app.shared.jobs_note import jobs_on_a_phone
from app.shared.without_pictures import banner
from app.words.foreign import escaped
from munkey_core.errors import BundleChangedError, MunkeyError

# URL path → what draws the page.
_SHOWS = {
    **lessons.SHOWS,
    "lessons": lessons.show,
    "desk": desk.show,
    "own": own.show,
    "teacher": teacher.show,
}


def main() -> None:
    """One run: take in what happened, make the URL say it, draw."""
    menu = not state.hidden("menu")
    page = st.navigation(pages(_SHOWS), position="top" if menu else "hidden")
    use_style()
    try:
        session = enter(page.url_path)
    except BundleChangedError:
        bundle_changed()
        return
    except MunkeyError as error:
        use_print(state.print_scale())
        term_tips()
        if page.url_path == "own":  # which needs no model: it makes one
            page_url.write(())
            page.run()
        else:
            _no_model(str(error))
        return
    if menu == state.hidden("menu"):
        st.rerun()  # The link, which is read only now, says otherwise than the last run's.
    page_url.write(session.groups)
    use_print(state.print_scale())
    term_tips()
    if page.url_path != "teacher":
        st.session_state[state_keys.CAME_FROM] = page.url_path or "forget"
    if link_messages.said():
        lines = "  \n".join([f"**{link_messages.about()}**", *link_messages.said()])
        st.warning(lines, icon=":material/link_off:")
    use_picture_size(session.studio.pictures.source.image_size, state.print_scale())
    try:
        sidebar(session)
        jobs_on_a_phone(session)
        models.find_pictures(session.studio)
        banner(session)
        page.run()
    except BundleChangedError:  # while this run was on its way
        bundle_changed()
    except MunkeyError as error:  # of a file that is only read when a page asks for it
        st.error(f"This can't be shown: {escaped(str(error))}")
    plotly_library_soon()


def _no_model(reason: str) -> None:
    st.title("No model to show")
    st.error(escaped(reason))
    st.markdown(
        "`munkey bundles` lists the models that are found here. `MUNKEY_BUNDLES` names the folder "
        "to look in, `MUNKEY_BUNDLE` the model to open."
    )
    if not (state.hidden("menu") or state.demo()):
        st.markdown("Or make one: **Own images** in the menu above trains it.")


main()
