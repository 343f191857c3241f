"""The door to maps: where they come from, what is refused, and what forgetting leaves in place."""

import dataclasses
import gc
import json
import shutil
import weakref

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from test_build import RECIPE

from munkey_core.bundle.bundle import FittedMap
from munkey_core.bundle.manifest import PROJECTIONS, read_manifest
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import MANIFEST
from munkey_core.bundle.write import seal, write_bundle, write_projections
from munkey_core.cli import main
from munkey_core.errors import (
    BadInputError,
    BundleError,
    ProjectionError,
    StaleGenerationError,
    UnknownIdError,
)
from munkey_core.explain.map import maps_of, save_projections
from munkey_core.explain.projection import SPACES, fit_digest, fit_map, fit_pca, matrix_of, place
from munkey_core.model.bank import MemoryBank
from munkey_core.progress import Progress, drive, finish
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.build import Build

pytestmark = pytest.mark.usefixtures("cache")
N = 30


def fitted(bank, space, seed=0):
    found = finish(fit_map(bank, space, seed))
    return found


@pytest.fixture(scope="module")
def shipped():
    """A bundle in memory with its maps."""
    bundle = tiny.random_bundle(private=N)
    projections = {space: fitted(bundle.bank, space) for space in SPACES}
    return dataclasses.replace(bundle, projections=projections)


@pytest.fixture
def folder(shipped, tmp_path):
    write_bundle(shipped, tmp_path / "tiny")
    return tmp_path / "tiny"


def session(bundle):
    return Studio(SharedModel(bundle))


@pytest.fixture
def bare():
    """A session with a bundle that nobody has fitted a map of."""
    return session(tiny.random_bundle(private=N))


@pytest.fixture
def studio(shipped):
    return session(shipped)


# -- where maps come from ------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_pca_is_there_at_once_and_worked_out_once(bare, space, monkeypatch):
    assert bare.maps.ready(space, "pca")
    found = bare.maps.projection(space, "pca")
    bank = bare._shared.bundle.bank
    np.testing.assert_array_equal(found.positions, fit_pca(matrix_of(bank, space)))
    assert (found.ids, found.space, found.method) == (bank.ids, space, "pca")
    monkeypatch.setattr("munkey_core.explain.map.fit_pca", None)
    assert bare.session().maps.projection(space, "pca").positions is found.positions


def test_a_umap_that_nobody_has_fitted_raises_and_says_what_to_do(bare):
    for space in SPACES:
        assert not bare.maps.ready(space)
        with pytest.raises(ProjectionError, match="munkey project tiny"):
            bare.maps.projection(space)


@pytest.mark.parametrize("space", SPACES)
def test_what_was_fitted_is_kept_for_whoever_comes_later(bare, space, cache):
    steps = []
    found = drive(bare.maps.fit(space), steps.append)
    assert steps
    assert all(isinstance(step, Progress) for step in steps)
    assert bare.maps.ready(space)
    later = session(tiny.random_bundle(private=N))
    again = later.maps.projection(space)
    np.testing.assert_array_equal(again.positions, found.positions)
    assert (again.ids, again.method, again.seed) == (later.memory.private_ids(), "umap", 0)
    assert not later.maps.ready(SPACES[space == SPACES[0]])
    assert list(cache.rglob("*.writing")) == []


@pytest.mark.parametrize("damage", [b"", b"no map", None])
def test_a_damaged_file_of_the_cache_counts_as_none(bare, damage):
    _found = finish(bare.maps.fit("keys"))
    path = maps_of(bare._shared.bundle.bank).path("keys")
    if damage is None:  # a map, but of something else
        write_projections(path, {"keys": fitted(tiny.random_bank(N, seed=9), "keys")})
    else:
        path.write_bytes(damage)
    later = session(tiny.random_bundle(private=N))
    assert not later.maps.ready("keys")
    assert not path.exists()


def test_a_bundle_brings_its_maps_along(folder, shipped):
    studio = Studio.open(str(folder))
    for space in SPACES:
        assert studio.maps.ready(space)
        found = studio.maps.projection(space)
        np.testing.assert_array_equal(found.positions, shipped.projections[space].positions)


def test_few_entries_are_drawn_by_pca_and_that_is_said():
    maps = session(tiny.random_bundle(private=15)).maps
    assert maps.ready("keys")
    assert maps.projection("keys").method == "pca"
    found = finish(maps.fit("keys"))
    assert found.method == "pca"


