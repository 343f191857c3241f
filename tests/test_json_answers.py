"""Every command answers on the small bundle as it did when the answers were recorded."""

import json

import json_answers
import pytest


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        work = tmp_path_factory.mktemp("work")
        patch.setenv("MUNKEY_BUNDLES", str(json_answers.DATA))
        patch.chdir(work)
        yield work


def differences(got, wanted, where="answer"):
    """Where two answers differ. Numbers may differ as far as another processor rounds."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        if list(got) != list(wanted):
            return [f"{where}: keys {list(got)}, wanted {list(wanted)}"]
        return [d for key in wanted for d in differences(got[key], wanted[key], f"{where}.{key}")]
    if isinstance(wanted, list) and isinstance(got, list) and len(got) == len(wanted):
        pairs = enumerate(zip(got, wanted, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, f"{where}[{i}]")]
    if isinstance(wanted, float) and isinstance(got, float):
        return [] if got == pytest.approx(wanted, rel=1e-3, abs=2e-3) else [f"{where}: {got}"]
    same = type(got) is type(wanted) and got == wanted
    return [] if same else [f"{where}: {got!r}, wanted {wanted!r}"]


@pytest.mark.parametrize("name", json_answers.COMMANDS)
def test_every_answer_is_what_it_was(name, work):
    """In order: a receipt that one command writes is what the next one reads."""
    code, line = json_answers.COMMANDS[name]
    wanted = json.loads((json_answers.ANSWERS / f"{name}.json").read_bytes())
    got, answer = json_answers.run(name, work)
    assert got == code, line
    assert differences(answer, wanted, name) == []


def test_a_difference_is_seen():
    assert differences({"a": [1, 2.0]}, {"a": [1, 2.0]}) == []
    for other in ({"a": [1, 2.1]}, {"a": [1]}, {"b": [1, 2.0]}, {"a": [True, 2.0]}, {"a": None}):
        assert differences(other, {"a": [1, 2.0]}) != []
