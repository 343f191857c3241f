"""Background jobs: who waits, who shares, who stops what, and what is left behind."""

import json
import os
import signal
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest
import torch

from munkey_core.audit.evidence import Evidence
from munkey_core.bundle.read import read_bundle
from munkey_core.errors import BadInputError, BundleError, UnknownIdError
from munkey_core.jobs.job import (
    COMPARE,
    PROJECT,
    RETRAIN,
    Job,
    job_command,
    make_job,
    making_folder,
    training_job,
)
from munkey_core.jobs.queue import JobQueue
from munkey_core.jobs.time_left import Clock, expected_stages
from munkey_core.progress import Progress
from munkey_core.studio import Studio
from munkey_core.training.retraining import MUNKEY, Run
from munkey_core.training.runs import Runs
from tests.waiting import PATIENCE, together, until

ENDLESS = "import signal; signal.pause()"
QUICK = "pass"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Lists of ids are written here, so that what is left behind can be seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def queue_of(tmp_path):
    """A queue whose jobs run a Python text instead of munkey; closed at the end."""
    queues = []

    def make(script, running=1):
        (tmp_path / "job.py").write_text(textwrap.dedent(script))

        def command(job, ids):
            return [sys.executable, "-S", str(tmp_path / "job.py"), str(tmp_path), str(ids)]

        queues.append(JobQueue(running, command))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


def job(*ids, kind=RETRAIN, results=Path("nowhere")):
    return Job(kind, Path("bundle"), results, tuple(ids) or ("a",), 0)


@pytest.fixture
def stages(monkeypatch):
    """Every stage that a job tells, however short it is."""
    told, step = [], Clock.step

    def listen(clock, progress, *more):
        told.append(progress.stage)
        return step(clock, progress, *more)

    monkeypatch.setattr(Clock, "step", listen)
    return told


def state(queue, job, asker=""):
    status = queue.status(job, asker)
    return status.state if status else ""


# -- the end of a job ---------------------------------------------------------------------------


def test_a_job_gets_its_ids_and_leaves_no_file_behind(queue_of, tmp_path, temporary):
    queue = queue_of(
        """
        import pathlib, sys
        out, ids = map(pathlib.Path, sys.argv[1:])
        (out / "seen").write_text(ids.read_text())
        """
    )
    queue.submit(job("a", "b,c"), "me")
    assert queue.wait(job("a", "b,c"), PATIENCE)
    status = queue.status(job("a", "b,c"), "me")
    assert (status.state, status.reason, status.fraction) == ("done", "", 1.0)
    assert status.mine
    assert (tmp_path / "seen").read_text().split() == ["id", "a", '"b,c"']
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('munkey: no image is left')", "no image is left"),
        ("raise ValueError('the loss is nan')", "ValueError: the loss is nan"),
        ("import os; os._exit(3)", "it ended with exit code 3"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "killed by SIGKILL (out of memory?)",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
    ],
)
def test_a_job_that_fails_says_why(queue_of, temporary, script, reason):
    queue = queue_of(script)
    queue.submit(job(), "me")
    assert queue.wait(job(), PATIENCE)
    status = queue.status(job(), "me")
    assert (status.state, status.reason) == ("failed", reason)
    assert list(temporary.iterdir()) == []


def test_a_command_that_is_not_there_is_a_failure_with_a_reason(temporary):
    queue = JobQueue(command=lambda job, ids: ["/no/such/program"])
    queue.submit(job(), "me")
    assert queue.wait(job(), PATIENCE)
    assert state(queue, job()) == "failed"
    assert "/no/such/program" in queue.status(job()).reason
    assert list(temporary.iterdir()) == []


def test_a_job_without_its_result_is_not_done(queue_of):
    queue = queue_of(QUICK)
    queue.submit(job(), "me", found=lambda: False)
    assert queue.wait(job(), PATIENCE)
    assert "its result isn't there" in queue.status(job()).reason


def test_a_failed_job_can_be_tried_again(queue_of):
    queue = queue_of(
        """
        import pathlib, sys
        tried = pathlib.Path(sys.argv[1], "tried")
        if not tried.exists():
            tried.touch()
            sys.exit("the first time it fails")
        """
    )
    for wanted in ("failed", "done"):
        queue.submit(job(), "me")
        assert queue.wait(job(), PATIENCE)
        assert state(queue, job()) == wanted


# -- waiting, sharing ---------------------------------------------------------------------------


