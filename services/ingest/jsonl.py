"""Lines of a JSONL file with their positions: native exchanges, or captured score lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from services.ingest.decode import FILE_CLUSTER, RecordArrival, decode_all
from services.ingest.formats import FORMATS
from services.ingest.formats.protocol import Format
from services.ingest.reading import MAX_BYTES
from services.ingest.routing import NOTHING, Carriage
from services.ports import Received


class _Keys(msgspec.Struct):
    signals: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_keys = msgspec.json.Decoder(_Keys).decode
Kind = Literal["exchange", "scores"]


@dataclass(frozen=True, slots=True)
class FileLine:
    """One line that is not blank, as it stands in the file; or another piece, which `form` names where it is known."""

    raw: bytes
    position: Position
    kind: Kind
    form: str | None = None


def sha12(path: Path) -> str:
    """The first 12 hex digits of the file's sha256: its topic in positions and ids."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def kind_of(raw: bytes) -> Kind:
    """`scores` for a line with signals and without a prompt (`score`, `capture`), else `exchange`.

    Only a line that may be one is read: a text, or a key further in, may also be named so.
    """
    if b'"signals"' not in raw:
        return "exchange"
    try:
        found = _keys(raw)
    except (msgspec.DecodeError, UnicodeError):
        return "scores" if b'"prompt"' not in raw else "exchange"
    return "scores" if found.signals is not msgspec.UNSET and found.prompt is msgspec.UNSET else "exchange"


def lines(path: Path, progress: Callable[[int], object] | None = None) -> Iterator[FileLine]:
    """Stream the lines of `path`; numbers count from 1 and include blank lines, which are skipped.

    A line over 64 MiB comes as its first 64 MiB and 1 byte, which `decode` refuses; the rest is skipped.

    Args:
        path: the file, read twice: for its hash, then for its lines.
        progress: told the number of bytes after each line.

    Raises:
        OSError: if the file cannot be read.
    """
    topic = sha12(path)
    with path.open("rb") as file:
        for number, raw, size in _numbered(file):
            if raw.strip():
                position = Position(cluster=FILE_CLUSTER, topic=topic, partition=0, offset=number)
                yield FileLine(raw, position, kind_of(raw))
            if progress is not None:
                progress(size)


def copy_lines(path: Path, which: Callable[[int], bool], out: BinaryIO) -> int:
    """Write the lines of `path` whose numbers are wanted to `out`, each as it stands and whole; returns how many.

    Raises:
        OSError: if either cannot be read or written.
    """
    copied = number = 0
    with path.open("rb") as file:
        while piece := file.readline(MAX_BYTES):
            number += 1
            wanted = bool(piece.strip()) and which(number)
            copied += wanted
            while piece:
                ended = piece.endswith(b"\n")
                if wanted:
                    out.write(piece)
                piece = b"" if ended else file.readline(MAX_BYTES)
            if wanted and not ended:  # a file's last line: another may follow it here
                out.write(b"\n")
    return copied


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """(line number, its first bytes without the line end, its size)."""
    number = 0
    while raw := file.readline(MAX_BYTES + 1):
        number += 1
        size, rest = len(raw), raw
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_BYTES)):
            size += len(rest)
        yield number, raw.rstrip(b"\r\n"), size


def decoded(
    source: Iterable[FileLine], formats: tuple[Format, ...] = FORMATS, carriage: Carriage = NOTHING
) -> Iterator[Received | DeadLetter]:
    """Exchanges and dead letters of the lines of one file, in order; a missing `ts` follows the exchange before."""
    previous: datetime | None = None
    clock: datetime | None = None
    for line in source:
        arrival = RecordArrival(line.position, previous=previous, clock=clock)
        for result in decode_all(line.raw, arrival, carriage, formats):
            if isinstance(result, Received):
                previous = result.exchange.ts
                if previous is not None and "skew" not in result.flags:
                    clock = previous if clock is None else max(clock, previous)
            yield result


def exchanges(
    path: Path,
    progress: Callable[[int], object] | None = None,
    formats: tuple[Format, ...] = FORMATS,
    carriage: Carriage = NOTHING,
) -> Iterator[Received | DeadLetter]:
    """Every line of `path` that is not blank, decoded as one of these formats.

    Raises:
        OSError: if the file cannot be read.
    """
    return decoded(lines(path, progress), formats, carriage)
