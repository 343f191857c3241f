"""The line of `munkey train`: what goes in where, and a killed run that goes on where it was."""

import dataclasses
import itertools

import numpy as np
import pytest
import tiny
import torch

from munkey_core.bundle.read import read_bundle
from munkey_core.config import EncoderConfig, ModelConfig, OwnersConfig, Recipe, SplitConfig
from munkey_core.data.splits import make_splits
from munkey_core.errors import BadInputError, BundleError, TrainingError
from munkey_core.model.encoder import EncoderTraining, FrozenEncoder
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST
from munkey_core.studio import Studio
from munkey_core.training.build import Build, near_duplicate_threshold
from munkey_core.training.recipes import with_seed

RECIPE = Recipe(
    name="stripes",
    split=SplitConfig(
        public_encoder=24,
        public_anchor=12,
        calibration=9,
        validation=12,
        private=36,
        test=24,
    ),
    encoder=dataclasses.replace(tiny.ENCODER, epochs=3),
    model=tiny.MODEL,
    train=dataclasses.replace(tiny.TRAIN, epochs=3),
    owners=OwnersConfig(count=5),
)


def build(out, recipe=RECIPE, dataset=None, thumbnails=True):
    dataset = dataset or tiny.striped_dataset()
    return Build(dataset, recipe, out, torch.device("cpu"), thumbnails, "name = 'stripes'\n")


def built(out, **changes):
    for _ in build(out, **changes).run():
        pass
    return read_bundle(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return built(tmp_path_factory.mktemp("whole") / "stripes")


def same_weights(one, other):
    return all(
        torch.equal(value, theirs.state_dict()[name])
        for mine, theirs in ((one.encoder, other.encoder), (one.model, other.model))
        for name, value in mine.state_dict().items()
    )


# -- what a bundle holds -----------------------------------------------------------------------


def test_a_bundle_holds_the_split_s_images_where_they_belong(whole):
    dataset = tiny.striped_dataset()
    splits = make_splits(dataset, RECIPE.split)
    for split in (PRIVATE, TEST, ANCHOR, CALIBRATION):
        records = whole.records_of(split)
        rows = getattr(splits, split)
        assert [record.id for record in records] == [dataset.ids[i] for i in rows]
        assert [record.label for record in records] == dataset.labels[rows].tolist()
        assert all(bool(record.owner) == (split == PRIVATE) for record in records)
        pictures = whole.thumbnails.array([record.id for record in records])
        assert np.array_equal(pictures, dataset.images[rows])
    assert whole.bank.ids == tuple(record.id for record in whole.records_of(PRIVATE))


def test_nothing_of_calibration_or_validation_images_stays_in_the_bank(whole):
    dataset = tiny.striped_dataset()
    splits = make_splits(dataset, RECIPE.split)
    public = {dataset.ids[i] for i in (*splits.calibration, *splits.validation, *splits.encoder)}
    assert not public & set(whole.bank.ids)
    assert len(whole.bank) == 36
    assert whole.bank.tokens.shape[0] == 36
    shipped = {record.id for record in whole.records}
    assert not {dataset.ids[i] for i in (*splits.validation, *splits.encoder)} & shipped


def test_memorisation_is_what_deleting_each_key_costs(whole):
    studio = Studio.open(str(whole.folder))
    for id_ in studio.memory.private_ids()[:8]:
        label = studio.memory.record(id_).label
        kept = studio.predict([id_]).probabilities[0, label]
        gone = studio.predict([id_], [id_]).probabilities[0, label]
        # The bundle's tokens and the scores come from the same half-precision values.
        assert studio.memory.score("memorisation", id_) == pytest.approx(kept - gone, abs=1e-4)


def test_the_encoder_and_what_it_says_of_public_images_ignore_private_images(whole, tmp_path):
    dataset = tiny.striped_dataset()
    images = dataset.images.copy()
    images[make_splits(dataset, RECIPE.split).private] = 77
    # A constant image has no direction; some noise gives each its own key.
    rows = make_splits(dataset, RECIPE.split).private
    images[rows] += np.random.default_rng(5).integers(0, 100, images[rows].shape).astype(np.uint8)
    other = built(tmp_path / "other", dataset=dataclasses.replace(dataset, images=images))
    state = other.encoder.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in whole.encoder.state_dict().items())
    assert torch.equal(whole.test_keys, other.test_keys)
    assert other.manifest.near_duplicate == whole.manifest.near_duplicate
    assert not torch.equal(whole.bank.keys, other.bank.keys)


