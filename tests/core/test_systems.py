"""By-design systems: what is deleted has no influence, and answers against slow references."""

import copy
import math

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from munkey_core.errors import BadInputError, TrainingError, UnknownIdError
from munkey_core.model.encoder import Encoded
from munkey_core.unlearning import SYSTEMS, SystemData
from munkey_core.unlearning.systems.base import Support
from munkey_core.unlearning.systems.knn import Knn, _choose, vote
from munkey_core.unlearning.systems.rac import Rac
from munkey_core.unlearning.systems.spm import Spm, SpmNetwork, class_means

CPU = torch.device("cpu")
N_CLASSES = len(tiny.CLASSES)
FORGOTTEN = torch.tensor([3, 17, 8, 20])


def system_data(n=40, anchors=20, keep=None):
    entries = tiny.random_queries(n, seed=1)
    labels = torch.arange(n) % N_CLASSES
    if keep is not None:
        entries, labels = entries[keep], labels[keep]
    if not anchors:
        return SystemData(entries, labels)
    return SystemData(
        entries, labels, tiny.random_queries(anchors, seed=2), torch.arange(anchors) % N_CLASSES
    )


def fitted(key, data=None, seed=0):
    system = SYSTEMS[key]()
    progress = list(system.fit(data or system_data(), N_CLASSES, CPU, seed))
    assert progress[-1].done == progress[-1].total
    return system


def kept_rows(n=40, gone=FORGOTTEN):
    keep = torch.ones(n, dtype=torch.bool)
    keep[gone] = False
    return keep.nonzero()[:, 0]


# -- the table of systems ----------------------------------------------------------------------


@pytest.mark.parametrize("anchors", [20, 0])
@pytest.mark.parametrize("key", SYSTEMS)
def test_answers_are_probabilities_and_the_same_for_the_same_seed(key, anchors):
    queries = tiny.random_queries(9, seed=3)
    one = fitted(key, system_data(anchors=anchors), seed=5).probabilities(queries)
    torch.rand(3)
    other = fitted(key, system_data(anchors=anchors), seed=5).probabilities(queries)
    assert one.shape == (9, N_CLASSES)
    assert one.dtype == np.float32
    assert (one > 0).all()
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("key", ["rac", "spm"])
def test_another_seed_gives_another_system(key):
    queries = tiny.random_queries(9, seed=3)
    one, other = (fitted(key, seed=seed).probabilities(queries) for seed in (5, 6))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("key", SYSTEMS)
def test_after_deletion_it_answers_as_if_its_support_had_been_built_without(key):
    queries = tiny.random_queries(9, seed=3)
    system = fitted(key)
    before = system.probabilities(queries)
    data, keep = system_data(), kept_rows()
    other = copy.deepcopy(system)
    other._answer_from(Support(keep, data.entries.keys[keep], data.labels[keep]))
    system.forget(FORGOTTEN)
    after = system.probabilities(queries)
    np.testing.assert_array_equal(after, other.probabilities(queries))
    assert not np.array_equal(before, after)
    assert len(system.support) == 36


@pytest.mark.parametrize("key", SYSTEMS)
def test_nothing_of_a_deleted_entry_stays_in_the_support(key):
    system = fitted(key)
    system.forget(FORGOTTEN)
    keys = system_data().entries.keys
    assert not bool(torch.isin(system.support.rows, FORGOTTEN).any())
    assert system.support.keys.untyped_storage().nbytes() == 36 * keys.shape[1] * 4
    for row in FORGOTTEN.tolist():
        assert not bool((system.support.keys == keys[row]).all(dim=1).any())


@pytest.mark.parametrize("key", ["rac", "spm"])
def test_forgetting_changes_no_weight(key):
    system = fitted(key)
    before = copy.deepcopy(system.network.state_dict())
    system.forget(FORGOTTEN)
    for name, value in system.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not system.network.training


@pytest.mark.parametrize("key", SYSTEMS)
def test_the_order_of_deletions_does_not_matter(key):
    queries = tiny.random_queries(9, seed=3)
    one, other = fitted(key), fitted(key)
    one.forget(FORGOTTEN)
    for row in FORGOTTEN.flip(0):
        other.forget(row[None])
    np.testing.assert_array_equal(one.probabilities(queries), other.probabilities(queries))


@pytest.mark.parametrize("key", SYSTEMS)
def test_unknown_and_repeated_rows_are_refused_and_nothing_changes(key):
    system = fitted(key)
    system.forget(torch.tensor([5]))
    for rows in ([2, 40], [-1], [2, 5]):
        with pytest.raises(UnknownIdError, match=f"no entry in row {rows[-1]} of this"):
            system.forget(torch.tensor(rows))
    with pytest.raises(BadInputError, match="once only"):
        system.forget(torch.tensor([2, 2]))
    with pytest.raises(BadInputError, match="at least one row"):
        system.forget(torch.tensor([], dtype=torch.int64))
    assert len(system.support) == 39


