"""The lines of a file as a replay takes them: exchanges, or score lines with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from services.errors import InputError
from services.ingest.jsonl import FileLine, decoded, lines
from services.ingest.routing import NOTHING, Carriage
from services.ports import Received
from services.score.blocks import ScoredRow
from services.score.score_lines import parse_line

_STEP = "replay"


def read_items(
    path: Path, progress: Callable[[int], object] | None = None, carriage: Carriage = NOTHING
) -> Iterator[Received | ScoredRow | DeadLetter]:
    """What each line of the file became, in order. `progress` is told the bytes of each line.

    `carriage` has the rules by which exchanges get a route that name none.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        yield from _mixed(lines(path, progress), carriage)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a JSONL file of exchanges or score lines") from None


def size_of(path: Path) -> int:
    """Bytes of the file.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a JSONL file")
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a JSONL file of exchanges or score lines") from None


def read_decisions(path: Path) -> list[Decision]:
    """The decisions of a JSONL file.

    Raises:
        InputError: names the line and the field that cannot be read.
    """
    try:
        texts = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"--decisions {path}: {error.strerror}; name a JSONL file of decisions") from None
    found = []
    for number, raw in enumerate(texts, start=1):
        if raw.strip():
            try:
                found.append(Decision.decode(raw))
            except ValidationError as error:
                fault = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(str(part) for part in fault["loc"]) or "line"
                raise InputError(f"--decisions {path}, line {number}: {where}: {fault['msg']}") from None
    return found


def _mixed(source: Iterable[FileLine], carriage: Carriage) -> Iterator[Received | ScoredRow | DeadLetter]:
    """Score lines are parsed where they stand; everything between them is decoded as exchanges."""
    pending = iter(source)
    for line in pending:
        if line.kind == "scores":
            yield _scored(line)
        else:
            rest: list[FileLine] = []
            yield from decoded(_until_scores(line, pending, rest), carriage=carriage)
            for scored in rest:
                yield _scored(scored)


def _until_scores(first: FileLine, pending: Iterator[FileLine], rest: list[FileLine]) -> Iterator[FileLine]:
    """Exchange lines from `first` on; the score line that ends them goes to `rest`."""
    yield first
    for line in pending:
        if line.kind == "scores":
            rest.append(line)
            return
        yield line


def _scored(line: FileLine) -> ScoredRow | DeadLetter:
    try:
        return parse_line(line.raw)
    except ValueError as error:
        return DeadLetter.of(line.raw, _STEP, str(error), line.position)
