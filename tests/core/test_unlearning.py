"""Post-hoc methods: each step against a slow reference, and what must hold for all of them."""

import copy
import dataclasses
import math
import types

import pytest
import tiny
import torch
import torch.nn.functional as F

from munkey_core.config import ModelConfig
from munkey_core.errors import BadInputError, TrainingError
from munkey_core.model.predictor import Predictor
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress, drive, finish
from munkey_core.unlearning import METHODS, Labelled, Task, Trial, make, plain_logits, tune
from munkey_core.unlearning.bad_teacher import incompetent_teacher
from munkey_core.unlearning.base import Batch, Method, Work
from munkey_core.unlearning.batches import forget_only, mixed, paired, retain_only
from munkey_core.unlearning.distillation import divergence
from munkey_core.unlearning.random_labels import other_labels
from munkey_core.unlearning.salun import saliency_mask
from munkey_core.unlearning.ssd import SsdSettings, dampen, squared_gradients
from munkey_core.unlearning.tuning import combinations

CPU = torch.device("cpu")
N_CLASSES = len(tiny.CLASSES)
# Without dropout a loss can be computed again by hand.
STILL = ModelConfig(dim=16, layers=1, heads=2, dropout=0.0, token_dropout=0.0)
PATCHES = ModelConfig(tokens="patches", dim=16, layers=1, heads=2, patch_size=4)


def random_labelled(n, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, tiny.N_TOKENS, tiny.KEY_DIM, generator=generator)
    return Labelled(features, torch.randint(N_CLASSES, (n,), generator=generator))


def still_model(seed=0):
    torch.manual_seed(seed)
    return ExemplarTransformer(STILL, tiny.KEY_DIM, tiny.N_TOKENS, N_CLASSES).eval()


def random_task(retain=20, forget=9, seed=0, model=None, batch_size=8):
    model = (model or tiny.random_model()).eval().requires_grad_(False)
    return Task(
        model, random_labelled(retain, 1), random_labelled(forget, 2), CPU, seed, batch_size
    )