def test_a_key_depends_on_its_own_image_only(whole, tmp_path):
    dataset = tiny.striped_dataset()
    images = dataset.images.copy()
    private = make_splits(dataset, RECIPE.split).private
    images[private[0]] = 255 - images[private[0]]
    other = built(tmp_path / "other", dataset=dataclasses.replace(dataset, images=images))
    assert not torch.equal(whole.bank.keys[0], other.bank.keys[0])
    assert torch.equal(whole.bank.keys[1:], other.bank.keys[1:])


def test_owners_of_the_source_are_kept_and_others_are_called_simulated(whole, tmp_path):
    assert whole.manifest.owners_simulated
    dataset = tiny.striped_dataset()
    owners = tuple(f"person {i % 3}" for i in range(len(dataset)))
    other = built(tmp_path / "own", dataset=dataclasses.replace(dataset, owners=owners))
    assert not other.manifest.owners_simulated
    known = dict(zip(dataset.ids, owners, strict=True))
    assert all(record.owner == known[record.id] for record in other.records_of(PRIVATE))


def test_without_permission_no_picture_goes_into_the_bundle(tmp_path):
    assert built(tmp_path / "bare", thumbnails=False).thumbnails is None


def test_the_manifest_tells_how_the_bundle_was_made(whole):
    manifest = whole.manifest
    assert manifest.name == "stripes"
    assert manifest.splits["counts"][PRIVATE] == 36
    assert manifest.training["epochs"] == 3
    assert manifest.provenance["device"] == "CPU"
    stages = {"encoder", "encoding", "training", "finishing"}
    assert set(manifest.provenance["seconds"]) == stages
    assert manifest.calibration["chosen"]["k"] == manifest.ensemble.k
    assert (whole.folder / "recipe.toml").read_text() == "name = 'stripes'\n"
    assert "**not** exact unlearning" in whole.card


