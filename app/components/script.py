"""The script of a component: Streamlit takes one text, and modules are easier to read and test.

In the tests node runs the same modules as they stand.
"""

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)";\n', re.MULTILINE)


def script(entry: Path) -> str:
    """Return a module with all that it imports, each once and before the first that needs it.

    They are joined, not wrapped: no two modules of a component have a top-level name in common,
    none renames what it imports, and only the entry has an ``export default``.
    """
    texts: dict[Path, str] = {}

    def add(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for name in _IMPORT.findall(text):
            if (needed := (path.parent / name).resolve()) not in texts:
                add(needed)
        texts[path] = _IMPORT.sub("", text)

    add(entry.resolve())
    return "\n".join(texts.values())