def test_a_map_of_another_memory_is_refused_not_shown(folder):
    bundle = read_bundle(folder)
    order = [1, 0, *range(2, N)]
    swapped = MemoryBank(bundle.bank.ids, bundle.bank.keys[order].clone(), bundle.bank.tokens)
    studio = session(dataclasses.replace(bundle, bank=swapped))
    assert not studio.maps.ready("keys")
    with pytest.raises(ProjectionError, match="fitted on another memory"):
        studio.maps.projection("keys")
    assert studio.maps.ready("tokens")  # these are the same
    found = finish(studio.maps.fit("keys"))
    assert studio.maps.projection("keys").positions is found.positions


def test_a_bank_that_physically_lost_rows_has_no_map_any_more(shipped):
    bank = shipped.bank.without(shipped.bank.ids[3:5])
    studio = session(dataclasses.replace(shipped, bank=bank))
    before = session(shipped).maps.projection("keys")
    with pytest.raises(ProjectionError, match="fitted on another memory"):
        studio.maps.projection("keys")
    with pytest.raises(ProjectionError, match="another memory"):
        studio.maps.positions(bank.ids[:1], before)


@pytest.mark.parametrize("ask", ["ready", "projection"])
def test_another_space_or_method_is_refused(studio, ask):
    with pytest.raises(BadInputError, match="space must be keys or tokens"):
        getattr(studio.maps, ask)("colours")
    with pytest.raises(BadInputError, match="method must be umap or pca"):
        getattr(studio.maps, ask)("keys", "tsne")


def test_nobody_can_move_a_point_by_hand(studio):
    for method in ("umap", "pca"):
        positions = studio.maps.projection("keys", method).positions
        with pytest.raises(ValueError, match="read-only"):
            positions[0] = 0


def test_maps_go_when_the_bank_goes():
    bundle = tiny.random_bundle(private=N)
    seen = weakref.ref(bundle.bank)
    session(bundle).maps.projection("keys", "pca")
    del bundle
    gc.collect()
    assert seen() is None


# -- forgetting ----------------------------------------------------------------------------------


def test_forgotten_entries_keep_their_place_but_the_result_is_of_its_generation(studio):
    ids = studio.memory.private_ids()
    before = studio.maps.projection("keys")
    places = studio.maps.positions(ids[2:5], before)
    studio.forget(ids[2:5])
    with pytest.raises(StaleGenerationError):
        before.require(studio.memory.generation)
    after = studio.maps.projection("keys").require(studio.memory.generation)
    assert after.ids == before.ids
    assert after.positions is before.positions
    np.testing.assert_array_equal(studio.maps.positions(ids[2:5], after), places)


def test_positions_come_in_the_order_they_were_asked_for(studio):
    on = studio.maps.projection("tokens")
    ids = [on.ids[row] for row in (7, 0, 7, 3)]
    np.testing.assert_array_equal(studio.maps.positions(ids, on), on.positions[[7, 0, 7, 3]])
    assert studio.maps.positions([], on).shape == (0, 2)
    with pytest.raises(UnknownIdError, match="nobody"):
        studio.maps.positions(["nobody"], on)
    with pytest.raises(UnknownIdError):
        studio.maps.positions(studio.memory.test_ids()[:1], on)


# -- placing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_an_entry_lies_on_its_point_and_others_among_those_who_answered(studio, space):
    ids = [
        studio.memory.private_ids()[4],
        studio.memory.test_ids()[0],
        studio.memory.private_ids()[9],
    ]
    on = studio.maps.projection(space)
    prediction = studio.predict(ids)
    found = studio.maps.place(prediction, ids, on)
    assert found.exact.tolist() == [True, False, True]
    assert found.generation == studio.memory.generation
    np.testing.assert_array_equal(found.positions[[0, 2]], on.positions[[4, 9]])
    rows = [on.ids.index(id_) for id_ in prediction.retrieval.ids[1]]
    similarity = prediction.retrieval.similarity[1].astype(np.float64)
    shares = 1 / (1 - similarity)
    wanted = (shares / shares.sum()) @ on.positions[rows]
    np.testing.assert_allclose(found.positions[1], wanted, rtol=1e-5)


