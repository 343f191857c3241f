"""The joint training: repeatable, resumable, and its draws do what the settings say."""

import dataclasses
import itertools

import pytest
import tiny
import torch

from munkey_core.config import ModelConfig, TrainConfig
from munkey_core.errors import TrainingError
from munkey_core.model.search import nearest
from munkey_core.training.joint import JointTraining, TrainingData, joint_data, resolve_device

CPU = torch.device("cpu")
PATCHES = ModelConfig(tokens="patches", dim=16, layers=1, heads=2, patch_size=4)


def random_data(n=20, anchors=10, seed=0, neighbours=False):
    generator = torch.Generator().manual_seed(seed)
    private = torch.randn(n, tiny.N_TOKENS, tiny.KEY_DIM, generator=generator)
    anchor = torch.randn(anchors, tiny.N_TOKENS, tiny.KEY_DIM, generator=generator)
    keys = tiny.random_bank(n).keys
    return TrainingData(
        private=private,
        private_labels=torch.arange(n) % 3,
        anchor=anchor,
        anchor_labels=torch.arange(anchors) % 3,
        n_classes=3,
        neighbours=nearest(keys, keys, others=True)[0] if neighbours else None,
    )


def training(checkpoint=None, data=None, model=tiny.MODEL, **changes):
    config = dataclasses.replace(tiny.TRAIN, **{"epochs": 4, **changes})
    return JointTraining(model, config, data or random_data(), CPU, checkpoint)


def finished(run):
    for _ in run.run():
        pass
    return run


def same_bits(one, other):
    weights = other.model.state_dict()
    return torch.equal(one.tokens, other.tokens) and all(
        torch.equal(value, weights[name]) for name, value in one.model.state_dict().items()
    )


# -- repeatable and resumable ------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    run = finished(training(seed=3))
    assert same_bits(run, finished(training(seed=3)))
    assert not same_bits(run, finished(training(seed=4)))


@pytest.mark.parametrize("steps", [1, 3, 5, 9, 12])
@pytest.mark.parametrize("neighbour_rate", [0.0, 0.5])
def test_a_killed_and_resumed_run_ends_in_the_bits_of_one_never_interrupted(
    tmp_path, steps, neighbour_rate
):
    data = random_data(neighbours=True)
    settings = {"data": data, "neighbour_rate": neighbour_rate, "p_mem": 0.2}
    whole = finished(training(**settings))
    kept = tmp_path / "model.ckpt"
    first = training(kept, **settings).run()  # 3 steps an epoch, 4 epochs
    list(itertools.islice(first, steps))
    first.close()
    torch.manual_seed(12345)  # a new process would have drawn other numbers meanwhile
    again = training(kept, **settings)
    progress = list(again.run())
    assert same_bits(whole, again)
    # An epoch counts as done once its last step was taken and the next was asked for.
    epochs_kept = (steps - 1) // 3
    assert len(progress) == 12 - 3 * epochs_kept
    assert progress[0].done == 3 * epochs_kept + 1
    assert (progress[-1].done, progress[-1].total) == (12, 12)


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    whole = finished(training(tmp_path / "model.ckpt"))
    again = training(tmp_path / "model.ckpt")
    assert list(again.run()) == []
    assert same_bits(whole, again)
    assert not again.model.training


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 2e-3},
        {"epochs": 5},
        {"seed": 1},
        {"p_img": 0.4},
        {"model": dataclasses.replace(tiny.MODEL, layers=2)},
        {"data": random_data(n=21)},
        {"data": dataclasses.replace(random_data(), private_labels=torch.zeros(20).long())},
    ],
)
def test_a_checkpoint_of_other_settings_or_data_is_refused(tmp_path, changes):
    finished(training(tmp_path / "model.ckpt"))
    with pytest.raises(TrainingError, match=r"model.ckpt belongs to a run with other settings"):
        finished(training(tmp_path / "model.ckpt", **changes))


def test_a_checkpoint_is_whole_or_not_there(tmp_path, monkeypatch):
    finished(training(tmp_path / "model.ckpt", epochs=1))
    kept = (tmp_path / "model.ckpt").read_bytes()

    def dies(state, file):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", dies)
    other = training(tmp_path / "model.ckpt", epochs=1)
    with pytest.raises(KeyboardInterrupt):
        other._save(1)
    assert (tmp_path / "model.ckpt").read_bytes() == kept


