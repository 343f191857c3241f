"""The sentences of the Compare page follow the numbers, whichever way they turn out."""

import csv
import io

import pytest

from app.screens.compare.charts import method_marks, null_bands, time_marks
from app.screens.compare.details import seed_rows, settings_rows
from app.screens.compare.table import COLUMNS, as_csv, ordered
from app.screens.compare.words import headline, little_to_repair, not_ahead, repairs, speed
from app.session.properties import FAMILIES, SORTS
from munkey_core.audit import verdict
from munkey_core.audit.figures import NullBand
from munkey_core.audit.membership.forgetting_quality import ForgettingQuality
from tests.app.audit_reports import full, munkey, post_hoc, report, row


def test_inside_the_null_band_three_trainings_tell_nothing():
    text = headline(report(munkey()))
    assert "**0.13 percentage points**" in text
    assert "other seeds: 0.18 against at most 0.29 between two retrained models: inside" in text
    assert "differ by 0.20 (0.08 to 0.29)" in text
    assert "3 trainings of each kind: not enough trainings to tell it" in text
    assert "can tell" not in text


def test_outside_it_is_said_to_differ():
    text = headline(report(munkey(gap=0.9, cross=0.95)))
    assert "0.95 against at most 0.29 between two retrained models: outside" in text
    assert "not enough trainings to tell" in text


def test_what_is_so_by_construction_has_no_measured_gap():
    text = headline(report(munkey(gap=0.0, cross=0.0, exact=True)))
    assert "deletion equals never written, by construction; proved by bytes" in text
    assert "0.00" not in text


def test_it_is_the_gap_to_other_seeds_that_counts():
    made = report(munkey(gap=0.10, cross=0.60))
    assert verdict.place(made, made.models["MUNKEY after"]) == "outside"
    assert "0.60 against at most 0.29 between two retrained models: outside" in headline(made)


def test_one_seed_gives_no_verdict():
    text = headline(report(munkey(seeds=1), seeds=[0]))
    assert "With 1 seed nobody knows" in text
    assert "can tell" not in text


def test_no_oracle_yet():
    assert "Nobody has retrained" in headline(report(munkey(gap=None)))
    assert "no figures of MUNKEY" in headline(report({}))


def test_no_repair_method_yet():
    assert "No repair method" in repairs(report(munkey()))


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        # (gap, gap to other seeds) of MUNKEY and of the best repair; bands end at 0.29 and 0.31,
        # and rank nobody. An interval goes from half a gap to 0.2 above it.
        ((0.13, 0.18), (0.48, 0.50), "neither can be called closer"),  # in, out; they overlap
        ((0.13, 0.18), (0.21, 0.27), "neither can be called closer"),
        ((0.22, 0.28), (0.11, 0.20), "neither can be called closer"),
        ((0.90, 0.95), (0.11, 0.20), "the repaired model is closer"),  # and so over seeds, too
        ((0.25, 0.28), (0.22, 0.33), "neither can be called closer"),
        ((0.30, 0.35), (0.40, 0.30), "neither can be called closer"),
        ((1.00, 1.10), (0.90, 0.95), "neither can be called closer"),
        ((9.00, 9.10), (0.90, 0.95), "the repaired model is closer"),
        ((0.90, 0.95), (9.00, 9.10), "MUNKEY is closer"),
    ],
)
def test_ranked_only_where_the_figures_allow_it(own, other, said):
    models = munkey(gap=own[0], cross=own[1]) | {
        "SalUn": post_hoc(*other),
        "Fine-tuning": post_hoc(other[0] + 1, other[1] + 1),
    }
    text = repairs(report(models))
    assert "The best of 2 repair methods, **SalUn**" in text
    verdicts = {
        "MUNKEY is closer",
        "the repaired model is closer",
        "neither can be called closer",
    }
    assert {one for one in verdicts if one in text} == {said}


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_seed_or_two_rank_nobody_however_far_apart(seeds):
    for gap in (0.2, 2.0, 20.0):
        models = munkey(seeds=seeds) | {"SalUn": post_hoc(gap, gap, seeds=seeds)}
        text = repairs(report(models, seeds=range(seeds)))
        assert "**neither can be called closer**: that takes a test over 3 seeds" in text


def test_little_to_repair_is_said():
    assert "little to repair" in little_to_repair(report(munkey()))
    much = munkey() | {"plain": row("original", "plain retrained", 3.0, 3.1)}
    assert little_to_repair(report(much)).endswith("3.0 percentage points.")
    assert "little" not in little_to_repair(report(munkey(seeds=1), seeds=[0]))


def test_where_munkey_is_not_ahead():
    said = "\n".join(not_ahead(full()))
    assert "**kNN** forgets exactly" in said
    assert "88.1 %" in said
    assert "**kNN** is faster: 0.2 ms (rebuild) against 0.4 ms (hide in a view)" in said
    assert "forgetting-quality score tells" in said
    assert "not exact unlearning" in said


def test_a_more_accurate_rival_is_named_with_its_certainty():
    models = munkey() | {"SalUn": post_hoc(0.4, 0.5, test_accuracy=92.1)}
    assert "inside the 95 % intervals" in "\n".join(not_ahead(report(models)))
    models["SalUn"] = post_hoc(0.4, 0.5, test_accuracy=94.0)
    said = "\n".join(not_ahead(report(models)))
    assert "by **SalUn**: 94.0 %, MUNKEY 91.8 %." in said


