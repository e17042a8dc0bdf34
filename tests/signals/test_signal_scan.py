"""The one fast pass never misses what the precise patterns would have found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.signals import email_addresses, personal_values, phone_numbers, secret_leak
from services.signals._pattern_set import PatternSet
from services.signals.folding import fold
from services.signals.number_context import DigitText
from services.signals.secret_forms import FORMS
from services.signals.secret_leak import ASSIGNMENT, JWT, NAMED_KEY, URL_PASSWORD
from tests.support.keys import KEYS, draw_form

PIECES = st.lists(
    st.one_of(
        st.text(alphabet="0123456789", min_size=1, max_size=6),
        st.sampled_from(list(" -.()+/x:@\n")),
        st.sampled_from(
            [
                "call",
                "phone",
                "card",
                "+49",
                "001-",
                "DE",
                "\u00e9",
                "m\u00fcller@web.de",
                "password",
                " is ",
                "http://a",
                "SSN",
                "t\u00e9l\u00e9phone",
                "TEL\u00c9FONO",
                "m\u00f3vil",
                "\u2011",
                "536 22 8726",
                "cart\u00e3o",
            ]
        ),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(PIECES)
def test_what_a_form_of_personal_value_finds_was_announced(pieces: list[str]) -> None:
    text = fold("".join(pieces)).text
    found = personal_values._SCAN.found(text)
    for form in personal_values._FORMS:
        if any(True for _ in form.find(DigitText(text))):
            assert form.name in found


FAR: Final = [" " * 63, " " * 70, "x " * 70, "\n" * 65, "a@b.de", "o'neil@web.de", "." * 600]
NUMBERS: Final = {
    "iban": personal_values.IBAN,
    "card": personal_values.CARD,
    "ssn": personal_values.SSN,
    "world phone": phone_numbers.WORLD_PHONE,
    "us phone": phone_numbers.US_PHONE,
}
NAMED_NUMBERS: Final = (personal_values.NAMED_CARD, personal_values.NAMED_SSN, phone_numbers.NAMED_PHONE)


@settings(max_examples=300)
@given(PIECES, st.lists(st.sampled_from(FAR), max_size=4), st.randoms(use_true_random=False))
def test_what_is_looked_for_in_some_places_stands_in_no_others(
    pieces: list[str], far: list[str], random: Random
) -> None:
    mixed = [*pieces, *far]
    random.shuffle(mixed)
    text = "".join(mixed)
    digits = DigitText(text)
    for name, pattern in NUMBERS.items():
        assert _spans(digits.matches(pattern)) == _spans(pattern.finditer(text)), name
    for pattern in NAMED_NUMBERS:
        loud = re.compile(pattern.pattern, re.IGNORECASE)
        assert _spans(digits.matches_in_lower_case(pattern)) == _spans(loud.finditer(text))
    everywhere = [match[0] for match in email_addresses.EMAIL.finditer(text)]
    assert {address for _, _, address in email_addresses.addresses(text)} <= set(everywhere)
    assert [match[0] for match in email_addresses.around_signs(text)] == everywhere


def _spans(matches: Iterator[re.Match[str]]) -> list[tuple[int, int]]:
    return [match.span() for match in matches]


@settings(max_examples=300)
@given(PIECES, st.sampled_from(sorted(KEYS)), st.integers(0, 1000))
def test_what_a_form_of_key_finds_was_announced_where_it_stands(pieces: list[str], kind: str, seed: int) -> None:
    text = "".join([*pieces, " ", KEYS[kind](Random(seed)), *reversed(pieces)])
    windows = secret_leak._scan().windows(text)
    patterns = {str(at): form.pattern for at, form in enumerate(FORMS)}
    named = {"jwt": JWT, "url": URL_PASSWORD, "assignment": ASSIGNMENT, "named": NAMED_KEY}
    for name, pattern in {**patterns, **named}.items():
        parts = windows.get(name, [])
        within = [match.span() for part in parts for match in pattern.finditer(text, *part)]
        assert within == [match.span() for match in pattern.finditer(text)], name


@pytest.mark.parametrize("at", range(len(FORMS)), ids=lambda at: FORMS[at].label)
def test_every_form_is_announced_at_both_ends_of_a_long_text(at: int) -> None:
    for seed in range(5):
        key = draw_form(FORMS[at], Random(seed))
        for text in (key, f"{'a ' * 500}{key}", f"{key}{' a' * 500}", f"\u00e9{key}\u2014"):
            windows = secret_leak._scan().windows(text)[str(at)]
            assert any(match[0] == key for part in windows for match in FORMS[at].pattern.finditer(text, *part))


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "na\u00efve \u2013 ok"])
def test_any_text_can_be_scanned(text: str) -> None:
    assert PatternSet({"ok": "ok$"}).found(text) == ({"ok"} if text.endswith("ok") else frozenset())