def unlearned(key, task, **settings):
    progress = []
    model = drive(make(key, settings).unlearn(task), progress.append)
    assert all(isinstance(step, Progress) for step in progress)
    return model


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_bytes(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def loss_of(key, task, batch, **settings):
    """The method's own loss of one batch on an unchanged copy in training mode."""
    work = Work(task, copy.deepcopy(task.model).requires_grad_(True))
    objective = make(key, settings).objective(work)
    work.model.train()
    return objective(batch).detach()


def batch_of(task, retain=(), forget=(), done=0.0):
    rows = torch.tensor(forget, dtype=torch.int64)
    retained = task.retain[torch.tensor(retain, dtype=torch.int64)]
    return Batch(retained, task.forget[rows], rows, done)


def slow_cross_entropy(model, images):
    """Mean −ln p(y|x), image by image."""
    total = 0.0
    for features, label in zip(images.features, images.labels, strict=True):
        logits = plain_logits(model, features[None])[0].tolist()
        log_sum = math.log(sum(math.exp(z) for z in logits))
        total += log_sum - logits[int(label)]
    return total / len(images)


def slow_divergence(student, teacher, images, temperature):
    """Mean T²·Σ_c p_t ln(p_t / p_s), image by image and class by class."""
    total = 0.0
    for features in images.features:
        s = torch.softmax(plain_logits(student, features[None])[0] / temperature, 0).tolist()
        t = torch.softmax(plain_logits(teacher, features[None])[0] / temperature, 0).tolist()
        total += sum(b * math.log(b / a) for a, b in zip(s, t, strict=True))
    return total / len(images) * temperature**2


# -- the table of methods ----------------------------------------------------------------------


@pytest.mark.parametrize("key", METHODS)
def test_the_original_keeps_its_bytes_and_the_result_is_finite_and_read_only(key):
    task = random_task()
    before = weights_of(task.model)
    after = unlearned(key, task)
    assert same_bytes(before, task.model.state_dict())
    assert not any(weight.requires_grad for weight in task.model.parameters())
    assert after is not task.model
    assert not after.training
    for weight in after.parameters():
        assert bool(torch.isfinite(weight).all())
        assert not weight.requires_grad
        assert weight.grad is None
        assert not weight._backward_hooks
    for module in after.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks


@pytest.mark.parametrize("key", METHODS)
def test_the_same_seed_gives_the_same_bytes(key):
    one = unlearned(key, random_task(seed=3))
    torch.rand(5)  # whatever was drawn in between
    assert same_bytes(weights_of(one), unlearned(key, random_task(seed=3)).state_dict())


@pytest.mark.parametrize("key", [key for key in METHODS if key != "ssd"])
def test_another_seed_gives_other_bytes(key):
    one = unlearned(key, random_task(seed=3))
    assert not same_bytes(weights_of(one), unlearned(key, random_task(seed=4)).state_dict())


def test_ssd_on_all_images_does_not_depend_on_the_seed():
    one = unlearned("ssd", random_task(seed=3), alpha=0.5)
    other = unlearned("ssd", random_task(seed=4), alpha=0.5)
    assert same_bytes(weights_of(one), other.state_dict())
    assert not same_bytes(weights_of(one), random_task().model.state_dict())


@pytest.mark.parametrize("key", METHODS)
def test_progress_rises_by_one_and_ends_at_its_total(key):
    progress = list(make(key).unlearn(random_task()))
    assert [step.done for step in progress] == list(range(1, progress[-1].total + 1))
    assert len({step.total for step in progress}) == 1


@pytest.mark.parametrize("key", METHODS)
def test_a_model_of_patches_is_unlearned_too(key):
    torch.manual_seed(0)
    model = ExemplarTransformer(PATCHES, 0, 4, N_CLASSES).eval()
    images = Labelled(torch.rand(12, 3, 8, 8), torch.arange(12) % 3)
    after = unlearned(key, Task(model, images[:8], images[8:], CPU, 0, batch_size=4))
    assert plain_logits(after, images.features).shape == (12, N_CLASSES)


@pytest.mark.parametrize("key", METHODS)
def test_a_method_names_itself_and_its_grid_is_small_and_valid(key):
    method = METHODS[key]
    assert method.key == key
    assert method.name
    assert "20" in method.paper
    tried = combinations(method)
    assert 2 <= len(tried) <= 6
    assert len({tuple(settings.items()) for settings in tried}) == len(tried)


def test_an_empty_set_and_a_missing_label_are_refused():
    task = random_task()
    with pytest.raises(BadInputError, match="forget set must hold at least one image"):
        dataclasses.replace(task, forget=task.forget[:0])
    with pytest.raises(BadInputError, match="retain set must hold at least one image"):
        dataclasses.replace(task, retain=task.retain[:0])
    with pytest.raises(BadInputError, match="batch_size"):
        dataclasses.replace(task, batch_size=0)
    with pytest.raises(BadInputError, match="as many labels as images"):
        Labelled(torch.zeros(3, 4, 16), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("key", "settings", "message"),
    [
        ("forgetting", {}, "no unlearning method 'forgetting'; known: fine-tuning, "),
        ("ssd", {"epochs": 2}, "ssd has no 'epochs'; known: alpha, dampening, sample"),
        ("fine-tuning", {"epochs": 0}, "epochs must be between 1 and 1000, got 0"),
        ("fine-tuning", {"epochs": 1.5}, "fine-tuning: epochs must be a whole number, got 1.5"),
        ("salun", {"learning_rate": 0}, "learning_rate must be between 1e-08 and 1"),
        ("salun", {"saliency": 1.5}, "saliency must be between 0.0001 and 1"),
        ("neg-grad-plus", {"alpha": -0.1}, "alpha must be between 0 and 1"),
        ("scrub", {"epochs": 1, "max_epochs": 2}, "max_epochs must be between 0 and 1"),
        ("scrub", {"temperature": 0.0}, "temperature must be"),
        ("bad-teacher", {"retain_share": 0.0}, "retain_share must be"),
        ("l1-sparse", {"gamma": -1.0}, "gamma must be"),
        ("ssd", {"alpha": 0.0}, "alpha must be"),
    ],
)
def test_unknown_keys_and_settings_out_of_range_are_refused(key, settings, message):
    with pytest.raises(BadInputError, match=message):
        make(key, settings)


def test_named_settings_are_used_and_the_others_keep_their_defaults():
    settings = make("scrub", {"epochs": 5, "alpha": 2}).settings
    assert (settings.epochs, settings.alpha, settings.gamma) == (5, 2.0, 1.0)


def test_a_loss_that_is_not_finite_stops_the_run():
    task = random_task()
    task.forget.features[0, 0, 0] = math.nan
    with pytest.raises(TrainingError, match="Gradient ascent: the loss is nan in step"):
        unlearned("gradient-ascent", task)


# -- the plain transformer and the batches -----------------------------------------------------


def test_plain_logits_are_those_of_the_predictors_image_pathway():
    predictor = tiny.random_predictor()
    features = random_labelled(7, 0).features
    expected = torch.from_numpy(predictor.image_only(features))
    got = torch.softmax(plain_logits(predictor.model, features), dim=1)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def seen(steps, part):
    return sorted(torch.cat([getattr(rows, part) for rows in steps]).tolist())


def test_batches_go_through_the_sets_they_are_made_for():
    generator = torch.Generator().manual_seed(0)
    assert seen(retain_only(10, 4, generator), "retain") == list(range(10))
    assert seen(retain_only(10, 4, generator), "forget") == []
    assert seen(forget_only(10, 4, generator), "forget") == list(range(10))
    steps = mixed(10, 5, 4, generator)
    assert seen(steps, "retain") == list(range(10))
    assert seen(steps, "forget") == list(range(5))
    assert [len(rows.retain) + len(rows.forget) for rows in steps] == [4, 4, 4, 3]
    steps = paired(12, 6, 4, generator)
    assert seen(steps, "retain") == list(range(12))
    assert [len(rows.forget) for rows in steps] == [4, 2, 4]
    assert seen(steps[:2], "forget") == list(range(6))


# -- each method's step, by hand ---------------------------------------------------------------


def test_fine_tuning_and_gradient_ascent_have_opposite_signs_on_their_own_sets():
    task = random_task(model=still_model())
    got = loss_of("fine-tuning", task, batch_of(task, retain=(3, 1, 4)))
    expected = slow_cross_entropy(task.model, task.retain[torch.tensor([3, 1, 4])])
    assert float(got) == pytest.approx(expected, abs=1e-5)
    got = loss_of("gradient-ascent", task, batch_of(task, forget=(0, 5)))
    expected = -slow_cross_entropy(task.model, task.forget[torch.tensor([0, 5])])
    assert float(got) == pytest.approx(expected, abs=1e-5)


def test_steps_of_gradient_ascent_are_adamws_on_the_negative_loss_at_a_falling_rate():
    task = random_task(forget=15, model=still_model(), batch_size=5)
    after = unlearned("gradient-ascent", task, epochs=1, learning_rate=1e-3)
    by_hand = copy.deepcopy(task.model).requires_grad_(True)
    optimiser = torch.optim.AdamW(by_hand.parameters(), lr=1e-3, weight_decay=0.0)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(task.seed))
    for rows, rate in zip(order.split(5), (1e-3, 1e-3 * 2 / 3, 1e-3 / 3), strict=True):
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        logits = plain_logits(by_hand, task.forget.features[rows])
        (-F.cross_entropy(logits, task.forget.labels[rows])).backward()
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
        optimiser.step()
    for got, expected in zip(after.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(got, expected.detach(), rtol=0, atol=1e-6)


def test_gradient_ascent_lowers_the_forget_accuracy():
    task = random_task(forget=30, model=still_model())
    labels = plain_logits(task.model, task.forget.features).argmax(dim=1)
    task = dataclasses.replace(task, forget=Labelled(task.forget.features, labels))
    after = unlearned("gradient-ascent", task, epochs=10, learning_rate=1e-2)
    found = plain_logits(after, task.forget.features).argmax(dim=1)
    assert float((found == labels).float().mean()) < 0.5


def test_fine_tuning_learns_the_retain_set():
    task = random_task(model=still_model())
    after = unlearned("fine-tuning", task, epochs=20, learning_rate=1e-2)
    assert slow_cross_entropy(after, task.retain) < 0.5 * slow_cross_entropy(
        task.model, task.retain
    )


def test_neg_grad_plus_weighs_descent_against_ascent():
    task = random_task(model=still_model())
    got = loss_of("neg-grad-plus", task, batch_of(task, (2, 7, 9), (1, 3)), alpha=0.9)
    retain = slow_cross_entropy(task.model, task.retain[torch.tensor([2, 7, 9])])
    forget = slow_cross_entropy(task.model, task.forget[torch.tensor([1, 3])])
    assert float(got) == pytest.approx(0.9 * retain - 0.1 * forget, abs=1e-5)


def test_random_labels_are_other_labels_each_as_likely():
    labels = torch.arange(3000) % N_CLASSES
    wrong = other_labels(labels, N_CLASSES, seed=0)
    assert not bool((wrong == labels).any())
    assert torch.equal(wrong, other_labels(labels, N_CLASSES, seed=0))
    assert not torch.equal(wrong, other_labels(labels, N_CLASSES, seed=1))
    for label in range(N_CLASSES):
        counts = torch.bincount(wrong[labels == label], minlength=N_CLASSES)
        assert sorted(counts.tolist())[0] == 0
        assert sorted(counts.tolist())[1] > 430
    with pytest.raises(BadInputError, match="two classes"):
        other_labels(labels, 1, seed=0)


@pytest.mark.parametrize("key", ["random-labels", "salun"])
def test_random_labels_train_both_sets_together(key):
    task = random_task(model=still_model())
    wrong = other_labels(task.forget.labels, N_CLASSES, task.seed)
    got = loss_of(key, task, batch_of(task, (2, 7, 9), (1, 3)))
    forget = Labelled(task.forget.features, wrong)[torch.tensor([1, 3])]
    expected = slow_cross_entropy(task.model, task.retain[torch.tensor([2, 7, 9])].join(forget))
    assert float(got) == pytest.approx(expected, abs=1e-5)


def test_saluns_mask_holds_the_largest_gradients_of_the_forget_loss():
    task = random_task(model=still_model())
    mask = saliency_mask(Work(task, copy.deepcopy(task.model).requires_grad_(True)), 0.3)
    by_hand = copy.deepcopy(task.model).requires_grad_(True)
    logits = plain_logits(by_hand, task.forget.features)
    F.cross_entropy(logits, task.forget.labels).backward()
    sizes = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.abs()
        for name, weight in by_hand.named_parameters()
    }
    everything = sorted((v for s in sizes.values() for v in s.flatten().tolist()), reverse=True)
    kept = sum(int(m.sum()) for m in mask.values())
    assert kept == pytest.approx(round(0.3 * len(everything)), abs=2)
    smallest_kept = min(float(sizes[name][m].min()) for name, m in mask.items() if m.any())
    largest_left = max(float(sizes[name][~m].max()) for name, m in mask.items() if (~m).any())
    assert smallest_kept >= largest_left - 1e-7
    assert not bool(mask["null_image"].any())  # no gradient: the image pathway is never dropped


