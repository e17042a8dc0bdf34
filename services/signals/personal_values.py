"""Personal values with a structure: e-mail address, phone, payment card, IBAN, US social security number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from operator import itemgetter, le
from typing import Final, NamedTuple

from services.signals import email_addresses, phone_numbers
from services.signals._pattern_set import PatternSet
from services.signals.folding import Folded, fold
from services.signals.number_context import DigitText, leaping, of_a_thing
from services.signals.unspaced_scripts import set_apart

SAMPLE_CARDS: Final = frozenset(
    {"4111111111111111", "4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222"}
    | {"5200828282828210", "5105105105105100", "378282246310005", "371449635398431", "378734493671000"}
    | {"6011111111111117", "6011000990139424", "6011000000000004", "30569309025904", "38520000023237"}
    | {"3056930009020004", "3566002020360505", "3530111333300000", "4012888888881881", "4222222222222"}
    | {"5454545454545454", "4000000000000002", "4539578763621486", "4532015112830366", "4916338506082832"}
)
"""Test numbers that payment providers and tutorials publish."""

SAMPLE_SSNS: Final = frozenset(
    {"123456789", "078051120", "219099999", "457555462", "111223333", "123121234", "001010001", "987654321"}
)
SAMPLE_IBANS: Final = frozenset(
    {"DE89370400440532013000", "GB29NWBK60161331926819", "GB82WEST12345698765432", "FR1420041010050500013M02606"}
    | {"NL91ABNA0417164300", "CH9300762011623852957", "ES9121000418450200051332", "IT60X0542811101000000123456"}
    | {"BE68539007547034", "AT611904300234573201", "FR7630006000011234567890189", "GB33BUKB20201555555555"}
)

_COUNTRIES_BY_LENGTH: Final = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH CR HR LI LV",
    22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT ST",
    26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB PL", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT SC", 32: "LC",
}  # fmt: skip
IBAN_LENGTH: Final = {
    country: length for length, countries in _COUNTRIES_BY_LENGTH.items() for country in countries.split()
}
"""Country to the length of its IBAN (the SWIFT registry)."""

_CARD_AFTER = r"[0-9]{3}(?:[ -]?[0-9]){8,15}"
_CARD = rf"[1-6]{_CARD_AFTER}"
_CARD_WORDS = (
    "card|cc|visa|mastercard|maestro|amex|american express|kreditkarte|kreditkartennummer|karte|kartennummer"
    "|carte|carte bancaire|tarjeta|carta|cart\u00e3o|creditcard|kaart"
)
_ANY_CARD = r"([0-9](?:[ -]?[0-9]){11,18})"
_SSN_NAMES = r"social[ _-]?security|s\.? ?s\.? ?n\.?|ss ?#|soc\.? sec\.?"
_ANY_SSN = r"([0-9]{3})([ .-]?)([0-9]{2})([ .-]?)([0-9]{4})"

IBAN: Final = re.compile(r"([A-Za-z](?<![A-Za-z0-9][A-Za-z])[A-Za-z])[ -]?[0-9]{2}(?=[ -]?[A-Za-z0-9])")
CARD: Final = re.compile(rf"[1-6](?<![\w.+-][1-6]){_CARD_AFTER}(?![\w-]|\.[0-9])")
"""What may stand before them is looked at behind their first character: `re` then leaps to those."""
SSN: Final = re.compile(r"-([0-9]{2})-([0-9]{4})(?![\w-])(?<=(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4})")
"""Behind its area, to whose hyphen `re` leaps; the three digits are looked at last."""
_AREA = 3
NAMED_CARD: Final = re.compile(rf"{leaping(_CARD_WORDS)}(?![^\W_])[^0-9\n]{{0,24}}{_ANY_CARD}(?![0-9])")
"""Of a text in lower case."""
NAMED_SSN: Final = re.compile(rf"{leaping(_SSN_NAMES)}(?![^\W_])[^0-9\n]{{0,30}}(?<![0-9]){_ANY_SSN}(?![0-9]|-[0-9])")
"""Of a text in lower case."""


class PersonalValue(NamedTuple):
    """One personal value in a text, by its kind and its plain form, `key`."""

    kind: str
    start: int
    end: int
    key: str

    @property
    def sample(self) -> bool:
        """Documented example, placeholder or an organisation's own contact; judged once somebody asks."""
        return _IS_SAMPLE[self.kind](self.key)


_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
"""Digit to the digit sum of its double."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the right Luhn check digit (ISO/IEC 7812-1)."""
    raw = digits.encode("ascii")
    total = sum(raw[-1::-2]) + sum(raw[-2::-2].translate(_DOUBLED)) - ord("0") * len(raw)
    return total % 10 == 0


