"""What a signal of the monitor file looks for in a text: keywords, a pattern, texts that must or must not be there.

Every one is linear in the text, whatever the text and whatever was written in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from services.signals._hyperscan import CompiledPatterns
from services.signals.custom.haystack import Haystack, folded

MOST_WORDS: Final = 1000
LONGEST_WORD: Final = 200
LONGEST_PATTERN: Final = 500
MOST_HITS: Final = 100_000
CUT: Final = "truncated"
"""Why it is not known whether something stands in a text of which only the beginning is here."""
_ENDS_OF_UNICODE: Final = ("\\b", "\\B")


class RuleRefused(ValueError):  # noqa: N818 -- a state of the world, like FileExistsError's
    """A rule that cannot be used. The message says why, and what to write instead."""


class Hit(NamedTuple):
    """Characters `start` to `end` of `text` that the rule fits."""

    text: str
    start: int
    end: int


class Look(NamedTuple):
    """What a rule says of a text.

    Attributes:
        n: how often it fits, as far as was asked; None where that cannot be said.
        reason: why it fits, or why that cannot be said.
    """

    n: int | None
    reason: str | None = None


class Rule(Protocol):
    """What is looked for."""

    @property
    def kind(self) -> str:
        """Its key in the monitor file."""

    @property
    def told(self) -> object:
        """All that decides what it says, as JSON: its version is made of it."""

    def check(self) -> None:
        """Whether it can be used.

        Raises:
            RuleRefused: if it cannot.
        """

    def look(self, text: str, *, cut: bool, most: int) -> Look:
        """What it says of a text, of which more was said when it was `cut`; `most` hits are enough."""

    def hits(self, text: str, most: int) -> tuple[Hit, ...]:
        """Where it fits, for people to see: the first ones; none where it fits because something is missing."""


@dataclass(frozen=True, slots=True)
class KeywordRule:
    """Fits where one of the words stands, in any case: as a `whole` word, or also inside of one.

    A word of a script without spaces stands there as it is.
    """

    words: tuple[str, ...]
    whole: bool = True

    @property
    def kind(self) -> str:
        """`keywords` of whole words, else `must_not_contain`."""
        return "keywords" if self.whole else "must_not_contain"

    @property
    def told(self) -> object:
        """The words."""
        return [self.kind, *self.words]

    def check(self) -> None:
        """Raises RuleRefused if a word is empty, or there are too many."""
        _check_words(self.words)

    def look(self, text: str, *, cut: bool, most: int) -> Look:
        """How often they stand there; one that stands inside another counts, too."""
        return Look(len(self._places(text, most)))

    def hits(self, text: str, most: int) -> tuple[Hit, ...]:
        """Where they stand."""
        return _shown(text, self._places(text, most))

    def _places(self, text: str, most: int) -> list[tuple[int, int]]:
        return _literals(self.words).find(_haystack(text), whole=self.whole, most=most)


@dataclass(frozen=True, slots=True)
class PatternRule:
    """Fits where a regular expression does: hyperscan's subset of PCRE, with regard to case."""

    pattern: str
    kind: str = "pattern"

    @property
    def told(self) -> object:
        """The pattern."""
        return [self.kind, self.pattern]

    def check(self) -> None:
        """Raises RuleRefused if it is empty, too long, fits the empty text, or is not in the linear subset."""
        import hyperscan  # noqa: PLC0415

        if not self.pattern or len(self.pattern) > LONGEST_PATTERN:
            raise RuleRefused(f"must be 1 to {LONGEST_PATTERN} characters")
        try:
            _compiled_pattern(self.pattern).compile()
        except hyperscan.error as fault:
            raise RuleRefused(_remedy(str(fault))) from None

    def look(self, text: str, *, cut: bool, most: int) -> Look:
        """At how many places it fits; matches that touch are one place."""
        return Look(len(_places(self.pattern, text.encode("utf-8", "replace"), most)))

    def hits(self, text: str, most: int) -> tuple[Hit, ...]:
        """The places."""
        data = text.encode("utf-8", "replace")
        found = _places(self.pattern, data, most + 1)[:most]  # what follows the last one shows that it is whole
        return tuple(_hit(self.pattern, text, data, *place) for place in found)


@dataclass(frozen=True, slots=True)
class MustContainRule:
    """Fits an answer in which one of the texts is missing."""

    texts: tuple[str, ...]
    kind: str = "must_contain"

    @property
    def told(self) -> object:
        """The texts."""
        return [self.kind, *self.texts]

    def check(self) -> None:
        """Raises RuleRefused if a text is empty, or there are too many."""
        _check_words(self.texts)

    def look(self, text: str, *, cut: bool, most: int) -> Look:
        """How many are missing; what may stand in the part that was cut off is not known."""
        haystack = _haystack(text)
        missing = [one for one in self.texts if folded(one) not in haystack.folded]
        if missing and cut:
            return Look(None, CUT)
        return Look(len(missing), f"missing: {missing[0]}" if missing else None)

    def hits(self, text: str, most: int) -> tuple[Hit, ...]:
        """None: what is missing stands nowhere."""
        return ()


