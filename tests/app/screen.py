"""The app without a browser: a page is opened by a link, read, and waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl

from streamlit.testing.v1 import AppTest

from tests.app.reading import as_read
from tests.servers import ROOT
from tests.waiting import PATIENCE, until

MAIN = ROOT / "app" / "main.py"


def open_main(**query: str) -> AppTest:
    """The whole app, as a link with this query opens it."""
    return opened(AppTest.from_file(str(MAIN), default_timeout=PATIENCE), query)


def open_script(script: str, **query: str) -> AppTest:
    """One page alone, which the script shows."""
    return opened(AppTest.from_string(script, default_timeout=PATIENCE), query)


def opened(app: AppTest, query: dict[str, str]) -> AppTest:
    """Run it with this query in the address."""
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def text(app: AppTest) -> str:
    """Everything the page says, in one string."""
    blocks = [
        *(*app.title, *app.header, *app.markdown, *app.caption, *app.get("text")),
        *(*app.warning, *app.info, *app.error),
    ]
    html = [e.proto.body for e in app.get("html") if not e.proto.body.startswith("<style>")]
    bars = [e.proto.text for e in app.get("progress")]
    return as_read("\n".join([*(str(block.value) for block in blocks), *html, *bars]))


def query(app: AppTest) -> dict[str, str]:
    """What the address says, as the browser shows it: a link's own words are replaced by ours."""
    for component in app.get("bidi_component"):
        if component.proto.component_name == "munkey_address":
            return dict(parse_qsl(json.loads(component.proto.json)["query"]))
    return {k: v[0] if isinstance(v, list) else v for k, v in app.query_params.items()}


def settled(app: AppTest, wanted: str) -> AppTest:
    """Run again, as a page that watches does, until it says this."""
    watch(app, lambda: wanted in text(app))
    return app


def watch(app: AppTest, condition: Callable[[], object]) -> None:
    """Run again, as a page that watches does, until something is true of it."""

    def met() -> bool:
        assert not app.exception
        if condition():
            return True
        app.run()
        return False

    until(met, every=0.1, said=lambda: text(app)[-2000:])
