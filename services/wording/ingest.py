"""What `keelwatch ingest explain` says of a file, and why a table cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from services.wording import numbers

_MOST: Final = 10


def report(
    form: str, records: int, exchanges: int, routes: Mapping[str, int], not_monitored: Mapping[str, int]
) -> Iterator[str]:
    """The records of one format, and what became of them."""
    yield f"{form}: {numbers.count(records, 'record')}, {numbers.count(exchanges, 'exchange')}"
    if routes:
        named = sorted(routes, key=lambda name: (-routes[name], name))
        more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
        yield f"  routes: {', '.join(named[:_MOST])}{more}"
    for kind, n in sorted(not_monitored.items()):
        yield f"  not monitored: {kind} in {numbers.count(n, 'exchange')}"


def faults(found: Mapping[str, int]) -> Iterator[str]:
    """Why records were refused, the most frequent reason first."""
    ordered = sorted(found, key=lambda reason: (-found[reason], reason))
    for reason in ordered[:_MOST]:
        yield f"  refused, {found[reason]:,} x: {reason}"
    if len(ordered) > _MOST:
        yield f"  and {len(ordered) - _MOST} other reasons; --json shows all"


def costs(found: Mapping[str, tuple[int, str]], exchanges: int) -> Iterator[str]:
    """What is missing, and what that costs."""
    for name, (n, what) in found.items():
        yield f"  missing in {'all' if n == exchanges else f'{n:,} of {exchanges:,}'}: {name}: {what}"


def broken_table(file: str, number: int, line: int, error: str) -> str:
    """That a row of a table is not CSV, as the reader says it."""
    if error == "unexpected end of data":
        why = 'a quote is opened and not closed; close it, and write "" for a quote within quotes'
    elif "field larger" in error:
        why = f"{error}; mend it, or write one JSON object a line"
    else:
        why = f'{error}; write "" for a quote within quotes, and put quotes around the whole cell'
    return _of_row(file, number, line, why)


def other_width(file: str, number: int, line: int, cells: int, columns: int) -> str:
    """That a row has more or fewer cells than the first one."""
    counted = numbers.count(cells, "cell")
    why = f"has {counted}, and the first row has {columns}; put quotes around cells that hold the separator"
    return _of_row(file, number, line, why)


def no_utf8(file: str, number: int, line: int) -> str:
    """That a row holds bytes that are no text."""
    why = "not UTF-8; save the table as UTF-8 (`iconv -f latin1 -t utf-8` where it is Latin-1)"
    return _of_row(file, number, line, why)


def holds_nul(file: str, number: int, line: int) -> str:
    """That a row holds a character that no text has."""
    return _of_row(file, number, line, "holds a NUL character; remove it (`tr -d '\\0'`)")


def _of_row(file: str, number: int, line: int, why: str) -> str:
    return f"{file}: row {number}: {why}. It begins in line {line}; nothing was read"