def test_one_runs_at_a_time_first_in_first_out(queue_of):
    queue = queue_of(ENDLESS)
    for name, asker in (("a", "me"), ("b", "you"), ("c", "me")):
        queue.submit(job(name), asker)
    until(lambda: state(queue, job("a")) == "running")
    assert [queue.status(job(name)).ahead for name in "abc"] == [0, 1, 2]
    assert [state(queue, job(name)) for name in "abc"] == ["running", "queued", "queued"]
    queue.cancel(job("a"), "me")
    until(lambda: state(queue, job("b")) == "running")
    assert (state(queue, job("a")), queue.status(job("c")).ahead) == ("cancelled", 1)


def test_where_two_may_run_one_person_still_has_only_one(queue_of):
    queue = queue_of(ENDLESS, running=2)
    for name, asker in (("a", "me"), ("b", "me"), ("c", "you")):
        queue.submit(job(name), asker)
    assert [state(queue, job(name)) for name in "abc"] == ["running", "queued", "running"]


def test_nobody_can_fill_the_queue(queue_of):
    queue = queue_of(ENDLESS)
    for name in "abcde":
        queue.submit(job(name), "me")
    with pytest.raises(BadInputError, match="4 of your jobs are waiting"):
        queue.submit(job("f"), "me")
    queue.submit(job("e"), "me")  # the same again is no other job
    queue.submit(job("f"), "you")


def test_an_equal_job_is_shared_and_stops_with_the_last_who_wants_it(queue_of):
    queue = queue_of(ENDLESS)
    queue.submit(job(), "me")
    queue.submit(job(), "you")
    queue.submit(job(kind=COMPARE), "you")
    assert (queue.status(job(), "me").mine, queue.status(job(), "me").others) == (True, 1)
    queue.cancel(job(), "me")
    assert state(queue, job()) == "running"
    assert (queue.status(job(), "me").mine, queue.status(job(), "me").others) == (False, 1)
    queue.cancel(job(), "me")  # not mine any more: no way to stop somebody else's
    assert state(queue, job()) == "running"
    queue.cancel(job(), "you")
    assert state(queue, job()) == "cancelled"


def test_who_has_left_keeps_no_job_alive(queue_of):
    queue = queue_of(ENDLESS)
    queue.submit(job(), "before the reload")
    assert queue.status(job(), "after", lambda asker: asker == "after").others == 0
    queue.cancel(job(), "after", lambda asker: asker == "after")
    assert state(queue, job()) == "cancelled"


def test_after_a_reload_the_job_is_mine_again_but_never_somebody_elses(queue_of):
    queue = queue_of(ENDLESS)
    queue.submit(job(), "before")
    queue.adopt(job(), "you", lambda asker: True)
    assert not queue.status(job(), "you").mine
    queue.adopt(job(), "after", lambda asker: asker != "before")
    assert queue.status(job(), "after").mine
    queue.adopt(job(), "you", lambda asker: asker != "before")
    assert (queue.status(job(), "you").mine, queue.status(job(), "you").others) == (False, 1)
    queue.cancel(job(), "after")
    queue.adopt(job(), "you", lambda asker: asker != "before")
    assert state(queue, job()) == "cancelled"
    queue.adopt(job("never asked for"), "you", lambda asker: True)
    assert queue.status(job("never asked for")) is None


def test_what_nobody_who_is_there_waits_for_is_left_alone(queue_of):
    queue = queue_of(ENDLESS)
    queue.submit(job("a"), "you")
    queue.submit(job("b"), "another")
    queue.submit(job("c"), "another")
    queue.submit(job("c"), "you")
    assert queue.left_alone(lambda asker: True) == ()
    assert queue.left_alone(lambda asker: asker == "you") == (job("b"),)
    assert set(queue.left_alone(lambda asker: False)) == {job("a"), job("b"), job("c")}
    queue.cancel(job("b"), "another")
    assert job("b") not in queue.left_alone(lambda asker: False)


def test_many_threads_ask_at_once(queue_of):
    queue = queue_of(QUICK, running=3)
    mine = [job(name) for name in "abcdefgh"]

    def ask(asker):
        for one in mine[:4] if asker % 2 else mine[4:]:
            queue.submit(one, str(asker))
            queue.status(one, str(asker))
            queue.cancel(one, str(asker))
            queue.submit(one, str(asker))

    together(partial(ask, i) for i in range(8))
    until(lambda: all(state(queue, one) == "done" for one in mine))