def _check_words(words: Sequence[str]) -> None:
    if not words:
        raise RuleRefused("must not be empty; list at least one")
    if len(words) > MOST_WORDS:
        raise RuleRefused(f"lists {len(words)}; at most {MOST_WORDS}, split the signal")
    known: dict[str, str] = {}
    for word in words:
        bare = folded(word)
        if not bare:
            raise RuleRefused("holds an empty text, which stands in every answer; remove it")
        if len(word) > LONGEST_WORD:
            raise RuleRefused(f"holds a text of {len(word)} characters; at most {LONGEST_WORD}")
        if bare in known:
            raise RuleRefused(f"{word!r} is the same as {known[bare]!r}, case is not regarded; keep one")
        known[bare] = word


class _Literals:
    """Texts that are looked for together, in one pass."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [folded(word) for word in words]
        sources = ["".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "replace")) for word in self._words]
        self._compiled = CompiledPatterns(sources, ())

    def find(self, haystack: Haystack, *, whole: bool, most: int) -> list[tuple[int, int]]:
        """Where the first `most` stand, by where they end; `whole` ones alone that are no part of a longer word."""
        data = haystack.folded.encode("utf-8", "replace")
        plain = len(data) == len(haystack.folded)
        found: list[tuple[int, int]] = []
        at = seen = 0

        def hit(pattern: int, _start: int, end: int) -> bool:
            nonlocal at, seen
            at, seen = (end if plain else at + len(data[seen:end].decode("utf-8", "replace"))), end
            start = at - len(self._words[pattern])
            if not whole or (haystack.is_border(start) and haystack.is_border(at)):
                found.append((start, at))
            return len(found) >= most

        self._compiled.scan(data, hit)
        return found


def _shown(text: str, found: Sequence[tuple[int, int]]) -> tuple[Hit, ...]:
    haystack = _haystack(text)
    return tuple(Hit(haystack.shown, haystack.place(start), haystack.place(end)) for start, end in found)


@lru_cache(maxsize=256)
def _literals(words: tuple[str, ...]) -> _Literals:
    return _Literals(words)


@lru_cache(maxsize=16)
def _haystack(text: str) -> Haystack:
    """Signals of one exchange look at the same text, one after the other."""
    return Haystack.of(text)


@lru_cache(maxsize=256)
def _compiled_pattern(pattern: str) -> CompiledPatterns:
    r"""Letters are those of Unicode, but beside `\b`, which hyperscan knows of ASCII words alone.

    It is not asked where a match begins: with that, hyperscan 0.9 dies of `(a+)+b` on a few hundred bytes.
    """
    ucp = () if any(mark in pattern for mark in _ENDS_OF_UNICODE) else ("HS_FLAG_UCP",)
    return CompiledPatterns((pattern,), ("HS_FLAG_UTF8", *ucp))


def _places(pattern: str, data: bytes, most: int) -> list[tuple[int, int]]:
    """The first and the last byte at which matches end that touch, place by place, the first `most`."""
    found: list[tuple[int, int]] = []

    def hit(_pattern: int, _start: int, end: int) -> bool:
        if found and end <= _next(data, found[-1][1]):
            found[-1] = found[-1][0], end
            return False
        found.append((end, end))
        return len(found) >= most

    _compiled_pattern(pattern).scan(data, hit)
    return found


def _next(data: bytes, at: int) -> int:
    """Where the character ends that begins at byte `at`."""
    at += 1
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def _hit(pattern: str, text: str, data: bytes, first: int, last: int) -> Hit:
    """A place where a pattern fits, from the nearest beginning of its first match, 200 bytes back at most."""
    start = next((at for at in range(first - 1, max(first - 200, 0) - 1, -1) if _ends(pattern, data, at, first)), first)
    begin, end = (len(data[:at].decode("utf-8", "replace")) for at in (start, last))
    return Hit(text, begin, end)


def _ends(pattern: str, data: bytes, start: int, end: int) -> bool:
    """Whether a match that ends at `end` is found when one begins to read at `start`."""
    found: list[int] = []
    if data[start] & 0xC0 == 0x80:
        return False
    _compiled_pattern(pattern).scan(data[start:end], lambda _pattern, _start, at: found.append(at))
    return end - start in found


_REMEDIES: Final = (
    ("empty buffer", "it fits the empty text, so every answer; ask for at least one character, with + or {1,}"),
    ("Zero-width", "look-ahead and look-behind are not read; write what stands there, or use \\b"),
    ("Back-reference", "back-references are not read; write out what is meant"),
    ("too large", "a repetition is too large; bound it lower, for example {1,50}"),
    ("too complex", "it is too complex; split it into several signals"),
    ("Invalid UTF-8", "holds a character that is none; write it as \\x{...}"),
)


def _remedy(fault: str) -> str:
    said = next((remedy for words, remedy in _REMEDIES if words in fault), None)
    return said or f"not a regular expression: {fault.rstrip('.')}"
