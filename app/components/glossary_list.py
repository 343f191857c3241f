"""All terms with their explanations, as plain HTML in columns."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from app.words.glossary import GROUPS, TERMS, Term


def glossary_list(more: Iterable[Term] = ()) -> str:
    """A heading and a list for each group of terms. more: terms that a bundle's library knows."""
    terms = [*TERMS.values(), *more]
    return "".join(
        f'<section class="mk mk-glossary"><h3>{escape(title)}</h3><dl>'
        + "".join(_entry(term) for term in terms if term.group == group)
        + "</dl></section>"
        for group, title in GROUPS.items()
    )


def _entry(term: Term) -> str:
    field = f" <i>({escape(term.field)})</i>" if term.field else ""
    where = f"<small>{escape(term.where)}</small>" if term.where else ""
    name = f"<dt>{escape(term.name)}{field}</dt>"
    return f"<div>{name}<dd>{escape(term.plain)} {where}</dd></div>"