def test_a_persons_own_copy_of_an_entry_lies_on_it_too(studio):
    id_ = studio.memory.private_ids()[4]
    on = studio.maps.projection("keys")
    found = studio.maps.place(studio.predict_images(studio.pictures.pixels([id_])), [""], on)
    assert not found.exact[0]
    np.testing.assert_allclose(found.positions[0], on.positions[4], atol=1e-4)


def test_a_forgotten_image_lies_on_its_ghost_and_not_among_those_who_answer_now(studio):
    id_ = studio.memory.private_ids()[4]
    studio.forget([id_])
    on = studio.maps.projection("keys")
    prediction = studio.predict([id_])
    assert id_ not in prediction.retrieval.ids[0]
    found = studio.maps.place(prediction, [id_], on)
    np.testing.assert_array_equal(found.positions[0], on.positions[4])


def test_a_stale_prediction_or_map_is_refused(studio):
    ids = [studio.memory.test_ids()[0]]
    old_map, old_prediction = studio.maps.projection("keys"), studio.predict(ids)
    studio.forget(studio.memory.private_ids()[:1])
    with pytest.raises(StaleGenerationError):
        studio.maps.place(old_prediction, ids, studio.maps.projection("keys"))
    with pytest.raises(StaleGenerationError):
        studio.maps.place(studio.predict(ids), ids, old_map)
    found = studio.maps.place(studio.predict(ids), ids, studio.maps.projection("keys"))
    assert found.generation == studio.memory.generation == 1


def test_what_cannot_be_placed_is_refused(studio):
    on, ids = studio.maps.projection("keys"), list(studio.memory.test_ids()[:2])
    with pytest.raises(BadInputError, match="2 images were predicted, got 1 ids"):
        studio.maps.place(studio.predict(ids), ids[:1], on)
    other = session(tiny.random_bundle(private=N - 1)).maps.projection("keys", "pca")
    with pytest.raises(ProjectionError, match="another memory"):
        studio.maps.place(studio.predict(ids), ids, other)


def test_in_an_empty_memory_only_ghosts_have_a_place(studio):
    everybody = studio.memory.private_ids()
    studio.forget(everybody)
    on = studio.maps.projection("keys")
    ghosts = studio.maps.place(studio.predict(everybody[:2]), everybody[:2], on)
    np.testing.assert_array_equal(ghosts.positions, on.positions[:2])
    with pytest.raises(ProjectionError, match="the memory is empty"):
        studio.maps.place(
            studio.predict(studio.memory.test_ids()[:1]), studio.memory.test_ids()[:1], on
        )


@settings(max_examples=25)
@given(st.data())
def test_whatever_is_forgotten_points_stay_and_queries_lie_among_the_living(shipped, data):
    studio = session(shipped)
    gone = data.draw(
        st.lists(st.sampled_from(studio.memory.private_ids()), max_size=N - 4, unique=True)
    )
    before = studio.maps.projection("keys").positions.copy()
    if gone:
        studio.forget(gone)
    on = studio.maps.projection("keys")
    ids = studio.memory.test_ids()
    prediction = studio.predict(ids)
    found = studio.maps.place(prediction, ids, on)
    np.testing.assert_array_equal(on.positions, before)
    for near, position in zip(prediction.retrieval.ids, found.positions, strict=True):
        assert not set(near) & set(gone)
        corners = studio.maps.positions(near, on)
        assert (position >= corners.min(axis=0) - 1e-4).all()
        assert (position <= corners.max(axis=0) + 1e-4).all()
    rows = np.array([[on.ids.index(i) for i in near] for near in prediction.retrieval.ids])
    alone = place(prediction.retrieval.similarity[:1], rows[:1], on.positions)
    np.testing.assert_array_equal(found.positions[:1], alone)


# -- the file in a bundle ------------------------------------------------------------------------


def edit(folder, change):
    tensors = load_file(folder / PROJECTIONS)
    change(tensors)
    save_file(tensors, folder / PROJECTIONS)
    seal(folder, read_manifest(folder)[0])


@pytest.fixture
def folder_without(folder):
    """A bundle on disk whose maps were taken out."""
    (folder / PROJECTIONS).unlink()
    seal(folder, read_manifest(folder)[0])
    return folder


