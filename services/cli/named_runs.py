"""Runs as a person names them on the command line: a file of `eval run --json`, or the id of a stored one."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Final

from schemas.base import HEX16
from services.cli.options import opened
from services.errors import InputError
from services.evaluate.persistence import stored_run
from services.evaluate.result import RunResult, read_results


def results(run: str, database: str | None = None) -> tuple[RunResult, ...]:
    """The runs of a file, or the stored one of this id.

    Raises:
        InputError: if there is neither, or the file is no such file.
    """
    if not Path(run).exists() and re.fullmatch(HEX16, run):
        with closing(opened(database)) as base, base.read() as connection:
            found = stored_run(connection, run)
        if found is None:
            raise InputError(f"run {run}: not in this database; `keelwatch eval list` names them")
        return (found,)
    return read_results(run_text(run), run)


MOST_BYTES: Final = 128 * 1024 * 1024
"""A file of a run is no larger: `core-wide`, five times each with answers of 10 KB, has 100 MB."""


def run_text(path: str) -> str:
    """The text of a file that a person named.

    Raises:
        InputError: if there is none, or it is too large, or no text; it names the remedy.
    """
    remedy = "name a file written by `keelwatch eval run --json`, or a run of `keelwatch eval list`"
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {remedy}") from None
    if len(raw) > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES // 2**20} MiB; {remedy}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start:,}; {remedy}") from None