def test_salun_leaves_every_other_weight_its_bytes():
    task = random_task()
    work = Work(task, copy.deepcopy(task.model).requires_grad_(True))
    mask = saliency_mask(work, 0.2)
    assert all(weight.grad is None for weight in work.model.parameters())
    before = dict(task.model.named_parameters())
    after = dict(unlearned("salun", task, saliency=0.2, epochs=3).named_parameters())
    moved = 0
    for name, allowed in mask.items():
        assert torch.equal(after[name][~allowed], before[name][~allowed])
        moved += int((after[name][allowed] != before[name][allowed]).sum())
    assert moved > 0.9 * sum(int(m.sum()) for m in mask.values())


def test_scrub_alternates_and_stops_its_max_steps():
    task = random_task(retain=20, forget=9)
    method = make("scrub", {"epochs": 3, "max_epochs": 2})
    kinds = []
    for epoch in range(3):
        steps = method.epoch(task, epoch, torch.Generator().manual_seed(0))
        kinds.append("".join("max " if len(rows.forget) else "min " for rows in steps))
        assert all((len(rows.forget) == 0) != (len(rows.retain) == 0) for rows in steps)
    assert kinds == ["max max min min min ", "max max min min min ", "min min min "]


def test_scrub_climbs_the_divergence_on_forget_and_descends_it_on_retain():
    task = random_task(model=still_model())
    student = still_model(seed=5)
    work = Work(task, copy.deepcopy(task.model))
    objective = make("scrub", {"alpha": 0.7, "gamma": 0.4, "temperature": 2.0}).objective(work)
    work.model = student
    retain, forget = task.retain[torch.tensor([0, 6])], task.forget[torch.tensor([4, 2, 8])]
    got = objective(batch_of(task, forget=(4, 2, 8))).detach()
    apart = slow_divergence(student, task.model, forget, 2.0)
    assert float(got) == pytest.approx(-apart, abs=1e-5)
    got = objective(batch_of(task, retain=(0, 6))).detach()
    apart = slow_divergence(student, task.model, retain, 2.0)
    expected = 0.7 * apart + 0.4 * slow_cross_entropy(student, retain)
    assert float(got) == pytest.approx(expected, abs=1e-5)


