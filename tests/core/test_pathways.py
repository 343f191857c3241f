"""Accuracy of each pathway: against one image at a time, and who is counted where."""

import math

import numpy as np
import pytest
import tiny
import torch

from munkey_core.errors import BadInputError, UnknownIdError
from munkey_core.explain.pathways import PATHWAYS, pathways, pathways_right
from munkey_core.model.bank import BankView
from munkey_core.progress import Progress, drive, finish
from munkey_core.results import PRIVATE, TEST, Record

AGGREGATIONS = ["mean", "similarity", "rank", "single_pass"]
PRIVATE_IMAGES, TEST_IMAGES = 12, 9
RECORDS = [Record(f"img-{i:02d}", i % 3, "", PRIVATE) for i in range(PRIVATE_IMAGES)]
RECORDS += [Record(f"test-{i:02d}", i % 3, "", TEST) for i in range(TEST_IMAGES)]


class Asked:
    """Encodes records by id, and remembers which."""

    def __init__(self, bank):
        self.queries = tiny.random_queries(len(RECORDS))
        self.queries.keys[: len(bank)] = bank.keys
        self.ids = []

    def __call__(self, ids):
        self.ids += ids
        names = [record.id for record in RECORDS]
        return self.queries[torch.tensor([names.index(id_) for id_ in ids])]


def report_of(predictor, bank, forget, limit=100, encode=None):
    steps = pathways(predictor, bank, RECORDS, forget, encode or Asked(bank), limit, generation=7)
    progress = []
    report = drive(steps, progress.append)
    assert all(isinstance(step, Progress) for step in progress)
    assert progress[-1].done == progress[-1].total
    return report


def blind(predictor, bank, view, query):
    """Most probable class when the image is ∅, pass by pass."""
    said = predictor.predict(query, view)
    rows = [bank.row(id_) for id_ in said.retrieval.ids[0]]
    tokens = [bank.tokens[row] for row in rows]
    if said.has_anchor:
        tokens.append(predictor.model.null_memory)
    share = torch.from_numpy(said.exemplar_weights[0])
    if predictor.config.aggregation == "single_pass":
        tokens, share = [(share[:, None] * torch.stack(tokens)).sum(dim=0)], torch.ones(1)
    mixed = torch.zeros(len(tiny.CLASSES))
    for token, weight in zip(tokens, share, strict=True):
        [[probabilities]] = predictor.passes(query.features, token[None, None], drop_image=True)
        mixed += weight * probabilities
    return int(mixed.argmax())


@pytest.mark.parametrize("left", [0, 2, 12])
@pytest.mark.parametrize("anchor", [None, 0.2])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_each_pathway_answers_as_one_image_at_a_time_does(aggregation, anchor, left):
    predictor = tiny.random_predictor(k=3, aggregation=aggregation, tau=0.3, anchor=anchor)
    bank = tiny.random_bank(PRIVATE_IMAGES)
    view, encode = BankView(bank, bank.ids[left:]), Asked(bank)
    queries = encode([record.id for record in RECORDS])
    right = pathways_right(predictor, view, queries, RECORDS)
    for q, record in enumerate(RECORDS):
        query = queries[q : q + 1]
        said = (
            int(predictor.predict(query, view).classes[0]),
            int(predictor.image_only(query.features)[0].argmax()),
            blind(predictor, bank, view, query),
        )
        assert right[:, q].tolist() == [one == record.label for one in said]


@pytest.mark.parametrize("chunk", [4, 128])
def test_groups_are_counted_with_the_memory_that_is_theirs(chunk, monkeypatch):
    monkeypatch.setattr("munkey_core.explain.pathways._CHUNK", chunk)
    predictor, bank = tiny.random_predictor(k=3, tau=0.3), tiny.random_bank(PRIVATE_IMAGES)
    forget, encode = list(bank.ids[:5]), Asked(bank)
    report = report_of(predictor, bank, forget, encode=encode)
    whole, without = BankView(bank), BankView(bank, forget)
    groups = {
        "test": (RECORDS[PRIVATE_IMAGES:], without),
        "retain": (RECORDS[5:PRIVATE_IMAGES], without),
        "forget before": (RECORDS[:5], whole),
        "forget after": (RECORDS[:5], without),
    }
    assert list(report.figures) == list(groups)
    for name, (records, view) in groups.items():
        right = pathways_right(predictor, view, encode([r.id for r in records]), records)
        for pathway, correct in zip(PATHWAYS, right.sum(axis=1).tolist(), strict=True):
            figure = report.figures[name][pathway]
            assert (figure.n, figure.of) == (len(records), len(records))
            assert figure.accuracy == pytest.approx(100 * correct / len(records))
            assert figure.ci95 == pytest.approx(wilson(correct, len(records)))
    # Deleting keys leaves the image pathway as it is.
    assert report.figures["forget before"]["image"] == report.figures["forget after"]["image"]
    assert (report.n_forget, report.generation) == (5, 7)
    assert report.seconds > 0


def wilson(correct, n, z=1.959963984540054):
    """The score interval's closed form, in percent (Wilson 1927)."""
    share = correct / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return 100 * (middle - half), 100 * (middle + half)


def test_a_limit_draws_the_same_images_every_time_and_says_of_how_many():
    predictor, bank = tiny.random_predictor(k=3), tiny.random_bank(PRIVATE_IMAGES)
    forget, asked = bank.ids[:5], [Asked(bank), Asked(bank)]
    one, other = (report_of(predictor, bank, forget, 3, encode) for encode in asked)
    assert one.figures == other.figures
    assert asked[0].ids == asked[1].ids
    assert len(asked[0].ids) == 12
    assert asked[0].ids[6:9] == asked[0].ids[9:]  # forget images, before and after
    sizes = {name: (f["full"].n, f["full"].of) for name, f in one.figures.items()}
    assert sizes == {
        "test": (3, 9),
        "retain": (3, 7),
        "forget before": (3, 5),
        "forget after": (3, 5),
    }


@pytest.mark.parametrize(
    ("forget", "groups"),
    [
        (0, ["test", "retain"]),
        (PRIVATE_IMAGES, ["test", "forget before", "forget after"]),
    ],
)
def test_a_group_without_images_is_missing(forget, groups):
    predictor, bank = tiny.random_predictor(k=3), tiny.random_bank(PRIVATE_IMAGES)
    assert list(report_of(predictor, bank, bank.ids[:forget]).figures) == groups


def test_what_makes_no_sense_is_refused():
    predictor, bank = tiny.random_predictor(k=3), tiny.random_bank(PRIVATE_IMAGES)
    with pytest.raises(BadInputError, match="at least 1 image a group, got 0"):
        report_of(predictor, bank, bank.ids[:2], limit=0)
    with pytest.raises(UnknownIdError, match="'test-00'"):
        report_of(predictor, bank, ["test-00"])


def test_a_trained_memory_knows_its_images_and_deleting_their_keys_takes_that_away(digits):
    ids = digits.memory.canonical_sets()["random-10pct"]
    report = finish(digits.explain.pathways(ids))
    before, after = report.figures["forget before"], report.figures["forget after"]
    assert before["memory"].accuracy > 95
    assert after["memory"].accuracy < before["memory"].accuracy
    said = digits.predict(ids, ids).classes
    labels = np.array([digits.memory.record(id_).label for id_ in ids])
    assert after["full"].accuracy == pytest.approx(100 * (said == labels).mean())
