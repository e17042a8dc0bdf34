"""A value is read the same in every spelling, and its mask stands where the spelling stood."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signals import folding
from services.signals.folding import code_points, fold, lowered

SPELLINGS = {
    "415-627-3384": [
        "415\u2011627\u20113384",
        "415\u2013627\u22123384",
        "\uff14\uff11\uff15\uff0d\uff16\uff12\uff17\uff0d\uff13\uff13\uff18\uff14",
        "\u0664\u0661\u0665-\u0666\u0662\u0667-\u0663\u0663\u0668\u0664",
        "\u096a\u0967\u096b-\u096c\u0968\u096d-\u0969\u0969\u096e\u096a",
        "415\u200b-\u200b627-\u20603384",
        "4\u00ad15-627-33\u00ad84",
        "415\\-627\\-3384",
        "415-**627**-3384",
        "415&#45;627&ndash;3384",
        "\U0001d7d2\U0001d7cf\U0001d7d3-627-3384",
    ],
    "jana_roe@keller.de": [
        "jana\\_roe@keller.de",
        "jana\\_roe\\@keller\\.de",
        "jana_roe&#64;keller.de",
        "jana_roe&commat;keller&period;de",
        "jana_roe%40keller.de",
        "jana_roe\uff20keller\uff0ede",
        "jana_\u200broe@kel\u00adler.de",
        "jana_roe**@**keller.de",
        "&#106;ana_roe@keller.d&#101;",
        "\uff4aana_roe@keller.de",
    ],
    "DE75 5121": ["DE75\u00a05121", "DE75\u202f5121", "DE75\u20075121", "DE75\u20095121", "DE75&nbsp;5121"],
}


@pytest.mark.parametrize(
    ("plain", "spelled"), [(plain, spelled) for plain, others in SPELLINGS.items() for spelled in others]
)
def test_a_value_is_read_the_same_and_found_where_it_stood(plain: str, spelled: str) -> None:
    text = f"\u201cIs it \\*{spelled}\\*?\u201d\u200b"
    folded = fold(text)
    start = folded.text.index(plain)
    assert text[slice(*folded.original(start, start + len(plain)))] == spelled


@pytest.mark.parametrize(
    "text",
    ["", "plain", "2**64 and 3 * 4", "x\u00b2 10\u2075 \u00bd", "\u00c5 na\u00efve \u0436", "C:\\dir\\name", "a\tb\n"],
)
def test_what_means_something_else_stays(text: str) -> None:
    assert fold(text).text == text


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\\&#;64%40*`-@1\u200b\u2011\uff11")), max_size=60))
def test_every_part_of_a_folded_text_leads_back_to_the_original(text: str) -> None:
    folded = fold(text)
    ends = 0
    for at in range(len(folded.text)):
        start, end = folded.original(at, at + 1)
        assert ends <= start < end <= len(text)
        assert end == start + 1 or text[start] in "\\&%\uff3c\uff06\uff05"
        ends = end


@pytest.mark.parametrize("piece", ["\\", "\\_", "&#64;", "&", "a\u200b", "1*1-", "%40", "\u2011"])
def test_folding_is_linear(piece: str) -> None:
    fold(piece)
    began = time.thread_time()
    fold(piece * (1024 * 1024 // len(piece)))
    assert time.thread_time() - began < 5  # a part of a second; quadratic work would take hours


@pytest.mark.parametrize("pattern", ["[a-z]", "[\u00df-\u00ff]", "i", "k", "s", r"\w", r"\s", r"[^\W\d_]"])
def test_patterns_find_in_lower_case_what_they_find_without_regard_to_case(pattern: str) -> None:
    every = "".join(map(chr, range(0x110000)))
    low = lowered(every)
    assert len(low) == len(every)
    found, expected = re.finditer(pattern, low), re.finditer(pattern, every, re.IGNORECASE)
    assert [one.start() for one in found] == [one.start() for one in expected]


@given(st.text(alphabet="\\\\\\*`&#64;@%40 (1).a", max_size=40))
def test_escapes_and_the_rest_are_what_one_pattern_for_both_finds(text: str) -> None:
    starts, ends = folding._escapes(code_points(text))
    beside = [match.span() for match in folding._BESIDE_ESCAPES.finditer(text)]
    both = sorted([*zip(starts.tolist(), ends.tolist(), strict=True), *beside])
    assert both == [match.span() for match in folding._SPELLED.finditer(text)]
