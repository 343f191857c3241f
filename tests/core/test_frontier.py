"""Other recipes on a bundle's images: read, trained, measured, kept, saved."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import tiny
import torch

from munkey_core.audit import recipes_tried as module
from munkey_core.audit.recipes_tried import Frontier, Variant, load_variants, save_experiments
from munkey_core.bundle.card import write_card
from munkey_core.bundle.experiments import Experiments, experiments_text, read_experiments
from munkey_core.bundle.forget_sets import forget_set
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.errors import BadInputError, BundleError
from munkey_core.model.bank import BankView
from munkey_core.progress import Progress, drive
from munkey_core.results import CALIBRATION, PRIVATE, TEST
from munkey_core.training import calibration
from munkey_core.training.retraining import MUNKEY, Run
from munkey_core.training.runs import Runs, runs_folder, source_digest

pytestmark = pytest.mark.usefixtures("cache")
MORE = Variant("p_mem 0.2", "more of the image alone", train={"p_mem": 0.2})
LARGER = Variant("three layers", model={"layers": 3, "dropout": 0.0})
FILE = """
[[variant]]
name = "p_mem 0.2"
why = "more of the image alone"
train = { p_mem = 0.2, epochs = 1 }

[[variant]]
name = "three layers"
[variant.model]
layers = 3
"""


@pytest.fixture
def folder(tmp_path):
    write_bundle(tiny.random_bundle(private=20, test=12), tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def bundle(folder):
    return read_bundle(folder)


def run(*wish, **more):
    steps = []
    found = drive(Frontier(*wish, device="cpu", **more).run(), steps.append)
    assert all(isinstance(step, Progress) for step in steps)
    assert isinstance(found, Experiments)
    return found


def variants(tmp_path, text):
    path = tmp_path / "recipes.toml"
    path.write_text(text, encoding="utf-8")
    return load_variants(path)


# -- the file ------------------------------------------------------------------------------------


def test_a_file_of_variants(tmp_path):
    first, second = variants(tmp_path, FILE)
    assert first == Variant(
        "p_mem 0.2", "more of the image alone", train={"p_mem": 0.2, "epochs": 1}
    )
    assert second == Variant("three layers", model={"layers": 3})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "recipes.toml needs variant"),
        ("variant = []", "variant must be a list of length >= 1"),
        ("variant = 3", "variant must be a list, got 3"),
        ("[[variant]]\nwhy = 'x'", r"variant\[0\] needs name"),
        ("[[variant]]\nname = ''", "name must be"),
        ('[[variant]]\nname = "a\\u001b"', "characters that no text needs"),
        ('[[variant]]\nname = "a\\u200bb"', "name must be"),
        ("[[variant]]\nname = 3", "name must be a text, got 3"),
        ("[[variant]]\nname = 'a'\n[[variant]]\nname = 'a'", "is taken"),
        ("[[variant]]\nname = 'shipped recipe'", "measured anyway"),
        ("[[variant]]\nname = 'a'\nepochs = 3", r"variant\[0\] has no 'epochs'"),
        ("[[variant]]\nname = 'a'\ntrain = 3", "must be a table"),
        ("name = 'x'\n[[variant]]\nname = 'a'", "recipes.toml has no 'name'"),
        ("[[variant]", "not valid TOML"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, text, said):
    with pytest.raises(BadInputError, match=said):
        variants(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInputError, match="can't be read"):
        load_variants(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        (Variant("a"), "changes nothing"),
        (Variant("a", train={"epochs": 2}), "changes nothing"),  # as shipped
        (Variant("a", train={"p_mem": 1.0}), "plain transformer"),
        (Variant("a", train={"seed": 3}), "not for a recipe to change"),
        (Variant("a", model={"tokens": "patches"}), "not for a recipe to change"),
        (Variant("a", train={"p_memory": 0.1}), "no setting 'p_memory'"),
        (Variant("a", train={"p_img": 1.5}), "p_img must be"),
        (Variant("a", train={"epochs": "two"}), "epochs"),
        (Variant("a", model={"dim": 17}), "dim must be divisible"),
    ],
)
def test_a_bad_recipe_is_refused_before_anything_is_trained(bundle, variant, said):
    with pytest.raises(BadInputError, match=said):
        Frontier(bundle, [MORE, variant], device="cpu")


@pytest.mark.parametrize("seeds", [0, 21])
def test_bad_numbers_of_seeds(bundle, seeds):
    with pytest.raises(BadInputError, match="--seeds"):
        Frontier(bundle, [MORE], seeds, device="cpu")


def test_it_needs_calibration_images():
    bare = tiny.random_bundle(calibration=0)
    with pytest.raises(BadInputError, match="calibration"):
        Frontier(bare, [MORE], device="cpu")


# -- measuring -----------------------------------------------------------------------------------


def test_figures_follow_from_what_the_shipped_model_says(bundle):
    found = run(bundle, [MORE])
    own, other, plain = found.recipes
    assert [r.kind for r in found.recipes] == ["shipped", "variant", "plain"]
    assert (found.n_private, found.n_test, found.n_forget) == (20, 12, 2)

    runs = Runs(bundle, torch.device("cpu"))
    outputs = runs.known_outputs(Run(MUNKEY, (), 0))
    labels = {s: np.array([r.label for r in bundle.records_of(s)]) for s in (PRIVATE, TEST)}
    gone = np.isin(bundle.bank.ids, forget_set("random-10pct", bundle))
    right = outputs.private.argmax(1) == labels[PRIVATE]
    [trial] = own.trials
    assert trial.before.forget_accuracy == pytest.approx(100 * right[gone].mean())
    assert trial.before.retain_accuracy == pytest.approx(100 * right[~gone].mean())
    right = outputs.test.argmax(1) == labels[TEST]
    assert trial.before.test_accuracy == pytest.approx(100 * right.mean())
    members = outputs.private[np.arange(20), labels[PRIVATE]][gone]
    others = outputs.test[np.arange(12), labels[TEST]]
    wins = [(m > o) + 0.5 * (m == o) for m in members for o in others]
    assert trial.before.mia_auc == pytest.approx(100 * np.mean(wins))
    image = [outputs.image_private.correct, outputs.image_test.correct]
    assert trial.leak == pytest.approx(100 * (image[0].mean() - image[1].mean()))
    half = 196 * np.sqrt(sum(v.var(ddof=1) / len(v) for v in map(np.float64, image)))
    assert trial.leak_ci95 == pytest.approx((trial.leak - half, trial.leak + half))
    assert (trial.k, trial.tau, trial.anchor) == (3, 0.1, 0.3)
    assert other.trials[0].after is not None
    assert plain.after is None
    assert plain.trials[0].k is None


def test_deleting_predicts_as_a_bank_without_those_keys_does(bundle, monkeypatch):
    """The short way, over images that lost a neighbour, gives what predicting everything gives."""
    seen = {}
    answers = Frontier._answers

    def spy(self, predictor, bank, seconds):
        found = yield from answers(self, predictor, bank, seconds)
        seen.update(predictor=predictor, bank=bank, found=found, self=self)
        return found

    monkeypatch.setattr(Frontier, "_answers", spy)
    run(bundle, [MORE])
    frontier, after = seen["self"], seen["found"][1]
    view = BankView(seen["bank"].without(frontier.ids))
    for split, answer in ((PRIVATE, after.private), (TEST, after.test)):
        queries = frontier.runs.retraining.encoded[split]
        whole = seen["predictor"].predict(queries, view).probabilities
        np.testing.assert_allclose(answer, whole, atol=1e-6)
    assert seen["bank"].ids == bundle.bank.ids  # calibration images have no entry any more


def test_tau_is_chosen_on_calibration_images_alone(bundle, monkeypatch):
    asked = []

    def choose(predictor, bank, known, validation):
        asked.append((known.ids, len(bank), len(known.images), validation))
        return replace(bundle.manifest.ensemble, tau=0.07), {}

    monkeypatch.setattr(calibration, "choose_ensemble", choose)
    found = run(bundle, [MORE])
    ids = tuple(record.id for record in bundle.records_of(CALIBRATION))
    assert asked == [(ids, 24, 4, None)]
    assert found.recipes[1].trials[0].tau == 0.07


def test_every_variant_and_seed_is_trained_with_its_own_recipe(bundle, monkeypatch):
    made = []
    training = module.JointTraining

    def spy(model_config, config, data, device, checkpoint):
        made.append((model_config.layers, config.p_mem, config.seed, len(data.private)))
        return training(model_config, config, data, device, checkpoint)

    monkeypatch.setattr(module, "JointTraining", spy)
    found = run(bundle, [MORE, LARGER], seeds=2)
    assert made == [(1, 0.2, 0, 24), (1, 0.2, 1, 24), (3, 0.0, 0, 24), (3, 0.0, 1, 24)]
    assert [len(r.trials) for r in found.recipes] == [2, 2, 2, 2]
    larger = found.recipes[2]
    assert larger.model == LARGER.model
    assert larger.leak == pytest.approx(np.mean([t.leak for t in larger.trials]))


def test_what_was_finished_is_not_trained_again(bundle, monkeypatch):
    found = run(bundle, [MORE, LARGER])
    assert len(list(runs_folder(bundle).glob("experiment-*.json"))) == 2
    monkeypatch.setattr(module, "JointTraining", None)
    assert run(bundle, [LARGER, MORE]).recipes[1] == found.recipes[2]


def test_a_damaged_file_of_the_cache_counts_as_none(bundle):
    found = run(bundle, [MORE])
    [path] = runs_folder(bundle).glob("experiment-*.json")
    path.write_text('{"seed": 0}')
    again = run(bundle, [MORE]).recipes[1].trials[0]
    first = found.recipes[1].trials[0]
    assert replace(again, seconds=0.0) == replace(first, seconds=0.0)


def test_an_interrupted_training_goes_on_after_its_last_epoch(bundle):
    whole = run(bundle, [MORE]).recipes[1].trials[0]
    for path in runs_folder(bundle).glob("experiment-*"):
        path.unlink()
    steps = Frontier(bundle, [MORE], device="cpu").run()
    for step in steps:
        if "training" in step.stage and "p_mem" in step.stage and step.done == 5:
            break  # in the second of two epochs
    steps.close()
    [left] = runs_folder(bundle).glob("experiment-*.ckpt")
    again = run(bundle, [MORE]).recipes[1].trials[0]
    assert not left.exists()
    assert replace(again, seconds=0.0) == replace(whole, seconds=0.0)


def test_a_left_checkpoint_of_other_data_is_not_gone_on_with(bundle):
    steps = Frontier(bundle, [MORE], device="cpu").run()
    for step in steps:
        if "training" in step.stage and "p_mem" in step.stage and step.done == 5:
            break
    steps.close()
    [left] = runs_folder(bundle).glob("experiment-*.ckpt")
    state = torch.load(left, weights_only=True)
    state["identity"]["data"] = "other"
    torch.save(state, left)
    assert run(bundle, [MORE]).recipes[1].trials


def test_a_training_that_fails_stops_no_other(bundle):
    wild = Variant("too fast", train={"learning_rate": 1e30})
    found = run(bundle, [wild, MORE])
    _, failed, other, _ = found.recipes
    assert not failed.trials
    assert "loss is" in failed.failed["0"]
    assert other.trials
    assert not list(runs_folder(bundle).glob("*.ckpt"))


def test_training_errors_alone_are_passed_over(bundle, monkeypatch):
    def broken(self, config, model, path):
        raise ValueError("a bug")
        yield

    monkeypatch.setattr(Frontier, "_train", broken)
    with pytest.raises(ValueError, match="a bug"):
        run(bundle, [MORE])


# -- in the bundle -------------------------------------------------------------------------------


def test_saved_experiments_are_checked_read_and_told_in_the_card(folder):
    bundle = read_bundle(folder)
    found = run(bundle, [MORE, LARGER], seeds=2)
    save_experiments(folder, found, source_digest(bundle), "[[variant]]\n")
    again = read_bundle(folder)
    assert (folder / "experiments.toml").read_text() == "[[variant]]\n"
    assert "experiments.toml" in again.manifest.files
    assert again.experiments == found
    assert again.card == write_card(again, again.metrics)
    assert "## Recipes tried" in again.card
    assert "| p_mem 0.2: more of the image alone | p_mem = 0.2 |" in again.card
    assert source_digest(again) == source_digest(bundle)  # what the cache holds stays good
    (folder / "experiments.json").write_text("{}")
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(folder)


def test_experiments_on_another_model_are_not_saved(folder):
    bundle = read_bundle(folder)
    found = run(bundle, [MORE])
    with pytest.raises(BadInputError, match="has changed"):
        save_experiments(folder, found, "another", "")
    assert read_bundle(folder).experiments is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("recipes",), 3),
        (("seeds",), []),
        (("seeds",), ["0"]),
        (("n_test",), -1),
        (("extra",), 1),
        (("recipes", 0, "kind"), "wild"),
        (("recipes", 0, "name"), "x" * 41),
        (("recipes", 0, "name"), "plain transformer"),
        (("recipes", 0, "train"), {"p_mem": "much"}),
        (("recipes", 0, "trials", 0, "seed"), 7),
        (("recipes", 0, "trials", 0, "leak"), None),
        (("recipes", 0, "trials", 0, "leak_ci95"), [1.0]),
        (("recipes", 0, "trials", 0, "before", "mia_auc"), 101),
        (("recipes", 0, "trials", 0, "after"), None),
        (("recipes", 0, "trials", 0, "more"), 1),
    ],
)
def test_a_file_that_says_anything_else_is_refused(bundle, path, value):
    values = json.loads(experiments_text(run(bundle, [])))
    read_experiments(json.dumps(values))
    *way, last = path
    at = values
    for step in way:
        at = at[step]
    at[last] = value
    with pytest.raises(BundleError, match=r"experiments\.json"):
        read_experiments(json.dumps(values))


def test_text_and_object_say_the_same(bundle):
    found = run(bundle, [MORE])
    assert read_experiments(experiments_text(found)) == found
    assert json.loads(experiments_text(found)) == json.loads(json.dumps(asdict(found)))


def test_the_command(folder, tmp_path, capsys):
    (tmp_path / "recipes.toml").write_text(FILE)
    wish = ["experiments", str(folder), "--recipes", str(tmp_path / "recipes.toml")]
    assert main([*wish, "--device", "cpu", "--save", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [r["name"] for r in document["recipes"]][1:3] == ["p_mem 0.2", "three layers"]
    assert "recipe 2 of 2, three layers, seed 0" in err
    assert read_bundle(folder).experiments == read_experiments(out)
    assert main([*wish, "--device", "cpu"]) == 0
    out, _ = capsys.readouterr()
    assert "plain transformer" in out
    assert main([*wish, "--seeds", "0"]) == 2


def test_the_command_says_by_its_code_that_a_training_failed(folder, tmp_path, capsys):
    text = "[[variant]]\nname = 'too fast'\ntrain = { learning_rate = 1e30 }\n"
    (tmp_path / "recipes.toml").write_text(text)
    wish = ["experiments", str(folder), "--recipes", str(tmp_path / "recipes.toml")]
    assert main([*wish, "--device", "cpu"]) == 1
    out, _ = capsys.readouterr()
    assert "too fast" in out
    assert "not trained, seed 0" in out
