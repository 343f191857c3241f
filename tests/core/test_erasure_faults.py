"""An erasure that is killed, or whose disk is full or broken, at every step that changes the disk.

Afterwards the bundle is wholly the old or wholly the new version, opens and verifies, and a second
run finishes the job. A share of the points here; all of them with MUNKEY_THOROUGH=1.
"""

import errno
import os
import shutil
import signal
from pathlib import Path

import erasable
import pytest

from munkey_core.bundle.find import find_bundle
from munkey_core.bundle.ledger import Receipt
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import unfinished, work_folder
from munkey_core.erasure.erasure import erase
from munkey_core.erasure.receipts import check_receipt
from munkey_core.erasure.verification import damaged_files
from munkey_core.errors import BundleError
from munkey_core.files import durable
from munkey_core.files.durable import Disk
from munkey_core.progress import finish

pytestmark = pytest.mark.slow
THOROUGH = bool(os.environ.get("MUNKEY_THOROUGH"))
EVERY = 1 if THOROUGH else 12  # which share of the points
BLOCK = 2048  # so that most files take several writes


class Watched(Disk):
    """Counts the steps and tells them to `reached`. can_exchange: as on a disk that can, or can't.
    Nothing waits for the disk: a process that is killed loses nothing that it has written."""

    def __init__(self, can_exchange=True):
        self.log = []
        self.can_exchange = can_exchange

    def step(self, name, what, data=b""):
        self.log.append((name, str(what)))
        self.reached(len(self.log), name, what, data)

    def reached(self, number, name, what, data):
        pass

    def create(self, path, mode):
        self.step("create", path)
        return super().create(path, mode)

    def open(self, path):
        self.step("open", path)
        return super().open(path)

    def write(self, descriptor, data):
        self.step("write", descriptor, data)
        return super().write(descriptor, data)

    def sync(self, descriptor):
        self.step("sync", Path(f"/proc/self/fd/{descriptor}").readlink())

    def mkdir(self, path, mode):
        self.step("mkdir", path)
        super().mkdir(path, mode)

    def rename(self, path, target):
        self.step("rename", path)
        super().rename(path, target)

    def exchange(self, one, other):
        if not self.can_exchange:
            raise OSError(errno.EINVAL, "not on this disk")
        self.step("exchange", one)
        super().exchange(one, other)

    def unlink(self, path):
        self.step("unlink", path)
        super().unlink(path)

    def rmdir(self, path):
        self.step("rmdir", path)
        super().rmdir(path)


class Killed(Watched):
    """SIGKILL just before step `at`; of a writing, when half of it is done."""

    def __init__(self, at, can_exchange, half=False):
        super().__init__(can_exchange)
        self.at, self.half = at, half

    def reached(self, number, name, what, data):
        if number == self.at:
            if self.half and name == "write":
                os.write(what, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)


class Broken(Watched):
    """Step `at` fails with an error of the disk, and so do all later ones if it `stays` so."""

    def __init__(self, at, can_exchange, number, stays=False):
        super().__init__(can_exchange)
        self.at, self.number, self.stays = at, number, stays

    def reached(self, number, name, what, data):
        if number == self.at or (self.stays and number > self.at and name in _TAKE_SPACE):
            raise OSError(self.number, os.strerror(self.number))


_TAKE_SPACE = ("create", "write", "mkdir")


class Case:
    """A bundle with a cache, in a folder of its own, from a template that is made once."""

    def __init__(self, template, place, monkeypatch):
        self.template, self.place, self.patch = template, place, monkeypatch
        self.folder = place / "home" / "tiny"
        self.patch.setenv("MUNKEY_CACHE", str(place / "cache"))
        self.patch.setattr(durable, "BLOCK", BLOCK)
        self.restore()
        bundle = read_bundle(self.folder)
        self.before = bundle.version
        self.ids = tuple(r.id for r in bundle.records if r.owner == erasable.OWNER)
        self.planted = [
            pattern
            for name, pattern in erasable.canaries(bundle, self.ids).items()
            if name.split(" img")[0] in ("id", "key", "token", "exact token", "logit row 10")
        ]

    def restore(self):
        for name in ("home", "cache"):
            shutil.rmtree(self.place / name, ignore_errors=True)
            shutil.copytree(self.template / name, self.place / name)

    def run(self, disk):
        """Erase, with this disk; returns the receipt."""
        self.patch.setattr(durable, "DISK", disk)
        receipt = finish(erase(self.folder, self.ids))
        assert isinstance(receipt, Receipt)
        return receipt

    def steps(self, can_exchange):
        disk = Watched(can_exchange)
        self.run(disk)
        self.restore()
        return disk.log

    def killed(self, disk):
        """Erase in a process that this disk kills; returns the signal."""
        child = os.fork()
        if child == 0:
            try:
                self.run(disk)
            finally:
                os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def check(self):
        """Wholly old or new, and a second run finishes it. Returns which it was."""
        self.patch.setattr(durable, "DISK", Watched())
        bundle = read_bundle(find_bundle(str(self.folder)))
        there = [id_ for id_ in self.ids if id_ in bundle.bank]
        assert there in ([], list(self.ids))
        assert (bundle.version == self.before) == bool(there)
        assert len(bundle.bank) == erasable.PRIVATE - (0 if there else len(self.ids))
        assert damaged_files(self.folder)[1] == {}
        receipt = self.run(Watched())
        check = check_receipt(self.folder, receipt)
        assert check.ok, check.problems
        assert receipt.count == len(self.ids)
        assert not unfinished(self.folder)
        assert sorted(path.name for path in (self.place / "home").iterdir()) == ["tiny"]
        for path in self.place.rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            assert not any(pattern in data for pattern in self.planted), path
        return "old" if there else "new"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    place = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(place / "cache"))
        (place / "home").mkdir()
        erasable.fill_cache(erasable.make(place / "home" / "tiny"))
    return place


