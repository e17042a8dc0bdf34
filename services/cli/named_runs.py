"""Runs as a person names them on the command line: a file of `eval run --json`, or the id of a stored one."""

from __future__ import annotations

import re
from pathlib import Path

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
        with opened(database).read() as connection:
            found = stored_run(connection, run)
        if found is None:
            raise InputError(f"run {run}: not in this database; `keelwatch eval list` names them")
        return (found,)
    try:
        text = Path(run).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        remedy = "name a file written by `keelwatch eval run --json`, or a run of `keelwatch eval list`"
        raise InputError(f"{run}: {why}; {remedy}") from None
    return read_results(text, run)
