"""The exchanges in one body: an object, an array, `{"exchanges": [...]}`, or one object a line. Pure."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Final

from services.ingest.json_text import excess, may_hold_too_many

MOST_RECORDS: Final = 1_000
_BOM: Final = "\ufeff"
_OPENS: Final = re.compile(r'\s*\{\s*"exchanges"\s*:\s*\[')
_LINE: Final = re.compile(r"[^\n]+")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
# Only finds where a value ends; what is in it is judged by `services.ingest.decode`.
_DECODER: Final = json.JSONDecoder(strict=False)


class BatchError(ValueError):
    """A body that cannot be cut into records; the text names the place and the remedy."""


def split_records(body: bytes, lines: bool = False) -> list[bytes]:
    r"""The bytes of each exchange as they were sent; `lines` says that there is one a line.

    >>> split_records(b'[{"a": 1}, {"b": 2}]'), split_records(b'{"a": 1}\n{"b": 2}\n')
    ([b'{"a": 1}', b'{"b": 2}'], [b'{"a": 1}', b'{"b": 2}'])

    Raises:
        BatchError: if it is empty, an array that is not JSON, or holds too many records.
    """
    text = body.decode("utf-8", "surrogateescape").removeprefix(_BOM)
    found = _lines(text) if lines else _cut(text)
    if not found:
        raise BatchError("body: empty; send one exchange, an array of them, or one a line")
    if len(found) > MOST_RECORDS:
        raise _too_many()
    return [record.encode("utf-8", "surrogateescape") for record in found]


def with_id(record: bytes, id: str) -> bytes:
    """A JSON object that has this id and is else as it was sent: of a key that is there twice the last one counts."""
    body = record.strip()
    assert body.endswith(b"}")
    return body[:-1] + b',"id":"' + id.encode() + b'"}'


def _cut(text: str) -> list[str]:
    opening = _OPENS.match(text)
    if opening is not None:
        found, end = _elements(text, opening.end())
        end = _skip(text, end)
        if text[end : end + 1] != "}" or text[end + 1 :].strip():
            raise BatchError('body: {"exchanges": [...]} has no other fields; leave them out')
        return found
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        found, end = _elements(text, start + 1)
        if text[end:].strip():
            raise BatchError("body: goes on after the array; send one array")
        return found
    return _object_or_lines(text, start)


def _object_or_lines(text: str, start: int) -> list[str]:
    """One object; several when each stands on a line of its own. What is no JSON is one record, which says so."""
    if may_hold_too_many(text) and excess(text, start) is not None:
        return [text]  # which says so itself, once it is read
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        end = len(text) if "\n" not in text.strip() else start
    return [text] if not text[end:].strip() and text.strip() else _lines(text)


def _lines(text: str) -> list[str]:
    """The lines that are not empty; when there are too many, not all of them."""
    return list(islice((line[0] for line in _LINE.finditer(text) if not line[0].isspace()), MOST_RECORDS + 1))


def _elements(text: str, at: int) -> tuple[list[str], int]:
    """The elements of an array that opened before `at`, and where it has ended."""
    found: list[str] = []
    suspect = may_hold_too_many(text)
    at = _skip(text, at)
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        if suspect and (fault := excess(text, at)) is not None:
            raise BatchError(f"exchanges[{len(found)}]: {fault}")
        try:
            _, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise BatchError(
                f"exchanges[{len(found)}]: not JSON, so nothing of the array was taken; mend it, or send one exchange "
                "a line, where a broken one does not hold up the others"
            ) from None
        found.append(text[at:end])
        if len(found) > MOST_RECORDS:
            raise _too_many()
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return found, at + 1
        if text[at : at + 1] != ",":
            raise BatchError(f"exchanges[{len(found) - 1}]: a comma or ] must follow; mend the array")
        at = _skip(text, at + 1)


def _too_many() -> BatchError:
    return BatchError(f"body: more than {MOST_RECORDS:,} exchanges; send at most so many in one request")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
