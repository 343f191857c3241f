"""One person's session: what they picked, deleted and undid, and what pages ask about it.

Each browser session has a Studio of its own on shared weights (models.py), so one person's
deletion never shows in another's screen.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st
from cachetools import LRUCache

from app.components.gallery import GalleryEvent, Tile, take_event
from app.session import erasing, link_messages, models, page_url, properties, state, state_keys
from app.session.consequences import Consequences
from app.session.models import Pictures, shared
from app.words.foreign import escaped, quoted
from munkey_core.errors import BadInputError, BundleChangedError, BundleError, MunkeyError
from munkey_core.results import Browse, NearDuplicate, check_generation
from munkey_core.studio import Studio

T = TypeVar("T")

MEMORISATION = "memorisation"
FORGOTTEN, BASKET = "forgotten", "basket"  # values of the property "of", beside canonical sets
_MAX_RESULTS = 64


@dataclass
class Session:
    """What one browser session holds. Results are kept per generation of its memory."""

    name: str
    studio: Studio
    pictures: Pictures
    consequences: Consequences | None = None
    restored: tuple[str, ...] = ()
    _results: LRUCache[Any, Any] = field(default_factory=lambda: LRUCache(_MAX_RESULTS))

    def remember(self, key: Any, compute: Callable[[], T]) -> T:
        """compute(), or what it gave before in this generation of the memory.

        Raises StaleGenerationError for a result of another generation, which is not kept.
        """
        generation = self.studio.memory.generation
        key = (generation, key)
        if key not in self._results:
            result = compute()
            check_generation(getattr(result, "generation", generation), generation)
            self._results[key] = result
        found: T = self._results[key]
        return found

    def browse(self, query: Browse) -> tuple[str, ...]:
        return self.remember(query, lambda: self.studio.browse(query))

    def near_duplicates(self, ids: tuple[str, ...]) -> tuple[NearDuplicate, ...]:
        return self.remember(("near", ids), lambda: self.studio.memory.near_duplicates(ids))

    @property
    def scored(self) -> bool:
        """Whether the bundle knows how much is memorised of each image."""
        return self.best_known() != ""

    def best_known(self) -> str:
        """The image still in memory that is known best by heart; empty if no score tells."""

        def find() -> str:
            found, score = self.browse(Browse(hide_forgotten=True)), self.studio.memory.score
            try:
                return found[0] if found and score(MEMORISATION, found[0]) > 0 else ""
            except BadInputError:
                return ""

        return self.remember("best", find)

    def caption(self, id_: str) -> str:
        """How much of an image is known by heart, in percentage points; else its owner."""
        if not self.scored:
            return self.studio.memory.record(id_).owner
        points = round(100 * self.studio.memory.score(MEMORISATION, id_))
        return f"by heart {points:+d}".replace("-", "−") if points else "by heart 0"

    def class_name(self, id_: str) -> str:
        return self.studio.about.classes[self.studio.memory.record(id_).label]

    @property
    def owner_word(self) -> str:
        return "simulated owner" if self.studio.about.owners_simulated else "owner"

    @property
    def simulated(self) -> str:
        """What stands behind the name of an owner who is made up; else nothing."""
        return " (simulated)" if self.studio.about.owners_simulated else ""

    def whose(self, id_: str) -> str:
        """Id and owner of an image, as the small line on its card."""
        owner = self.studio.memory.record(id_).owner
        return f"{id_} · {owner}{self.simulated}" if owner else id_

    def tile(
        self, id_: str, caption: str = "", badges: tuple[str, ...] = (), more: str = ""
    ) -> Tile:
        """An image in a gallery, above its class. more: what is read out after class and id."""
        name = self.class_name(id_)
        return Tile(
            id=id_,
            src=self.pictures.uri(id_),
            label=name,
            caption=caption,
            badges=badges,
            state="deleted" if self.studio.memory.is_forgotten(id_) else "kept",
            alt=", ".join(filter(None, (name, id_, more))),
        )

    def answers_for(self, id_: str) -> int:
        """For how many test images an image is among the memories that answer, in the whole
        memory; 0 where nobody has computed it."""
        touched = self.remember("touched", self._touched)
        return touched.get(id_, 0)

    def _touched(self) -> dict[str, int]:
        found = self.studio.explain.influence()
        return dict(zip(found.ids, found.touched.tolist(), strict=True)) if found else {}

    @property
    def groups(self) -> properties.Groups:
        """Ids of the standing deletions, oldest first."""
        return tuple(deletion.ids for deletion in self.studio.memory.history)


def listen(page: str) -> bool:
    """Take in what the browser says: clicks, then the URL if it is news; whether it was. page: its
    URL path."""
    take_event(state_keys.GALLERY, _clicked)
    take_event(state_keys.EXPOSED, _clicked_exposed)
    news = page_url.is_news(page)
    if news:
        page_url.read()
    return news


def open_model(news: bool, turned: bool) -> Session:
    """The model that the state asks for, with what is deleted in it. news: whether the URL was just
    read. turned: whether a step of a lesson has just set the screen. Raises as
    :func:`app.shared.entrance.enter`, which comes before it."""
    earlier = opened()
    # A step that goes on with the deletions of the one before keeps what is known about them.
    again = turned and (earlier is None or earlier.groups != state.get("forgotten"))
    erased = _take_in_erasure()
    session = _open(state.get("bundle"), renew=news or again or erased)
    if news or session is not earlier:
        # A newer event may end this run anywhere: what is settled only counts once all of it is.
        _settle(session)
        st.session_state[state_keys.SESSION] = session
        state.put("forgotten", ())
    elif turned:
        state.put("forgotten", ())
    if erased:
        erasing.close()
    return session


def current() -> Session:
    """The session that :func:`open_model` opened, for callbacks."""
    session: Session = st.session_state[state_keys.SESSION]
    return session


def opened() -> Session | None:
    """The session with a model, if one was ever opened."""
    found: Session | None = st.session_state.get(state_keys.SESSION)
    return found


def _open(name: str, renew: bool) -> Session:
    session = opened()
    if session is not None and session.name == name and not renew:
        if erasing.current() is not None:
            return session  # What it shows stays until its own erasure has come to its end.
        if session.studio.erasure.stale:
            raise BundleChangedError(name)
    try:
        common = shared(name)
    except BundleError as error:
        if name == properties.default_bundle():
            raise
        page_url.reject("bundle", name, str(error))
        name = properties.default_bundle()
        common = shared(name)
    mode = state.get("mode")
    if mode and mode not in common.studio.about.modes:
        page_url.reject("mode", mode, f"a mode of {escaped(common.studio.about.title)}")
    elif mode:
        common = shared(name, mode)
    if session is None or renew or session.studio.about.digest != common.studio.about.digest:
        return Session(name, common.studio.session(), common.pictures)
    return session


def reload() -> None:
    """Open the version that is on the disk by now. What was picked and deleted stays so, as far as
    it is still there; whatever was worked out with the old version is dropped."""
    session = opened()
    state.touch()
    if session is not None:
        _leave(session)
        state.put("forgotten", session.groups)
        del st.session_state[state_keys.SESSION]
    link_messages.clear("This model was opened again: it had changed.")


def _take_in_erasure() -> bool:
    """Whether this session has just erased images: it then goes on with what is left. Can be done
    twice, if a newer event ends the run before the session is another one."""
    found, session = erasing.finished(), opened()
    if found is None:
        return False
    receipt = found.job.result
    if receipt is not None:
        models.forget_version(found.name, receipt.digest_before)
    if receipt is None or session is None or session.name != found.name:
        erasing.close()
        return False
    gone = set(found.ids)
    _leave(session)
    groups = session.groups or state.get("forgotten")
    left = (tuple(id_ for id_ in group if id_ not in gone) for group in groups)
    state.put("forgotten", tuple(group for group in left if group))
    for name in ("basket", "request"):
        state.put(name, tuple(id_ for id_ in state.get(name) if id_ not in gone))
    if state.get("query") in gone:
        state.put("query", "")
    if state.get("asks") not in models.shared(session.name).studio.memory.owners:
        state.put("asks", "")
    state.put("receipt", receipt.number)
    link_messages.clear()
    return True


def _leave(session: Session) -> None:
    """Nobody waits any more for what this session was busy with."""
    if session.consequences is not None:
        session.consequences.stop()
    for name, job in st.session_state.items():
        if str(name).startswith(state_keys.WORKING) and job is not None:
            job.stop()


def _settle(session: Session) -> None:
    """Check what the URL said against the bundle, and delete what it says is deleted."""
    studio = session.studio
    classes = state.get("class")
    if any(not 0 <= label < len(studio.about.classes) for label in classes):
        wanted = f"class numbers from 0 to {len(studio.about.classes) - 1}"
        page_url.reject("class", " ".join(map(str, classes)), wanted)
    for name in ("owner", "asks"):
        owner = state.get(name)
        known = studio.memory.owner_named(owner) if owner else ""
        if owner and not known:
            page_url.reject(name, owner, "an owner in this bundle")
        else:
            state.put(name, known)
    _reject_unmeasured(studio, "show", "another order")
    attack = state.get("attack")
    if attack and attack not in studio.privacy.attacks:
        page_url.reject("attack", attack, "one of " + ", ".join(studio.privacy.attacks))
    of, sets = state.get("of"), (FORGOTTEN, BASKET, *studio.memory.canonical_sets())
    if of and of not in sets:
        page_url.reject("of", of, f"one of {', '.join(sets)}")
    query = studio.memory.image_id(state.get("query"))
    state.put("query", query)
    if query and not studio.memory.can_ask(query):
        gone = _gone(studio, [query])
        wanted = f"the id of a training or test image in {studio.about.title}"
        if gone:
            wanted += f" (this one was erased for good: {_receipts(gone)})"
        page_url.reject("query", query, wanted)
    if state.get("target") >= len(studio.about.classes):
        wanted = f"a class number from 0 to {len(studio.about.classes) - 1}"
        page_url.reject("target", str(state.get("target")), wanted)
    _reject_unmeasured(studio, "colour", "another one")
    seen: set[str] = set()
    for group in state.get("forgotten"):
        ids = [id_ for id_ in known_ids(studio, "forgotten", group) if id_ not in seen]
        seen.update(ids)
        if ids:
            studio.forget(ids)
    basket = known_ids(studio, "basket", state.get("basket"))
    state.put("basket", tuple(id_ for id_ in basket if id_ not in seen))
    _work_out(session)


def _reject_unmeasured(studio: Studio, name: str, wanted: str) -> None:
    """Not every model has been attacked, or asked about influence."""
    value = state.get(name)
    if value in ("exposed", "exposure") and not studio.privacy.has_exposure:
        page_url.reject(name, value, f"{wanted}: nobody has attacked this model yet")
    if value in ("influential", "influence") and studio.explain.influence() is None:
        page_url.reject(name, value, f"{wanted}: it was not computed for this model")


def known_ids(studio: Studio, where: str, ids: Iterable[str]) -> list[str]:
    """The ids that have a key in this bundle; one message for the others."""
    ids = list(ids)
    known = [id_ for id_ in ids if studio.memory.is_private(id_)]
    unknown = [id_ for id_ in ids if not studio.memory.is_private(id_)]
    gone, count = _gone(studio, unknown), len(ids)
    if gone:
        link_messages.say(
            f"{where}: {len(gone):,} of {count:,} images {'was' if len(gone) == 1 else 'were'} "
            f"erased for good ({_receipts(gone)}): left out."
        )
    unknown = [id_ for id_ in unknown if id_ not in gone]
    if unknown:
        some = ", ".join(quoted(id_) for id_ in unknown[:3])
        link_messages.say(
            f"{where}: {len(unknown):,} of {count:,} ids name no image with a key in "
            f"{studio.about.title} ({some}{', …' if len(unknown) > 3 else ''}): left out."
        )
    return known


def _gone(studio: Studio, ids: Iterable[str]) -> dict[str, int]:
    """Of ids that name nothing, those that were erased, with the number of their receipt."""
    ids = list(ids)
    try:
        return studio.erasure.receipt_numbers(ids) if ids else {}
    except BundleError:  # a ledger that can't be read: the Request desk says so
        return {}


def _receipts(gone: dict[str, int]) -> str:
    numbers = sorted(set(gone.values()))
    some = ", ".join(str(number) for number in numbers[:5]) + (", …" if len(numbers) > 5 else "")
    return f"receipt no. {some}"


def other_model() -> None:
    """Ids, classes and owners of one data set mean nothing in another."""
    of_a_data_set = ("basket", "class", "owner", "find", "page", "query", "target", "off", "of")
    of_a_request = ("who", "asks", "request", "receipt")
    for name in ("mode", "lesson", "step", *of_a_data_set, *of_a_request):
        state.change(name, properties.default(name))


def other_mode() -> None:
    """Both modes have the same images: what is deleted stays deleted in the other one."""
    state.put("forgotten", current().groups)


# -- picking -----------------------------------------------------------------------------------


def pick(ids: Iterable[str]) -> None:
    """Add images whose keys are still there to the basket.

    The first of them goes in last: the newest are shown first, and the first of a list is the
    one worth seeing (known best by heart, or answering most).
    """
    studio, basket = current().studio, dict.fromkeys(state.get("basket"))
    new = [id_ for id_ in ids if not studio.memory.is_forgotten(id_)]
    basket.update(dict.fromkeys(reversed(new)))
    state.change("basket", tuple(basket))


def _clicked(event: GalleryEvent) -> None:
    basket = dict.fromkeys(state.get("basket")) | dict.fromkeys(event.added)
    state.change("basket", tuple(id_ for id_ in basket if id_ not in event.removed))


def _clicked_exposed(event: GalleryEvent) -> None:
    """Picking an image must not change whose privacy the page is about."""
    if not state.get("of"):
        state.put("of", st.session_state.get(state_keys.SUBJECT, ""))
    _clicked(event)


def add_owner() -> None:
    """Pick all images of the owner that was chosen in the sidebar."""
    owner = st.session_state[state_keys.ADD_OWNER]
    if owner:
        pick(current().browse(Browse(owner=owner, hide_forgotten=True)))


# -- deleting and undoing ----------------------------------------------------------------------


def delete_basket() -> None:
    """Delete the keys of everything in the basket, which is then empty."""
    session = current()
    take_event(state_keys.GALLERY, _clicked)  # A click just before the button belongs to it.
    ids = [id_ for id_ in state.get("basket") if not session.studio.memory.is_forgotten(id_)]
    if not ids:
        return
    _attempt(lambda: session.studio.forget(ids))
    state.change("basket", ())
    state.put("of", "")  # From now on the question is about what was deleted.
    session.restored = ()
    _work_out(session)


def undo(index: int) -> None:
    """Put back the keys of one standing deletion; they are in the basket again."""
    session = current()
    history = session.studio.memory.history
    if not 0 <= index < len(history):
        return  # A second click on a button that is about to go.
    ids = history[index].ids
    _attempt(lambda: session.studio.restore(ids))
    basket = state.get("basket")
    state.change("basket", (*basket, *(id_ for id_ in ids if id_ not in basket)))
    session.restored = ids
    _work_out(session)


def undo_all() -> None:
    """Put every key back, without filling the basket."""
    session = current()
    if session.studio.memory.forgotten:
        _attempt(lambda: session.studio.restore(session.studio.memory.forgotten))
        state.touch()
        session.restored = ()
        _work_out(session)


def _work_out(session: Session) -> None:
    """Start finding out what the newest standing deletion changed, instead of an older one."""
    if session.consequences is not None:
        session.consequences.stop()
    history = session.studio.memory.history
    session.consequences = Consequences(session.studio, history) if history else None


def _attempt(action: Callable[[], object]) -> None:
    try:
        action()
    except MunkeyError as error:
        link_messages.say(escaped(str(error)))
