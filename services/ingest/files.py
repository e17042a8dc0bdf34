"""The records of a file, whatever it is: one a line, one JSON document, a table (CSV), or what OTLP exporters write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from schemas.position import Position
from services.errors import InputError
from services.ingest import json_text
from services.ingest.csv_rows import checked_rows
from services.ingest.decode import FILE_CLUSTER
from services.ingest.errors import FormatError
from services.ingest.formats.otlp_wire import looks_like_otlp
from services.ingest.jsonl import FileLine, lines, sha12
from services.ingest.reading import MAX_BYTES

CSV: Final = "csv"
_HEAD: Final = 64 * 1024
_PREFIX: Final = 4
_TABLES: Final = frozenset({".csv", ".tsv"})
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt": ("prompt", "input", "question", "messages", "request", "query"),
    "response": ("response", "output", "answer", "completion", "reply"),
    "model.requested": ("model.requested", "model", "requested_model", "model_name"),
    "model.served": ("model.served", "served_model", "response_model"),
    "model.provider": ("model.provider", "provider"),
    "route": ("route",),
    "id": ("id", "request_id"),
    "ts": ("ts", "timestamp", "time", "created_at", "created", "date"),
    "conversation": ("conversation", "conversation_id", "session_id", "thread_id"),
    "user": ("user", "user_id"),
    "latency_ms": ("latency_ms",),
    "usage.input_tokens": ("usage.input_tokens", "input_tokens", "prompt_tokens"),
    "usage.output_tokens": ("usage.output_tokens", "output_tokens", "completion_tokens"),
}
"""Field of an exchange -> the columns that may hold it, in any case of letters; others become tags."""
_EXPORTS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"request_id", "call_type", "spend"}),
    frozenset({"traceId", "type", "startTime"}),
    frozenset({"trace_id", "type", "start_time"}),
)
"""Columns that tell of tables whose rows are records of a product: LiteLLM's spend logs, Langfuse's observations."""
_NEEDED: Final = ("prompt", "response", "model.requested")
_NUMBERS: Final = frozenset({"latency_ms", "usage.input_tokens", "usage.output_tokens"})
_JSON: Final = frozenset({"prompt", "response"})
_SAID: Final = ("content", "tool_calls", "refusal")
_OF_ANSWER: Final[Mapping[str, Any]] = {
    "content": str | list | None,
    "tool_calls": list | None,
    "refusal": str | None,
    "finish_reason": str | None,
}


def records(path: Path, progress: Callable[[int], object] | None = None, *, table: bool = False) -> Iterator[FileLine]:
    """The records of a file, each with its number: the line, the element of the array, the row, or the message.

    Args:
        path: the file. Only one that has a record a line, or a row, may be of any length.
        progress: told the number of bytes as they are read.
        table: whether it is a table, whatever its name; else a file named .csv or .tsv is one.

    Raises:
        OSError: if it cannot be read.
        InputError: if it is a table without the columns that are needed, or of which a row cannot be read as it was
            meant; or too long to be read as a whole.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if table or path.suffix.lower() in _TABLES:
        return _rows(path, progress)
    if _is_binary(head) or _is_document(head):
        return _whole(path, progress)
    return lines(path, progress)


def _is_binary(head: bytes) -> bool:
    """Whether it may be messages of protobuf: those begin with a line break and a length, or a length of four bytes."""
    if head[:1] != b"\x0a":
        return head[:1] == b"\0"
    return b"\0" in head or head.strip()[:1] not in {b"", b"{", b"["}