@pytest.mark.parametrize(("side", "tokens"), [(8, 4), (16, 16)])
def test_patches_are_trained_written_read_and_predicted(tmp_path, side, tokens):
    """The patches come from the images as they are, whatever size the encoder wants them in."""
    model = ModelConfig(tokens="patches", dim=16, layers=1, heads=2, patch_size=4)
    dataset = tiny.striped_dataset()
    images = dataset.images.repeat(side // 8, axis=1).repeat(side // 8, axis=2)
    recipe = dataclasses.replace(RECIPE, model=model)
    bundle = built(
        tmp_path / "patches", recipe=recipe, dataset=dataclasses.replace(dataset, images=images)
    )
    assert bundle.model.position.shape == (tokens, 16)
    studio = Studio.open(str(bundle.folder))
    prediction = studio.predict(studio.memory.test_ids())
    assert prediction.probabilities.sum(axis=1) == pytest.approx(np.ones(24), abs=1e-5)
    deletion = studio.forget(studio.memory.private_ids()[:4])
    assert len(studio.changes(deletion)) == 4


def test_anchors_may_be_left_out(tmp_path):
    recipe = dataclasses.replace(RECIPE, split=dataclasses.replace(RECIPE.split, public_anchor=0))
    bundle = built(tmp_path / "less", recipe=recipe)
    assert len(bundle.bank) == 36


def test_calibration_may_not_as_nothing_else_shows_whether_the_memory_answers():
    with pytest.raises(BadInputError, match="calibration must be above 0"):
        dataclasses.replace(RECIPE.split, calibration=0)


def test_patches_that_do_not_tile_are_refused_before_anything_is_trained(tmp_path):
    model = dataclasses.replace(RECIPE.model, tokens="patches", patch_size=5)
    with pytest.raises(TrainingError, match="patch_size must divide"):
        built(tmp_path / "tiles", recipe=dataclasses.replace(RECIPE, model=model))
    assert not (tmp_path / "tiles.training").exists()


def test_neighbours_in_the_slot_can_be_trained(tmp_path):
    train = dataclasses.replace(RECIPE.train, neighbour_rate=0.5, epochs=1)
    assert len(built(tmp_path / "near", recipe=dataclasses.replace(RECIPE, train=train)).bank) == 36


# -- repeatable and resumable ------------------------------------------------------------------


def test_the_same_recipe_gives_the_same_bundle(whole, tmp_path):
    again = built(tmp_path / "again")
    assert again.bank.digest() == whole.bank.digest()
    assert same_weights(again, whole)
    assert again.manifest.ensemble == whole.manifest.ensemble


def test_another_training_seed_keeps_split_and_encoder(whole, tmp_path):
    other = built(tmp_path / "other", recipe=with_seed(RECIPE, 7))
    assert torch.equal(other.bank.keys, whole.bank.keys)
    assert not torch.equal(other.bank.tokens, whole.bank.tokens)


@pytest.mark.parametrize("stage", ["encoder", "encoding", "training", "finishing"])
def test_a_killed_run_goes_on_and_ends_in_the_same_bits(whole, tmp_path, monkeypatch, stage):
    out = tmp_path / "stripes"
    steps = build(out).run()
    list(itertools.takewhile(lambda progress: progress.stage != stage, steps))
    if stage == "training":
        list(itertools.islice(steps, 7))  # into the second of three epochs
    steps.close()
    assert not out.exists()
    if stage != "encoder":

        def not_again(*_):
            pytest.fail("the finished encoder was trained again")

        monkeypatch.setattr(EncoderTraining, "run", not_again)
    seen = list(build(out).run())
    bundle = read_bundle(out)
    assert bundle.bank.digest() == whole.bank.digest()
    assert same_weights(bundle, whole)
    if stage == "training":
        assert next(p.done for p in seen if p.stage == "training") > 1
    assert [path.name for path in tmp_path.iterdir()] == ["stripes"]


def test_more_components_than_channels_are_refused():
    assert FrozenEncoder(EncoderConfig(width=4, feature_dim=16)).channels == 16
    with pytest.raises(BadInputError, match="at most the 16 channels of encoder conv, got 17"):
        FrozenEncoder(EncoderConfig(width=4, feature_dim=17))


def test_a_run_killed_while_it_saves_the_encoder_can_go_on(whole, tmp_path, monkeypatch):
    def dies(_, file):
        file.write(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            built(tmp_path / "stripes")
    assert built(tmp_path / "stripes").bank.digest() == whole.bank.digest()


def test_a_folder_without_a_finished_stage_is_taken_over_but_not_its_seconds(tmp_path):
    work = tmp_path / "stripes.training"
    work.mkdir()
    (work / "run.json").write_text("another run")
    (work / "seconds.json").write_text('{"encoder": 1000000.0}')
    assert built(tmp_path / "stripes").manifest.provenance["seconds"]["encoder"] < 1_000_000


@pytest.mark.parametrize("what", ["recipe", "data"])
def test_unfinished_work_of_another_run_is_refused_and_kept(tmp_path, what):
    out = tmp_path / "stripes"
    steps = build(out).run()
    list(itertools.takewhile(lambda progress: progress.stage != "training", steps))
    steps.close()
    work = tmp_path / "stripes.training"
    before = {path.name: path.read_bytes() for path in work.iterdir()}
    other = (
        {"recipe": with_seed(RECIPE, 7)}
        if what == "recipe"
        else {"dataset": tiny.striped_dataset(seed=1)}
    )
    with pytest.raises(TrainingError, match="unfinished run with another recipe or other data"):
        next(build(out, **other).run())
    assert {path.name: path.read_bytes() for path in work.iterdir()} == before


def test_an_existing_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "stripes").mkdir()
    with pytest.raises(BundleError, match="exists already"):
        next(build(tmp_path / "stripes").run())
    assert [path.name for path in tmp_path.iterdir()] == ["stripes"]


def test_too_few_images_are_refused_before_any_work(tmp_path):
    with pytest.raises(BadInputError, match="the split wants 117"):
        next(build(tmp_path / "stripes", dataset=tiny.striped_dataset(n=60)).run())
    assert not list(tmp_path.iterdir())


# -- near-duplicates ---------------------------------------------------------------------------


def test_the_near_duplicate_threshold_is_what_one_in_a_hundred_reaches():
    queries, others = tiny.random_bank(300, seed=1).keys, tiny.random_bank(50, seed=2).keys
    threshold = near_duplicate_threshold(queries, others)
    nearest = sorted(max(float(q @ o) for o in others) for q in queries)
    assert nearest[-4] <= threshold <= nearest[-3]
    assert near_duplicate_threshold(queries, others[:0]) < 1
    # Whatever comes out, a manifest takes it.
    assert 0 < near_duplicate_threshold(queries[:1], -queries[:1]) <= 1


@pytest.mark.parametrize("copies", [1, 3, 30, 300])
def test_copies_of_a_picture_do_not_make_everything_else_unlike(copies):
    """The threshold is about similar pictures, however many are there twice; it is below 1."""
    queries, others = tiny.random_bank(300, seed=1).keys, tiny.random_bank(50, seed=2).keys
    alone = near_duplicate_threshold(queries[copies:], others)
    assert 0 < alone < 1
    twice = torch.cat([others, queries[:copies]])
    assert near_duplicate_threshold(queries, twice) < 1
    assert near_duplicate_threshold(queries[:copies], queries[:copies]) < 1
    assert abs(near_duplicate_threshold(queries, twice) - alone) < 0.25