def test_a_teacher_does_not_move_with_the_student():
    task = random_task(model=still_model())
    work = Work(task, copy.deepcopy(task.model))
    objective = make("scrub").objective(work)
    batch = batch_of(task, forget=(0, 1))
    assert float(objective(batch).detach()) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        work.model.head.weight.add_(torch.randn_like(work.model.head.weight))
    assert float(objective(batch).detach()) < -1e-3


def test_the_bad_teacher_teaches_forget_and_the_good_one_retain():
    task = random_task(model=still_model())
    bad = incompetent_teacher(task)
    assert not same_bytes(weights_of(bad), task.model.state_dict())
    student = still_model(seed=5)
    work = Work(task, copy.deepcopy(task.model))
    objective = make("bad-teacher", {"temperature": 1.5}).objective(work)
    work.model = student
    got = objective(batch_of(task, (0, 6), (4, 2, 8))).detach()
    retain, forget = task.retain[torch.tensor([0, 6])], task.forget[torch.tensor([4, 2, 8])]
    good_part = 2 * slow_divergence(student, task.model, retain, 1.5)
    bad_part = 3 * slow_divergence(student, bad, forget, 1.5)
    assert float(got) == pytest.approx((good_part + bad_part) / 5, abs=1e-5)


def test_the_bad_teacher_sees_its_share_of_the_retain_set():
    task = random_task(retain=20, forget=9)
    method = make("bad-teacher", {"retain_share": 0.3})
    generator = torch.Generator().manual_seed(0)
    first, second = (method.epoch(task, epoch, generator) for epoch in range(2))
    assert len(set(seen(first, "retain"))) == len(seen(first, "retain")) == 6
    assert seen(first, "forget") == list(range(9))
    assert seen(first, "retain") != seen(second, "retain")


