"""Server-sent events, which some endpoints answer with although a whole answer was asked for. Pure.

After the HTML standard, section 9.2: lines end with LF, CRLF or CR; `data` lines of one event are joined; comments,
which keep connections open, say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.outbound import EVENT_STREAM
from services.strict_json import read_json

_LINES: Final = re.compile(r"\r\n|\n|\r")
_BEGINS: Final = re.compile(r"\ufeff?\s{0,20}(?:data|event|id|retry)?:")
_DONE: Final = "[DONE]"


def is_event_stream(content_type: str, text: str) -> bool:
    """Whether a body is one, whatever its type says: both are mislabelled."""
    if _BEGINS.match(text) is not None:
        return True
    return content_type == EVENT_STREAM and not text.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def read_events(text: str) -> tuple[list[Mapping[str, Any]], bool]:
    """(the JSON objects of the events, whether `[DONE]` came), of a whole stream.

    Raises:
        ValueError: if the data of an event is no JSON object, as of one that was cut.
    """
    found: list[Mapping[str, Any]] = []
    for name, data in _events(text.removeprefix("\ufeff")):
        if data.strip() == _DONE:
            return found, True
        value = read_json(data)
        if not isinstance(value, dict):
            raise ValueError("an event that is no object")
        found.append({"error": value} if name == "error" and "error" not in value else value)
    return found, False


def _events(text: str) -> Iterator[tuple[str, str]]:
    """(name, data) of every event that has data."""
    name, data = "", list[str]()
    for line in (*_LINES.split(text), ""):
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
