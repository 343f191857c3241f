"""Which images a page is about: those deleted in this session, those picked, or a canonical set."""

from dataclasses import dataclass

import streamlit as st

from app.session import services, state
from app.session.services import BASKET, FORGOTTEN, Session
from app.shared.whole_class import about_whole_classes
from app.words.phrases import count
from munkey_core.bundle.forget_sets import CANONICAL_TITLES

_DEFAULT = "random-10pct"
_LABEL = "Forget set: the images to be forgotten"


@dataclass(frozen=True)
class ForgetSet:
    """name: a value of the property "of". title: what it is, in words, with its size."""

    name: str
    ids: tuple[str, ...]
    title: str


def forget_set(session: Session) -> ForgetSet | None:
    """The chooser with a button that puts the set into the basket. None as :func:`choose`."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        chosen = choose(session)
    if chosen is not None and chosen.name != BASKET and not state.hidden("pick"):
        with right:
            _into_the_basket(session, chosen)
    return chosen


def choose(session: Session) -> ForgetSet | None:
    """The chooser, and what it says. At first what this session has deleted; without that the
    basket; else a canonical set of which there may be a stored report. None, and the page says
    why, where forgetting would leave no image to compare with."""
    sets = _sets(session)
    first = (state.get("of"), FORGOTTEN, BASKET, _DEFAULT, *sets)
    name = next((one for one in first if one in sets), None)
    if name is None:
        _nothing_to_compare("This model's memory holds one image only")
        return None
    chosen = sets[name]
    if state.hidden("settings"):
        st.caption(f"{_LABEL}: {chosen.title}")
    else:
        titles = {one: found.title for one, found in sets.items()}
        st.selectbox(_LABEL, **state.choice("of", titles, shown=name))
    if len(chosen.ids) == session.studio.memory.keys_total:
        _nothing_to_compare("These are all the images of this model's memory")
        return None
    about_whole_classes(session, chosen.ids)
    return chosen


def _nothing_to_compare(why: str) -> None:
    st.info(
        f"**There is nothing to compare.** {why}, and a comparison takes at least one to forget "
        "and one that stays."
    )


def _sets(session: Session) -> dict[str, ForgetSet]:
    studio, basket = session.studio, state.get("basket")
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    if studio.memory.forgotten:
        found[FORGOTTEN] = studio.memory.forgotten, "Deleted in this session"
    if basket:
        found[BASKET] = basket, "In my basket, as if they were deleted"
    for name, ids in studio.memory.canonical_sets().items():
        title = CANONICAL_TITLES[name]
        if name == "one-class":
            title += f" ({studio.about.classes[studio.memory.record(ids[0]).label]})"
        found[name] = ids, title[:1].upper() + title[1:]
    return {
        name: ForgetSet(name, tuple(sorted(ids)), f"{title} · {count(len(ids), 'image')}")
        for name, (ids, title) in found.items()
    }


def _into_the_basket(session: Session, chosen: ForgetSet) -> None:
    picked = set(state.get("basket"))
    new = [i for i in chosen.ids if i not in picked and not session.studio.memory.is_forgotten(i)]
    if not new and not picked.issuperset(chosen.ids):
        return  # They are deleted already.
    st.button(
        "Put these into the basket" if new else "These are in the basket",
        icon=":material/shopping_basket:",
        disabled=not new,
        on_click=_pick,
        args=(chosen.name, tuple(new)),
        key="into-basket",
    )


def _pick(name: str, ids: tuple[str, ...]) -> None:
    """The page goes on being about this set."""
    services.pick(ids)
    state.put("of", name)