def test_the_l1_term_is_the_sum_of_all_weights_and_decays():
    task = random_task(model=still_model())
    norm = sum(abs(v) for w in task.model.parameters() for v in w.flatten().tolist())
    plain = slow_cross_entropy(task.model, task.retain[torch.tensor([1, 2])])
    for done, share in ((0.0, 1.0), (0.25, 0.75)):
        got = loss_of("l1-sparse", task, batch_of(task, (1, 2), done=done), gamma=1e-3)
        assert float(got) == pytest.approx(plain + 1e-3 * share * norm, rel=1e-5)


def test_l1_shrinks_the_weights():
    task = random_task(model=still_model())
    settings = {"epochs": 5, "learning_rate": 1e-3}
    norms = [
        sum(float(w.abs().sum()) for w in model.parameters())
        for model in (
            unlearned("fine-tuning", task, **settings),
            unlearned("l1-sparse", task, gamma=1e-1, **settings),
        )
    ]
    assert norms[1] < 0.95 * norms[0]


def test_squared_gradients_are_summed_image_by_image():
    task = random_task(model=still_model(), forget=5)
    got = squared_gradients(task.model, task.forget, CPU)
    expected = {name: torch.zeros_like(w) for name, w in task.model.named_parameters()}
    model = copy.deepcopy(task.model).requires_grad_(True)
    for i in range(5):
        model.zero_grad()
        logits = plain_logits(model, task.forget.features[i : i + 1])
        F.cross_entropy(logits, task.forget.labels[i : i + 1]).backward()
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                expected[name] += weight.grad**2
    assert set(got) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-8)


