"""The consequences of a deletion, worked out in a thread so that no page ever waits for them."""

import time
from collections.abc import Sequence

from app.session.background import Background
from munkey_core.model.bank import Deletion
from munkey_core.model.side_effects import Change, SideEffects
from munkey_core.progress import Progress, Steps
from munkey_core.studio import Studio

_CHUNK = 64


class Consequences(Background[SideEffects]):
    """First the deleted images' predictions before and after, then everybody else's.

    It works on a session of its own, so the person's session may go on deleting or undoing
    meanwhile. `changes` grows while it runs; `side_effects` stays None until the end, and for
    good if it was stopped.
    """

    def __init__(self, studio: Studio, standing: Sequence[Deletion]) -> None:
        """standing: the deletions that stand, the newest last: its consequences are meant."""
        self.deletion = standing[-1]
        self.changes: list[Change] = []
        self._studio = studio.session()
        others = [id_ for deletion in standing[:-1] for id_ in deletion.ids]
        if others:
            self._studio.forget(others)
        self._own = self._studio.forget(self.deletion.ids)
        super().__init__(self._work_out, "consequences")

    @property
    def side_effects(self) -> SideEffects | None:
        return self.result

    @property
    def predicted(self) -> bool:
        """Whether all deleted images have been predicted."""
        return len(self.changes) == len(self.deletion.ids)

    @property
    def finished(self) -> bool:
        """A stopped one is waited for: what it finds in its last chunk is shown, too."""
        return not self._thread.is_alive()

    def _work_out(self) -> Steps[SideEffects | None]:
        self._predict_deleted()
        if self.given_up():
            return None
        return (yield from self._studio.side_effects(self._own))

    def _predict_deleted(self) -> None:
        start, ids = time.perf_counter(), self.deletion.ids
        for first in range(0, len(ids), _CHUNK):
            if self.given_up():
                return
            part = self._studio.changes(self._own, ids[first : first + _CHUNK])
            self.changes.extend(part)
            elapsed, done = time.perf_counter() - start, len(self.changes)
            left = elapsed / done * (len(ids) - done)
            self.progress = Progress("deleted images", done, len(ids), elapsed, left)
