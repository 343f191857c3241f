"""All terms with their explanations, as plain HTML in columns."""

from collections.abc import Iterable
from html import escape

from app.words.glossary import GROUPS, Term


def glossary_list(more: Iterable[Term] = ()) -> str:
    """A heading and a list for each group of terms. more: terms that a bundle's library knows, of
    the last group."""
    lists = {title: "".join(map(_entry, terms.values())) for title, terms in GROUPS.items()}
    *_, last = lists
    lists[last] += "".join(map(_entry, more))
    return "".join(
        f'<section class="mk mk-glossary"><h3>{escape(title)}</h3><dl>{entries}</dl></section>'
        for title, entries in lists.items()
    )


def _entry(term: Term) -> str:
    field = f" <i>({escape(term.field)})</i>" if term.field else ""
    where = f"<small>{escape(term.where)}</small>" if term.where else ""
    name = f"<dt>{escape(term.name)}{field}</dt>"
    return f"<div>{name}<dd>{escape(term.plain)} {where}</dd></div>"
