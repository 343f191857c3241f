"""The one door for the app, the command line and notebooks.

>>> studio = Studio.open("fashion")
>>> deletion = studio.forget(["train-00042"])
>>> [change] = studio.changes(deletion)
>>> studio.undo()

A Studio is one session: it shares the bundle with every other one and owns nothing but its view
of the bank, so what one person forgets is seen by nobody else. Whatever else can be asked, one of
its parts answers: `studio.memory.forgotten`, `studio.audit.report(ids)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from munkey_core.bundle.find import BundleInfo, bundle_info, find_bundle, find_bundles
from munkey_core.bundle.read import read_bundle
from munkey_core.config import Recipe
from munkey_core.errors import BadInputError
from munkey_core.explain.explanations import Explanations
from munkey_core.explain.map import Maps
from munkey_core.model import side_effects as effects
from munkey_core.model.bank import BankView, Deletion
from munkey_core.model.predictor import Prediction
from munkey_core.model.side_effects import Change, SideEffects
from munkey_core.progress import Steps
from munkey_core.results import Browse, ImageArray, check_generation
from munkey_core.studio.audit import Audit
from munkey_core.studio.browsing import browse
from munkey_core.studio.erasure import Erasure
from munkey_core.studio.jobs import Jobs
from munkey_core.studio.memory import Memory
from munkey_core.studio.pictures import BundlePictures
from munkey_core.studio.privacy import Privacy
from munkey_core.studio.shared import SharedModel

__all__ = ["SharedModel", "Studio", "list_bundles"]


class Studio:
    """One session with a bundle. Make it with `open`, or `session` from another one."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared
        self._view = view = BankView(shared.bundle.bank)
        self._history: list[Deletion] = []
        self.about = shared.about
        self.memory = Memory(shared, view, self._history)
        self.pictures = BundlePictures(shared)
        self.maps = Maps(shared.bundle, view)
        self.explain = Explanations(shared.bundle, shared.predictor, shared.neighbours, view)
        self.audit = Audit(shared)
        self.privacy = Privacy(shared)
        self.erasure = Erasure(shared)
        self.jobs = Jobs(shared, self.audit, self.maps)

    @classmethod
    def open(cls, name: str = "fashion") -> Studio:
        """Load a bundle by name or path. Raises BundleError."""
        return cls(SharedModel(read_bundle(find_bundle(name))))

    @classmethod
    def train(
        cls,
        data: str | Path,
        out: str | Path,
        *,
        recipe: Recipe | None = None,
        mode: str = "joint",
        references: int = 0,
        maps: bool = False,
        device: str = "auto",
    ) -> Steps[Studio]:
        """Yield progress; return a session with a new bundle in the folder `out`, as `munkey train`
        makes it.

        data: a folder of images (one sub-folder a class), a .zip of one, a MedMNIST .npz, or the
        name of a data set. recipe: None for settings that suit the images. mode: "joint", "exact"
        or "both". references: reference models of each family for the attacks, an even number.
        maps: fit the maps of the memory now; the app can do so later. Raises DataError,
        BadInputError, BundleError if `out` exists, TrainingError.
        """
        from munkey_core.jobs.making import train_bundle

        out = Path(out).resolve()
        yield from train_bundle(str(data), out, recipe, mode, references, maps, device)
        return cls.open(str(out))

    def session(self, mode: str = "") -> Studio:
        """Another session with this bundle, with a whole bank of its own.

        mode: the bundle's mode, "joint" or "exact", unless it is to be the same: the same images
        and keys then have another model and other tokens. Raises BundleError for a mode that this
        session's bundle cannot give; see `about.modes`.
        """
        shared = self._shared
        if mode not in ("", shared.bundle.mode):
            shared = SharedModel(shared.bundle.in_mode(mode), shared.whole)
        return Studio(shared)

    # -- predicting --------------------------------------------------------------------------

    def predict(self, ids: Sequence[str], also_without: Sequence[str] = ()) -> Prediction:
        """Predict images of the bundle with the keys this session still holds.

        also_without: private images taken as forgotten too; the session's memory stays as it is,
        and the prediction carries its generation.
        """
        view = self._view
        if also_without:
            self._shared.require_keys(also_without)
            view = BankView(view.bank, [*view.deleted_ids, *also_without])
            view.generation = self._view.generation
        return self._shared.predictor.predict(self._shared.encode(ids), view)

    def predict_images(self, images: ImageArray) -> Prediction:
        """Predict uint8 images (n, H, W[, 3]), e.g. from `pictures.read`."""
        return self._shared.predictor.predict(self._shared.predictor.encode(images), self._view)

    def browse(self, query: Browse) -> tuple[str, ...]:
        """Ids of private images that fit, in the order asked for. Raises BadInputError."""
        return browse(self._shared, self.memory, query)

    # -- forgetting --------------------------------------------------------------------------

    def forget(self, ids: Iterable[str]) -> Deletion:
        """Delete keys in this session's view. All or nothing; raises UnknownIdError."""
        ids = list(ids)
        self._shared.require_keys(ids)
        deletion = self._view.forget(ids)
        self._history.append(deletion)
        return deletion

    def restore(self, ids: Iterable[str]) -> Deletion:
        """Put forgotten keys back, wherever they stand in the history."""
        restoration = self._view.restore(ids)
        back = set(restoration.ids)
        kept = [(one, tuple(id_ for id_ in one.ids if id_ not in back)) for one in self._history]
        self._history[:] = [replace(one, ids=left) for one, left in kept if left]
        return restoration

    def undo(self) -> Deletion:
        """Put back what the last standing deletion removed. Raises BadInputError if none stands."""
        if not self._history:
            raise BadInputError("nothing to undo: no key has been deleted in this session")
        return self.restore(self._history[-1].ids)

    def changes(self, deletion: Deletion, ids: Sequence[str] | None = None) -> tuple[Change, ...]:
        """Predictions before and after the newest deletion, of `ids` (default: those deleted).

        Raises StaleGenerationError if the memory has changed since.
        """
        before, after = self._around(deletion)
        ids = deletion.ids if ids is None else ids
        encoded = self._shared.encode(ids)
        predict = self._shared.predictor.predict
        return effects.changes(
            [self._shared.record(id_) for id_ in ids],
            predict(encoded, before),
            predict(encoded, after),
        )

    def side_effects(self, deletion: Deletion) -> Steps[SideEffects]:
        """Yield progress; return which retain and test predictions the newest deletion changed.

        Raises StaleGenerationError if the memory has changed since.
        """
        before, after = self._around(deletion)
        return effects.side_effects(
            self._shared.predictor,
            self._shared.neighbours,
            [*self._shared.private, *self._shared.test],
            self._shared.encode,
            before,
            after,
        )

    def _around(self, deletion: Deletion) -> tuple[BankView, BankView]:
        """Views of the bank just before and after a deletion (or a restoration), fixed whatever
        the session does."""
        check_generation(deletion.generation, self._view.generation)
        bank, now, ids = self._view.bank, self._view.deleted_ids, set(deletion.ids)
        restored = not ids & set(now)
        before = [*now, *deletion.ids] if restored else [i for i in now if i not in ids]
        after = BankView(bank, now)
        after.generation = deletion.generation
        return BankView(bank, before), after


def list_bundles() -> tuple[BundleInfo, ...]:
    """Every bundle that can be opened by name."""
    return tuple(bundle_info(folder) for folder in find_bundles())
