"""The report of a request: escaped, whole in itself, in plain words, and honest about what nobody
measured."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from munkey_core.audit.leak import BackboneLeak, LeakSplit
from munkey_core.audit.privacy import AttackFigures, PrivacyReport
from munkey_core.bundle.ledger import Purged, Receipt, Remaining
from munkey_core.erasure.request_page import (
    AnswersEvidence,
    RequestEvidence,
    file_names,
    request_report,
    when,
)
from munkey_core.model.side_effects import SideEffects

EVIL = "<script src=http://evil.example/x.js></script>\"'&"
VOID = {"meta", "br"}


def receipt(**changes) -> Receipt:
    plain = Receipt(
        number=3,
        created="2026-11-25T04:12:09+00:00",
        tool="munkey 1.2",
        bundle="fashion",
        modes=("joint", "exact"),
        count=40,
        commitment="5a" * 32,
        ids=("ab" * 32,),
        owner="cd" * 32,
        rows={"joint": ("01" * 32,) * 40, "exact": ("02" * 32,) * 40},
        digest_before="be" * 32,
        digest_after="af" * 32,
        original_kept=False,
        purged=(Purged("bank.safetensors", "keys and exemplar tokens", 40),),
        remains=(Remaining("model.safetensors", "the shared weights stay"),),
        previous="00" * 32,
        signer="",
        hash="ee" * 32,
    )
    return replace(plain, **changes)


def figures(auroc: float) -> AttackFigures:
    return AttackFigures(auroc, (auroc - 3, auroc + 3), None, None, None, None, None, None, 40, 300)


def privacy(**models: float) -> PrivacyReport:
    found = {"LiRA online": {name: figures(value) for name, value in models.items()}}
    missing = () if "retrained" in models else ("retrained",)
    backbone = BackboneLeak(1.0, (0.0, 2.0), 0.8, 0.21, (-0.4, 0.8))
    leak = LeakSplit(10.0, 12.0, 50.2, (48.0, 52.0), 50.0, backbone)
    return PrivacyReport(
        *("fashion", "", "", 40, 9960, 300, 0),
        references={},
        figures=found,
        errors={},
        histograms={},
        null_bands={},
        missing=missing,
        leak=leak,
        leak_error="",
        seconds=1.0,
    )


def evidence(**changes) -> RequestEvidence:
    plain = RequestEvidence(
        title="Fashion-MNIST",
        reference="DSR-17",
        asked=42,
        gone=2,
        owners=1,
        whole_owner=True,
        owners_simulated=False,
        near_copies=5,
        mode="joint",
        answers=AnswersEvidence(
            40,
            {"before": 40, "after": 31, "retrained": 30},
            {"before": 0.999, "after": 0.71, "retrained": 0.705},
        ),
        others=SideEffects(1, 9960, 300, 20, 5, (("a", 0, 1),) * 7, (("b", 0, 1),) * 2, 0.1),
        attack="LiRA online",
        privacy=privacy(before=84.0, after=51.0, retrained=50.0),
    )
    return replace(plain, **changes)


def words(html: str) -> str:
    """What a reader sees, with single blanks."""
    body = re.sub(r"<style>.*?</style>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


class Tags(HTMLParser):
    """Every tag and attribute of a document, and whether it is well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("known", [evidence(), None])
