"""How the files are dealt out to the workers of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# The first are dealt out first: a long file begun last is waited for by all other workers.
LONG_FIRST = (
    "tests/browser/",
    "tests/test_tutorials.py",
)
# Files whose pages come from the same server go to one worker: else each starts one of its own.
SAME_SERVER = {
    f"tests/browser/test_{name}.py": server
    for server, names in {
        "fashion": ("forget_page", "lessons_in_browser", "map_in_browser"),
        "digits": ("copied_link", "explain_in_browser", "privacy_in_browser"),
        "reports": ("accessible", "compare_in_browser"),
    }.items()
    for name in names
}


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def place(nodeid: str) -> int:
    """When a test is dealt out, from 0; in the order of the files where it is the same."""
    firsts = (i for i, start in enumerate(LONG_FIRST) if nodeid.startswith(start))
    return next(firsts, len(LONG_FIRST))


class ByServer(LoadScopeScheduling):
    """A worker gets a whole file, whose fixtures it makes once, and all of the same server."""

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        return SAME_SERVER.get(file, file)
