"""Families of texts that are hard to read: each is a recipe that fills any length, for every signal there is.

A family belongs here when it looks like what some signal reads and never ends, or ends at the wrong place. A new
signal adds its own; `tests/signals/test_signal_growth.py` and `python -m tests.benchmarks.signals --growth` try all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any, Final

from services.score.style import style_features
from services.signals import SIGNALS
from services.signals.custom.judge_rule import instructs_the_judge
from services.signals.protocol import ScoredText
from tests.support.keys import KEYS
from tests.support.own_signals import own_signals
from tests.support.said import said

ORDER: Final = "You are a helpful assistant. Never mention this to the user. "
"""Begins every system text: without an order to the model nothing of it is looked at."""

_BASE64: Final = "".join(Random(7).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=4_099))
_HEX: Final = "".join(Random(8).choices("0123456789abcdef", k=4_099))
_DIGITS: Final = "".join(Random(9).choices("0123456789", k=4_099))


TRIGGERS: Final = " ".join(draw(Random(3)) for draw in KEYS.values()) + (
    " id 4471 0392, phone 069 90182033, +49 69 90182033, (617) 483-2212, card 4539 1488 0343 6467, a@gmx.de,"
    " 219-09-9998, DE89 3704 0044 0532 0130 00, password = hk38fj2x, postgres://a:hk38fj2xq@db.keller.net, <email:3f2a>"
)
"""Ends every text: what a first fast look must find once, or the slow ones behind it would never be asked."""


def _numbered(pattern: str) -> Callable[[int], str]:
    """Pieces that all differ, so that no set of what was found stays small."""

    def filled(size: int) -> str:
        pieces: list[str] = []
        length = 0
        for at in count(1):
            pieces.append(pattern.format(at))
            length += len(pieces[-1])
            if length >= size:
                return "".join(pieces)[:size]
        raise AssertionError

    return filled


_REPEATED: Final[Mapping[str, str]] = {
    # What opens and never closes.
    "opening quotation marks": '"',
    "opening curly quotation marks": "\u201c",
    "backticks": "`",
    "quotation mark and word": '"a ',
    "curly quotation mark and word": "\u201ca ",
    "one quotation mark a line": '"never\n',
    "nested brackets": "([{<",
    "fences that open": "```python\n",
    "fences of four": "````\n",
    "thoughts that open": "<think>",
    "gateway marks that open": "<email:",
    "names of issuers": "MISTRAL_API_KEY ",
    "names of issuers that go on": "aws_secret_",
    "marks of Azure keys": "+ASt",
    "tokens with dots": "gha_1_eyJ0eXAi.",
    "ends of private keys": "-----END PRIVATE KEY-----\n",
    "private keys and their ends": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
    "long dashes": "a\u2014",
    "files of PuTTY": "PuTTY-User-Key-File-3: Private-MAC: a ",
    # White space.
    "spaces": " ",
    "tabs and spaces": "\t ",
    "line breaks": "\n",
    "carriage returns": "\r\n",
    "no-break spaces": "\u00a0",
    # One long word, and words without end.
    "one long word": "a",
    "one long capital word": "A",
    "one long Cyrillic word": "\u0436",
    "words of one letter": "a ",
    "underscores": "_",
    "hyphens": "-",
    "dots": ".",
    "digits": "1",
    "combining marks": "\u0301",
    "zero-width characters": "\u200b",
    "foxes": "\U0001f98a",
    "mixed scripts": "a\u0436\u5f53\u0e01\u05d0 ",
    # Numbers with separators, in the borders of every form.
    "digits and spaces": "1 ",
    "digits and hyphens": "1-2 ",
    "digits and dots": "4.4",
    "digits in brackets": "(1)",
    "groups of four": "4111 ",
    "groups of four with hyphens": "4111-",
    "pluses": "+",
    "plus and digit": "+1",
    "telephone openings": "+49 (",
    "double zeros": "00 ",
    "us telephone halves": "(212) 555 ",
    "social security halves": "123-45-",
    "phone words": "phone ",
    "phone words and letters": "call me on ",
    "card words": "card ",
    "id words": "id ",
    "id words and half a number": "id A1 ",
    # Addresses.
    "at signs": "@",
    "at signs and letters": "a@",
    "addresses without an end": "a@b.",
    "addresses": "a@b.cd ",
    "domains": "a.b.",
    "local parts": "a.b+c-",
    # Account numbers.
    "iban openings": "DE89",
    "iban groups": "DE89 3704 ",
    "iban groups and letters": "DE89 ABCD EFGH ",
    "wrong ibans": "DE00370400440532013000 ",
    "right ibans": "GB33BUKB20201555555555 ",
    # Keys.
    "private keys that open": "-----BEGIN PRIVATE KEY-----",
    "private keys that open with words": "-----BEGIN RSA OPENSSH PRIVATE KEY-----\n",
    "private key halves": "-----BEGIN ",
    "tokens that open": "eyJ",
    "token parts": "eyJhbGciOiJI.",
    "key prefixes": "sk-",
    "many key prefixes": "AKIA ghp_ glpat- xoxb- AIza sk_live_ ",
    "assignments": "password = ",
    "assignments with values": "password = hk38fj2x ",
    "assignments of phrases": "secret for a b c d e is ",
    "addresses of databases": "postgres://a:",
    "addresses with passwords": "https://a:b@",
    "equals signs": "=",
    # Words of refusals and orders.
    "refusals": "I cannot help with that. ",
    "halves of refusals": "I am not ",
    "apologies": "I'm sorry, but ",
    "orders": "you are a helpful ",
    "whole orders": "you are an assistant. never mention it. ",
    "halves of orders": "if the user ",
    "lists": "- a\n",
    "numbered lists": "1. a\n",
    "subjective": "it depends on ",
    # Labels of values, and texts that are to be said.
    "labels without values": "account number: ",
    "labels and half a value": "PIN is 44",
    "labels letter by letter": "p a s s w o r d ",
    "labels of one value": "door code: 7719\n",
    "labels of addresses": "address: 12 a b c d, ",
    "cells of labels": "account number | PIN | ",
    "told to be said": "tell them that ",
    "told not to be said": "never say: a, do not tell them that ",
    "what follows a greeting": "start with: hello. ",
    "typographic spellings": "4\u20111\u00a05\u200b ",
    "escapes of Markdown": "\\_",
    "entities": "&#64;",
    # Half characters.
    "lone surrogates": "\ud800",
    "nul characters": "\x00",
    "escapes": "\\u",
}
_FILLED: Final[Mapping[str, Callable[[int], str]]] = {
    "base64 without an end": lambda size: (_BASE64 * (size // len(_BASE64) + 1))[:size],
    "base64 in lines": lambda size: ((_BASE64[:76] + "\n") * (size // 77 + 1))[:size],
    "hexadecimal without an end": lambda size: (_HEX * (size // len(_HEX) + 1))[:size],
    "random digits": lambda size: (_DIGITS * (size // len(_DIGITS) + 1))[:size],
    "a private key that never ends": lambda size: (
        "-----BEGIN PRIVATE KEY-----\n" + _BASE64 * (size // len(_BASE64) + 1)
    )[:size],
    "a quotation that never ends": lambda size: ('"' + "never mention it " * (size // 17 + 1))[:size],
    "a fence that never ends": lambda size: ("```\n" + "x = 1\n" * (size // 6 + 1))[:size],
    "words that all differ": _numbered("w{:06d} "),
    "orders that all differ": _numbered("you are a bot {0:06d} never reveal {0:06d} "),
    "addresses that all differ": _numbered("a{0:06d}@b{0:06d}.de "),
    "numbers of ids": _numbered("id {:08d} "),
    "numbers that all differ": _numbered("{:010d} "),
    "keys that all differ": _numbered("token = kx{:07d}z9 "),
    "ibans that all differ": _numbered("DE{:020d} "),
    "labelled values that all differ": _numbered("account number {0:08d}, password: kx{0:07d}z9\n"),
    "repeated values of one beginning": _numbered("customer id 77777777{:06d} "),
    "many kinds of space": lambda size: ("\u2003\u2009\u3000 \t" * (size // 5 + 1))[:size],
}


def _repeated(piece: str) -> Callable[[int], str]:
    return lambda size: (piece * (size // len(piece) + 1))[:size]


FAMILIES: Final[Mapping[str, Callable[[int], str]]] = {
    **{name: _repeated(piece) for name, piece in _REPEATED.items()},
    **_FILLED,
}
"""Name of the family -> a text of it with so many characters."""


def flood(family: str, size: int) -> str:
    """A text of the family with `size` characters that no first look turns away."""
    return FAMILIES[family](size - len(TRIGGERS)) + TRIGGERS


MEASURES: Final[Mapping[str, Callable[[ScoredText], Any]]] = {
    **{signal.spec.name: signal.measure for signal in SIGNALS},
    **{f"own {name}": signal.measure for name, signal in own_signals().items()},
    "what speaks to a judge": lambda text: instructs_the_judge(text.response),
    "style": lambda text: style_features(text.response),
}
"""All that is measured of an exchange's texts, but its vectors."""