def test_it_is_one_well_formed_document_that_fetches_nothing(known):
    html = request_report(receipt(), known)
    tags = Tags(html).seen
    assert {tag for tag, _ in tags} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "section", "h1", "h2"),
        *("p", "b", "i", "small", "span", "ul", "li", "dl", "dt", "dd", "pre", "code"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    used = {name for _, attributes in tags for name in attributes}
    assert used <= {"lang", "charset", "name", "content", "class"}
    assert not re.search(r"url\(|@import|http|//", html)
    assert len(html.encode()) < 40_000


def test_it_tells_what_was_asked_done_and_measured():
    told = words(request_report(receipt(), evidence()))
    assert "Reference DSR-17" in told
    assert "25 November 2026, 04:12 UTC" in told
    assert "40 images, with every entry made of them, were removed from this model for good" in told
    assert "all 40 images of one owner" in told
    assert "2 more images of the request had been erased before" in told
    assert "5 near-copies in the memory" in told
    assert "40 of 40" in told
    assert "31 of 40" in told
    assert "over 99 %" in told
    assert (
        "the attacker picks the right one 84 times in 100 before deletion and 51 times in 100 "
        "after it; with a model that was never trained on them, 50 times in 100"
        in re.sub(" +([;.])", r"\1", told)
    )
    assert "84 times in 100 (81–87)" in told
    assert "can't be told from guessing" in told
    assert "7 of 9,960 in the memory and 2 of 300 test images get another answer" in told
    assert "as measured before the erasure, in the joint memory" in told
    assert "The network’s weights (model.safetensors): the shared weights stay." in told
    assert "+0.2 percentage points" in told
    assert "none that this measurement can tell from zero" in told
    assert "In the exact memory nothing remains in the weights, by construction" in told
    assert "munkey verify fashion --receipt receipt-fashion-3.json" in told
    assert "none of the 80 erased rows is in it" in told
    assert "It is not signed" in told
    assert "af" * 32 in told


def test_it_names_nobody():
    html = request_report(receipt(), evidence())
    for secret in ("ab" * 32, "cd" * 32, "01" * 32, "5a" * 32):
        assert secret not in html


def test_every_text_from_outside_is_escaped():
    html = request_report(
        receipt(
            bundle=EVIL,
            tool=EVIL,
            created=EVIL,
            modes=(EVIL,),
            purged=(Purged(EVIL, EVIL, 1),),
            remains=(Remaining(EVIL, EVIL),),
            signer=EVIL,
            hash=EVIL,
        ),
        evidence(title=EVIL, reference=EVIL, attack=EVIL),
    )
    assert "<script" not in html
    assert html.count("&lt;script") >= 10
    assert not {"script", "img", "a"} & {tag for tag, _ in Tags(html).seen}


def test_a_strange_name_can_neither_leave_a_folder_nor_run_a_command():
    names = file_names(receipt(bundle="../../x; rm -rf ~ "))
    assert names == ("receipt-x-rm--rf-3.json", "report-x-rm--rf-3.html")
    html = request_report(receipt(bundle="x; rm -rf ~"))
    assert "munkey verify &#39;x; rm -rf ~&#39; --receipt receipt-x-rm--rf-3.json" in html
    assert file_names(receipt(bundle="//"))[0] == "receipt-bundle-3.json"


def test_what_nobody_measured_is_said_to_be_missing():
    bare = words(request_report(receipt()))
    assert "Not at hand" in bare
    assert "times in 100" not in bare
    assert "They all had one owner" in bare
    answers = AnswersEvidence(40, {"before": 40, "after": 31}, {"before": 1.0, "after": 0.7})
    part = evidence(privacy=None, attack="", answers=answers, others=None)
    told = words(request_report(receipt(), part))
    assert "31 of 40" in told
    assert "times in 100" not in told
    assert "A model trained again without them" not in told
    assert "nobody can say how it would have answered" in told


def test_an_attack_without_a_figure_gives_no_sentence():
    told = words(request_report(receipt(), evidence(privacy=privacy(before=84.0))))
    assert "Shown one of" not in told
    assert "84 times in 100" in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"whole_owner": False, "owners": 4}, "40 images of 4 owners"),
        ({"whole_owner": False}, "40 images of one owner, who has more"),
        ({"whole_owner": False, "owners": 0}, "To erase 40 images."),
        ({"owners_simulated": True}, "owners are simulated in this data set"),
    ],
)
def test_whose_images_they_were(changes, said):
    assert said in words(request_report(receipt(), evidence(**changes)))


def test_a_copy_is_not_called_an_erasure_of_the_original():
    told = words(request_report(receipt(original_kept=True), evidence()))
    assert "The bundle itself was left as it was" in told
    assert "overwritten and removed" not in told


def test_times_are_for_people_and_nonsense_stays_nonsense():
    assert when("2026-01-02T03:04:05+00:00") == "2 January 2026, 03:04 UTC"
    assert when("2026-01-02T03:04:05+02:00") == "2 January 2026, 03:04 +02:00"
    assert when("soon") == "soon"