@pytest.fixture
def case(template, tmp_path, monkeypatch):
    return Case(template, tmp_path, monkeypatch)


def share(points, can_exchange):
    """Every so many of the points; with each kind of step, and all about the switch."""
    log = list(points)
    chosen = set(range(1 if can_exchange else 2, len(log) + 1, EVERY))
    switch = next(i for i, (name, _) in enumerate(log, 1) if name in ("exchange", "rename"))
    return sorted(chosen | set(range(switch - 2, min(switch + 6, len(log) + 1))))


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_kill_at_any_step_leaves_one_whole_version_and_a_second_run_finishes(case, can_exchange):
    log = case.steps(can_exchange)
    assert len(log) >= 200
    seen = {"old": 0, "new": 0}
    for at in share(log, can_exchange):
        case.restore()
        assert case.killed(Killed(at, can_exchange, half=at % 2 == 0)) == -signal.SIGKILL
        seen[case.check()] += 1
    assert min(seen.values()) >= 5
    print(f"can_exchange={can_exchange}: {len(log)} steps, killed at {seen}")


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize(
    ("number", "kinds", "stays"),
    [
        (errno.ENOSPC, _TAKE_SPACE, True),
        (errno.EIO, ("sync",), False),
        (errno.EIO, ("exchange", "rename", "unlink", "rmdir", "open"), False),
    ],
    ids=["full", "fsync", "io"],
)
def test_a_disk_that_fails_at_any_step_leaves_one_whole_version(
    case, can_exchange, number, kinds, stays
):
    log = case.steps(can_exchange)
    points = [i for i, (name, _) in enumerate(log, 1) if name in kinds]
    seen = {"old": 0, "new": 0}
    for at in points[:: 1 if THOROUGH else 15] + points[-1:]:
        case.restore()
        with pytest.raises(BundleError, match=r"could not be written .*(nothing was|run the same)"):
            case.run(Broken(at, can_exchange, number, stays))
        seen[case.check()] += 1
    assert sum(seen.values()) >= 2
    print(f"{errno.errorcode[number]} {kinds}, can_exchange={can_exchange}: failed at {seen}")


def test_nothing_of_the_old_goes_before_the_new_is_on_the_disk_for_good(case):
    """A power cut loses what was not synced: so the order matters."""
    log = case.steps(True)
    work = work_folder(case.folder)
    draft, journal = str(work / "tiny"), str(work / "journal.json")
    place = {step: i for i, step in reversed(list(enumerate(log)))}
    last = {step: i for i, step in enumerate(log)}
    switch = next(i for i, (name, _) in enumerate(log) if name == "exchange")
    created = [what for name, what in log if name == "create"]
    assert len(created) > 15
    for path in created:
        assert place["create", path] < place["sync", path] < switch
        if path != journal:
            assert place["sync", path] < place["create", journal]
    assert place["sync", draft] < place["create", journal]
    assert place["create", journal] < place["sync", str(work)] < switch
    first_loss = min(i for i, (name, _) in enumerate(log) if name in ("open", "unlink", "rmdir"))
    assert switch < first_loss
    parent = str(case.folder.parent)
    assert any(log[i] == ("sync", parent) for i in range(switch, first_loss))
    assert last["unlink", journal] > max(
        i for i, (name, what) in enumerate(log) if name == "unlink" and what != journal
    )


def test_every_file_of_the_old_version_is_overwritten_before_its_name_goes(case):
    log = case.steps(True)
    draft = str(work_folder(case.folder) / "tiny")
    switch = next(i for i, (name, _) in enumerate(log) if name == "exchange")
    unlinked = [
        (i, what)
        for i, (name, what) in enumerate(log)
        if name == "unlink" and what.startswith(draft)
    ]
    assert len(unlinked) == sum(1 for path in case.folder.rglob("*") if path.is_file())
    for i, path in unlinked:
        opened = log.index(("open", path), switch)
        assert {name for name, _ in log[opened + 1 : i - 1]} == {"write"}
        assert log[i - 1] == ("sync", path)