def _is_document(head: bytes) -> bool:
    """Whether the first line is no JSON by itself, so that the document goes on below it."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    first, line_end, _ = text.partition("\n")
    if text[:1] == "[":
        return True
    if text[:1] != "{" or (not line_end and len(head) == _HEAD):
        return False
    try:
        json_text.parse(first)
    except FormatError:
        return first.rstrip() in {"{", ""} or first.rstrip()[-1:] in {"{", "[", ","}
    return False


def _whole(path: Path, progress: Callable[[int], object] | None) -> Iterator[FileLine]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{path}: one document of {size:,} bytes; write one record a line, or split it")
    raw = path.read_bytes()
    topic = sha12(path)
    if progress is not None:
        progress(size)
    return (
        FileLine(one, Position(cluster=FILE_CLUSTER, topic=topic, partition=0, offset=number), "exchange")
        for number, one in enumerate(_parts(raw, path), start=1)
    )


def _parts(raw: bytes, path: Path) -> Iterable[bytes]:
    if looks_like_otlp(raw):
        return [raw]
    messages = list(_prefixed(raw))
    if messages:
        return messages
    try:
        value = json_text.parse(json_text.unicode_of(raw)[0])
    except FormatError as error:
        raise InputError(f"{path}: {str(error).removeprefix('record: ')} (read as one JSON document)") from None
    wrapped = value.get("exchanges") if isinstance(value, dict) else value
    if isinstance(wrapped, list):
        return [json.dumps(one).encode() for one in wrapped]
    return [raw]


def _prefixed(raw: bytes) -> Iterator[bytes]:
    """The messages of a file of the Collector's file exporter in protobuf: a length of four bytes before each."""
    found, at = [], 0
    while at + _PREFIX <= len(raw):
        end = at + _PREFIX + int.from_bytes(raw[at : at + _PREFIX])
        if end > len(raw) or not looks_like_otlp(raw[at + _PREFIX : end]):
            return
        found.append(raw[at + _PREFIX : end])
        at = end
    if at == len(raw):
        yield from found


def _rows(path: Path, progress: Callable[[int], object] | None) -> Iterator[FileLine]:
    """The rows of a table as native exchanges, or as the records of the product whose table it is."""
    topic, rows = sha12(path), checked_rows(path)
    if progress is not None:
        progress(path.stat().st_size)
    names = [name.strip() for name in next(rows, (1, []))[1]]
    exported = any(names_of <= set(names) for names_of in _EXPORTS)
    places = {} if exported else _places(names, path)
    for number, row in rows:
        position = Position(cluster=FILE_CLUSTER, topic=topic, partition=0, offset=number)
        made = _record(row, names) if exported else _exchange(row, names, places)
        yield FileLine(json.dumps(made).encode(), position, "exchange", None if exported else CSV)


def _places(names: list[str], path: Path) -> dict[str, int]:
    """Field -> its column.

    Raises:
        InputError: names every column that is needed and is not there.
    """
    lower = [name.lower() for name in names]
    found = {
        field: lower.index(known)
        for field, columns in COLUMNS.items()
        for known in [next((one for one in columns if one in lower), None)]
        if known is not None
    }
    missing = [f"{field} ({', '.join(COLUMNS[field])})" for field in _NEEDED if field not in found]
    if missing:
        raise InputError(f"{path}: a table without a column for {'; '.join(missing)}; name one so in the first row")
    return found


def _record(row: list[str], names: list[str]) -> dict[str, Any]:
    """A row as the record that it is: an empty cell is a missing field, JSON in a cell is read with the record."""
    return {name: cell for name, cell in zip(names, row, strict=False) if name and cell != ""}


def _exchange(row: list[str], names: list[str], places: Mapping[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field, place in places.items():
        cell = row[place] if place < len(row) else ""
        if cell != "" or field in _JSON:
            *steps, last = field.split(".")
            holder = made.setdefault(steps[0], {}) if steps else made
            holder[last] = _value(field, cell)
    used = set(places.values())
    tags = {
        name: cell for i, (name, cell) in enumerate(zip(names, row, strict=False)) if i not in used and name and cell
    }
    return made | ({"tags": tags} if tags else {})


def _value(field: str, cell: str) -> Any:
    """What a cell says: a number where one is wanted, messages or a response where it holds them as JSON; else text."""
    if field in _NUMBERS:
        try:
            number = float(cell)
        except ValueError:
            return cell
        return int(number) if number.is_integer() else number
    if field in _JSON and cell.lstrip()[:1] in {"{", "["}:
        try:
            told = json_text.parse(cell)
        except FormatError:
            return cell
        return told if _has_form(field, told) else cell
    return cell


def _has_form(field: str, told: Any) -> bool:
    """Whether the JSON of a cell is a prompt's messages or a structured response; all other JSON is what was said."""
    if field == "prompt":
        return (
            isinstance(told, list)
            and bool(told)
            and all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in told)
        )
    if not isinstance(told, dict) or not all(isinstance(told.get(name), of) for name, of in _OF_ANSWER.items()):
        return False
    # An answer that happens to have a field `error` is no call that failed: all of it is read.
    return any(told.get(name) is not None for name in _SAID) or (bool(told) and told.keys() <= {*_OF_ANSWER, "error"})
