"""One plain spelling of a text for patterns to read, and the way back to where each character stood.

Models write typographic dashes and spaces, full-width digits, digits of other scripts, zero-width characters, Markdown
escapes and HTML entities; a value is the same value in all of them. Patterns read `Folded.text`; spans come from
`Folded.original`, so that masks stay exact however the value was spelled.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Codes = NDArray[np.uint32]
    _Places = NDArray[np.intp]


_MADE_PLAIN: Final = {
    "-": "\u02d7\u2043\u2212\u2796\uff70",
    "\n": "\x85\u2028\u2029",
    "'": "\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u02bc",
    '"': "\u201c\u201d\u201e\u201f\u2033\xab\xbb\u300c\u300d\u300e\u300f",
    "/": "\u2044\u2215",
    ".": "\u066b\u2024",
    ",": "\u066c",
}
"""ASCII character to others that are written for it, beside those that their Unicode category or NFKC name."""
_ALSO_INVISIBLE: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0"
_DROPPED: Final = 0x110000
"""Stands in the table for what is left out."""
_SIZE: Final = 0x20000
_TAGS: Final = 0xE0000
_TAGS_END: Final = 0xE01F0

_ESCAPED: Final = r"(?<!\\)\\++[!-/:-@\[\]-`{-~]"
_OTHERWISE: Final = (
    r"&(?:#[0-9]{2,6}|#[xX][0-9A-Fa-f]{2,5}|[a-zA-Z]{2,8});"
    r"|%40"
    r"|(?<=[0-9][-. /)])[*`]{1,3}(?=[(0-9])"
    r"|(?<=[0-9)])[*`]{1,3}(?=[-. /(]{1,2}[*`]{0,3}[0-9])"
    r"|[*`]{1,3}(?=@)|(?<=@)[*`]{1,3}"
)
_SPELLED: Final = re.compile(f"{_ESCAPED}|{_OTHERWISE}")
"""Backslashes before punctuation; entities; `%40`; emphasis between the groups of a number or beside an at sign.

The look behind keeps a flood of backslashes from being read once for each of them.
"""
_BESIDE_ESCAPES: Final = re.compile(rf"(?<!\\)(?:{_OTHERWISE})")
"""The same without backslashes and what they escape."""
_PUNCTUATION: Final = "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"
_ENTITIES: Final[Mapping[str, str]] = {"%40": "@"}
_BEGIN_SPELLING: Final = frozenset("\\&%")
_MARKS: Final = ("\\", "&", "%40", "*", "`")


@dataclass(frozen=True, slots=True)
class Folded:
    r"""A text in plain spelling.

    Attributes:
        text: what patterns read.

    >>> folded = fold("Call 415\u2011627\u20113384")
    >>> folded.text, folded.original(5, 17)
    ('Call 415-627-3384', (5, 17))
    >>> folded = fold("jana\\_roe&#64;keller.de")
    >>> folded.text, folded.original(0, 18)
    ('jana_roe@keller.de', (0, 23))
    """

    text: str
    _places: _Places | None = field(default=None, repr=False, compare=False)
    _spelled: str = field(default="", repr=False, compare=False)

    @property
    def plain(self) -> bool:
        """Whether every character stands where it stood."""
        return self._places is None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where characters `start` to `end` of `text` (at least one) stand in the text that was folded.

        What was left out inside is covered, what was left out before and after is not.
        """
        if self._places is None:
            return start, end
        first, last = int(self._places[start]), int(self._places[end - 1])
        if self._spelled[last] not in _BEGIN_SPELLING:
            return first, last + 1
        match = _SPELLED.match(self._spelled, last)
        following = int(self._places[end]) if end < len(self._places) else len(self._spelled)
        return first, match.end() if match and match.end() <= following else last + 1


def fold(text: str) -> Folded:
    """The text in plain spelling, in time linear in its length; plain ASCII comes back as it is.

    Dashes become `-`, spaces a space (tabs and line breaks stay), digits of any script and full-width characters
    ASCII, quotation marks straight; zero-width and other invisible characters, Markdown's backslashes and emphasis
    inside a number are left out; an entity becomes its character, a lone surrogate the replacement character. Case and
    accents stay.
    """
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    spelled = any(mark in text for mark in _MARKS)
    if text.isascii() and not (spelled and _SPELLED.search(text)):
        return Folded(text)
    codes = code_points(text)
    plain = _plain(codes)
    written = ""
    if spelled:
        as_spelled = np.where(plain == _DROPPED, codes, plain)
        written = _text(as_spelled)
        _respell(written, as_spelled, plain)
    kept = plain != _DROPPED
    if kept.all():
        return Folded(_text(plain))
    return Folded(_text(plain[kept]), np.flatnonzero(kept), written or text)


