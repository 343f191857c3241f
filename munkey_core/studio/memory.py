"""A session's memory as it stands."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from munkey_core.audit.recall import Recalled, recall
from munkey_core.bundle.forget_sets import forget_set
from munkey_core.bundle.manifest import EXACT_MODE
from munkey_core.bundle.twins import Twin, twins_outside
from munkey_core.errors import BadInputError
from munkey_core.files.names import compared
from munkey_core.model.bank import BankView, Deletion
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, NearDuplicate, Record
from munkey_core.studio.shared import SharedModel


class Memory:
    """What this session still remembers, and the images that it can be asked about.

    history: the session's own list of deletions that still stand.
    """

    def __init__(self, shared: SharedModel, view: BankView, history: list[Deletion]) -> None:
        self._shared = shared
        self._view = view
        self._history = history

    @property
    def generation(self) -> int:
        """State of this session's memory; results of another generation are refused."""
        return self._view.generation

    @property
    def keys_total(self) -> int:
        """Keys of the whole memory, forgotten ones too."""
        return len(self._view.bank)

    @property
    def keys_left(self) -> int:
        """Keys that still answer in this session."""
        return self._view.alive

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Ids forgotten in this session, in the order of their deletion."""
        return self._view.deleted_ids

    @property
    def history(self) -> tuple[Deletion, ...]:
        """Deletions that still stand, oldest first."""
        return tuple(self._history)

    def is_forgotten(self, id_: str) -> bool:
        """Whether an id had a key and has none any more in this session."""
        return self.is_private(id_) and id_ not in self._view

    def record(self, id_: str) -> Record:
        """Label, owner and split of an image. Raises UnknownIdError."""
        return self._shared.record(id_)

    def is_private(self, id_: str) -> bool:
        """Whether an id names an image that has, or had, a key."""
        return id_ in self._view.bank

    def can_ask(self, id_: str) -> bool:
        """Whether an id names an image that a page may be about: a private or a test image."""
        record = self._shared.by_id.get(id_)
        return record is not None and record.split in (PRIVATE, TEST)

    def private_ids(self) -> tuple[str, ...]:
        """Images that have, or had, a key."""
        return self._view.bank.ids

    def test_ids(self) -> tuple[str, ...]:
        """Images held out, which never had one."""
        return tuple(record.id for record in self._shared.test)

    def public_pictures(self, label: int) -> int:
        """Public images of a class that the shared weights learned from in this mode, beside what
        the encoder was trained on: no deletion reaches them. label: index of the class."""
        public = (ANCHOR,) if self._shared.bundle.mode == EXACT_MODE else (ANCHOR, CALIBRATION)
        records = self._shared.by_id.values()
        return sum(record.label == label and record.split in public for record in records)

    @cached_property
    def owners(self) -> dict[str, int]:
        """Owners of private images and how many they own, most first."""
        counts = Counter(record.owner for record in self._shared.private if record.owner)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def score(self, name: str, id_: str) -> float:
        """A stored score of a private image, e.g. "memorisation" in [-1, 1]."""
        scores = self._shared.bundle.scores
        if name not in scores:
            raise BadInputError(f"no score {name!r}; there are {', '.join(scores) or 'none'}")
        return float(scores[name][self._view.bank.row(id_)])

    def select(self, spec: str) -> tuple[str, ...]:
        """Private ids named by the command line's syntax: commas, @file.csv, owner:NAME, a
        canonical set. Raises BadInputError or UnknownIdError."""
        ids = forget_set(spec, self._shared.bundle)
        self._shared.require_keys(ids)
        return ids

    def canonical_sets(self) -> dict[str, tuple[str, ...]]:
        """Ids of the canonical forget sets that this bundle has, by name."""
        return self._shared.canonical_sets

    def near_duplicates(self, ids: Iterable[str]) -> tuple[NearDuplicate, ...]:
        """Private images still in memory whose keys are near-copies of those of `ids`.

        Pairs (id, other), nearest first for each id; an image is never its own near-duplicate.
        """
        pairs = self._shared.near_duplicates(list(ids))
        return tuple(pair for pair in pairs if pair.other in self._view)

    def twins_outside(self, ids: Sequence[str]) -> tuple[Twin, ...]:
        """Pictures identical to those of `ids` that have no key: deleting doesn't reach them."""
        return twins_outside(self._shared.whole, ids)

    def image_id(self, name: str) -> str:
        """The id of the image that a text names, by id or by its file; the text itself if it names
        none of this bundle."""
        return self._shared.names.id_for(name)

    def owner_named(self, name: str) -> str:
        """The owner that a text names in any spelling; empty if none of them has images."""
        wanted = compared(name)
        return next((owner for owner in self.owners if compared(owner) == wanted), "")

    def recall(self, ids: Sequence[str], whole: bool = False) -> tuple[Recalled, ...]:
        """Who answers for images of the bundle, and what is stored of the answer: no picture is
        needed. whole: with the whole memory instead of the keys this session still holds. Raises
        UnknownIdError for an image that is neither private nor a test image."""
        view = BankView(self._view.bank) if whole else self._view
        return recall(self._shared.evidence, view, ids)

    def warm_up(self) -> None:
        """Compute what the first deletion, and the first look at other pages, would wait for."""
        self._shared.neighbours.rows()
        self.canonical_sets()
