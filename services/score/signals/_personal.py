"""Personal values that have a structure: e-mail, phone, payment card, IBAN, US social security number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from services.score.signals._personal_samples import (
    IBAN_LENGTH,
    ROLE_LOCAL,
    SAMPLE_CARDS,
    SAMPLE_DOMAIN,
    SAMPLE_IBANS,
    SAMPLE_LOCAL,
    SAMPLE_SSNS,
    TOLL_FREE,
)
from services.score.signals._scan import PatternSet

_IBAN = r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?"
_CARD = r"[1-6][0-9]{3}(?:[ -]?[0-9]){8,15}"
_SSN = r"([0-9]{3})-([0-9]{2})-([0-9]{4})"
_WORLD_PHONE = r"[1-9][0-9]{0,2}(?:[ .()/-]{0,3}[0-9]){7,12}"
_US_PHONE = r"(?:\(([2-9][0-9]{2})\)[ ]?|([2-9][0-9]{2})([ .-]))([2-9][0-9]{2})([ .-])([0-9]{4})"
_PHONE_WORD = (
    r"(?:phone|telephone|tel|mobile|cell|fax|call|text|reach|contact|whatsapp|number is|answering at|messages? to)"
)
_ANY_PHONE = r"([+(]?[0-9](?:[ ./()-]{0,2}[0-9]){6,13})"
_CARD_WORD = r"(?:card|cc|visa|mastercard|maestro|amex)"
_ANY_CARD = r"([0-9](?:[ -]?[0-9]){11,18})"

EMAIL: Final = re.compile(r"(?<![\w.%+-])([^\W_][\w.%+-]{0,63})@((?:[\w-]{1,63}\.){1,5}[^\W\d_]{2,24})(?![\w@])")
IBAN: Final = re.compile(rf"(?<![A-Za-z0-9]){_IBAN}(?![A-Za-z0-9])")
CARD: Final = re.compile(rf"(?<![\w.+-]){_CARD}(?![\w-]|\.[0-9])")
SSN: Final = re.compile(rf"(?<![\w-]){_SSN}(?![\w-])")
WORLD_PHONE: Final = re.compile(rf"(?<![\w+])(?:\+|00(?=[1-9][0-9]?[ -])){_WORLD_PHONE}(?![0-9])(?:x[0-9]{{1,5}})?")
US_PHONE: Final = re.compile(rf"(?<![\w.+-])(?:001-|1[ .-])?{_US_PHONE}(?:x[0-9]{{1,5}})?(?![\w-])")
NAMED_PHONE: Final = re.compile(
    rf"(?<![a-z]){_PHONE_WORD}(?![a-z])[^0-9\n+(]{{0,24}}\n?{_ANY_PHONE}(?![0-9])", re.IGNORECASE
)
NAMED_CARD: Final = re.compile(rf"(?<![a-z]){_CARD_WORD}(?![a-z])[^0-9\n]{{0,24}}{_ANY_CARD}(?![0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Value:
    """One personal value in a text. `sample`: documented example, placeholder or an organisation's own contact."""

    kind: str
    start: int
    end: int
    key: str
    sample: bool


def luhn(digits: str) -> bool:
    """Whether the last digit is the right Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def iban_valid(value: str) -> bool:
    """Whether an IBAN has its country's length and leaves 1 modulo 97 (ISO 13616)."""
    if len(value) != IBAN_LENGTH.get(value[:2]):
        return False
    return int("".join(str(int(letter, 36)) for letter in value[4:] + value[:4])) % 97 == 1


def squeeze(value: str) -> str:
    """The letters and digits of a value, upper case: how two spellings of one value compare."""
    return "".join(filter(str.isalnum, value)).upper()


def scan(text: str) -> frozenset[str]:
    """Which forms may occur in a text, and whether a `number` of five digits or a gateway's placeholder does."""
    return _SCAN.found(text)


def values(text: str, found: frozenset[str]) -> tuple[Value, ...]:
    """Every structured personal value of a text, from left to right and disjoint, in linear time.

    Where two forms overlap (a card number also reads as a phone number), what the first of `_FORMS` says holds,
    for all that either covers. `found` is what `scan` says of the text.
    """
    if not found:
        return ()
    ranked = [(value, rank) for rank, form in enumerate(_FORMS) if form.name in found for value in form.find(text)]
    groups: list[list[tuple[Value, int]]] = []
    end = 0
    for value, rank in sorted(ranked, key=lambda one: (one[0].start, one[1])):
        if groups and value.start < end:
            groups[-1].append((value, rank))
        else:
            groups.append([(value, rank)])
        end = max(end, value.end)
    return tuple(map(_merged, groups))


def _merged(group: list[tuple[Value, int]]) -> Value:
    first = min(group, key=lambda one: one[1])[0]
    return replace(first, start=min(one.start for one, _ in group), end=max(one.end for one, _ in group))