# -- what is learned ---------------------------------------------------------------------------


def test_training_lowers_the_loss_and_moves_weights_and_tokens():
    fresh, run = training(), training(epochs=60)
    losses = [progress.detail["loss"] for progress in run.run()]
    assert sum(losses[-3:]) < sum(losses[:3]) / 2
    assert not torch.equal(run.tokens, fresh.tokens)
    assert not same_bits(run, fresh)
    assert not run.model.training


def test_the_plain_transformer_never_changes_a_token():
    fresh = training(p_mem=1.0)
    drawn = fresh.tokens
    before = {name: value.clone() for name, value in fresh.model.state_dict().items()}
    run = finished(fresh)
    assert torch.equal(run.tokens, drawn)
    assert not torch.equal(run.model.state_dict()["head.weight"], before["head.weight"])


def test_a_step_moves_the_tokens_of_its_own_batch_and_no_other():
    run = training(batch_size=8, anchor_batch=0)
    drawn = run.tokens
    steps = run.run()
    next(steps)
    moved = (run.tokens != drawn).any(dim=1)
    assert int(moved.sum()) == 8


def test_a_neighbour_s_token_is_trained_in_place_of_the_own_one():
    data = random_data(neighbours=True)
    # Everybody's only neighbour is image 0.
    data = dataclasses.replace(data, neighbours=torch.zeros(20, 1, dtype=torch.int64))
    run = training(data=data, batch_size=20, neighbour_rate=0.99, anchor_batch=0, p_img=0.0)
    drawn = run.tokens
    next(run.run())
    moved = (run.tokens != drawn).any(dim=1)
    assert bool(moved[0])
    assert int(moved.sum()) < 5


def test_anchors_teach_the_image_pathway_and_never_a_token():
    data = random_data(n=8, anchors=10)
    with_anchors = training(data=data, anchor_weight=1.0)
    without = training(data=data, anchor_batch=0)
    assert len(with_anchors.tokens) == 8
    assert torch.equal(with_anchors.tokens, without.tokens)
    assert not same_bits(finished(with_anchors), finished(without))


def test_an_anchor_s_slot_may_hold_a_neighbour_s_token_which_is_then_trained_too():
    data = random_data(n=8, anchors=10)
    # Every anchor's only neighbour is image 7.
    data = dataclasses.replace(data, anchor_neighbours=torch.full((10, 1), 7))
    settings = {"batch_size": 1, "anchor_batch": 10, "token_learning_rate": 1e-2}
    run = training(data=data, anchor_neighbour_rate=0.5, **settings)
    drawn = run.tokens
    next(run.run())
    moved = (run.tokens != drawn).any(dim=1)
    assert bool(moved[7])
    assert int(moved.sum()) <= 2  # the batch's one image, and image 7
    near, empty = run._anchor_slots(torch.arange(10), torch.Generator().manual_seed(0))
    assert torch.equal(near, run._tokens[7].expand(10, -1))
    assert 0 < int(empty.sum()) < 10


def test_the_neighbours_of_anchors_are_entries_and_never_the_anchor_itself():
    entries, anchors = tiny.random_queries(9), tiny.random_queries(5, seed=4)
    config = TrainConfig(anchor_neighbour_rate=0.5)
    labels = torch.zeros(9, dtype=torch.int64)
    data = joint_data(entries, labels, anchors, labels[:5], 3, config)
    for row, key in zip(data.anchor_neighbours.tolist(), anchors.keys, strict=True):
        order = sorted(range(9), key=lambda i: -float(entries.keys[i] @ key))
        assert row == order[:4]
    same = joint_data(entries, labels, entries, labels, 3, config).anchor_neighbours
    assert torch.equal(same, nearest(entries.keys, entries.keys, others=True)[0])
    assert (
        joint_data(entries, labels, anchors, labels[:5], 3, TrainConfig()).anchor_neighbours is None
    )