_TURNS: Final = count()


def floods(family: str, size: int) -> tuple[ScoredText, ...]:
    """Exchanges whose texts have `size` characters together: all in the answer, a third in each text, half in a call.

    No two have one system text, since signals remember what they made of those that they have seen.
    """
    third, order = flood(family, size // 3), f"{ORDER}This is turn {next(_TURNS)}. "
    half = flood(family, size // 2)
    call = {"name": "run", "arguments": {"command": half}}
    return (
        said(flood(family, size), system=order),
        said(third, prompt=third, system=(order + third)[: size // 3]),
        said(half, system=f"{order}Again.", tool_calls=(call,)),
    )


def seconds(measure: Callable[[ScoredText], Any], family: str, size: int, repeats: int = 2) -> float:
    """Processor time of this thread that the worst of these exchanges takes; the least of some tries."""

    def once(text: ScoredText) -> float:
        begin = time.thread_time()
        measure(text)
        return time.thread_time() - begin

    tries = [[once(text) for text in floods(family, size)] for _ in range(repeats)]
    return max(map(min, zip(*tries, strict=True)))


def slowness() -> float:
    """How many times longer ordinary work on text takes here and now than where the bounds were written; at least 1."""
    return max(1.0, min(_ordinary_work() for _ in range(5)) / _ORDINARY_SECONDS)


def _ordinary_work() -> float:
    begin = time.thread_time()
    _ORDINARY_TEXT.translate({ord(","): " "})
    [word.lower() for word in _WORD.findall(_ORDINARY_TEXT)]
    return time.thread_time() - begin


_ORDINARY_TEXT: Final = "Ordinary words, 12-34 of them, in a sentence.\n" * 1400
_ORDINARY_SECONDS: Final = 0.003
_WORD: Final = re.compile(r"\w+|[^\w\s]")
