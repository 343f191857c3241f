"""Documents made from templates.

A template lies in the folder `templates` of its room and ends in .j2. One of HTML escapes every
value; one of Markdown doesn't, so a text of unknown origin passes through `cell` where it stands in
a table. A paragraph is one line, in the template as in the document.
"""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError, select_autoescape

from munkey_core.files.in_words import counted, duration, figure, interval, number, settings


def fill(template: str, **values: Any) -> str:
    """The document that a template and its values make. template: its path in the package, e.g.
    "bundle/templates/card.md.j2". Raises LookupError if the values lack something."""
    try:
        return _ENVIRONMENT.get_template(template).render(values)
    except UndefinedError as error:
        raise LookupError(str(error)) from error


def cell(text: str) -> str:
    """A text that ends no cell of a Markdown table."""
    return text.replace("|", "/").replace("\n", " ")


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).resolve().parents[1]),
    autoescape=select_autoescape(["html.j2"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {
    made.__name__: made for made in (figure, interval, duration, number, counted, settings, cell)
}
_ENVIRONMENT.filters["json"] = json.dumps