def lowered(text: str) -> str:
    """The text in lower case, of the same length: what lower-case patterns find in it is what `re.IGNORECASE` finds.

    Patterns without that flag are several times as fast, since `re` then leaps over what no alternative begins with.
    The flag also takes three letters for `i` and `s` that have another lower case or are lower case themselves.
    Holds for patterns of ASCII and Latin-1 letters.

    >>> lowered("Never SAY"), len(lowered("\u0130\u017f"))
    ('never say', 2)
    """
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return text.lower()


def code_points(text: str) -> _Codes:
    """The code points of a text; a lone surrogate is read as the replacement character."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    try:
        data = text.encode("utf-32-le")
    except UnicodeEncodeError:
        data = _SURROGATES.sub(lambda match: "\ufffd" * len(match[0]), text).encode("utf-32-le")
    return np.frombuffer(data, dtype="<u4")


_SURROGATES = re.compile("[\ud800-\udfff]+")


def _text(codes: _Codes) -> str:
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def _plain(codes: _Codes) -> _Codes:
    """Each character's plain one, `_DROPPED` for what is invisible."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    known = codes < _SIZE
    plain = _table()[np.where(known, codes, 0)]
    tags = (codes >= _TAGS) & (codes < _TAGS_END)
    return np.where(known, plain, np.where(tags, np.uint32(_DROPPED), codes)).astype(np.uint32)


def _respell(text: str, spelled: _Codes, plain: _Codes) -> None:
    """Writes into `plain` what escapes, entities and emphasis come to: one character or none, and nothing after it.

    `spelled` are the code points of `text`.
    """
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    starts, ends = _escapes(spelled)
    codes = spelled[ends - 1]
    if any(mark in text for mark in _MARKS[1:]):
        found = [(match.span(), _beside(match[0])) for match in _BESIDE_ESCAPES.finditer(text)]
        known = [(*span, code) for span, code in found if code is not None]
        if known:
            others = np.array(known, dtype=np.int64)
            starts, ends = np.append(starts, others[:, 0]), np.append(ends, others[:, 1])
            codes = np.append(codes, others[:, 2])
    if len(starts):
        edges = np.zeros(len(plain) + 1, dtype=np.int32)
        edges[starts + 1] += 1
        edges[ends] -= 1
        plain[np.cumsum(edges[:-1]) > 0] = _DROPPED
        plain[starts] = codes


def _escapes(codes: _Codes) -> tuple[_Places, _Places]:
    """Where backslashes begin that stand before punctuation, and where that ends."""
    import numpy as np  # noqa: PLC0415

    slash = np.zeros(len(codes) + 2, dtype=np.int8)
    slash[1:-1] = codes == ord("\\")
    turns = np.diff(slash)
    starts, ends = np.flatnonzero(turns > 0), np.flatnonzero(turns < 0)
    if len(ends) and ends[-1] == len(codes):
        starts, ends = starts[:-1], ends[:-1]
    escaped = np.isin(codes[ends], np.array([ord(one) for one in _PUNCTUATION], dtype=codes.dtype))
    return starts[escaped], ends[escaped] + 1


def _beside(spelled: str) -> int | None:
    """The plain character of an entity, none of a mark of emphasis."""
    return _DROPPED if spelled[0] in "*`" else _character(spelled)


@lru_cache(maxsize=256)
def _character(spelled: str) -> int | None:
    """The plain character of an entity, None when it is no single one."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    character = _ENTITIES.get(spelled) or html.unescape(spelled)
    return int(_plain(np.array([ord(character)], dtype=np.uint32))[0]) if len(character) == 1 else None


@cache
def _table() -> _Codes:
    """Code point to the code point of its plain character, to itself, or to `_DROPPED`; made at the first need."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    table = np.arange(_SIZE, dtype=np.uint32)
    for code in range(0x80, _SIZE):
        plain = _plain_character(chr(code))
        if plain is not None:
            table[code] = ord(plain) if plain else _DROPPED
    for plain, others in _MADE_PLAIN.items():
        table[[ord(other) for other in others]] = ord(plain)
    table[[ord(invisible) for invisible in _ALSO_INVISIBLE]] = _DROPPED
    return table


def _plain_character(character: str) -> str | None:
    """ASCII for a dash, space, digit or compatibility letter, empty for what is invisible, None for all others."""
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in {"Pd", "Zs", "Cf"}:
        return {"Pd": "-", "Zs": " ", "Cf": ""}[category]
    if "\ufe00" <= character <= "\ufe0f":
        return ""
    if category[0] in "LPS" and character not in "\xaa\xba":
        compatible = unicodedata.normalize("NFKC", character)
        return compatible if len(compatible) == 1 and compatible.isascii() else None
    return None
