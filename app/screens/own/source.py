"""Which images to train on: those that the server's owner allows, or an archive of one's own."""

from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.session import page_url, state, state_keys, trainings
from app.session.background import Background
from app.shared.work import watched
from app.words.foreign import escaped
from munkey_core.files import limits
from munkey_core.jobs import own_data
from munkey_core.progress import Progress, Steps

_KINDS = ["zip", "npz"]

_FORMAT = (
    '<div class="mk mk-own-tree"><b>animals.zip</b>\n├ cat/      <i>one folder a class</i>\n'
    "│ ├ 1.jpg  <i>any size, PNG or JPEG</i>\n│ └ …\n├ dog/\n│ └ …\n"
    "└ owners.csv  <i>if you like: file,owner</i></div>"
)


def choose() -> str:
    """Offer what there is; returns the source that is chosen, empty for none."""
    known = trainings.sources()
    chosen = state.get("data")
    if chosen and chosen not in known:
        page_url.reject("data", chosen, "images on this server that may be trained on")
        st.rerun()
    with st.container(border=True, key="own-source"):
        left, right = st.columns(2, gap="medium")
        with left:
            _from_server(known, chosen)
        with right:
            _upload()
        st.caption(
            "An upload is kept on this server until it is deleted, below; others who open this app "
            "can choose it, too."
        )
    return known.get(chosen, "")


def format_wanted() -> None:
    """What the images have to look like, while none are chosen."""
    with st.container(border=True, key="own-format"):
        st.markdown("**What it needs**")
        left, right = st.columns(2, gap="medium")
        left.html(_FORMAT)
        right.markdown(
            "- Two classes or more, each with some dozens of images. The more, the better.\n"
            "- Folders may also lie under `train` and `test`.\n"
            "- A file `owners.csv` says whose each image is, so that all of one person can be "
            "forgotten at once.\n"
            "- A MedMNIST `.npz` file serves, too."
        )


def _from_server(known: dict[str, str], chosen: str) -> None:
    if not known:
        st.markdown("**Images on this server**")
        st.caption(
            "There are none yet: upload an archive. Whoever runs this server can allow folders of "
            "images with `MUNKEY_DATA_FOLDERS`."
        )
        return
    st.session_state[state_keys.OWN_SOURCE] = chosen or None

    def choose_it() -> None:
        state.change("data", st.session_state[state_keys.OWN_SOURCE] or "")

    st.selectbox(
        "Images on this server",
        list(known),
        index=None,
        placeholder="Choose…",
        key=state_keys.OWN_SOURCE,
        on_change=choose_it,
        help="Folders that this server's owner allows, and archives that were uploaded.",
    )


# -- uploads -------------------------------------------------------------------------------------


def _upload() -> None:
    number = st.session_state.get(state_keys.OWN_UPLOADS, 0)
    file = st.file_uploader(
        "Or upload an archive (.zip, or MedMNIST .npz)",
        type=_KINDS,
        max_upload_size=limits.megabytes("upload_bytes"),
        key=f"own-upload-{number}",
    )
    kept = st.session_state.get(state_keys.OWN_UPLOAD)
    if file is not None and (kept is None or kept[0] != file.file_id):
        kept = file.file_id, file.name, Background(partial(_keep, file), "own-upload")
        st.session_state[state_keys.OWN_UPLOAD] = kept
    if kept is not None:
        _unpacked(kept[1], kept[2], gone=file is None)


def _keep(file: UploadedFile) -> Steps[str]:
    yield Progress("unpacking", 0, 1, 0.0)
    return own_data.keep_upload(file.name, file)


def _unpacked(name: str, job: Background[str], gone: bool) -> None:
    """What became of an archive: it is chosen, or the reason why it can't be. gone: whether it was
    taken out of the uploader, and its message with it."""
    job.wait()
    if not job.finished:
        unpacking = f":material/hourglass_top: Checking and unpacking {escaped(name)} …"
        watched(job, lambda: st.caption(unpacking))
        return
    label = trainings.label_of(job.result) if job.result is not None else ""
    if label:
        del st.session_state[state_keys.OWN_UPLOAD]
        st.session_state[state_keys.OWN_UPLOADS] = (
            st.session_state.get(state_keys.OWN_UPLOADS, 0) + 1
        )
        state.change("data", label)
        # Other images may have had this name before.
        st.session_state.pop(state_keys.OWN_OFFER, None)
        st.rerun()
    elif gone:
        del st.session_state[state_keys.OWN_UPLOAD]
    else:
        st.error(f"This archive can’t be used: {escaped(job.error or name)}")