def test_ssd_dampens_the_selected_weights_only():
    model = still_model()
    before = weights_of(model)
    generator = torch.Generator().manual_seed(0)
    importances = [
        {name: torch.rand(w.shape, generator=generator) for name, w in model.named_parameters()}
        for _ in range(2)
    ]
    forget, everything = importances
    forget["head.bias"][0] = 0.0
    everything["head.bias"][0] = 0.0
    dampen(model, forget, everything, SsdSettings(alpha=1.5, dampening=1.2))
    changed = 0
    for name, weight in model.named_parameters():
        old, f, d = before[name].flatten(), forget[name].flatten(), everything[name].flatten()
        for i, value in enumerate(weight.flatten().tolist()):
            expected = float(old[i])
            if float(f[i]) > 1.5 * float(d[i]):
                expected *= min(1.2 * float(d[i]) / float(f[i]), 1.0)
                changed += 1
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert changed > 100


@pytest.mark.parametrize("sample", [3, 100])
def test_ssd_weighs_a_sample_like_the_whole_retain_set(sample):
    task = random_task(model=still_model(), retain=6, forget=4)
    after = unlearned("ssd", task, alpha=0.9, dampening=0.5, sample=sample)
    by_hand = copy.deepcopy(task.model)
    rows = torch.randperm(6, generator=torch.Generator().manual_seed(task.seed))[:sample]
    forget = squared_gradients(task.model, task.forget, CPU)
    retain = squared_gradients(task.model, task.retain[rows], CPU)
    mean = {name: value / 4 for name, value in forget.items()}
    everything = {
        name: (value + retain[name] / len(rows) * 6) / 10 for name, value in forget.items()
    }
    dampen(by_hand, mean, everything, SsdSettings(alpha=0.9, dampening=0.5))
    for got, expected in zip(after.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(got, expected.detach(), rtol=1e-4, atol=1e-7)


def test_divergence_is_zero_for_equals_and_grows_with_temperature_squared():
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    assert float(divergence(logits, logits, 3.0)) == pytest.approx(0.0, abs=1e-7)
    apart = divergence(torch.zeros(1, 3), logits, 2.0)
    p = torch.softmax(logits[0] / 2, 0).tolist()
    assert float(apart) == pytest.approx(4 * sum(v * math.log(v * 3) for v in p), abs=1e-6)


# -- tuning ------------------------------------------------------------------------------------


def test_tuning_takes_the_lowest_score_and_records_everything():
    scores = iter([3.0, 1.0, math.nan, 1.0, 2.0, 5.0])
    models = []

    def score(model):
        models.append(model)
        return next(scores)

    progress = []
    tuning = drive(tune(METHODS["gradient-ascent"], random_task(), score), progress.append)
    assert len(models) == 6
    assert tuning.key == "gradient-ascent"
    assert [trial.score for trial in tuning.search] == [3.0, 1.0, None, 1.0, 2.0, 5.0]
    assert [trial.settings for trial in tuning.search] == combinations(METHODS["gradient-ascent"])
    assert (tuning.settings, tuning.score) == (tuning.search[1].settings, 1.0)
    assert all(trial.seconds > 0 for trial in tuning.search)
    assert progress[-1].done == progress[-1].total
    assert [step.done for step in progress] == sorted(step.done for step in progress)
    assert make(tuning.key, tuning.settings).settings == METHODS[tuning.key].Settings(
        **tuning.settings
    )


@dataclasses.dataclass(frozen=True)
class FragileSettings:
    rate: int = 0


class Fragile(Method):
    """Diverges at rate 1."""

    key = "fragile"
    name = "Fragile"
    paper = "nobody 2026"
    Settings = FragileSettings
    grid = types.MappingProxyType({"rate": (1, 2)})

    def edit(self, work):
        yield Progress("unlearning", 1, 1, 0.0)
        if self.settings.rate == 1:
            raise TrainingError("diverged")


def test_a_combination_that_diverges_is_recorded_and_not_chosen():
    tuning = finish(tune(Fragile, random_task(), lambda model: 4.0))
    assert tuning.search[0] == Trial({"rate": 1}, None, tuning.search[0].seconds)
    assert tuning.settings == {"rate": 2}


def test_tuning_fails_if_every_combination_does():
    with pytest.raises(TrainingError, match="Fragile: all 2 combinations"):
        list(tune(Fragile, random_task(), lambda model: math.nan))


def test_an_unlearned_model_serves_a_predictor():
    after = unlearned("fine-tuning", random_task())
    predictor = Predictor(tiny.random_encoder(), after, tiny.random_predictor().config)
    assert predictor.image_only(random_labelled(4, 0).features).shape == (4, N_CLASSES)