def test_a_good_score_is_not_held_against_munkey():
    fine = munkey(fqs=ForgettingQuality(0.98, 0.98, 0.97, 1000))
    assert "quality" not in "\n".join(not_ahead(report(fine)))


def test_speed():
    assert speed(report(munkey())) == (
        "Hiding the keys in a view took 0.4 ms, retraining 81 s: 200,000 times as long. Erasing "
        "them from the files is another operation, and was not timed here."
    )
    assert speed(report({})) == ""


# -- table ---------------------------------------------------------------------------------------


def test_the_url_knows_every_column_and_family():
    assert set(SORTS) == set(COLUMNS)
    assert {f.family for f in full().models.values()} == set(FAMILIES)


def test_sorting_puts_the_unknown_last_both_ways():
    made = full()
    up, down = ordered(made, "gap"), ordered(made, "-gap")
    known = [n for n in up if made.models[n].avg_gap is not None]
    assert known[:2] == ["kNN after", "MUNKEY after"]
    assert up[: len(known)] == known
    assert down[: len(known)] == known[::-1]
    assert set(up) == set(made.models)
    assert ordered(made, "gap", ("post-hoc",)) == ["SalUn", "Fine-tuning"]


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{key}" for key in SORTS)])
def test_every_column_sorts_every_report(sort):
    for made in (full(), report(munkey(seeds=1, gap=None), seeds=[0])):
        assert set(ordered(made, sort)) == set(made.models)


def test_cells_show_interval_place_and_null():
    made = full()
    own = made.models["MUNKEY after"]
    gap = COLUMNS["gap"].cell(made, "MUNKEY after", own)
    assert gap.text == "0.13"
    assert gap.small == ("0.07–0.33",)
    assert (gap.tag, gap.tone) == ("others 0.18: in band", "plain")
    exact = COLUMNS["gap"].cell(made, "kNN after", made.models["kNN after"])
    assert "0.00" not in (exact.text, *exact.small)
    assert "by construction" in exact.small[0]
    near = report(
        munkey(gap=0.24, cross=0.2911), bands={"MUNKEY retrained": NullBand(0.2, 0.1, 0.2907, 3)}
    )
    tag = COLUMNS["gap"].cell(near, "MUNKEY after", near.models["MUNKEY after"]).tag
    assert tag == "others 0.2911: outside"
    time = {
        name: COLUMNS["seconds"].cell(made, name, made.models[name]).small
        for name in ("MUNKEY after", "kNN after", "SalUn", "MUNKEY retrained")
    }
    assert [*time.values()] == [
        ("hide in a view",),
        ("rebuild",),
        ("repair by training",),
        ("train or write again",),
    ]
    assert COLUMNS["gap"].cell(made, "SalUn", made.models["SalUn"]).tag == "others 0.50: outside"
    quality = COLUMNS["quality"].cell(made, "MUNKEY after", own)
    assert quality.text == "0.94"
    assert "null 0.98" in quality.small[0]
    assert COLUMNS["name"].cell(made, "kNN after", made.models["kNN after"]).tag.startswith("exact")
    oracle = made.models["MUNKEY retrained"]
    assert COLUMNS["gap"].cell(made, "MUNKEY retrained", oracle).small == ("is the reference",)
    assert COLUMNS["test"].cell(made, "MUNKEY after", own).small == ("91.3–92.3",)


def test_csv_has_a_line_a_method_and_no_invented_spread():
    lines = list(csv.DictReader(io.StringIO(as_csv(full(), ordered(full(), "gap")))))
    assert lines[0]["method"] == "kNN after"
    assert float(lines[1]["avg_gap"]) == 0.13
    assert lines[1]["null_band"] == "inside"
    one = report(munkey(seeds=1), seeds=[0])
    [line] = csv.DictReader(io.StringIO(as_csv(one, ["MUNKEY after"])))
    assert line["avg_gap_sd_over_seeds"] == ""
    assert line["null_band"] == "unknown"


# -- charts and details --------------------------------------------------------------------------


def test_charts_leave_out_only_what_stretches_the_scale():
    marks, left_out = method_marks(full())
    assert [mark.name for mark in left_out] == ["MUNKEY before deletion"]
    assert "Plain, nothing done" in {mark.name for mark in marks}
    assert [band.name for band in null_bands(full())] == ["MUNKEY retrained", "plain retrained"]


def test_oracles_lie_in_their_band_or_at_zero():
    by_name = {mark.name: mark for mark in time_marks(full())}
    assert by_name["MUNKEY retrained"].gap == 0.20
    assert "kNN retrained" not in by_name
    one = report(munkey(seeds=1), seeds=[0])
    assert {m.gap for m in time_marks(one) if m.family == "oracle"} == {0.0}
    assert "Plain, nothing done" not in by_name


def test_seeds_and_settings():
    rows = seed_rows(full())
    assert sum(row_["Seed"] == "± sd" for row_ in rows) == len(full().models)
    assert not any(r["Seed"] == "± sd" for r in seed_rows(report(munkey(seeds=1), seeds=[0])))
    assert settings_rows(full())[0] == {
        "Method": "SalUn",
        "Settings": "learning_rate = 0.0001, epochs = 2",
    }


def test_a_band_of_another_oracle_is_not_used():
    bands = {"plain retrained": NullBand(0.2, 0.1, 0.3, 3)}
    made = report(munkey(), bands=bands)
    assert verdict.place(made, made.models["MUNKEY after"]) == "unknown"
