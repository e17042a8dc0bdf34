"""The rows of a table (CSV): all of them are looked at before the first one is given, so that a broken one is refused.

A quote that is never closed would take in all rows below it, and a row of another width would have its cells under
wrong names: neither is read as something else than it was.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.errors import InputError
from services.wording import ingest as words

_LONGEST_CELL: Final = 16 * 1024 * 1024
_DELIMITERS: Final = ",;\t"


def checked_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank with its number, from 1; the first one holds the names of the columns.

    Raises:
        OSError: if it cannot be read.
        InputError: if a row cannot be read, is no UTF-8 or not as wide as the first; before any row is given.
    """
    for _ in _rows(path):
        pass
    return _rows(path)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.reader(file, delimiter=max(_DELIMITERS, key=first.count), strict=True)
        number, width = 0, 0
        while True:
            number, line = number + 1, reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise InputError(words.broken_table(str(path), number, line, str(error))) from None
            if row is None:
                return
            if not any(cell.strip() for cell in row):
                continue
            text = "".join(row)
            if not _is_text(text):
                raise InputError(words.no_utf8(str(path), number, line))
            if "\0" in text:
                raise InputError(words.holds_nul(str(path), number, line))
            width = width or len(row)
            if len(row) < width or any(cell.strip() for cell in row[width:]):
                raise InputError(words.other_width(str(path), number, line, len(row), width))
            yield number, row


def _is_text(text: str) -> bool:
    """Whether all of its bytes were UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