# -- cancelling ---------------------------------------------------------------------------------


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_cancelling_ends_the_whole_group_even_if_it_does_not_want_to(
    queue_of, tmp_path, temporary, monkeypatch
):
    monkeypatch.setattr("munkey_core.jobs.queue._TERM_SECONDS", 0.3)
    queue = queue_of(
        """
        import os, pathlib, signal, subprocess, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
        partial = pathlib.Path(sys.argv[1], f"munkey-1.{os.getpid()}.writing")
        partial.touch()
        pathlib.Path(sys.argv[1], "pids.new").write_text(f"{os.getpid()} {child.pid}")
        os.rename(sys.argv[1] + "/pids.new", sys.argv[1] + "/pids")
        signal.pause()
        """
    )
    one = job(results=tmp_path)
    queue.submit(one, "me")
    until((tmp_path / "pids").is_file)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert list(tmp_path.glob("*.writing"))
    queue.cancel(one, "me")
    assert state(queue, one) == "cancelled"
    assert queue.wait(one, PATIENCE)
    until(lambda: not any(alive(pid) for pid in pids))
    assert list(tmp_path.glob("*.writing")) == []
    assert list(temporary.iterdir()) == []


def test_a_waiting_job_is_cancelled_without_ever_starting(queue_of, tmp_path):
    queue = queue_of("import sys; open(sys.argv[1] + '/ran', 'a').close(); " + ENDLESS)
    queue.submit(job("a"), "me")
    queue.submit(job("b"), "me")
    until((tmp_path / "ran").is_file)
    queue.cancel(job("b"), "me")
    assert state(queue, job("b")) == "cancelled"
    assert queue.wait(job("b"), PATIENCE)
    assert state(queue, job("a")) == "running"


