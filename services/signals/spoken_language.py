"""Which language a text is in: CLD2 (by `pycld2`) on its prose, and what it is known to mix up. Pure, deterministic.

Code, addresses and marks are left out first, since CLD2 takes them for English. Of a text that is too short, mixed, or
of which CLD2 is not sure, the language is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Final

_LONGEST: Final = 4096
"""Characters that are looked at: of more, more would not be known."""
LETTERS: Final = 24
_SIGNS: Final = 6
"""Letters without which nothing is said; of scripts whose signs are syllables, or of one language, fewer do."""
_BLANK: Final = ord(" ")
_KNOWN_CODES: Final = 1 << 14
_SHARE: Final = 75
"""Percent of a text that must be of its language."""
_FENCE: Final = re.compile(r"```.{0,4096}?(?:```|\Z)|~~~.{0,4096}?(?:~~~|\Z)", re.DOTALL)
_ASIDE: Final = re.compile(
    r"`[^`\n]{1,200}`|(?:https?://|www\.)\S{1,2000}|\S{1,64}@\S{1,200}|<[^<>\n]{1,200}>|\$[^$\n]{1,200}\$"
    r"|\b\w{0,40}[_=(){}\[\];\\/]\S{0,200}|\b[A-Za-z0-9+/]{25,4096}={0,2}"
)
_LETTER: Final = re.compile(r"[^\W\d_]")
_DENSE: Final = re.compile(
    "[\u0590-\u05ff\u0900-\u0dff\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u10a0-\u10ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
_CODE_LINE: Final = re.compile(
    r"^[ \t]{0,40}(?:def|class|import|from|return|for|while|if|else|elif|try|except|with|print|function|const|let|var"
    r"|public|private|static|void|int|SELECT|INSERT|UPDATE|DELETE|CREATE|WHERE|#include|using|package|func|fn|end"
    r"|\}|\{|//|#!)\b[^\n]{0,400}[(){};:=,*][ \t]{0,40}$",
    re.MULTILINE,
)
_OTHER_CODES: Final[Mapping[str, str]] = {"iw": "he", "jw": "jv", "mo": "ro", "in": "id", "nb": "no"}
_CYRILLIC: Final = (
    ("ru", "\u044b\u044d\u0451"),
    ("uk", "\u0456\u0457\u0454\u0491"),
    ("be", "\u045e"),
    ("mk", "\u0453\u045c\u0455"),
    ("sr", "\u0452\u0458\u0459\u045a\u045b\u045f"),
)
_OF_CYRILLIC: Final = frozenset({"ru", "uk", "be", "mk", "sr", "bg"})

CLOSE: Final = (
    frozenset({"no", "nn", "da", "sv"}),
    frozenset({"hr", "bs", "sr", "sl", "sh"}),
    frozenset({"bg", "mk"}),
    frozenset({"cs", "sk"}),
    frozenset({"id", "ms"}),
    frozenset({"pt", "gl", "es", "ca"}),
    frozenset({"af", "nl"}),
    frozenset({"hi", "mr", "ne"}),
    frozenset({"az", "tr"}),
    frozenset({"be", "uk", "ru"}),
    frozenset({"fa", "ps", "ur"}),
    frozenset({"zu", "xh"}),
)
"""Languages that a few sentences do not always tell apart."""


class _Printable(dict[int, int]):
    """Code point -> itself, or a blank where it is no printable character, as half a surrogate pair is not."""

    def __missing__(self, code: int) -> int:
        kept = code if chr(code).isprintable() else _BLANK
        if len(self) < _KNOWN_CODES:
            self[code] = kept
        return kept


_PRINTABLE: Final = _Printable()


def language_of(text: str, letters: int = LETTERS) -> str | None:
    """The language of a text as BCP 47 names it (`de`, `zh-Hant`), or None where it is not known.

    Below so many `letters` nothing is said.

    >>> language_of("Das Paket hat heute Morgen unser Lager verlassen."), language_of("ok")
    ('de', None)
    """
    return _detected(_prose(text), letters)


def is_close(one: str, other: str) -> bool:
    """Whether two languages are the same, or not surely apart: variants of one count as one.

    >>> is_close("zh", "zh-Hant"), is_close("da", "no"), is_close("de", "en")
    (True, True, False)
    """
    first, second = one.partition("-")[0], other.partition("-")[0]
    return first == second or any(first in group and second in group for group in CLOSE)


@lru_cache(maxsize=4)  # two signals ask of one exchange's answer and prompt
def _prose(text: str) -> str:
    """What of a text is prose, as UTF-8 can hold it."""
    head = _FENCE.sub(" ", text[: 2 * _LONGEST])
    bare = _ASIDE.sub(" ", _CODE_LINE.sub(" ", head))[:_LONGEST]
    return bare.translate(_PRINTABLE)


def _holds(sign: re.Pattern[str], prose: str, times: int) -> bool:
    return sum(1 for _ in islice(sign.finditer(prose), times)) == times


@lru_cache(maxsize=256)
def _detected(prose: str, letters: int) -> str | None:
    if not (_holds(_LETTER, prose, letters) or _holds(_DENSE, prose, _SIGNS)):
        return None
    import pycld2  # noqa: PLC0415 -- a library of tables that nobody needs who only asks what there is

    try:
        sure, _, found = pycld2.detect(prose.encode("utf-8", "replace"), isPlainText=True)
    except pycld2.error:
        return None
    _, code, percent, _ = found[0]
    if not sure or percent < _SHARE or code == "un" or code.startswith("xx"):
        return None
    return _by_letters(_OTHER_CODES.get(code, code), prose)


def _by_letters(code: str, prose: str) -> str:
    """Of languages in Cyrillic, the one whose own letters stand there: CLD2 takes short texts for each other."""
    if code not in _OF_CYRILLIC:
        return code
    lowered = prose.lower()
    return next((language for language, letters in _CYRILLIC if any(letter in lowered for letter in letters)), code)
