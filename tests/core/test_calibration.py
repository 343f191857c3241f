"""τ, s_0 and K: the rule on a hand-made table, and the table against a slow loop."""

import pytest
import tiny
import torch

from munkey_core.config import EnsembleConfig
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import Encoded
from munkey_core.model.predictor import Predictor
from munkey_core.training import calibration
from munkey_core.training.calibration import Candidate, Labelled, best_candidate, choose_ensemble


def candidate(recall, accuracy, firmness=0.5, k=4):
    return Candidate(EnsembleConfig(k=k), recall, accuracy, firmness)


@pytest.mark.parametrize(
    ("table", "best"),
    [
        # Recall comes first: 0.99 is enough, and more of it buys nothing.
        ([candidate(0.98, 0.9), candidate(0.99, 0.7), candidate(1.0, 0.5)], 1),
        # Where nothing reaches 0.99, the highest reached is wanted.
        ([candidate(0.90, 0.9), candidate(0.95, 0.4), candidate(0.5, 0.9)], 1),
        # Of 100 images, 0.80 and 0.77 are within one standard error (0.04): K decides …
        ([candidate(1.0, 0.80, 0.9, k=8), candidate(1.0, 0.77, 0.1, k=4)], 1),
        # … but 0.80 and 0.75 are not, however cheap or firm.
        ([candidate(1.0, 0.80, 0.1, k=8), candidate(1.0, 0.75, 0.9, k=4)], 0),
        # With the same K the firmest of those within the error.
        ([candidate(1.0, 0.80, 0.6), candidate(1.0, 0.77, 0.7), candidate(1.0, 0.70, 0.9)], 1),
        # The error is that of the best that recalls enough, not of the best there is.
        ([candidate(0.5, 0.99), candidate(1.0, 0.60, 0.2), candidate(1.0, 0.57, 0.3)], 2),
        ([candidate(0.2, 0.1)], 0),
    ],
)
def test_the_best_candidate_of_a_table(table, best):
    assert best_candidate(table, images=100) is table[best]
    assert best_candidate(table[::-1], images=100) is table[best]


def test_more_images_make_smaller_differences_count():
    table = [candidate(1.0, 0.80, 0.1), candidate(1.0, 0.77, 0.9)]
    assert best_candidate(table, images=100) is table[1]
    assert best_candidate(table, images=10_000) is table[0]


def test_the_table_says_what_predicting_with_each_setting_gives(monkeypatch):
    monkeypatch.setattr(calibration, "TAU_GRID", (0.05, 0.5))
    predictor = tiny.random_predictor()
    queries = tiny.random_queries(16)
    bank = tiny.random_bank(10)
    members = bank.ids[6:]  # the calibration images are the bank's last four
    keys = bank.keys.clone()
    known = Encoded(keys[6:], queries.features[:4])
    unknown = queries[slice(4, 16)]
    labels = torch.arange(16) % 3
    best, record = choose_ensemble(
        predictor,
        bank,
        Labelled(members, known, labels[:4]),
        Labelled(tuple(f"new-{i}" for i in range(12)), unknown, labels[4:]),
    )
    assert len(record["table"]) == 2 * 2 * 6
    assert record["images"] == {"calibration": 4, "validation": 12}
    assert record["chosen"] in record["table"]
    for row in record["table"]:
        config = EnsembleConfig(k=row["k"], tau=row["tau"], anchor=row["anchor"])
        wanted = slow_judgement(predictor, config, bank, members, known, unknown, labels)
        assert [row[n] for n in ("recall", "accuracy", "firmness")] == pytest.approx(
            wanted, abs=1e-4
        )
    assert (best.k, best.tau, best.anchor) == tuple(
        record["chosen"][n] for n in ("k", "tau", "anchor")
    )


def slow_judgement(predictor, config, bank, members, known, unknown, labels):
    """Recall, accuracy and firmness by predicting one image after the other."""
    predictor = Predictor(predictor.encoder, predictor.model, config)
    whole, without = BankView(bank), BankView(bank, members)
    recalled, firm, right = [], [], []
    for i in range(4):
        answer = predictor.predict(known[slice(i, i + 1)], whole).probabilities[0]
        recalled.append(answer.argmax() == labels[i])
        firm.append(answer[labels[i]])
        answer = predictor.predict(known[slice(i, i + 1)], without).probabilities[0]
        right.append(answer.argmax() == labels[i])
    for i in range(12):
        answer = predictor.predict(unknown[slice(i, i + 1)], without).probabilities[0]
        right.append(answer.argmax() == labels[4 + i])
    return [float(sum(values)) / len(values) for values in (recalled, right, firm)]


def test_a_bank_smaller_than_every_k_can_be_calibrated():
    bank = tiny.random_bank(3)
    queries = tiny.random_queries(4)
    labels = torch.tensor([0, 1, 2, 0])
    config, _ = choose_ensemble(
        tiny.random_predictor(),
        MemoryBank(bank.ids, bank.keys, bank.tokens),
        Labelled(bank.ids[2:], queries[:1], labels[:1]),
        Labelled(("a", "b", "c"), queries[1:], labels[1:]),
    )
    assert config.aggregation == "similarity"
