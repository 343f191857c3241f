"""Why a class is still known without its keys: public pictures of it taught the network."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from app.session.services import Session
from app.words.foreign import escaped
from app.words.glossary import term
from app.words.phrases import count

_MOST = 3  # classes that are told one by one


def about_whole_classes(session: Session, ids: Sequence[str]) -> None:
    """Say it of a set of images that takes all keys of a class; nothing of any other."""
    labels = whole_classes(session, ids)
    if not labels:
        return
    names = [f"**{escaped(session.studio.about.classes[label])}**" for label in labels[:_MOST]]
    rest = len(labels) - len(names)
    listed = ", ".join(names) + (f" and {rest:,} more" if rest else "")
    known = [session.studio.memory.public_pictures(label) for label in labels]
    weights = term("shared-weights", "shared weights")
    if sum(known):
        pictures = count(sum(known), "public picture")
        of_it = "of this class" if len(labels) == 1 else "of these classes"
        why = (
            f"**{pictures}** {of_it} taught the network's {weights} and stay there; a model "
            "retrained without these images learns from them, too."
        )
    else:
        why = f"the network's {weights} have learned what it looks like, and no key holds those."
    st.info(
        f"These are all keys of {listed}. An answer that stays is no failure: {why}",
        icon=":material/category:",
    )


def whole_classes(session: Session, ids: Sequence[str]) -> list[int]:
    """Classes of which these images are all that the memory holds."""
    private = session.studio.memory.private_ids()
    there = session.remember("class-sizes", lambda: _sizes(session, private))
    return sorted(label for label, n in _sizes(session, ids).items() if n == there[label])


def _sizes(session: Session, ids: Sequence[str]) -> Counter[int]:
    return Counter(session.studio.memory.record(id_).label for id_ in ids)