def test_closing_stops_all_and_takes_no_more(queue_of):
    queue = queue_of(ENDLESS)
    queue.submit(job("a"), "me")
    queue.submit(job("b"), "me")
    queue.close()
    assert [state(queue, job(name)) for name in "ab"] == ["cancelled", "cancelled"]
    with pytest.raises(BadInputError, match="shutting down"):
        queue.submit(job("c"), "me")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_no_job_outlives_its_server(tmp_path, digits_folder, ending):
    """Neither when the interpreter exits, nor when it is killed and can do nothing about it."""
    server = f"""
        import os, signal
        from munkey_core.bundle.read import read_bundle
        from munkey_core.jobs import job as jobs
        from munkey_core.jobs.queue import machine_queue
        from pathlib import Path
        from tests.waiting import until
        bundle = read_bundle(Path({str(digits_folder)!r}))
        job = jobs.make_job("retrain", bundle, bundle.bank.ids[:3])
        queue = machine_queue()
        # Endless: it asks for more seeds than it can train before the server ends.
        queue._command = lambda job, ids: [*jobs.job_command(job, ids), "--seeds", "20"]
        queue.submit(job, "me")
        def training():
            status = queue.status(job)
            assert status.active, status
            return status.progress.stage == "training"
        until(training)
        print(queue._entries[job].process.pid, flush=True)
        {ending}
        """
    import subprocess

    environment = {**os.environ, "MUNKEY_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(server)],
        env={**environment, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.stdout.strip(), done.stderr
    pid = int(done.stdout)
    until(lambda: not alive(pid))
    assert list(tmp_path.glob("munkey-job-*")) == []


# -- progress and time --------------------------------------------------------------------------


def test_progress_is_of_the_whole_job(queue_of, tmp_path):
    queue = queue_of(
        """
        import json, os, pathlib, signal, sys
        step = {"stage": "training", "done": 50, "total": 100, "remaining_seconds": 30.0}
        print("a warning of some library", file=sys.stderr)
        print(json.dumps({"progress": step}), file=sys.stderr, flush=True)
        signal.pause()
        """
    )
    expected = (("starting", 1.0), ("training", 60.0), ("predicting", 10.0))
    queue.submit(job(), "me", expected=expected)
    until(lambda: queue.status(job()).progress.stage == "training")
    status = queue.status(job())
    assert (status.progress.done, status.progress.total) == (50, 100)
    assert 30 < status.progress.remaining_seconds < 45  # 30 s of training, then predicting
    assert 0 < status.fraction < 0.5


def test_the_clock_learns_how_slow_this_machine_is():
    clock = Clock((("starting", 5.0), ("encoding", 10.0), ("training", 100.0)), 0.0)
    assert clock.left(0.0) == 115
    assert clock.left(60.0) == 111  # however long it takes to start, the rest is still to come
    clock.step(Progress("encoding", 0, 4, 0.0), 10.0)  # starting took twice as long
    assert clock.left(10.0) > 110
    clock.step(Progress("training", 50, 100, 0.0, 80.0), 110.0)
    assert clock.left(110.0) == 80
    assert clock.left(120.0) == 70
    assert clock.left(500.0) == 1.0
    assert clock.stages(190.0) == (("starting", 10.0), ("encoding", 100.0), ("training", 80.0))


def test_the_fraction_never_falls_and_unknown_stages_do_no_harm():
    clock = Clock((("a", 10.0), ("b", 10.0)), 0.0)
    shown = []
    steps = [("a", 5, 5.0), ("x", 0, 6.0), ("b", 1, 30.0), ("b", 9, 40.0), ("a", 1, 41.0)]
    for stage, done, now in steps:
        clock.step(Progress(stage, done, 10, 0.0), now)
        shown.append(clock.fraction(now))
    assert shown == sorted(shown)
    unknown = Clock((), 0.0)
    unknown.step(Progress("a", 1, 2, 0.0, 5.0), 1.0)
    assert unknown.left(1.0) is None
    assert unknown.fraction(1.0) == 0.0


# -- what can be asked for ----------------------------------------------------------------------


def test_bad_wishes_are_refused_before_a_process_starts(digits_bundle):
    import dataclasses

    ids = digits_bundle.bank.ids
    with pytest.raises(UnknownIdError):
        make_job(RETRAIN, digits_bundle, ["nobody"])
    for bad in ([], ids):
        with pytest.raises(BadInputError, match="at least one image to leave out and one to keep"):
            make_job(RETRAIN, digits_bundle, bad)
    with pytest.raises(BadInputError, match="must be one of"):
        make_job("destroy", digits_bundle, ids[:1])
    with pytest.raises(BundleError, match="needs the images"):
        make_job(RETRAIN, dataclasses.replace(digits_bundle, thumbnails=None), ids[:1])
    with pytest.raises(BundleError, match="on disk"):
        make_job(RETRAIN, dataclasses.replace(digits_bundle, folder=None), ids[:1])


def test_the_order_of_ids_makes_no_other_job(digits_bundle):
    a, b = digits_bundle.bank.ids[:2]
    assert make_job(RETRAIN, digits_bundle, [b, a, b]) == make_job(RETRAIN, digits_bundle, [a, b])


def test_compare_is_the_same_machinery_with_another_command(digits_bundle):
    wish = make_job(COMPARE, digits_bundle, digits_bundle.bank.ids[:2])
    command = job_command(wish, Path("ids.csv"))
    assert command[3:5] == ["munkey_core.cli", "compare"]
    assert command[6:] == ["--forget", "@ids.csv", "--mode", "joint", "--json"]


def test_a_map_is_about_the_whole_memory_and_needs_no_images(digits_bundle):
    import dataclasses

    bare = dataclasses.replace(digits_bundle, thumbnails=None)
    wish = make_job(PROJECT, bare, [])
    assert wish.ids == ()
    assert wish == make_job(PROJECT, digits_bundle, ())
    assert job_command(wish, Path("ids.csv"))[4:] == [
        "project", str(digits_bundle.folder), "--seed", "0", "--mode", "joint", "--json"
    ]  # fmt: skip
    with pytest.raises(BadInputError, match="whole memory, got 1 ids"):
        make_job(PROJECT, digits_bundle, digits_bundle.bank.ids[:1])
    with pytest.raises(BundleError, match="on disk"):
        make_job(PROJECT, dataclasses.replace(digits_bundle, folder=None), [])
    guess = expected_stages(digits_bundle, PROJECT)
    assert guess[0][0] == "starting"
    assert all(seconds > 0 for _, seconds in guess)


# -- for real -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_real_retraining_is_found_by_whoever_looks(
    digits_folder, cache, monkeypatch, temporary, stages
):
    monkeypatch.setenv("MUNKEY_JOB_THREADS", "1")
    bundle = read_bundle(digits_folder)
    ids = bundle.bank.ids[3:8]
    wish = make_job(RETRAIN, bundle, ids[::-1])
    guess = expected_stages(bundle, RETRAIN)
    assert [stage for stage, _ in guess] == ["starting", "encoding", "training", "predicting"]
    queue = JobQueue()
    evidence = Evidence(Runs(bundle, torch.device("cpu")))
    assert evidence.retrained(ids) is None
    queue.submit(wish, "me", lambda: evidence.retrained(ids) is not None, guess)
    assert queue.wait(wish, PATIENCE)
    assert queue.status(wish, "me").state == "done", queue.status(wish, "me").reason
    assert "training" in stages
    found = Runs(read_bundle(digits_folder), torch.device("cpu"))
    outputs = found.known_outputs(Run(MUNKEY, tuple(sorted(ids)), found.seed))
    assert outputs.private.shape == (300, 10)
    assert found.known_outputs(Run(MUNKEY, tuple(sorted(ids[1:])), found.seed)) is None
    assert list(cache.rglob("*.writing")) == []
    assert list(temporary.iterdir()) == []
    measured = dict(expected_stages(bundle, RETRAIN))
    assert measured != dict(guess)
    assert 0 < measured["training"] < PATIENCE


@pytest.mark.slow
def test_a_real_child_that_is_killed_fails_with_a_reason(digits_bundle, cache):
    wish = make_job(RETRAIN, digits_bundle, digits_bundle.bank.ids[:2])
    queue = JobQueue(command=lambda job, ids: [*job_command(job, ids), "--seeds", "20"])
    queue.submit(wish, "me")
    until(lambda: queue.status(wish).progress.stage == "training")
    os.killpg(queue._entries[wish].process.pid, signal.SIGKILL)
    assert queue.wait(wish, PATIENCE)
    status = queue.status(wish, "me")
    assert (status.state, status.reason) == ("failed", "killed by SIGKILL (out of memory?)")


@pytest.mark.slow
def test_a_bundle_that_changed_on_disk_fails_with_a_reason(digits_folder, cache, tmp_path):
    import shutil

    copy = tmp_path / "digits"
    shutil.copytree(digits_folder, copy)
    bundle = read_bundle(copy)
    wish = make_job(RETRAIN, bundle, bundle.bank.ids[:2])
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["model.safetensors"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    queue = JobQueue()
    queue.submit(wish, "me")
    assert queue.wait(wish, PATIENCE)
    assert "model.safetensors" in queue.status(wish).reason


@pytest.mark.slow
def test_real_maps_are_fitted_by_a_process_of_their_own(
    digits_folder, cache, monkeypatch, temporary, stages
):
    monkeypatch.setenv("MUNKEY_JOB_THREADS", "1")
    studio = Studio.open(str(digits_folder))
    bundle = studio._shared.bundle
    wish, guess = make_job(PROJECT, bundle, ()), expected_stages(bundle, PROJECT)
    assert not studio.jobs.done(PROJECT, ())
    queue = JobQueue()
    queue.submit(wish, "me", lambda: studio.jobs.done(PROJECT, ()), guess)
    assert queue.wait(wish, PATIENCE)
    status = queue.status(wish, "me")
    assert (status.state, status.reason, status.n_forget) == ("done", "", 0)
    assert set(stages) <= {stage for stage, _ in guess}
    assert "preparing map of keys" in stages
    for space in ("keys", "tokens"):
        assert studio.maps.projection(space).positions.shape == (300, 2)
    assert list(cache.rglob("*.writing")) == []
    assert list(temporary.iterdir()) == []
    measured = [stage for stage, _ in expected_stages(bundle, PROJECT)]
    assert measured[0] == "starting"
    assert set(measured) <= {stage for stage, _ in guess}


# -- training on a person's own images ---------------------------------------------------------


def test_a_training_is_the_command_that_makes_its_bundle(tmp_path):
    one = training_job("/data/my pets", tmp_path / "pets")
    command = job_command(one, Path("unused"))
    wanted = ["train", "--data", "/data/my pets", "--out", str(tmp_path / "pets"), "--json"]
    assert command[-len(wanted) :] == wanted
    # Its bundle alone says which training it is.
    assert one == training_job("/data/other", tmp_path / "pets")
    assert one != training_job("/data/my pets", tmp_path / "cats")


def test_a_cancelled_training_leaves_nothing_and_is_queued_like_others(queue_of, tmp_path):
    queue = queue_of("import sys; open(sys.argv[1] + '/ran', 'a').close(); " + ENDLESS)
    one, two = (training_job("data", tmp_path / name) for name in ("one", "two"))
    (making_folder(one.folder) / "one.training").mkdir(parents=True)
    queue.submit(one, "me", expected=(("training", 100.0),))
    queue.submit(two, "you")
    until((tmp_path / "ran").is_file)
    assert 1 <= queue.status(one).progress.remaining_seconds <= 100
    assert (queue.status(two).state, queue.status(two).ahead) == ("queued", 1)
    assert queue.asked(two) == two
    queue.cancel(one, "me")
    assert queue.wait(one, PATIENCE)
    assert not making_folder(one.folder).exists()
    assert queue.asked(one) is None
