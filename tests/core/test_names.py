"""What looks the same is the same name; what looks alike and isn't is told."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from munkey_core.files.names import compared, lookalikes, spelled_once, tidied

PERSIAN = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
FAMILY = "\U0001f469\u200d\U0001f467"
UNSEEN = (
    "\u00ad\u034f\u061c\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2064\u3164\ufe0f\ufeff\ufff9"
)
BLANKS = "\u0020\u0009\u00a0\u1680\u2000\u2003\u2007\u2009\u202f\u205f\u3000"


@pytest.mark.parametrize("char", UNSEEN)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_what_nobody_sees_makes_no_other_name(char, place):
    typed = "Ann"[:place] + char + "Ann"[place:]
    assert tidied(typed) == compared(typed) == "Ann"


@pytest.mark.parametrize("blank", BLANKS)
def test_all_blanks_are_one(blank):
    assert tidied(f"{blank}Ann{blank}{blank}Lee{blank}") == "Ann Lee"


@pytest.mark.parametrize("name", ["José", "Zoë Müller", "Đặng Thị", "각하", "Ω"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_are_one_however_they_are_composed(name, form):
    typed = unicodedata.normalize(form, name)
    assert tidied(typed) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", [PERSIAN, FAMILY, "❤\ufe0f"])
def test_joiners_that_shape_a_name_are_kept_and_not_compared(name):
    bare = name.replace("\u200c", "").replace("\u200d", "").replace("\ufe0f", "")
    assert tidied(name) == name
    assert compared(name) == compared(bare) == bare
    assert spelled_once([name, bare, name + "\u200b"]) == (name,) * 3


@given(st.text(alphabet=st.sampled_from(UNSEEN + BLANKS + "aAé\u0301\u0639漢\U0001f469ﬁ")))
def test_one_form_stays_as_it_is(text):
    assert tidied(tidied(text)) == tidied(text)
    assert compared(tidied(text)) == compared(compared(text)) == compared(text)
    assert not set(tidied(text)) & (set(BLANKS) - {" "})


@pytest.mark.parametrize("other", ["ANN", "ann", "\u0410nn", "\uff21nn", "A nn", "\u0391nn"])
def test_names_that_only_look_alike_stay_apart_and_are_told(other):
    assert compared(other) != "Ann"
    assert lookalikes(["Ann"], ["Bob", other, "Ann", "Anna"]) == (("Ann", other),)


@pytest.mark.parametrize("other", ["Anna", "Bob", "", "customer-0002", "Änn"])
def test_other_names_do_not_look_alike(other):
    assert lookalikes(["Ann", "customer-0001"], [other, "Ann"]) == ()