def test_maps_survive_a_bundle_byte_for_byte(folder, shipped):
    found = read_bundle(folder).projections
    assert list(found) == list(SPACES)
    for space in SPACES:
        wanted = shipped.projections[space]
        np.testing.assert_array_equal(found[space].positions, wanted.positions)
        assert (found[space].seed, found[space].digest) == (wanted.seed, wanted.digest)
        assert found[space].positions.dtype == np.float32


def test_a_bundle_without_maps_opens(folder_without):
    bundle = read_bundle(folder_without)
    assert bundle.projections == {}
    assert PROJECTIONS not in bundle.manifest.files


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keys", torch.zeros(N - 1, 2)),
        ("keys", torch.zeros(N, 3)),
        ("keys", torch.zeros(N, 2, dtype=torch.float64)),
        ("tokens", torch.full((N, 2), torch.nan)),
        ("keys_digest", torch.zeros(31, dtype=torch.uint8)),
        ("keys_digest", torch.zeros(32)),
        ("tokens_seed", torch.zeros(1, dtype=torch.int64)),
        ("tokens_seed", None),
        ("keys", None),
        ("colours", torch.zeros(N, 2)),
    ],
)
def test_any_other_content_is_refused_by_name(folder, name, value):
    def change(tensors):
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value

    edit(folder, change)
    with pytest.raises(BundleError, match=f"{PROJECTIONS}.* '?{name}"):
        read_bundle(folder)


def test_a_swapped_file_of_maps_is_damage(folder):
    (folder / PROJECTIONS).write_bytes((folder / PROJECTIONS).read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"projections\.safetensors is damaged"):
        read_bundle(folder)


def test_saving_keeps_the_other_space_and_refuses_another_memorys(folder, shipped):
    other = fitted(shipped.bank, "keys", seed=5)
    save_projections(folder, {"keys": other})
    found = read_bundle(folder).projections
    assert found["keys"].seed == 5
    assert found["tokens"].digest == shipped.projections["tokens"].digest
    assert session(read_bundle(folder)).maps.projection("keys").seed == 5
    before = (folder / MANIFEST).read_bytes()
    wrong = FittedMap(other.positions, 5, fit_digest(tiny.random_bank(N), "keys", 5))
    with pytest.raises(ProjectionError, match="has changed"):
        save_projections(folder, {"keys": wrong})
    assert (folder / MANIFEST).read_bytes() == before


# -- commands ------------------------------------------------------------------------------------


def test_project_fits_once_and_saves_when_asked_to(folder_without, shipped, capsys, cache):
    folder = folder_without
    digest = read_bundle(folder).digest
    assert main(["project", str(folder), "--space", "keys", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["entries"], told["saved"]) == (N, False)
    assert list(told["maps"]) == ["keys"]
    assert told["maps"]["keys"]["source"] == "fitted"
    assert told["maps"]["keys"]["digest"] == shipped.projections["keys"].digest
    assert read_bundle(folder).digest == digest
    assert main(["project", str(folder), "--save", "--json"]) == 0
    out, err = capsys.readouterr()
    sources = {space: facts["source"] for space, facts in json.loads(out)["maps"].items()}
    assert sources == {"keys": "cache", "tokens": "fitted"}
    assert "map of tokens" in err
    found = read_bundle(folder).projections
    for space in SPACES:  # made again, byte for byte
        np.testing.assert_array_equal(found[space].positions, shipped.projections[space].positions)
    shutil.rmtree(cache)
    assert session(read_bundle(folder)).maps.ready("keys")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nowhere"], "nowhere"),
        (["BUNDLE", "--space", "colours"], "--space"),
        (["BUNDLE", "--seed", "-1"], "seed must be between"),
        (["BUNDLE", "--seed", "x"], "--seed"),
    ],
)
def test_project_gives_one_line_of_reason(folder, capsys, words, reason):
    assert main(["project", *[str(folder) if w == "BUNDLE" else w for w in words]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1


def test_a_new_bundle_gets_its_maps(tmp_path):
    out = tmp_path / "new"
    build = Build(
        tiny.striped_dataset(), RECIPE, out, torch.device("cpu"), thumbnails=False, maps=True
    )
    seen = {step.stage for step in build.run()}
    assert {"neighbours of keys", "neighbours of tokens"} <= seen
    bundle = read_bundle(out)
    assert "maps" in bundle.manifest.provenance["seconds"]
    assert all(session(bundle).maps.ready(space) for space in SPACES)