@pytest.mark.parametrize("key", SYSTEMS)
def test_a_system_without_entries_says_so(key):
    system = fitted(key)
    system.forget(torch.arange(40))
    with pytest.raises(BadInputError, match="every entry is forgotten"):
        system.probabilities(tiny.random_queries(2))


@pytest.mark.parametrize("key", SYSTEMS)
def test_no_query_gives_no_answer(key):
    assert fitted(key).probabilities(tiny.random_queries(3)[:0]).shape == (0, N_CLASSES)


@pytest.mark.parametrize("key", SYSTEMS)
def test_a_system_learns_what_can_be_learned(key):
    data = system_data(n=120, anchors=60)
    centres = F.normalize(torch.eye(N_CLASSES, tiny.KEY_DIM) * 3, dim=1)

    def near(encoded, labels):
        keys = F.normalize(encoded.keys * 0.5 + centres[labels], dim=1)
        return Encoded(keys, encoded.features * 0.1 + keys[:, None])

    labels, anchor_labels = data.labels, data.anchor_labels
    data = SystemData(
        near(data.entries, labels), labels, near(data.anchors, anchor_labels), anchor_labels
    )
    test = near(tiny.random_queries(60, seed=9), torch.arange(60) % N_CLASSES)
    answers = fitted(key, data).probabilities(test).argmax(axis=1)
    assert (answers == np.arange(60) % N_CLASSES).mean() > 0.9


def test_labels_that_do_not_fit_and_no_entries_are_refused():
    data = system_data()
    with pytest.raises(BadInputError, match="at least one entry"):
        SystemData(data.entries[:0], data.labels[:0])
    with pytest.raises(BadInputError, match="39 for 40 entries"):
        SystemData(data.entries, data.labels[1:])
    with pytest.raises(BadInputError, match="0 for 20 anchors"):
        SystemData(data.entries, data.labels, data.anchors)


# -- kNN ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("anchors", [20, 0])
def test_knn_after_deletion_is_byte_for_byte_the_one_that_never_had_the_entries(anchors):
    queries = tiny.random_queries(9, seed=3)
    system = fitted("knn", system_data(anchors=anchors))
    system.forget(FORGOTTEN)
    never = fitted("knn", system_data(anchors=anchors, keep=kept_rows()))
    np.testing.assert_array_equal(system.probabilities(queries), never.probabilities(queries))
    assert (system.neighbours, system.temperature) == (never.neighbours, never.temperature)


def slow_vote(query, keys, labels, k, temperature):
    ranked = sorted(range(len(keys)), key=lambda i: -float(query @ keys[i]))[:k]
    weights = [math.exp(float(query @ keys[i]) / temperature) for i in ranked]
    p = [0.0] * N_CLASSES
    for i, weight in zip(ranked, weights, strict=True):
        p[int(labels[i])] += weight / sum(weights)
    return [(v + 1e-3 / N_CLASSES) / 1.001 for v in p]


def test_knn_votes_by_softmax_of_the_cosines():
    data = system_data(anchors=0)
    system = fitted("knn", data)
    queries = tiny.random_queries(6, seed=3)
    got = system.probabilities(queries)
    for query, answer in zip(queries.keys, got, strict=True):
        expected = slow_vote(query, data.entries.keys, data.labels, 16, 0.05)
        assert answer.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_class_that_no_neighbour_has_keeps_a_probability_above_zero():
    p = vote(torch.tensor([[0.9, 0.8]]), torch.tensor([[1, 1]]), 0.1, 3)
    assert p[0].tolist() == pytest.approx(
        [1e-3 / 3 / 1.001, 1 - 2e-3 / 3 / 1.001, 1e-3 / 3 / 1.001]
    )


def test_k_and_tau_are_chosen_on_anchors_each_answered_by_the_others():
    data = system_data(anchors=30)
    keys, labels = data.anchors.keys, data.anchor_labels
    losses = {}
    for k in (4, 8, 16, 32, 64, 128):
        for temperature in (0.01, 0.02, 0.05, 0.1, 0.2):
            losses[k, temperature] = 0.0
            for i in range(30):
                others = [j for j in range(30) if j != i]
                p = slow_vote(keys[i], keys[others], labels[others], k, temperature)
                losses[k, temperature] -= math.log(p[int(labels[i])]) / 30
    assert losses[_choose(keys, labels, N_CLASSES)] == pytest.approx(min(losses.values()), abs=1e-5)


def test_fewer_entries_than_k_answer_all():
    system = fitted("knn", system_data(n=3, anchors=0))
    assert Knn.neighbours > 3
    assert system.probabilities(tiny.random_queries(2)).shape == (2, N_CLASSES)


# -- RAC ---------------------------------------------------------------------------------------


