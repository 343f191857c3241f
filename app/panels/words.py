"""Phrases that several panels use: one way to count, one way to name an owner."""

from __future__ import annotations

from app.services import Session


def owner_word(session: Session) -> str:
    return "simulated owner" if session.studio.owners_simulated else "owner"


def whose(session: Session, id_: str) -> str:
    """Id and owner of an image, as the small line on its card."""
    owner = session.studio.record(id_).owner
    if not owner:
        return id_
    return f"{id_} · {owner}" + (" (simulated)" if session.studio.owners_simulated else "")


def class_name(session: Session, id_: str) -> str:
    return session.studio.classes[session.studio.record(id_).label]
