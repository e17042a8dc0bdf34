"""A file of prompts -> its rows with the lines that they stand in: CSV (comma, semicolon, tab) or JSON lines. Pure.

What a file is, is told by its first bytes and never by its name. What cannot be read is one sentence with the line and
the remedy; nothing is guessed, since a prompt in the wrong characters asks something else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.errors import InputError
from services.wording import prompt_sets as words

MAX_ROWS: Final = 200_000
MAX_COLUMNS: Final = 500
_SEPARATORS: Final = (",", ";", "\t")
_WIDEST: Final = 64 * 1024 * 1024
"""Characters of one cell that are read, to be told of: longer prompts are left out with their line."""
_MAGIC: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "a zip file or a spreadsheet",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. `line` is that in which it begins, from 1; `cells` by column."""

    line: int
    cells: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A cell as text without white space around it; empty where there is none, or where it is no text or number."""
        value = self.cells.get(column)
        if isinstance(value, bool):
            return str(value).lower()
        return str(value).strip() if isinstance(value, str | int | float) else ""


@dataclass(frozen=True, slots=True)
class PromptTable:
    """The rows of a file. `columns` by their names in lower case, which `cells` have, too."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]

    def filled(self, column: str) -> tuple[str, ...]:
        """What stands in a column, without its empty cells."""
        return tuple(text for row in self.rows if (text := row.text(column)))


def read_table(raw: bytes, name: str) -> PromptTable:
    """The rows of a file's bytes; `name` only names it.

    Raises:
        InputError: if it is neither CSV nor JSON lines, or broken; the sentence names the line and the remedy.
    """
    for magic, kind in _MAGIC.items():
        if raw.startswith(magic):
            raise InputError(words.no_table(name, kind))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(words.not_utf8(name, raw.count(b"\n", 0, error.start) + 1)) from None
    begin = text.lstrip()[:1]
    if not begin:
        raise InputError(words.empty_file(name))
    if begin == "[":
        raise InputError(words.json_list(name))
    found = tuple(_json_rows(text, name) if begin == "{" else _csv_rows(text, name))
    if not found:
        raise InputError(words.empty_file(name))
    columns = tuple(dict.fromkeys(column for row in found for column in row.cells))
    if len(columns) > MAX_COLUMNS:
        raise InputError(words.too_many_columns(name, MAX_COLUMNS))
    return PromptTable(columns, found)


def column_name(written: str) -> str:
    """A column as it is compared: case and white space around it do not count."""
    return written.strip().casefold()


def _json_rows(text: str, name: str) -> Iterator[TableRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if number > MAX_ROWS:
            raise InputError(words.too_many_rows(name, MAX_ROWS))
        try:
            value = json.loads(line, object_pairs_hook=_once)
        except RecursionError:
            raise InputError(words.broken_json(name, number, "nested too deep")) from None
        except ValueError as error:
            raise InputError(words.broken_json(name, number, str(error))) from None
        if not isinstance(value, dict):
            raise InputError(words.broken_json(name, number, "no object"))
        yield TableRow(number, value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object by its columns; one that is there twice is a slip: which of the two was meant?"""
    found = {column_name(key): value for key, value in pairs}
    if len(found) < len(pairs):
        raise ValueError("a column is written twice; keep one")
    return found


def _csv_rows(text: str, name: str) -> Iterator[TableRow]:
    csv.field_size_limit(_WIDEST)
    rows = _records(text, name, _separator(text))
    line, header = next(rows, (1, []))
    columns = [column_name(cell) for cell in header]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InputError(words.column_twice(name, line, twice[0]))
    for n, (line, cells) in enumerate(rows):
        if n >= MAX_ROWS:
            raise InputError(words.too_many_rows(name, MAX_ROWS))
        if len(cells) != len(columns):
            raise InputError(words.other_width(name, line, len(cells), len(columns)))
        yield TableRow(line, dict(zip(columns, cells, strict=True)))


def _records(text: str, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line in which it begins; empty lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(words.broken_csv(name, begins, str(error))) from None
        if any(cell.strip() for cell in cells):
            yield begins, cells
        begins = reader.line_num + 1


def _separator(text: str) -> str:
    """What separates the names of the header: the one that separates most."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return max(_SEPARATORS, key=header.count)
