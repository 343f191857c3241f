"""The dry run of a request: what it would find, what goes, what stays, and why it may not work."""

from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

from app.components.gallery import Tile as GalleryTile
from app.components.gallery import gallery
from app.components.prediction import Tile
from app.screens.desk.request import name_instead
from app.session import state_keys
from app.session.services import Session
from app.shared.new_answers import paged
from app.words.foreign import escaped
from app.words.glossary import plain
from app.words.phrases import count
from munkey_core.bundle.ledger import Purged, Remaining
from munkey_core.erasure import words as plain_words
from munkey_core.erasure.plan import ErasurePlan
from munkey_core.errors import BundleError
from munkey_core.results import TEST

_MOST_OWNERS = 6
_MOST_IDS = 200
_MOST_NEAR = 60
EXACT = (
    "In the **exact memory** nothing remains in the weights, by construction: they were trained on "
    "public images only, and each entry was written alone."
)


def dry_run(session: Session, plan: ErasurePlan) -> None:
    """Draw what a request comes to; nothing is changed by it."""
    _found(session, plan)
    _cannot_go(session, plan)
    _alike(plan)
    _near(session, plan)
    _twins(session, plan)
    if plan.ids:
        keys = f"{plan.keys_before:,} keys → {plan.keys_after:,}"
        with st.expander(f"What will be removed ({keys})", key="desk-goes"):
            st.html(purged_table(plan.purged))
        with st.expander("What will remain, and could hold a trace", True, key="desk-stays"):
            st.markdown(remains_list(plan.remains, plan.modes))
        if plan.again:
            with st.expander("What goes beside the images, and what it takes to have again", True):
                st.markdown("\n".join(f"- {_sentence(one)}" for one in plan.again))


# -- what was found ------------------------------------------------------------------------------


def _found(session: Session, plan: ErasurePlan) -> None:
    n = len(plan.ids)
    asked = n + len(plan.gone) + len(plan.unknown) + len(plan.public)
    found = f"{count(n, 'image')} found" if n else "No image found that could be erased"
    small = f"of {count(asked, 'id')} in the request. {_whose(session, plan)}"
    st.html(f'<div class="mk mk-sum">{found}<small>{escape(small)}</small></div>')
    if not n:
        return
    paged(
        f"desk-{plan.digest[:8]}-{hash(plan.ids)}",
        "The image" if n == 1 else f"The {n:,} images",
        plan.ids,
        lambda id_: Tile(session.pictures.uri(id_), session.whose(id_), session.class_name(id_)),
    )


def _whose(session: Session, plan: ErasurePlan) -> str:
    if len(plan.owners) == 1:
        [(name, n)] = plan.owners.items()
        of = session.studio.memory.owners.get(name, n)
        if of == 1:
            return f"It is the only image of {name}{session.simulated}."
        if n == 1:
            return f"It is one of the {of:,} images of {name}{session.simulated}."
        part = "all" if n == of else f"{n:,} of the {of:,}"
        return f"They are {part} images of {name}{session.simulated}."
    if not plan.owners:
        return "Nobody is named as their owner." if plan.ids else ""
    first = list(plan.owners.items())[:_MOST_OWNERS]
    named = ", ".join(f"{name} ({n:,})" for name, n in first)
    more = len(plan.owners) - len(first)
    rest = f" and {more:,} more" if more else ""
    return f"They belong to {count(len(plan.owners), 'owner')}{session.simulated}: {named}{rest}."


# -- what can't be erased ------------------------------------------------------------------------


def _cannot_go(session: Session, plan: ErasurePlan) -> None:
    if plan.gone:
        st.markdown(
            f":material/check_circle: **{count(len(plan.gone), 'image')} "
            f"{'is' if len(plan.gone) == 1 else 'are'} gone already** "
            f"({_numbers(session, plan.gone)}): passed over."
        )
    if plan.unknown:
        them = "this id names" if len(plan.unknown) == 1 else "these ids name"
        st.markdown(
            f":material/help: **{count(len(plan.unknown), 'id')} unknown:** {them} no image of "
            "this model, and no erased one."
        )
        _list(plan.unknown, "desk-unknown")
    if plan.public:
        _public(plan)
    if plan.ids and (plan.unknown or plan.public):
        wrong = len(plan.unknown) + len(plan.public)
        st.button(
            f"Leave {'it' if wrong == 1 else f'these {wrong:,}'} out",
            key="desk-leave-out",
            on_click=name_instead,
            args=(plan.ids + plan.gone,),
        )


def _numbers(session: Session, gone: Sequence[str]) -> str:
    try:
        numbers = sorted(set(session.studio.erasure.receipt_numbers(gone).values()))
    except BundleError as error:
        return escaped(str(error))
    return "receipt no. " + ", ".join(map(str, numbers))


