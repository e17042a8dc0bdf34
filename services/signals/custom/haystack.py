"""A text as keywords are looked for in it: whatever its script and case, and as people see it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
_SPACE: Final = re.compile(r"\s+")
_MOST_MARKS: Final = 32
"""More marks on one letter are no writing; to put them in order takes time that grows with their square."""
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uaa60-\uaa7f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff]"
)
"""Scripts that put no spaces between words, or whose words go on in particles: Han, kana, Hangul, Thai, Lao, Khmer,
Burmese."""


@dataclass(frozen=True, slots=True)
class Haystack:
    """A text to look in.

    Attributes:
        shown: the text in composed characters, with single spaces and without invisible characters.
        folded: the same without regard to case.
        places: for each character of `folded` the one of `shown` that it comes from; None where they are the same.
    """

    shown: str
    folded: str
    places: tuple[int, ...] | None

    @classmethod
    def of(cls, text: str) -> Haystack:
        """Make one; linear in the text."""
        shown = _SPACE.sub(" ", _composed(text))
        folded = shown.casefold()
        if len(folded) == len(shown):
            return cls(shown, folded, None)
        each = [char.casefold() for char in shown]
        places = tuple(i for i, char in enumerate(each) for _ in char)
        return cls(shown, "".join(each), places)

    def place(self, at: int) -> int:
        """The place in `shown` of a character of `folded`, or the end."""
        if self.places is None:
            return at
        return self.places[at] if at < len(self.places) else len(self.shown)

    def is_border(self, at: int) -> bool:
        """Whether a word may begin or end before character `at` of `folded`."""
        if not 0 < at < len(self.folded):
            return True
        before, after = self.folded[at - 1], self.folded[at]
        return not (_in_word(before) and _in_word(after)) or bool(_UNSPACED.match(before) or _UNSPACED.match(after))


def folded(keyword: str) -> str:
    """A keyword as it stands in `Haystack.folded`."""
    return Haystack.of(keyword).folded.strip()


def _composed(text: str) -> str:
    """The text in NFKC without invisible characters; as it is where letters carry marks without end."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", text)
    marks = bytes(map(bool, map(unicodedata.combining, text)))
    return text if b"\1" * _MOST_MARKS in marks else unicodedata.normalize("NFKC", text)


def _in_word(char: str) -> bool:
    return char == "_" or char.isalnum() or unicodedata.category(char).startswith("M")
