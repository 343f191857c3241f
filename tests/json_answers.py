"""What `munkey COMMAND --json` answers on a small bundle, kept in data/answers.

The bundle in data/small was trained once (100 digits with a key, both modes, two retrained models
of each family) and is only read, so the answers are the same wherever the tests run, up to the
rounding of another processor. `python tests/json_answers.py` writes them anew: only for a change
that is meant, and said in CHANGELOG.md.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).parent / "data"
BUNDLE = DATA / "small"
ANSWERS = DATA / "answers"

# Name → (exit code, command line). BUNDLE, COPY and WORK stand for folders.
COMMANDS = {
    "bundles": (0, "bundles"),
    "show": (0, "show BUNDLE"),
    "show-records": (0, "show BUNDLE --records"),
    "predict": (0, "predict BUNDLE digit-0296 --without random-10pct"),
    "forget": (0, "forget BUNDLE random-10pct"),
    "forget-owner": (0, "forget BUNDLE owner:customer-0003"),
    "erase-plan": (0, "erase BUNDLE random-10pct"),
    "erase-unknown": (2, "erase BUNDLE nobody"),
    "erase": (0, "erase BUNDLE one-owner --yes --out WORK/erased --receipt WORK/receipt.json"),
    "erase-finish": (0, "erase COPY --finish"),
    "verify": (0, "verify BUNDLE"),
    "verify-receipt": (0, "verify WORK/erased --receipt WORK/receipt.json"),
    "verify-too-early": (1, "verify BUNDLE --receipt WORK/receipt.json"),
    "audit": (0, "audit BUNDLE --forget random-10pct"),
    "audit-exact": (0, "audit BUNDLE --forget one-owner --mode exact"),
    "compare": (0, "compare BUNDLE --forget random-10pct --methods knn,spm"),
    "retrain": (0, "retrain BUNDLE --without random-10pct --seeds 2"),
    "oracles": (0, "oracles COPY --seeds 2 --references 2"),
    "influence": (0, "influence BUNDLE --top 5"),
    "project": (0, "project BUNDLE --space keys"),
    "attacks": (0, "attacks BUNDLE"),
    "images": (0, "images BUNDLE"),
    "key": (0, "key WORK/key.pem"),
    "train-plan": (0, "train --data digits --out WORK/new --config BUNDLE/recipe.toml --dry-run"),
    "wrong-bundle": (2, "show nobody"),
    "wrong-flag": (2, "show --nothing"),
}

# Times, random numbers and what is made of them, places and machines.
VOLATILE = {
    *("seconds", "unlearn_seconds", "milliseconds", "created", "stages", "warnings", "problem"),
    *("commitment", "hash", "ids_hashed", "previous", "digest_after", "signer", "tool", "device"),
    *("path", "private", "public", "file", "out", "memory_bytes", "disk_bytes", "source"),
    "code",  # digests of methods, and the version of PyTorch
}


def run(name: str, work: Path) -> tuple[int, object]:
    """Exit code and answer of one command, what changes from run to run left out."""
    from munkey_core.cli import main

    _, line = COMMANDS[name]
    copy = work / "copy"
    if "COPY" in line and not copy.exists():
        shutil.copytree(BUNDLE, copy)
    words = [
        word.replace("BUNDLE", str(BUNDLE)).replace("COPY", str(copy)).replace("WORK", str(work))
        for word in line.split()
    ]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*words, "--json"])
    if code == 2 and not out.getvalue():
        assert err.getvalue().startswith("munkey: "), err.getvalue()
        assert err.getvalue().count("\n") == 1, "a refusal is one line"
    answer = json.loads(out.getvalue()) if out.getvalue() else None
    if name == "bundles":
        answer = [info for info in answer if info["name"] == BUNDLE.name]
    if name == "show":  # its figures are the file itself
        assert answer.pop("metrics") == json.loads((BUNDLE / "metrics.json").read_bytes())
    if name == "verify-receipt":  # the erased version's: its card tells the day
        answer["digest"] = None
    return code, settled(answer)


def settled(value: object, key: str = "") -> object:
    """An answer without what changes from run to run: it keeps its place, its value is None."""
    if key in VOLATILE:
        return None
    if isinstance(value, dict):
        if "commitment" in value:  # a receipt: its hashes are made with a random secret
            value = {**value, "ids": len(value["ids"]), "owner": bool(value["owner"])}
            value["rows"] = {mode: len(rows) for mode, rows in value["rows"].items()}
        return {name: settled(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [settled(one) for one in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return None
    return value


def record() -> None:
    """Write all answers anew."""
    os.environ["MUNKEY_BUNDLES"] = str(DATA)
    ANSWERS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.environ["MUNKEY_CACHE"] = str(Path(work) / "cache")
        os.chdir(work)
        for name, (wanted, line) in COMMANDS.items():
            code, answer = run(name, Path(work))
            print(f"{name:18} {code}  munkey {line}")
            assert code == wanted, (name, code)
            text = json.dumps(answer) + "\n"
            (ANSWERS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, os.environ.get("PYTHONPATH", str(Path(__file__).resolve().parent.parent)))
    record()
