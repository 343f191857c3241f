"""Each reader is fed with hostile input; `long_run.py` does the same with 100,000 and more."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzz_guard import TouchedOutsideError, watched
from fuzz_properties import RUN, all_properties

PROPERTIES = all_properties()
EXAMPLES = {"bundle": 60, "URL": 150, "archive": 100}


@pytest.mark.parametrize("name", PROPERTIES)
def test_hostile_input_is_understood_or_refused_in_one_line(name):
    one = PROPERTIES[name]
    test = settings(
        max_examples=EXAMPLES.get(name, 250),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )(given(one.inputs)(one.run))
    test()
    assert RUN[name] >= 50


@pytest.mark.parametrize(
    "act",
    [
        lambda out: (out / "x").write_text("x"),
        lambda out: (out / "y").mkdir(),
        lambda out: (out.parent / "inside" / "link").symlink_to(out),
        lambda out: (out / "there").read_bytes(),
        lambda out: (out / "there").unlink(),
        lambda out: __import__("subprocess").run(["true"], check=True),
        lambda out: __import__("pickle").loads(b"cos\nsystem\n."),
    ],
)
def test_the_guard_sees_what_is_done_outside(tmp_path, act):
    inside, out = tmp_path / "inside", tmp_path / "out"
    inside.mkdir()
    out.mkdir()
    (out / "there").write_text("x")
    with watched(inside):
        (inside / "ok").write_text("x")
        (inside / "ok").read_text()
    with pytest.raises(TouchedOutsideError), watched(inside):
        act(out)