def _emails(text: str) -> Iterator[Value]:
    for match in EMAIL.finditer(text):
        local, domain = match[1], match[2]
        sample = bool(SAMPLE_DOMAIN.search(domain) or SAMPLE_LOCAL.search(local) or ROLE_LOCAL.search(local))
        yield Value("email", *match.span(), match[0].lower(), sample)


def _ibans(text: str) -> Iterator[Value]:
    for match in IBAN.finditer(text):
        key = squeeze(match[0])
        if key.isascii() and iban_valid(key):
            yield Value("iban", *match.span(), key, key in SAMPLE_IBANS)


def _cards(text: str) -> Iterator[Value]:
    for match in CARD.finditer(text):
        key = squeeze(match[0])
        if luhn(key) and _card_prefix(key):
            yield Value("card", *match.span(), key, _sample_card(key))


def _named_cards(text: str) -> Iterator[Value]:
    for match in NAMED_CARD.finditer(text):
        key = squeeze(match[1])
        if luhn(key):
            yield Value("card", *match.span(1), key, _sample_card(key))


def _sample_card(key: str) -> bool:
    return key in SAMPLE_CARDS or len(set(key)) < 4 or "00000000" in key


def _card_prefix(key: str) -> bool:
    """Whether start and length are those of Visa, Mastercard, Amex, Diners, JCB, Discover or Maestro."""
    size, head = len(key), int(key[:4])
    return (
        (key[0] == "4" and size in {13, 16, 19})
        or ((5100 <= head <= 5599 or 2221 <= head <= 2720) and size == 16)
        or (key[:2] in {"34", "37"} and size == 15)
        or ((3000 <= head <= 3059 or key[:2] in {"36", "38", "39"}) and size == 14)
        or ((head in {1800, 2131}) and size == 15)
        or (key[:2] == "35" and 16 <= size <= 19)
        or (key[0] == "6" and 16 <= size <= 19)
    )


def _social_security(text: str) -> Iterator[Value]:
    for match in SSN.finditer(text):
        area, group, serial = match.groups()
        if area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000":
            key = area + group + serial
            yield Value("ssn", *match.span(), key, key in SAMPLE_SSNS or len(set(key)) < 3)


def _world_phones(text: str) -> Iterator[Value]:
    for match in WORLD_PHONE.finditer(text):
        key = squeeze(match[0])
        yield Value("phone", *match.span(), key, _made_up_number(key) or (key[0] == "1" and key[1:4] in TOLL_FREE))


def _us_phones(text: str) -> Iterator[Value]:
    for match in US_PHONE.finditer(text):
        if match[3] and match[3] != match[5]:
            continue
        area, exchange = match[1] or match[2], match[4]
        sample = area in TOLL_FREE or "555" in {area, exchange} or _made_up_number(squeeze(match[0]))
        yield Value("phone", *match.span(), area + exchange + match[6], sample)


def _named_phones(text: str) -> Iterator[Value]:
    for match in NAMED_PHONE.finditer(text):
        key = squeeze(match[1])
        toll = (key[:1] == "1" and key[1:4] in TOLL_FREE) or (len(key) >= 10 and key[:3] in TOLL_FREE)
        yield Value("phone", *match.span(1), key, toll or _made_up_number(key))


def _made_up_number(key: str) -> bool:
    """Sequential, repeated, or of the 555 exchange that fiction uses."""
    return "12345" in key or "98765" in key or len(set(key)) < 4 or "555" in key[-10:-4]


@dataclass(frozen=True, slots=True)
class _Form:
    """One form: what hyperscan looks for (over bytes, so with wider gaps than `re`), and what confirms it."""

    name: str
    wide: str
    find: Callable[[str], Iterator[Value]]


_FORMS: Final = (
    _Form("email", r"[^\s]@[^\s]{1,200}\.[^\s]", _emails),
    _Form("iban", _IBAN, _ibans),
    _Form("card", _CARD, _cards),
    _Form("named_card", rf"{_CARD_WORD}[^0-9\n]{{0,96}}{_ANY_CARD}", _named_cards),
    _Form("ssn", _SSN, _social_security),
    _Form("world_phone", rf"(?:\+|00){_WORLD_PHONE}", _world_phones),
    _Form("us_phone", _US_PHONE, _us_phones),
    _Form("named_phone", rf"{_PHONE_WORD}[^0-9\n+(]{{0,96}}\n?{_ANY_PHONE}", _named_phones),
)
"""The stricter form first."""

_SCAN: Final = PatternSet(
    {form.name: form.wide for form in _FORMS}
    | {"number": r"[0-9](?:[ ./()-]{0,2}[0-9]){4}", "gateway": r"<[a-z]{3,8}:[0-9a-f]{4}"}
)
