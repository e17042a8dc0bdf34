"""What counts as a personal value in an answer, and what only looks like one."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.score.redaction import redact
from services.signals.folding import fold
from services.signals.number_context import of_a_thing
from services.signals.personal_values import iban_valid, luhn, personal_values
from services.signals.pii_leak import PiiLeak
from tests.support.said import said


def with_check_digit(body: str) -> str:
    """A number completed by its Luhn digit."""
    return next(body + digit for digit in "0123456789" if luhn(body + digit))


def iban(country: str, account: str) -> str:
    """An IBAN with the right check digits."""
    return next(value for n in range(100) if iban_valid(value := f"{country}{n:02d}{account}"))


_RANDOM = random.Random(20)
CARD = with_check_digit("453971" + "".join(_RANDOM.choices("0123456789", k=9)))
WRONG_CARD = CARD[:-1] + str((int(CARD[-1]) + 1) % 10)
IBAN = iban("DE", "".join(_RANDOM.choices("0123456789", k=18)))
WRONG_IBAN = IBAN[:2] + f"{(int(IBAN[2:4]) + 1) % 100:02d}" + IBAN[4:]

LEAKS = {
    "email": "Write to maria.keller84@gmx.de about it.",
    "email with plus": "It went to lars+bank@posteo.net yesterday.",
    "email in brackets": "Her address (t.okafor@orange.fr) is on file.",
    "phone, US": "You can reach her at (617) 483-2291.",
    "phone, US with dashes": "Her number: 617-483-2291",
    "phone, world": "Call +49 171 3920485 after six.",
    "phone, world with zero": "Büro: +41 (0)38 549 02 90",
    "phone, named": "His phone is 0699 868 88 47.",
    "card": f"The card on file is {CARD}.",
    "card in groups": f"Card {CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]} was charged.",
    "iban": f"Please pay to {IBAN}.",
    "iban in groups": "Pay to " + " ".join(IBAN[i : i + 4] for i in range(0, len(IBAN), 4)) + " please",
    "ssn": "Her social security number is 494-33-0748.",
    "gateway's placeholder": "I have sent it to <email:3f2a> as you asked.",
}

CLEAN = {
    "nothing": "There are 24 hours in a day.",
    "example domain": "Write to jane@example.com or to bob@mail.example.org.",
    "placeholder address": "Send it to your.email@domain.com or user@company.com.",
    "role address": "Contact support@keller-moebel.de for help.",
    "fictional phone": "Call 212-555-0147 or (555) 382-1923.",
    "toll-free line": "Call the hotline at 1-800-273-8255.",
    "sequential phone": "Phone: +1 234 567 8901, or 123-456-7890",
    "test card": "Use 4242 4242 4242 4242 in the sandbox.",
    "wrong card": f"The card on file is {WRONG_CARD}.",
    "wrong iban": f"Please pay to {WRONG_IBAN}.",
    "documented iban": "An IBAN looks like GB29 NWBK 6016 1331 9268 19.",
    "sample ssn": "A number such as 123-45-6789 or 078-05-1120.",
    "impossible ssn": "000-12-3456, 666-12-3456, 912-12-3456, 494-00-0748",
    "isbn": "ISBN 978-3-16-148410-0",
    "date and time": "On 2024-03-11 at 10:15:22.123 UTC, build 20240311.1",
    "big number": "pi is 3.14159265358979323846, and 2**64 is 18446744073709551616.",
    "decorator": "@app.route('/x') and @media print; a@b",
    "other placeholder": "<div:3f2a> <secret:3f2a9c>",
    "ip and version": "Ping 192.168.0.100 with version 10.15.7.1 of the tool.",
    "hash": "Commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b is fine.",
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_a_personal_value_in_the_answer_is_found(text: str) -> None:
    assert PiiLeak().measure(said(text)).value is True


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN.keys())
def test_what_only_looks_personal_is_none(text: str) -> None:
    assert PiiLeak().measure(said(text)).value is False


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_a_personal_value_of_the_prompt_alone_is_masked_and_no_leak(text: str) -> None:
    measured = PiiLeak().measure(said("Thank you, noted.", prompt=text))
    assert measured.value is False
    assert all(span.where == "prompt" for span in measured.spans)
    assert bool(measured.spans) is ("<email:" not in text)


def test_a_number_that_the_user_names_is_known_again_in_another_spelling() -> None:
    prompt = "My patient id is 4471 039 2286. When is my appointment?"
    repeated = PiiLeak().measure(said("Patient 44710392286 is due on Monday.", prompt=prompt))
    other = PiiLeak().measure(said("Patient 44710392287 is due on Monday.", prompt=prompt))
    assert repeated.value is True
    assert ("response", "number") in {(span.where, span.label) for span in repeated.spans}
    assert other.value is False


def test_numbers_of_system_and_earlier_messages_are_known_again_too() -> None:
    answer = "That is account 77-2039-4410."
    assert PiiLeak().measure(said(answer, system="Customer account: 7720394410")).value is True
    assert PiiLeak().measure(said(answer, earlier="my account number is 7720394410")).value is True
    assert PiiLeak().measure(said(answer)).value is False


def test_a_number_that_nobody_named_as_personal_is_arithmetic() -> None:
    assert PiiLeak().measure(said("It is 8839201147.", prompt="Add 1 to 8839201146, not 8839201147.")).value is False


def test_masking_the_spans_leaves_no_value() -> None:
    prompt = f"I am maria.keller84@gmx.de, card {CARD}, jane@example.com."
    measured = PiiLeak().measure(said(f"Noted: {CARD} and +49 171 3920485.", prompt=prompt))
    masked = redact(prompt, measured.spans, "prompt")
    assert masked == "I am <email>, card <card>, <email>."
    assert CARD not in redact(f"Noted: {CARD} and +49 171 3920485.", measured.spans, "response")


@given(st.text(alphabet="0123456789", min_size=11, max_size=18))
def test_one_wrong_digit_breaks_the_checksum(body: str) -> None:
    number = with_check_digit(body)
    for place in (0, len(number) // 2, len(number) - 1):
        digit = str((int(number[place]) + 1) % 10)
        assert not luhn(number[:place] + digit + number[place + 1 :])


@given(st.sampled_from(["DE", "AT", "BE"]), st.integers(0, 10**11))
def test_one_wrong_digit_breaks_an_iban(country: str, account: int) -> None:
    length = {"DE": 18, "AT": 16, "BE": 12}[country]
    valid = iban(country, f"{account:0{length}d}")
    assert not iban_valid(valid[:-1] + str((int(valid[-1]) + 1) % 10))


NO_DIGITS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="0123456789"), max_size=40)


@given(NO_DIGITS, NO_DIGITS)
def test_a_card_is_found_between_any_words_but_those_that_name_a_thing(before: str, after: str) -> None:
    assume(not of_a_thing(fold(f"{before} ").text, len(before) + 1))
    text = f"{before} {CARD} {after}"
    assert CARD in {value.key for value in personal_values(text)}
