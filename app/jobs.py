"""The consequences of a deletion, worked out in a thread so that no page ever waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from munkey_core.errors import MunkeyError
from munkey_core.studio import Studio
from munkey_core.types import Change, Deletion, Progress, SideEffects

_CHUNK = 64


class Consequences:
    """First the deleted images' predictions before and after, then everybody else's.

    It works on a session of its own, so the person's session may go on deleting or undoing
    meanwhile. `changes` grows while it runs; `side_effects` stays None until the end, and for
    good if it was stopped.
    """

    def __init__(self, studio: Studio, standing: Sequence[Deletion]) -> None:
        """standing: the deletions that stand, the newest last: its consequences are meant."""
        self.deletion = standing[-1]
        self.changes: list[Change] = []
        self.progress: Progress | None = None
        self.side_effects: SideEffects | None = None
        self.error = ""
        self.stopped = False
        self._studio = studio.session()
        others = [id_ for deletion in standing[:-1] for id_ in deletion.ids]
        if others:
            self._studio.forget(others)
        self._own = self._studio.forget(self.deletion.ids)
        self._thread = threading.Thread(target=self._run, name="consequences", daemon=True)
        self._thread.start()

    @property
    def predicted(self) -> bool:
        """Whether all deleted images have been predicted."""
        return len(self.changes) == len(self.deletion.ids)

    @property
    def finished(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait until it has finished, but not longer than this."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Stop at the next chunk; what is known by then stays."""
        self.stopped = not self.finished

    def _run(self) -> None:
        try:
            self._predict_deleted()
            for step in () if self.stopped else self._studio.side_effects(self._own):
                if isinstance(step, SideEffects):
                    self.side_effects = step
                else:
                    self.progress = step
                if self.stopped:
                    return
            # A stop that came too late to leave anything out is none.
            self.stopped = self.side_effects is None
        except MunkeyError as error:
            self.error = str(error)

    def _predict_deleted(self) -> None:
        start, ids = time.perf_counter(), self.deletion.ids
        for first in range(0, len(ids), _CHUNK):
            if self.stopped:
                return
            part = self._studio.changes(self._own, ids[first : first + _CHUNK])
            self.changes.extend(part)
            elapsed, done = time.perf_counter() - start, len(self.changes)
            left = elapsed / done * (len(ids) - done)
            self.progress = Progress("deleted images", done, len(ids), elapsed, left)
