"""Long work in a thread, so that no page ever waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from munkey_core.errors import MunkeyError
from munkey_core.types import Progress

T = TypeVar("T")


class Background(Generic[T]):
    """Runs what yields progress and, last, a result. Make it and it runs.

    `result` stays None until the end, and for good if it was stopped or failed; `error` is then
    the reason, in one line.
    """

    def __init__(self, work: Callable[[], Iterator[Progress | T]], name: str) -> None:
        self.progress: Progress | None = None
        self.result: T | None = None
        self.error = ""
        self.stopped = False
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to wait for; a stopped one ends at its next step."""
        return self.stopped or not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait until it has finished, but not longer than this."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Stop at the next step; its result is not wanted any more."""
        self.stopped = self._thread.is_alive()

    def _run(self) -> None:
        try:
            for step in self._work():
                if isinstance(step, Progress):
                    self.progress = step
                else:
                    self.result = step
                if self.stopped:
                    return
        except MunkeyError as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            raise  # The server's log shows where.
        finally:
            # A stop that came too late to leave anything out is none.
            self.stopped = self.stopped and self.result is None
