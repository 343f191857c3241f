"""Long work in a thread, so that no page ever waits for it, and who asks for it."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Generic

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from munkey_core.errors import MunkeyError
from munkey_core.progress import Progress, Steps, T

_PATIENCE = 0.35  # seconds to wait for a whole answer before a part of it is shown
POLL = 0.4  # seconds between two looks at what is not finished
_GRACE = 20.0  # seconds; a browser that lost its connection comes back as the same session


def me() -> str:
    """This browser tab's session, which asks for a job; a reload is a new one."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def present(asker: str) -> bool:
    """Whether a session still has its browser: who has left or reloaded keeps no job alive."""
    return not runtime.exists() or runtime.get_instance().is_active_session(asker)


class Background(Generic[T]):
    """Runs what yields progress and returns a result. Make it and it runs.

    `result` stays None until the end, and for good if it was stopped or failed; `error` is then
    the reason, in one line. It stops by itself when the person who asked has left.
    """

    def __init__(self, work: Callable[[], Steps[T | None]], name: str) -> None:
        self.progress: Progress | None = None
        self.result: T | None = None
        self.error = ""
        self.stopped = False
        self._work = work
        self._asker = me()
        self._missed_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to wait for; a stopped one ends at its next step."""
        return self.stopped or not self._thread.is_alive()

    @property
    def fraction(self) -> float:
        """How much of the present stage is done, from 0 to 1."""
        step = self.progress
        return min(1.0, step.done / max(1, step.total)) if step else 0.0

    def wait(self, seconds: float = _PATIENCE) -> None:
        """Wait until it has finished, but not longer than this."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Stop at the next step; its result is not wanted any more."""
        self.stopped = self._thread.is_alive()

    def given_up(self) -> bool:
        """Whether to go on is in vain: it was stopped, or nobody has been there for a while."""
        if not self.stopped and not present(self._asker):
            now = time.monotonic()
            self._missed_since = self._missed_since or now
            self.stopped = now - self._missed_since > _GRACE
        elif not self.stopped:
            self._missed_since = None
        return self.stopped

    def _run(self) -> None:
        try:
            with closing(self._whole()) as steps:  # stopped, it lets go of what it holds
                for step in steps:
                    self.progress = step
                    if self.given_up():
                        return
        except MunkeyError as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            raise  # The server's log shows where.
        finally:
            # A stop that came too late to leave anything out is none.
            self.stopped = self.stopped and self.result is None

    def _whole(self) -> Steps[None]:
        self.result = yield from self._work()
