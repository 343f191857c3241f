"""Attacks on the model."""

from collections.abc import Sequence

from munkey_core.audit.attacks import ATTACKS
from munkey_core.audit.audit import AuditReport
from munkey_core.audit.exposure import Exposure
from munkey_core.audit.privacy import PrivacyReport, privacy
from munkey_core.audit.trace import trace
from munkey_core.progress import Steps
from munkey_core.studio.shared import SharedModel


class Privacy:
    """What somebody who attacks the model can tell of `ids`, with them and with them alone deleted,
    whatever this session has forgotten."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the membership attacks, as `run` reports them."""
        return tuple(ATTACKS)

    def run(self, ids: Sequence[str]) -> Steps[PrivacyReport]:
        """Yield progress; return membership attacks on `ids` before, after and retrained. Raises
        BadInputError or UnknownIdError."""
        self._shared.require_keys(ids)
        return privacy(self._shared.evidence, ids)

    def trace(self, ids: Sequence[str]) -> Steps[AuditReport]:
        """Yield progress; return what this mode keeps of `ids`: an audit with the rows of MUNKEY
        alone, for which nothing is trained. Raises BadInputError or UnknownIdError."""
        self._shared.require_keys(ids)
        return trace(self._shared.evidence, ids)

    @property
    def exposure(self) -> Exposure | None:
        """How exposed each private image is to an attack before any deletion; None until somebody
        has computed what the model says about all of them (`run` does)."""
        return self._shared.exposure()

    @property
    def has_exposure(self) -> bool:
        """Whether `exposure` is more than None; quicker to know than the scores themselves."""
        return self._shared.evidence.original() is not None
