"""Raw bytes to text and plain JSON values: hostile text is cleaned and cut, bad JSON is refused.

Invalid code points, excessive length and control characters are scored, not refused, all without exceptions. About
numbers and depth this is stricter than Python's parser.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

import msgspec

from services.ingest.errors import FormatError, path_of

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
LONGEST_BYTES: Final = 1024 * 1024
KEPT_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 400_000
"""Lists, objects, numbers and texts of one record: 4 MiB of `[],` would become 200 of objects."""

_BOM: Final = b"\xef\xbb\xbf"
_INVALID: Final = re.compile("[\x00\ud800-\udfff]")
_WIDEST_CHARACTER: Final = 4


def unicode_of(raw: bytes) -> tuple[str, bool]:
    """The text of UTF-8 `raw` without its byte order mark, and whether bytes or NUL had to be replaced by U+FFFD."""
    body = raw.removeprefix(_BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
        return text.replace("\0", REPLACEMENT), True
    if "\0" in text:
        return text.replace("\0", REPLACEMENT), True
    return text, False


def may_hide_invalid(text: str) -> bool:
    """Whether JSON `text` has escapes that could stand for a lone surrogate or NUL (cheap, errs towards yes)."""
    return "\\u" in text and ("\\ud" in text or "\\uD" in text or "\\u0000" in text)


def sanitise(value: Any) -> tuple[Any, bool]:
    """Parsed JSON `value` with lone surrogates and NUL replaced by U+FFFD in all strings and keys, and whether any was.

    `value` must be at most `MAX_DEPTH` deep.
    """
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list):
        items = [sanitise(item) for item in value]
        return [item for item, _ in items], any(changed for _, changed in items)
    if isinstance(value, dict):
        pairs = [(_clean(key), sanitise(item)) for key, item in value.items()]
        return {key: item for (key, _), (item, _) in pairs}, any(a or b for (_, a), (_, b) in pairs)
    return value, False


def _clean(text: str) -> tuple[str, bool]:
    if text.isascii() and "\0" not in text:
        return text, False
    cleaned, replaced = _INVALID.subn(REPLACEMENT, text)
    return cleaned, replaced > 0


def too_deep(value: Any) -> bool:
    """Whether objects and lists of parsed JSON `value` are nested more than `MAX_DEPTH` deep; does not recurse."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            child
            for item in level
            for child in (item.values() if type(item) is dict else item)
            if type(child) is dict or type(child) is list
        ]
    return bool(level)


_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[][{},]', re.DOTALL)
_MARKS: Final = 6 * MAX_VALUES
_DEEP: Final = f"nested more than {MAX_DEPTH} levels deep; send flatter JSON"
_MANY: Final = f"more than {MAX_VALUES:,} values; send text, not structure"


def may_hold_too_many(text: str) -> bool:
    """Whether JSON `text` could hold more than `MAX_VALUES` (cheap, errs towards yes: texts hold commas too)."""
    return len(text) >= MAX_VALUES and text.count("[") + text.count("{") + text.count(",") >= MAX_VALUES


def excess(text: str, start: int = 0) -> str | None:
    """What is too much of the JSON value that begins at `start`, or None; nothing is built to find out."""
    values, depth = 1, 0
    for marks, found in enumerate(_STRUCTURE.finditer(text, start)):
        mark = found[0]
        if mark in "[{":
            values, depth = values + 1, depth + 1
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            values += 1
        if depth > MAX_DEPTH:
            return _DEEP
        if values > MAX_VALUES or marks > _MARKS:
            return _MANY
        if depth <= 0:
            return None
    return None


def may_be_cut(size: int) -> bool:
    """Whether a text among so many characters may be long enough to be cut."""
    return size * _WIDEST_CHARACTER > LONGEST_BYTES


def truncate_text(text: str) -> str:
    """`text`, or its first 256 KiB of UTF-8 when it is over 1 MiB; never cuts inside a character."""
    if len(text) * _WIDEST_CHARACTER <= LONGEST_BYTES:
        return text
    encoded = text.encode()
    if len(encoded) <= LONGEST_BYTES:
        return text
    return encoded[:KEPT_BYTES].decode(errors="ignore")


class _NotFiniteError(ValueError):
    """A number that JSON does not know, or that is too large to be one."""


def _refuse(_: str) -> NoReturn:
    raise _NotFiniteError


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _NotFiniteError
    return value


# strict=False: raw control characters inside strings are hostile text, which is scored.
_DECODER: Final = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)
_LENIENT: Final = json.JSONDecoder(strict=False)


def parse(text: str) -> Any:
    """The value of JSON `text`; of a key that is written twice the last one counts.

    Raises:
        FormatError: if it is not JSON, nested more than 64 deep, holds more than 400,000 values, or NaN, Infinity or a
            number beyond 1e308.
    """
    if may_hold_too_many(text) and (fault := excess(text)) is not None:
        raise FormatError(f"record: {fault}")
    try:
        value = _fast(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        value = _decoded(text)
    if text.count("[") + text.count("{") > MAX_DEPTH and too_deep(value):
        raise FormatError(f"record: {_DEEP}")
    return value


_fast: Final = msgspec.json.Decoder().decode
"""Five times as fast, and narrower: what it reads, the decoder of Python reads to the same values."""


def _decoded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"not JSON: {error.msg} at character {error.pos + 1}; send one JSON object per line"
        ) from None
    except _NotFiniteError:
        raise FormatError(f"{_not_finite(text)}: NaN, Infinity or beyond 1e308; send finite numbers or null") from None
    except RecursionError:
        raise FormatError(f"record: {_DEEP}") from None
    except ValueError:
        raise FormatError("record: a whole number of thousands of digits; send shorter numbers") from None


def _not_finite(text: str) -> str:
    """Path of the first number of `text` that is not finite."""
    try:
        stack: list[tuple[tuple[int | str, ...], Any]] = [((), _LENIENT.decode(text))]
    except (ValueError, RecursionError):
        return "record"
    while stack:
        path, value = stack.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return path_of(path) or "record"
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        stack += [((*path, key), child) for key, child in reversed(list(children))]
    return "record"
