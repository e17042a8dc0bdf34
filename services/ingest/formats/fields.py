"""Typed access to what a foreign program sent: what is of another type is a fault that names field and remedy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from services.ingest import json_text
from services.ingest.errors import FormatError

Object = Mapping[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 4_102_444_800.0  # 2100


class Fields:
    """An object of a foreign payload. A field that is null counts as missing; several names are read in order."""

    __slots__ = ("faults", "path", "value")

    def __init__(self, value: Any, faults: list[str], path: str = "") -> None:
        """`path` is put before names in faults; a `value` that is no object is a fault and reads as an empty one."""
        self.faults, self.path = faults, path
        self.value: Object = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping) and value is not None:
            self.fault("", "must be an object")

    def fault(self, name: str, remedy: str) -> None:
        """Note what is wrong with a field."""
        where = f"{self.path}.{name}" if self.path and name else self.path or name or "record"
        self.faults.append(f"{where}: {remedy}")

    def find(self, *names: str) -> tuple[str, Any]:
        """The first of these that is there, with its name; else the first name and None."""
        for name in names:
            value = self.value.get(name)
            if value is not None:
                return name, value
        return names[0], None

    def text(self, *names: str, needed: str = "") -> str | None:
        """A text that is not empty; `needed` is the remedy where there must be one."""
        name, value = self.find(*names)
        if isinstance(value, str) and (value or not needed):
            return value or None
        if value is not None and value != "":
            self.fault(name, "must be text")
        elif needed:
            self.fault(names[0], f"missing; {needed}")
        return None

    def number(self, *names: str) -> float | None:
        """A finite number of at least 0."""
        name, value = self.find(*names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            self.fault(name, "must be a number of at least 0, without quotes")
            return None
        return value

    def whole(self, *names: str) -> int | None:
        """A whole number of at least 0; JSON of some writers has it with a point."""
        name, value = self.find(*names)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            self.fault(name, "must be a whole number of at least 0, without quotes")
            return None
        return value

    def object(self, *names: str) -> Fields:
        """An object, empty where there is none."""
        name, value = self.find(*names)
        return Fields(value, self.faults, f"{self.path}.{name}" if self.path else name)

    def list(self, *names: str) -> list[Any]:
        """A list, empty where there is none."""
        name, value = self.find(*names)
        if value is None or isinstance(value, list):
            return value or []
        self.fault(name, "must be a list")
        return []

    def moment(self, *names: str) -> datetime | None:
        """A time: ISO 8601, or seconds since 1970."""
        name, value = self.find(*names)
        if value is None:
            return None
        try:
            found = moment_of(value)
        except ValueError:
            found = None
        if found is None:
            self.fault(name, "must be ISO 8601 or seconds since 1970, in [2000, 2100)")
        return found


def moment_of(value: Any) -> datetime | None:
    """A time of ISO 8601, with an offset or in UTC, or of seconds since 1970; None where it is neither.

    Raises:
        ValueError: if a text is no time.
    """
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LAST:
        return _EPOCH + timedelta(seconds=value)
    return None


def moment_of_nanoseconds(value: int) -> datetime | None:
    """A time of nanoseconds since 1970, to the microsecond; None where there is none."""
    return _EPOCH + timedelta(microseconds=value // 1000) if 0 < value < _LAST * 1e9 else None


def milliseconds(start: datetime | None, end: datetime | None) -> float | None:
    """How long it took; None where that is not known, or it would have ended before it began."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds() * 1000


def host_of(url: str | None) -> str | None:
    """The host of a URL or of `host:port`, with its port and without user, path and query."""
    if not url:
        return None
    try:
        found = urlsplit(url if "//" in url else f"//{url}").netloc.rpartition("@")[2]
    except ValueError:
        return None
    return found.lower() or None


def parsed(text: Any) -> Any:
    """The JSON value of a text that holds one, as attributes of spans do; what is no text comes as it is.

    Raises:
        FormatError: if it is no JSON, or deeper or larger than records may be.
    """
    return json_text.parse(text) if isinstance(text, str) else text


def parsed_or_text(value: Any) -> Any:
    """The JSON value of a text that looks like one, else the text."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return json_text.parse(value)
        except FormatError:
            return value
    return value


def as_text(value: Any) -> str:
    """A text, or any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are there."""
    return {name: value for name, value in fields.items() if value or (value is not None and value not in ({}, []))}
