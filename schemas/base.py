"""What every record shares: strict types, canonical JSON, ids made of inputs."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
HEX16: Final = r"^[0-9a-f]{16}$"
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def _written_out(value: Any) -> Any:
    """A number, also one in quotes, is no time: its unit would be a guess."""
    if isinstance(value, datetime) or (isinstance(value, str) and _ISO.match(value)):
        return value
    raise ValueError("not a time; send ISO 8601, for example 2026-11-24T18:00:00Z")


def _in_utc(value: datetime) -> datetime:
    """A time without an offset is read as UTC; every time leaves in UTC."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    try:
        aware = aware.astimezone(UTC)
    except OverflowError:
        raise ValueError("time outside [2000, 2100)") from None
    if not EARLIEST <= aware < LATEST:
        raise ValueError("time outside [2000, 2100); send ISO 8601, for example 2026-11-24T18:00:00Z")
    return aware


def _finite(value: Any) -> Any:
    """What publishers add freely obeys the rule of every typed field: NaN and Infinity are not JSON."""
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is str:  # most are
            continue
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("NaN and Infinity are not JSON")
        if isinstance(item, (dict, Mapping)):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
    return value


def _without_nul(text: str) -> str:
    """PostgreSQL stores no NUL: it becomes U+FFFD, as in what publishers send. It is no reason to lose a record."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


# Lax parsing here is narrower than strict: `_written_out` has refused all but datetimes and ISO 8601.
Timestamp = Annotated[datetime, Field(strict=False), BeforeValidator(_written_out), AfterValidator(_in_utc)]
Json = Annotated[Any, AfterValidator(_finite)]
Hash16 = Annotated[str, StringConstraints(pattern=HEX16)]
# What a record may hold is what both databases can: a record that is none is a dead letter, and one that is a record
# never stops the batch that writes it. Lone surrogates are no text for pydantic already.
Text = Annotated[str, AfterValidator(_without_nul)]
LONGEST_ID: Final = 512
Id = Annotated[Text, StringConstraints(max_length=LONGEST_ID)]
NonNegative = Annotated[int, Field(ge=0, le=2**63 - 1)]
Partition = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Part(BaseModel):
    """A piece of a record: strict, frozen, no unknown fields, no NaN or Infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True)


class Record(Part):
    """A message on a topic. `encode` and `decode` are inverse to each other."""

    schema_version: Literal[1] = 1

    def encode(self) -> bytes:
        """The record as UTF-8 JSON, under the names of the contract."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            pydantic.ValidationError: if `data` is not JSON or violates the schema.
        """
        return cls.model_validate_json(data)


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, no NaN.

    >>> canonical({"b": 1, "a": None})
    b'{"a":null,"b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def hash16(value: Any) -> str:
    """The first 16 hex digits of sha256 over `canonical(value)`.

    >>> hash16(["support-bot/prod", "model_shift", None])
    '1fec9bb08f43a022'
    """
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def plain_object(record: Part) -> dict[str, Any]:
    """A record as the object that listings and the API show."""
    return record.model_dump(mode="json", by_alias=True, exclude={"schema_version"})


def iso(value: datetime) -> str:
    """UTC time as the records write it, for example 2026-11-24T18:00:00Z.

    >>> iso(datetime(2026, 11, 24, 18, tzinfo=UTC))
    '2026-11-24T18:00:00Z'
    """
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a UTC time, to the microsecond."""
    return datetime.fromtimestamp(round(seconds, 6), UTC)
