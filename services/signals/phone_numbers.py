"""Which digits are a telephone number: by country code, by the North American form, or by the word before them.

Texts are plain ones (`folding.fold`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from services.signals import unspaced_scripts
from services.signals.number_context import DigitText, is_date, of_a_thing

TOLL_FREE: Final = frozenset({"800", "833", "844", "855", "866", "877", "888", "900"})
COUNTRY_CODE: Final = re.compile(
    r"1|7|2(?:0|7|[1-6][0-9]|9[0178])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[013])|5(?:[1-8]|0[0-9]|9[0-9])"
    r"|6(?:[0-6]|[789][0-9])|8(?:[1246]|5[02356]|8[06])|9(?:[0-58]|[67][0-9]|9[2-8])"
)
"""Codes that the ITU has assigned (E.164)."""

_WORLD = r"[1-9][0-9]{0,2}(?:[ .()/-]{0,3}[0-9]){6,13}"
_EXTENSION = r"(?: ?(?:x|ext\.? ?)[0-9]{1,5})?"
WORLD_PHONE: Final = re.compile(
    r"[+0](?<![\w+.][+0])(?:(?<=\+)|(?<=0)(?<![0-9][ .-]0)0(?=[1-9][0-9]{1,2}[ ./-]))"
    rf"{_WORLD}(?![0-9])(?:x[0-9]{{1,5}})?"
)
"""What may stand before it is looked at behind its first character: `re` then leaps to those."""
US_PHONE: Final = re.compile(
    r"[(0-9](?<![\w.+/-][(0-9])(?:(?:(?<=0)01-|(?<=1)[ .-])(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}([ .-]))"
    r"|(?<=\()[2-9][0-9]{2}\)[ ]?|(?<=[2-9])[0-9]{2}([ .-]))"
    rf"[2-9][0-9]{{2}}([ .-])([0-9]{{4}}){_EXTENSION}(?![\w-]|[ .][0-9])"
)
"""Groups: what parts area and exchange (one of two, none behind brackets), what parts exchange and line, the line.

Its first character decides how it goes on, so that `re` leaps to those.
"""

_NOUNS = (
    "phone|telephone|tel|mobile|cell|cellphone|fax|whatsapp|landline|smartphone|number is|numbers are"
    "|telefon|telefonnummer|handy|handynummer|mobil|mobilnummer|mobiltelefon|rufnummer|durchwahl|festnetz"
    "|t\u00e9l|t\u00e9l\u00e9phone|portable|tel\u00e9fono|m\u00f3vil|celular|telefono|cellulare"
    "|telem\u00f3vel|telefone"
    f"|telefoon|telefoonnummer|mobiel|gsm|{unspaced_scripts.PHONE_WORDS}"
)
_VERBS = (
    "call|text|reach|contact|dial|ring|answering|messages?|anrufen|rufen sie|ruf|erreichen|erreichbar|appelez"
    "|appeler|joindre|joignable|ll\u00e1mame|llame|llamar|llama|chiama|chiamare|chiami|ligue|ligar|bel|bellen"
)
PHONE_WORDS: Final = f"{_NOUNS}|{_VERBS}"


def _grouped(words: str) -> str:
    """Alternatives grouped by their first letter, so that `re` looks at few of them at each place."""
    groups: dict[str, list[str]] = {}
    for word in words.split("|"):
        groups.setdefault(word[0], []).append(word[1:])
    return "|".join(f"{letter}(?:{'|'.join(rests)})" for letter, rests in groups.items())


_FIRST: Final = "".join(sorted({word[0] for word in PHONE_WORDS.split("|")}))
_NUMBER = r"([+(]?[0-9](?:[ ./()-]{0,2}[0-9]){6,14})"
NAMED_PHONE: Final = re.compile(
    rf"(?=[{_FIRST}])(?<![^\W_])(?:({_grouped(_NOUNS)})"
    rf"|{_grouped(_VERBS)})(?![^\W_])([^0-9\n+(]{{0,30}}\n?){_NUMBER}(?![0-9])"
)
"""Of a text in lower case."""
_AROUND = re.compile(rf"(?<![^\W_])(?:{PHONE_WORDS})(?![^\W_])([^0-9\n]{{0,30}})$", re.IGNORECASE)
WIDE_WORLD: Final = rf"(?:\+|00){_WORLD}"
WIDE_US: Final = r"(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
WIDE_NAMED: Final = rf"(?:{PHONE_WORDS})[^0-9\n+(]{{0,120}}\n?{_NUMBER}"
"""The same for hyperscan, over bytes."""
_WEAK: Final = frozenset({"cell", "mobile", "fax", "portable", "handy", "gsm", "mobil", "mobiel", "phone", "tel"})
"""Nouns that also stand before other numbers; alone they say nothing of digits that do not begin as a phone does."""
_TOLD = re.compile(r"[:=|.#\"']|\b(?:number|no|nr|is|are|ist|lautet|est|es|\u00e8|at|on|under|unter)\b", re.IGNORECASE)
_PLAIN_WORDS: Final = frozenset(
    {
        "number",
        "numbers",
        "no",
        "nr",
        "num",
        "nummer",
        "numero",
        "n\u00famero",
        "is",
        "are",
        "at",
        "on",
        "us",
        "me",
        "him",
    }
    | {"her", "them", "you", "under", "home", "work", "office", "private", "direct", "phone", "mobile", "cell", "line"}
    | {"mr", "mrs", "ms", "dr", "now", "please", "directly", "back", "new", "the", "my", "his", "their", "our", "your"}
    | {
        "ist",
        "lautet",
        "unter",
        "an",
        "privat",
        "est",
        "au",
        "le",
        "la",
        "el",
        "al",
        "es",
        "il",
        "\u00e8",
        "\u00e9",
        "do",
    }
    | {"de", "du", "da", "op", "via", "to", "or", "and", "und", "et", "y", "e", "en", "whatsapp", "fax", "tel"}
)
"""Words that may stand between a word such as `phone` and digits without separators."""
_WORD = re.compile(r"[^\W\d_]+")
_AT: Final = re.compile(
    r"(?: (?:me|us|him|her|them|you|back|now|directly|sie|mich|ihn|uns|le|la|lo|me|nous))*"
    r" (?:on|at|under|to|unter|au|al|op|no|allo|pelo):? ",
    re.IGNORECASE,
)
"""What stands between a verb such as `call` and the number that is called."""
_FOURS = re.compile(r"[0-9]{4}(?: [0-9]{4})+")
_IP = re.compile(r"(?!(?:[0-9]{2}\.){3}[0-9]{2}$)[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_BEFORE_DIGITS: Final = " :=|\"'*`#\n\t"
_IN_A_ROW = re.compile(r"[ ,;|\t][0-9]{3}[ ,;|\t][0-9]{3}[ ,;|\t][0-9]{3,4}(?![0-9])")


def world_phones(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    """(start, end, digits) of each number with a country code."""
    text = digits.text
    for match in digits.matches(WORLD_PHONE):
        key = digits_of(match[0].partition("x")[0])
        national = key.removeprefix("00") if match[0][0] == "0" else key
        if match[0][0] == "0" and (_FOURS.fullmatch(match[0]) or of_a_thing(text, match.start())):
            continue
        code = COUNTRY_CODE.match(national)
        if code and (len(national) == 11 if code[0] == "1" else 9 <= len(national) <= 15):
            yield *match.span(), national


def us_phones(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    """(start, end, digits) of each number in North American form; with spaces alone only after a word for it."""
    text = digits.text
    for match in digits.matches(US_PHONE):
        start, end = match.span()
        parted = match[1] or match[2]
        if (parted and parted != match[3]) or of_a_thing(text, start):
            continue
        spaces = parted == " " and not match[0].startswith("1 ")
        if spaces and (_IN_A_ROW.match(text, end) or not _is_announced(text, start)):
            continue
        yield start, end, digits_of(text[start : match.end(4)])[-_US_DIGITS:]


_US_DIGITS = 10
"""Without the 1 of the country."""


def _is_announced(text: str, start: int) -> bool:
    """Whether a word such as `phone` or `call` leads to the number that begins at `start`."""
    around = _AROUND.search(text, max(start - 60, 0), start)
    return around is not None and _plain(around[1])


def _plain(gap: str) -> bool:
    """Whether nothing but names and small words stand between a phone's word and the number."""
    return {word.lower() for word in _WORD.findall(gap) if not word[0].isupper()} <= _PLAIN_WORDS