def test_rac_never_shows_an_image_its_own_entry_in_training():
    system, data = Rac(), system_data()
    rows, similarity = system._training_neighbours(data)
    assert rows.shape == similarity.shape == (60, 16)
    queries, _ = data.queries()
    for i in range(60):
        others = [j for j in range(40) if j != i]
        cosines = sorted(float(queries.keys[i] @ data.entries.keys[j]) for j in others)[::-1]
        assert similarity[i].tolist() == pytest.approx(cosines[:16], abs=1e-5)
        assert i not in rows[i].tolist() or i >= 40


def test_rac_adds_the_gated_vote_to_the_networks_logits():
    data = system_data()
    system = fitted("rac", data)
    net, queries = system.network, tiny.random_queries(5, seed=3)
    got = system.probabilities(queries)
    temperature = math.exp(float(net.log_temperature))
    for i in range(5):
        logits = net.base(queries.features[i : i + 1])[0].tolist()
        cosines = (data.entries.keys @ queries.keys[i]).tolist()
        ranked = sorted(range(40), key=lambda j: -cosines[j])[:16]
        weights = [math.exp(cosines[j] / temperature) for j in ranked]
        opening = float(net.gate.weight) * cosines[ranked[0]] + float(net.gate.bias)
        gate = float(net.weight) / (1 + math.exp(-opening))
        for j, weight in zip(ranked, weights, strict=True):
            logits[int(data.labels[j])] += gate * weight / sum(weights)
        expected = [math.exp(z) / sum(math.exp(v) for v in logits) for z in logits]
        assert got[i].tolist() == pytest.approx(expected, abs=1e-5)


def test_rac_needs_a_second_entry_to_retrieve():
    with pytest.raises(TrainingError, match="two entries or more"):
        fitted("rac", system_data(n=1))


# -- SPM ---------------------------------------------------------------------------------------


def test_spms_class_means_are_those_of_the_kept_entries():
    data = system_data()
    system = fitted("spm", data)
    system.forget(FORGOTTEN)
    keep = kept_rows().tolist()
    for label in range(N_CLASSES):
        own = [data.entries.keys[i] for i in keep if int(data.labels[i]) == label]
        expected = sum(own) / len(own)
        torch.testing.assert_close(system.means[label], expected, rtol=0, atol=1e-6)
    assert bool(system.present.all())


def test_spm_is_a_gated_mixture_of_scaled_dot_products():
    torch.manual_seed(0)
    network = SpmNetwork(tiny.KEY_DIM)
    data = system_data()
    means, present = class_means(data.entries.keys, data.labels, N_CLASSES)
    mean = data.entries.keys.mean(dim=0)
    queries = tiny.random_queries(4, seed=3).keys
    with torch.no_grad():
        got = network(queries, means, present, mean).exp()
        for b in range(4):
            q, expected = queries[b] * 4, torch.zeros(N_CLASSES)  # 4 = √16
            gate = torch.softmax(network.gate(torch.cat([q, mean * 4])), dim=0)
            for e in range(4):
                scores = torch.zeros(N_CLASSES)
                for c in range(N_CLASSES):
                    projected = q @ network.query[e]
                    scores[c] = projected @ (means[c] * 4 @ network.support[e]) / math.sqrt(64)
                expected += gate[e] * torch.softmax(scores, dim=0)
            torch.testing.assert_close(got[b], expected, rtol=0, atol=1e-5)


def test_a_class_without_support_has_probability_zero():
    data = system_data()
    system = fitted("spm", data)
    system.forget((data.labels == 1).nonzero()[:, 0])
    p = system.probabilities(tiny.random_queries(9, seed=3))
    assert (p[:, 1] == 0).all()
    assert (p[:, [0, 2]] > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_training_passes_over_queries_whose_class_the_support_lacks():
    data = system_data()
    system = fitted("spm", data)
    system.network.requires_grad_(True)
    drawn = (data.labels != 2).nonzero()[:, 0]  # class 2 has no support
    loss = system._loss(data.entries.keys, data.labels, drawn)
    answerable = data.labels != 2
    same = system._loss(data.entries.keys[answerable], data.labels[answerable], drawn)
    assert float(loss.detach()) == pytest.approx(float(same.detach()), abs=1e-6)
    loss.backward()
    assert all(bool(torch.isfinite(w.grad).all()) for w in system.network.parameters())
    nobody = system._loss(data.entries.keys[2:3], data.labels[2:3], drawn)
    assert float(nobody.detach()) == 0.0


def test_a_class_that_the_entries_never_had_is_never_answered():
    data = system_data()
    system = Spm()
    for _ in system.fit(data, N_CLASSES + 1, CPU, 0):
        pass
    p = system.probabilities(tiny.random_queries(4))
    assert p.shape == (4, N_CLASSES + 1)
    assert (p[:, N_CLASSES] == 0).all()
