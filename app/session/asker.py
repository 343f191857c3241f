"""Who asks for a job in the background, and whether they are still there."""

from __future__ import annotations

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx


def me() -> str:
    """This browser tab's session; a reload is a new one."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def present(asker: str) -> bool:
    """Whether a session still has its browser: who has left or reloaded keeps no job alive."""
    return not runtime.exists() or runtime.get_instance().is_active_session(asker)