def named_phones(digits: DigitText) -> Iterator[tuple[int, int, str]]:
    """(start, end, digits) of each number after a word such as `phone`, that is no date and no number of a thing."""
    text = digits.text
    for match in digits.matches_in_lower_case(NAMED_PHONE):
        gap, number = text[slice(*match.span(2))], match[3]
        noun = text[slice(*match.span(1))].lower() if match[1] else ""
        named = bool(noun) and (noun not in _WEAK or _TOLD.search(gap) is not None)
        start, end = match.span(3)
        if number.count("(") != number.count(")"):
            if number[0] != "(" or gap == "" or gap[-1].isalnum() or gap[-1] == "_":
                continue
            start, number = start + 1, number[1:]
        if _could_be_phone(number, gap, named=named) and not of_a_thing(text, start):
            yield start, end, digits_of(number)


def _could_be_phone(number: str, gap: str, *, named: bool) -> bool:
    """Whether digits after a phone's word are its number: `named` when the word is a noun, else it is a verb."""
    key = digits_of(number)
    if is_date(number) or _IP.fullmatch(number) or (not gap and number[0] not in "(+"):
        return False
    if number.startswith("0 ") or gap.startswith("-"):
        return False
    begins = number[0] in "+0(" or _us_shape(key)
    named = named or _AT.fullmatch(gap) is not None
    plain = _plain(gap)
    if number.isdigit():
        epoch = len(key) in {10, 13} and key[0] == "1"
        return plain and not epoch and gap[-1] in _BEFORE_DIGITS and (named or begins)
    return number[0] in "+0(" or (plain and (named or begins))


def _us_shape(key: str) -> bool:
    return len(key) == 10 and key[0] not in "01" and key[3] not in "01"


def digits_of(number: str) -> str:
    """Digits alone."""
    return "".join(filter(str.isdigit, number))


def is_nobodys(key: str) -> bool:
    """Whether a number is toll-free, sequential, repeated, or of the 555 exchange that fiction uses."""
    toll = (key[:1] == "1" and key[1:4] in TOLL_FREE) or (len(key) == 10 and key[:3] in TOLL_FREE)
    american = len(key) == 10 or (len(key) == 11 and key[0] == "1")
    fiction = american and "555" in {key[-10:-7], key[-7:-4]}
    fiction = fiction or (len(key) == 7 and key.startswith("555"))
    return toll or fiction or "12345" in key or "98765" in key or len(set(key)) < 4