def _public(plan: ErasurePlan) -> None:
    splits = {split for _, split in plan.public}
    st.markdown(
        f":material/public: **{count(len(plan.public), 'image')} without a key:** "
        f"{'it belongs' if len(plan.public) == 1 else 'they belong'} to the public part or to the "
        "test images, so there is nothing in the memory to erase."
    )
    meaning = []
    if "test" in splits:
        meaning.append("Test images were never learned from; they only measure how good it is.")
    if splits - {"test"}:
        meaning.append(
            "Public images taught the network itself, or chose its settings: only a new training "
            "without them could undo that."
        )
    st.caption(" ".join(meaning))
    _list((f"{id_} ({split})" for id_, split in plan.public), "desk-public")


def _list(ids: Iterable[str], key: str) -> None:
    """Ids as text, whatever stands in them."""
    lines = list(ids)
    more = f"\n… and {len(lines) - _MOST_IDS:,} more" if len(lines) > _MOST_IDS else ""
    with st.expander("Which?", key=f"expander-{key}"):
        st.text("\n".join(lines[:_MOST_IDS]) + more)


# -- who looks alike ------------------------------------------------------------------------------


def _alike(plan: ErasurePlan) -> None:
    for owner, other in plan.alike[:_MOST_OWNERS]:
        st.warning(
            f"**{escaped(other)}** looks like {escaped(owner)} and is another name: these images "
            "stay. If it is the same person, ask for both.",
            icon=":material/group:",
        )


def _twins(session: Session, plan: ErasurePlan) -> None:
    """Identical pictures that deleting doesn't reach."""
    public = [twin for twin in plan.twins if twin.split != TEST]
    tested = [twin for twin in plan.twins if twin.split == TEST]
    for twins, where, why in (
        (public, "among the public images", "The network was trained on it: that can’t be erased."),
        (tested, "among the test images", "Nothing was learned from it, and it stays there."),
    ):
        if twins:
            n = len({twin.id for twin in twins})
            has = "has" if n == 1 else "have"
            st.markdown(
                f":material/content_copy: **{count(n, 'image')} {has} an identical twin {where}.** "
                + why
            )
            lines = (f"{t.id} = {t.other or 'one that is not in the bundle'}" for t in twins)
            _list(lines, f"desk-twins-{'test' if twins is tested else 'public'}")


# -- near-copies ---------------------------------------------------------------------------------


def _near(session: Session, plan: ErasurePlan) -> None:
    others: dict[str, str] = {}
    for pair in plan.near_duplicates:
        others.setdefault(pair.other, pair.id)
    if not others:
        return
    n = len(others)
    st.markdown(
        f":material/content_copy: **{count(n, 'near-copy', 'near-copies')} "
        f"{'stays' if n == 1 else 'stay'}** and can answer instead. Click one to add it to the "
        "request. It may be somebody else’s image.",
        help=plain("near-copy"),
    )
    shown = list(others)[:_MOST_NEAR]
    event = gallery(
        [
            GalleryTile(
                id=id_,
                src=session.pictures.uri(id_),
                label=session.class_name(id_),
                caption=session.studio.memory.record(id_).owner or id_,
                alt=f"{id_}, a near-copy of {others[id_]}",
            )
            for id_ in shown
        ],
        selected=(),
        key=state_keys.DESK_NEAR,
        size=84,
        label="Near-copies that stay",
    )
    everything = (*plan.ids, *plan.gone, *plan.unknown, *(id_ for id_, _ in plan.public))
    if event is not None and event.added:
        name_instead((*everything, *event.added))
        st.rerun()
    if n > len(shown):
        st.caption(f"and {n - len(shown):,} more")
    st.button(
        "Add it to the request" if n == 1 else f"Add all {n:,} to the request",
        key="desk-add-near",
        on_click=name_instead,
        args=((*everything, *others),),
    )


# -- what goes and what stays --------------------------------------------------------------------


def purged_table(purged: Sequence[Purged]) -> str:
    """Places with counts (HTML)."""
    rows = "".join(
        f'<tr><th scope="row">{escape(one.what[:1].upper() + one.what[1:])}'
        f"<small>{escape(plain_words.place(one.place))}</small></th><td>{one.count:,}</td></tr>"
        for one in purged
    )
    return (
        '<div class="mk mk-scroll"><table class="mk-table"><thead><tr>'
        '<th scope="col">What</th><th scope="col">How many</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _sentence(text: str) -> str:
    """A sentence of the plan as Markdown: capital, commands as code, full stop."""
    parts = text.split("`")
    shown = [escaped(part) if i % 2 == 0 else f"`{part}`" for i, part in enumerate(parts)]
    return "".join(shown)[:1].upper() + "".join(shown)[1:] + "."


def remains_list(remains: Sequence[Remaining], modes: Sequence[str]) -> str:
    """What could still hold a trace (Markdown); an exact mode beside a joint one is said, too."""
    items = []
    for one in remains:
        name = plain_words.place(one.where)
        items.append(f"- **{escaped(name[:1].upper() + name[1:])}:** {escaped(one.why)}")
    if {"joint", "exact"} <= set(modes):
        items.insert(1, f"- {EXACT}")
    return "\n".join(items)