def test_the_null_memory_learns_only_where_the_slot_is_empty():
    unused = training(anchor_batch=0, p_mem=0.0)
    drawn = unused.model.null_memory.detach().clone()
    finished(unused)
    # Weight decay shrinks it, the loss never turns it.
    now = unused.model.null_memory.detach()
    assert torch.nn.functional.cosine_similarity(now, drawn, dim=0) == pytest.approx(1, abs=1e-5)
    used = finished(training(anchor_batch=4, p_mem=0.0)).model.null_memory.detach()
    assert torch.nn.functional.cosine_similarity(used, drawn, dim=0) < 0.999


@pytest.mark.parametrize("anchors", [0, 3, 10])
def test_any_number_of_anchors_will_do(anchors):
    data = random_data(anchors=anchors)
    assert len(list(training(data=data, anchor_batch=4).run())) == 12


def test_an_oracle_is_trained_on_the_kept_rows_only():
    data = random_data()
    rows = torch.tensor([0, 2, 5, 19])

    def keep(data):
        return dataclasses.replace(
            data, private=data.private[rows], private_labels=data.private_labels[rows]
        )

    kept = keep(data)
    assert torch.equal(kept.private, data.private[rows])
    assert kept.private_labels.tolist() == data.private_labels[rows].tolist()
    assert torch.equal(kept.anchor, data.anchor)
    other = dataclasses.replace(data, private=data.private.clone())
    other.private[1] = 100.0  # not kept
    assert same_bits(finished(training(data=kept)), finished(training(data=keep(other))))


def test_a_token_survives_being_stored_in_half_precision():
    tokens = finished(training()).tokens
    assert tokens.dtype == torch.float32
    assert torch.equal(tokens.half().float(), tokens)


# -- refusals ----------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path):
    data = random_data()
    data.private[7] = torch.nan
    run = training(tmp_path / "model.ckpt", data=data)
    with pytest.raises(TrainingError, match=r"the loss is nan in epoch 1; lower learning_rate"):
        finished(run)
    assert not (tmp_path / "model.ckpt").exists()


def test_neighbours_are_needed_where_they_are_used():
    with pytest.raises(TrainingError, match="needs the private images' neighbours"):
        training(neighbour_rate=0.1)
    with pytest.raises(TrainingError, match="needs the anchors' neighbours"):
        training(anchor_neighbour_rate=0.1)


@pytest.mark.parametrize("name", ["tpu", "cuda:0", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(TrainingError, match="device must be auto, cpu or cuda"):
        resolve_device(name)


def test_cuda_without_a_gpu_is_refused_and_auto_takes_what_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == CPU
    with pytest.raises(TrainingError, match="sees no GPU here"):
        resolve_device("cuda")


# -- patches -----------------------------------------------------------------------------------


def patch_data(n=12):
    pixels = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return TrainingData(pixels, torch.arange(n) % 3, pixels[:5] / 2, torch.arange(5) % 3, 3)


def test_patches_train_repeatably_with_their_random_crops():
    run = finished(training(data=patch_data(), model=PATCHES))
    assert same_bits(run, finished(training(data=patch_data(), model=PATCHES)))
    assert run.model.position.shape == (4, 16)


def test_a_patch_size_that_does_not_divide_the_image_is_refused():
    with pytest.raises(TrainingError, match=r"divide the image's 8 × 8 pixels, got 3"):
        training(data=patch_data(), model=dataclasses.replace(PATCHES, patch_size=3))


def test_the_learning_rate_warms_up_and_ends_near_zero():
    run = training(epochs=10, warmup=0.2)
    rates = []
    for _ in run.run():
        rates.append(run._schedule.get_last_lr()[0])
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(TrainConfig().learning_rate)
    assert rates[-1] < 0.05 * max(rates)


# -- neighbours --------------------------------------------------------------------------------


def test_other_neighbours_are_the_nearest_others_of_a_slow_loop():
    keys = tiny.random_bank(9).keys
    got, _ = nearest(keys, keys, 3, others=True)
    for row in range(9):
        others = [j for j in range(9) if j != row]
        others.sort(key=lambda j: -float(keys[row] @ keys[j]))
        assert got[row].tolist() == others[:3]