_AS_NUMBER: Final = {one: str(int(one, 36)) for one in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_COUNTRY_AS_NUMBER: Final = {country: "".join(map(_AS_NUMBER.__getitem__, country)) for country in IBAN_LENGTH}


def iban_valid(value: str) -> bool:
    """Whether an IBAN has its country's length and leaves 1 modulo 97 (ISO 13616)."""
    if len(value) != IBAN_LENGTH.get(value[:2]):
        return False
    account = value[4:]
    if not account.isdecimal():
        account = "".join(map(_AS_NUMBER.__getitem__, account))
    return int(account + _COUNTRY_AS_NUMBER[value[:2]] + value[2:4]) % 97 == 1


def squeeze(value: str) -> str:
    """The letters and digits of a value, upper case: how two spellings of one value compare."""
    return "".join(filter(str.isalnum, value)).upper()


def personal_values(text: str) -> tuple[PersonalValue, ...]:
    """Every structured personal value of a text, from left to right and disjoint, in time linear in the text.

    Typographic spellings are read as plain ones; `start` and `end` are places in `text` as it is.
    """
    return values_of(fold(text))


def values_of(folded: Folded) -> tuple[PersonalValue, ...]:
    """The same of a folded text.

    Where two forms overlap (a card number also reads as a phone number), what the first of `_FORMS` says holds,
    for all that either covers.
    """
    digits = DigitText(text := set_apart(folded.text))
    found = _SCAN.found(text)
    values = [
        value
        for form in _FORMS
        if form.name in found
        for value in map(_VALUE, ((form.kind, start, end, key) for start, end, key in form.find(digits)))
    ]
    if len(found) > 1:
        values = _disjoint(sorted(values, key=_START))
    if folded.plain:
        return tuple(values)
    return tuple(PersonalValue(kind, *folded.original(start, end), key) for kind, start, end, key in values)


_VALUE: Final[Callable[[tuple[str, int, int, str]], PersonalValue]] = partial(tuple.__new__, PersonalValue)
"""Without a call of Python's for each: a hostile text makes tens of thousands of them."""
_START, _END = itemgetter(1), itemgetter(2)


def _disjoint(values: list[PersonalValue]) -> list[PersonalValue]:
    """Values that overlap as one, of the kind that ranks first."""
    if all(map(le, map(_END, values), map(_START, values[1:]))):
        return values
    merged: list[PersonalValue] = []
    reached = 0
    for one in values:
        _, start, end, _ = one
        if start >= reached:
            merged.append(one)
            reached = end
        else:
            first = merged[-1]
            best = min(first, one, key=lambda value: _RANK[value.kind])
            reached = max(reached, end)
            merged[-1] = best._replace(start=first.start, end=reached)
    return merged


def _bare(number: str) -> str:
    """A number whose groups are parted by spaces and hyphens alone, without them."""
    return number.replace(" ", "").replace("-", "")


def _ibans(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    read: dict[str, tuple[int, str] | None] = {}  # a text may hold one candidate ten thousand times
    text = digits.text
    for match in digits.matches(IBAN):
        length = IBAN_LENGTH.get(match[1].upper())
        if length is None:
            continue
        start = match.start()
        candidate = text[start : start + 2 * length]  # with a space after each, and what follows the last
        if candidate not in read:
            read[candidate] = _iban(candidate, length)
        if (found := read[candidate]) is not None:
            yield start, start + found[0], found[1]


def _iban(candidate: str, length: int) -> tuple[int, str] | None:
    """Characters and plain form of the IBAN at the beginning of a text."""
    whole = _of_length(length).match(candidate)
    if whole is None or not iban_valid(key := _bare(whole[0]).upper()):
        return None
    return whole.end(), key


@cache
def _of_length(length: int) -> re.Pattern[str]:
    """Letters and digits, `length` of them, with a space or hyphen between."""
    return re.compile(rf"[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){{{length - 1}}}(?![A-Za-z0-9])")


def _cards(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    text = digits.text
    for match in digits.matches(CARD):
        start, end = match.span()
        groups = match[0]
        for _ in range(_MOST_AFTER + 1):
            key = _bare(groups)
            if len(key) < _SHORTEST_CARD:
                break
            if _card_prefix(key) and luhn(key):
                if not _in_a_row(text, start, end) and not of_a_thing(text, start):
                    yield start, end, key
                break
            groups = groups.rpartition(" ")[0]  # an expiry date or a security code may follow a card
            end = start + len(groups)


_MOST_AFTER = 5
_SHORTEST_CARD = 14
_LONGEST_CARD = 16
"""Of those that `_card_prefix` knows."""


def _in_a_row(text: str, start: int, end: int) -> bool:
    """Whether groups of four digits that are no card stand right before or after: a table of numbers."""
    if " " not in text[start:end]:
        return False
    before, after = text[max(start - _NEARBY, 0) : start], text[end : end + _NEARBY]
    if _FOUR_BEFORE.search(before) or _FOUR_AFTER.match(after):
        return True
    rows = (_ROW_BEFORE.search(before), _ROW_AFTER.match(after))
    return any(row is not None and not luhn(squeeze(row[1])) for row in rows)


_NEARBY = 80
_FOUR_BEFORE = re.compile(r"[0-9]{4}[ ,;]{1,2}$")
_FOUR_AFTER = re.compile(r"[ ,;]{1,2}[0-9]{4}(?![0-9/])")
_ROW = r"([0-9]{1,4}(?:[ .,;|\t]{1,3}[0-9]{1,4}){2,12})"
_ROW_BEFORE = re.compile(rf"(?:^|\n|[A-Za-z]:? ?){_ROW}[ |]{{0,3}}\n(?:[a-z]:)?[ |]{{0,3}}$")
_ROW_AFTER = re.compile(rf"[ |]{{0,3}}\n(?:[A-Za-z]{{1,6}}:?)?[ |]{{0,3}}{_ROW}[ |]{{0,3}}(?:\n|$)")


def _named_cards(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    for match in digits.matches_in_lower_case(NAMED_CARD):
        key = _bare(match[1])
        if luhn(key):
            yield *match.span(1), key


def _sample_card(key: str) -> bool:
    return key in SAMPLE_CARDS or len(set(key)) < 4 or "00000000" in key


def _addresses(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    return email_addresses.addresses(digits.text)


def _card_prefix(key: str) -> bool:
    """Whether start and length are those of Visa, Mastercard, Amex, Diners, JCB, Discover or Maestro.

    Visa's 13 digits and all of 17 to 19 count only after a card's word: most such numbers are bar codes, times or
    keys of a database.
    """
    size = len(key)
    if not _SHORTEST_CARD <= size <= _LONGEST_CARD:
        return False
    head = int(key[:4])
    return (
        (key[0] in "46" and size == 16)
        or ((5100 <= head <= 5599 or 2221 <= head <= 2720 or key[:2] == "35") and size == 16)
        or (key[:2] in {"34", "37"} and size == 15)
        or ((3000 <= head <= 3059 or key[:2] in {"36", "38", "39"}) and size == 14)
        or ((head in {1800, 2131}) and size == 15)
    )


def _social_security(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    for match in digits.matches(SSN):
        start, end = match.start() - _AREA, match.end()
        area, group, serial = digits.text[start : start + _AREA], *match.groups()
        if _ssn_valid(area, group, serial) and not of_a_thing(digits.text, start):
            yield start, end, area + group + serial


def _named_social_security(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    for match in digits.matches_in_lower_case(NAMED_SSN):
        area, first, group, second, serial = match.groups()
        if first == second and _ssn_valid(area, group, serial):
            yield match.start(1), match.end(), area + group + serial


def _ssn_valid(area: str, group: str, serial: str) -> bool:
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _sample_ssn(key: str) -> bool:
    return key in SAMPLE_SSNS or len(set(key)) < 3


_IS_SAMPLE: Final[Mapping[str, Callable[[str], bool]]] = {
    "email": email_addresses.is_nobodys,
    "iban": SAMPLE_IBANS.__contains__,
    "card": _sample_card,
    "ssn": _sample_ssn,
    "phone": phone_numbers.is_nobodys,
}


@dataclass(frozen=True, slots=True)
class _Form:
    """One form: what hyperscan looks for (over bytes, so with wider gaps than `re`), and what confirms it."""

    name: str
    kind: str
    wide: str
    find: Callable[[DigitText], Iterator[tuple[int, int, str]]]


_FORMS: Final = (
    _Form("email", "email", r"[^\s]@[^\s]{1,200}\.[^\s]", _addresses),
    _Form("iban", "iban", r"[A-Z]{2}[ -]?[0-9]{2}(?:[ -]?[A-Z0-9]){11}", _ibans),
    _Form("card", "card", _CARD, _cards),
    _Form("named_card", "card", rf"(?:{_CARD_WORDS})[^0-9\n]{{0,96}}{_ANY_CARD}", _named_cards),
    _Form("ssn", "ssn", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", _social_security),
    _Form("named_ssn", "ssn", rf"(?:{_SSN_NAMES})[^0-9\n]{{0,120}}{_ANY_SSN}", _named_social_security),
    _Form("world_phone", "phone", phone_numbers.WIDE_WORLD, phone_numbers.world_phones),
    _Form("us_phone", "phone", phone_numbers.WIDE_US, phone_numbers.us_phones),
    _Form("named_phone", "phone", phone_numbers.WIDE_NAMED, phone_numbers.named_phones),
)
"""The stricter form first."""
_RANK: Final = {kind: rank for rank, kind in enumerate(dict.fromkeys(form.kind for form in _FORMS))}

_ACCENTED = re.compile(r"\\u[0-9a-f]{4}|[^\x00-\x7f]")
_SCAN: Final = PatternSet({form.name: _ACCENTED.sub(r"[\\x80-\\xff]{1,4}", form.wide) for form in _FORMS})
