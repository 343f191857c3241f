"""The page of a person's own images in each of its states, over a library that says what a test
wants; what the library itself finds in a real folder is asked once, at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.components.training_offer import class_bars, left_out, parts_bar
from app.screens.own import kept as view
from app.screens.own.start import size
from app.session import trainings
from munkey_core.errors import BadInputError, DataError
from munkey_core.jobs import own_data
from munkey_core.jobs.kept import Kept
from munkey_core.jobs.offer import TrainingOffer
from munkey_core.jobs.queue import JobStatus
from munkey_core.progress import Progress
from tests.app.screen import opened, query, text, watch
from tests.waiting import PATIENCE

OFFER = TrainingOffer(
    source="/srv/data/animals",
    name="animals",
    title="animals",
    images=120,
    classes=(("cat", 80), ("dog <b>", 40)),
    image_size=64,
    grey=False,
    owners=None,
    skipped=(("cat/a<i>.png", "not an image"),),
    parts={"private": 60, "test": 30, "anchor": 20, "calibration": 5, "validation": 5},
    encoder="conv",
    seconds=100.0,
    memory_bytes=1_400_000_000,
    disk_bytes=42_000_000,
    warnings=("Only 30 test images ![x](http://evil).",),
    stages=(("starting", 8.0), ("encoding", 20.0), ("training", 60.0), ("map of keys", 5.0)),
)


class Door:
    """What the library would say; remembers what it was asked for."""

    def __init__(self) -> None:
        self.sources: tuple[str, ...] = ("/srv/data/animals", "/srv/more/skin.npz")
        self.found: TrainingOffer = OFFER
        self.error: Exception | None = None
        self.refusal: Exception | None = None
        self.statuses: dict[str, JobStatus] = {}
        self.ready: set[str] = set()
        self.started: list[TrainingOffer] = []
        self.cancelled: list[str] = []
        self.looked: list[str] = []
        self.uploaded: list[str] = []

    def offer(self, source, name):
        self.looked.append(source)
        yield Progress("reading", 0, 1, 0.0)
        if self.error is not None:
            raise self.error
        return replace(self.found, source=source, name=name)

    def start(self, offer, asker):
        if self.refusal is not None:
            raise self.refusal
        self.started.append(offer)
        self.statuses[offer.name] = JobStatus("train", 0, "running", mine=True)

    def cancel(self, name, asker, present):
        self.cancelled.append(name)
        self.statuses[name] = JobStatus("train", 0, "cancelled", mine=True)

    def upload(self, name, data):
        if self.error is not None:
            raise self.error
        self.uploaded.append(name)
        self.sources = (*self.sources, "/srv/uploads/faces-0123abcd")
        return "/srv/uploads/faces-0123abcd"


@pytest.fixture(autouse=True)
def small_bundle(on_digits):
    trainings._asked.clear()


@pytest.fixture
def door(monkeypatch):
    fake = Door()
    for name, instead in {
        "list_sources": lambda: fake.sources,
        "offer": fake.offer,
        "start_training": fake.start,
        "training_status": lambda name, *who: fake.statuses.get(name),
        "cancel_training": fake.cancel,
        "bundle_ready": lambda name: name in fake.ready,
        "keep_upload": fake.upload,
    }.items():
        monkeypatch.setattr(own_data, name, instead)
    return fake


def open_page(**query: str) -> AppTest:
    """The page alone, inside the app's own frame: AppTest can't turn pages drawn by functions."""
    return settled(opened(AppTest.from_function(_page, default_timeout=PATIENCE), query))


def _page() -> None:
    from app.screens.own import page as view
    from app.session import page_url
    from app.shared import entrance
    from munkey_core.errors import MunkeyError

    try:
        session = entrance.enter("own")
    except MunkeyError:
        page_url.write(())
    else:
        page_url.write(session.groups)
    view.show()


def settled(app: AppTest) -> AppTest:
    """Run again until nothing is being looked at."""
    watch(app, lambda: all(b.key != "own-stop" for b in app.button))
    return app


def buttons(app: AppTest) -> dict[str, bool]:
    """Label of each button → whether it can be clicked."""
    return {b.label: not b.disabled for b in app.button}


def running(stage="training", **more) -> JobStatus:
    step = Progress(stage, 30, 100, 40.0, 62.0)
    return JobStatus("train", 0, "running", step, 0.4, **{"mine": True, **more})


def test_the_first_screen_says_what_training_does_and_what_it_needs(door):
    app = open_page()
    assert app.title[0].value == "Your own images"
    assert "a key in its memory" in text(app)
    assert "the pictures stay there" in text(app)
    assert "owners.csv" in text(app)
    assert app.selectbox(key="munkey-own-source").options == ["animals", "skin.npz"]
    assert "Start training" not in buttons(app)


def test_where_nothing_can_be_chosen_it_says_how_that_is_changed(door):
    door.sources = ()
    assert "MUNKEY_DATA_FOLDERS" in text(open_page())


def test_a_choice_shows_all_that_is_known_before_anything_starts(door):
    app = open_page()
    app.selectbox(key="munkey-own-source").select("animals").run()
    shown = text(settled(app))
    assert query(app)["data"] == "animals"
    assert "120 images in 2 classes" in shown
    assert "the data names no owners" in shown
    assert "1 file is left out" in app.expander[0].label
    assert "![x]" not in shown
    assert "Only 30 test images" in shown
    assert "<b>60</b> get a key" in shown
    assert "<b>30</b> teach what all images share" in shown
    takes = shown.replace("\\", "")
    assert "about 1.5 min" in takes
    assert "up to 1.4 GB" in takes
    assert "42 MB" in takes
    assert "a small network, trained here" in takes
    assert buttons(app)["Start training"]
    assert door.started == []
    assert app.text_input(key="munkey-own-name").value == "animals"


def test_a_link_with_a_choice_shows_it_and_an_unknown_one_is_told(door):
    assert "120 images" in text(open_page(data="animals"))
    app = open_page(data="/etc")
    assert door.looked == ["/srv/data/animals"]
    assert "data" not in query(app)


def test_foreign_texts_are_shown_as_they_are():
    assert "dog &lt;b&gt;" in class_bars(OFFER.classes)
    assert "cat/a&lt;i&gt;.png" in left_out(OFFER.skipped)
    assert "and 50 more" in left_out([("a", "b")] * 250)
    assert "unused" not in parts_bar(OFFER.parts)
    assert "width:100.0%" in class_bars([("a", 3), ("b", 0)])
    assert class_bars([("a", 0)])


def test_images_that_cannot_be_used_say_why_without_the_servers_paths(door):
    door.error = DataError("/srv/data/animals: wanted two classes or more, got [1](http://evil)")
    app = open_page(data="animals")
    assert "These images can’t be used" in app.error[0].value
    assert "/srv" not in app.error[0].value.replace("\\", "")
    assert "[1](" not in app.error[0].value
    assert "owners.csv" in text(app)
    door.error = None
    app.button(key="own-again").click().run()
    assert "120 images" in text(settled(app))


def test_what_cannot_be_trained_here_says_why_and_has_no_way_to_start(door):
    door.found = replace(OFFER, problem="the training needs about 9 GB of memory")
    app = open_page(data="animals")
    assert "9 GB of memory" in text(app)
    assert not buttons(app)["Start training"]


def test_a_name_that_is_taken_is_told_and_cannot_be_started(door, digits_folder):
    app = open_page(data="animals")
    for name in (digits_folder.name, "being-made", "made"):
        door.statuses["being-made"] = running()
        door.ready = {"made"}
        app.text_input(key="munkey-own-name").input(name).run()
        assert "There is a model named" in app.error[0].value
        assert not buttons(app)["Start training"]
    app.text_input(key="munkey-own-name").input("free").run()
    assert not app.error
    assert buttons(app)["Start training"]
    app.text_input(key="munkey-own-name").input("").run()
    assert not buttons(app)["Start training"]


def test_the_suggested_name_is_a_free_one(door, digits_folder):
    assert trainings.suggested_name("Hübsche Tiere!.zip") == "hubsche-tiere"
    assert trainings.suggested_name("faces-0123abcd") == "faces"
    assert trainings.suggested_name("日本") == "my-images"
    assert len(trainings.suggested_name("x" * 99)) <= trainings.MOST_LETTERS
    assert trainings.suggested_name(digits_folder.name) == f"{digits_folder.name}-2"


def test_sources_of_one_name_are_told_apart(door):
    door.sources = ("/a/x", "/b/x", "/c/b/x", "/c/y\n")
    assert list(trainings.sources()) == ["a/x", "b/x", "b/x (2)", "y·"]
    assert trainings.label_of("/b/x") == "b/x"
    assert trainings.label_of("/gone") == ""


def test_it_starts_once_shows_where_it_is_and_can_be_cancelled(door):
    app = open_page(data="animals")
    app.text_input(key="munkey-own-name").input("mine").run()
    app.button(key="own-start").click()
    app.run()
    assert [offer.name for offer in door.started] == ["mine"]
    assert query(app)["training"] == "mine"
    assert "mine is being trained" in text(app)
    door.statuses["mine"] = running()
    app.run()
    shown = text(app)
    assert "Training, about 1 min left" in shown
    assert app.get("progress")[0].proto.value == 40
    assert "Getting ready" in shown
    assert '<li class="mk-own-now"><i aria-hidden="true">▸</i><span>Training' in shown
    assert "Making the memory map<small>about 5 s" in shown
    app.button(key="own-cancel").click().run()
    assert door.cancelled == ["mine"]
    assert "was cancelled" in text(app)
    app.button(key="own-restart").click().run()
    assert [offer.name for offer in door.started] == ["mine", "mine"]
    assert "mine is being trained" in text(app)


def test_a_refusal_is_shown_and_nothing_has_started(door):
    door.refusal = BadInputError("a bundle's name must be of letters [x](http://evil)")
    app = open_page(data="animals")
    app.text_input(key="munkey-own-name").input("mine!").run()
    app.button(key="own-start").click().run()
    assert "must be of letters" in app.error[0].value
    assert "[x](" not in app.error[0].value
    assert "training" not in query(app)


def test_a_second_person_sees_the_training_and_does_not_end_it(door):
    first = open_page(data="animals")
    first.button(key="own-start").click().run()
    door.statuses["animals"] = running(mine=False)
    second = open_page()
    assert "**animals** is being trained" in text(second)
    second.button(key="own-see-animals").click().run()
    assert "Training, about 1 min left" in text(second)
    assert "From 120 images of animals" in text(second)
    assert "Somebody else on this server asked for it" in text(second)
    assert "Cancel the training" not in buttons(second)


def test_waiting_says_for_how_many(door):
    door.statuses["mine"] = JobStatus("train", 0, "queued", ahead=2, mine=True)
    shown = text(open_page(training="mine"))
    assert "mine waits for its turn" in shown
    assert "Waiting for 2 other jobs to end" in shown


def test_a_crash_is_shown_with_its_reason(door):
    reason = "killed by SIGKILL ![x](http://evil)"
    door.statuses["mine"] = JobStatus("train", 0, "failed", reason=reason, mine=True)
    app = open_page(training="mine")
    assert "SIGKILL" in app.error[0].value
    assert "![x]" not in app.error[0].value
    assert "Start again" not in buttons(app)  # Nobody knows any more from which images.
    app.button(key="own-back").click().run()
    assert "owners.csv" in text(app)


def test_a_finished_model_is_offered_and_opened(door, monkeypatch):
    turned = []
    monkeypatch.setattr("app.screens.own.training.turn_to", turned.append)
    door.statuses["mine"] = JobStatus("train", 0, "done", seconds=301.0, mine=True)
    door.ready = {"mine"}
    app = open_page(training="mine", data="animals", basket="")
    assert "mine is ready" in text(app)
    assert "took 5 min" in text(app)
    app.button(key="own-open").click().run()
    assert turned == ["forget"]
    assert app.session_state["munkey:bundle"] == "mine"
    assert app.session_state["munkey:training"] == ""
    assert app.session_state["munkey:data"] == ""


def test_a_model_that_is_there_is_found_by_its_link_after_a_restart(door):
    door.ready = {"mine"}
    assert "Open the model" in buttons(open_page(training="mine"))
    assert "knows of no training" in text(open_page(training="nobody"))


def test_a_name_in_a_link_that_cannot_be_one_is_left_out(door):
    app = open_page(training="../../etc")
    assert "training" not in query(app)
    assert "owners.csv" in text(app)


@pytest.mark.parametrize("control", ["menu", "own", "jobs"])
def test_a_link_that_hides_controls_hides_the_page(door, control):
    app = open_page(hide=control, data="animals", training="mine")
    assert "leaves this page out" in text(app)
    assert not app.button
    assert not app.get("file_uploader")
    assert door.looked == []


def test_an_upload_is_kept_chosen_and_looked_at(door):
    app = open_page()
    app.file_uploader[0].set_value(("faces.zip", b"zip", "application/zip")).run()
    settled(app)
    assert door.uploaded == ["faces.zip"]
    assert query(app)["data"] == "faces-0123abcd"
    assert "120 images" in text(app)
    assert app.text_input(key="munkey-own-name").value == "faces"
    app.run()
    assert door.uploaded == ["faces.zip"]


def test_a_bad_upload_says_what_is_wrong_and_changes_nothing(door):
    door.error = DataError("faces.zip: '../evil' leads out of the archive")
    app = open_page()
    app.file_uploader[0].set_value(("faces.zip", b"zip", "application/zip")).run()
    assert "This archive can’t be used" in app.error[0].value
    assert "leads out of the archive" in app.error[0].value
    assert "data" not in query(app)


def test_an_archive_without_classes_is_told_until_it_is_taken_out(door, monkeypatch):
    door.error = DataError("flat.zip: wanted one folder a class, found none")
    app = open_page()
    app.file_uploader[0].set_value(("flat.zip", b"zip", "application/zip")).run()
    assert "wanted one folder a class" in app.error[0].value
    assert "data" not in query(app)
    app.file_uploader[0].set_value(None).run()
    assert not app.error


def test_the_page_works_without_any_model(door, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLE", "no-such-model")
    app = open_page(data="animals")
    assert "120 images" in text(app)


@pytest.mark.parametrize(
    ("n", "words"), [(0, "1 MB"), (80_400_000, "80 MB"), (999_000_000, "1.0 GB")]
)
def test_bytes_for_people(n, words):
    assert size(n) == words


def test_a_real_folder_is_looked_at(monkeypatch, tmp_path):
    monkeypatch.setenv("MUNKEY_DATA_FOLDERS", str(tmp_path / "tones"))
    noise = np.random.default_rng(0)
    for kind in ("black", "white"):
        (tmp_path / "tones" / kind).mkdir(parents=True)
        for i in range(40):
            tone = noise.integers(0, 90, (8, 8), dtype=np.uint8) + (160 if kind == "white" else 0)
            Image.fromarray(tone.astype(np.uint8)).save(tmp_path / "tones" / kind / f"{i}.png")
    (tmp_path / "tones" / "black" / "broken.png").write_bytes(b"no picture")
    app = open_page(data="tones")
    watch(app, lambda: "images in 2 classes" in text(app) or app.error)
    shown = text(app)
    assert "80 images in 2 classes" in shown
    assert "black/broken.png" in shown
    assert buttons(app)["Start training"]


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "").replace("**", "")


def test_what_is_kept_is_listed_and_goes_when_told_twice(door, monkeypatch):
    when = "2026-11-26T01:02:03+00:00"
    here = [
        Kept("upload/faces-0123abcd", "upload", "/srv/f", 2_000, 3_000_000, when, ""),
        Kept("model/mine", "model", "/srv/m", 1, 5, when, "a job about it runs"),
        Kept("cache/runs", "cache", "/srv/r", 1, 5, when, ""),
    ]
    gone = []

    def delete(name):
        if not gone:
            gone.append("refused")
            raise BadInputError("the <disk> is full")
        gone.append(name)
        here.pop(0)
        return 2_000

    monkeypatch.setattr(view, "list_kept", lambda kinds: [k for k in here if k.kind in kinds])
    monkeypatch.setattr(view, "delete_kept", delete)
    app = open_page()
    shown = plain(app)
    assert "faces-0123abcd · an upload, 2,000 files, 3 MB" in shown
    assert "It can’t be deleted now: a job about it runs" in shown
    assert "answers of retrained models" not in shown
    assert [one.key for one in app.button if "kept-delete" in str(one.key)] == ["own-kept-delete-0"]
    app.button(key="own-kept-delete-0").click().run()
    assert "Not deleted: the <disk> is full" in plain(app)
    app.button(key="own-kept-delete-0").click().run()
    told = app.success[0].value.replace("\\", "")
    assert told == "faces-0123abcd is gone: 2,000 files overwritten and removed."
    assert gone == ["refused", "upload/faces-0123abcd"]
    assert "faces" not in plain(app.run())

    app.toggle(key="own-kept-cache").set_value(True).run()
    assert "answers of retrained models, and comparisons · worked out, 1 file" in plain(app)
    here.insert(0, here.pop())  # the fake deletes the first
    app.run()
    app.button(key="own-kept-delete-1").click().run()
    assert gone[-1] == "cache/runs"
