"""`keelwatch eval`: suites run against a model, and two runs held against each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from schemas.base import HEX16
from services.cli import compared
from services.cli.incidents import DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.evaluate.compare import compare
from services.evaluate.outcome import as_object, worst
from services.evaluate.result import RunResult
from services.evaluate.result_file import read_results
from services.evaluate.telling import stored

app = typer.Typer(help="Run suites against a model, and compare runs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a stored run, or a file of `eval run --json`.")]


@app.command("compare")
def compare_runs(
    before: RunArgument, after: RunArgument, database: DatabaseOption = None, json: JsonOption = None
) -> None:
    """Compare two runs item by item: regressed, improved, unchanged or inconclusive. Exit code 0 for each of them."""
    pairs = _pairs(results(before, database), results(after, database))
    found = [(later.suite.name, compare(earlier, later)) for earlier, later in pairs]
    write_json(as_object(found), json)
    if json != STDOUT:
        for suite, one in found:
            OUT.print(compared.shown(suite, one))
        OUT.print(f"overall: {worst(found)}")


def results(run: str, database: str | None = None) -> tuple[RunResult, ...]:
    """The runs of a file, or the stored one of this id.

    Raises:
        InputError: if there is neither, or the file is no such file.
    """
    if not Path(run).exists() and re.fullmatch(HEX16, run):
        with opened(database).database.read() as connection:
            found = stored(connection, run)
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


def _pairs(before: tuple[RunResult, ...], after: tuple[RunResult, ...]) -> list[tuple[RunResult | None, RunResult]]:
    """Each later run with the earlier one of its suite; with one run on each side, those two.

    Raises:
        InputError: if a suite was run earlier and not later.
    """
    if len(before) == len(after) == 1:
        return [(before[0], after[0])]
    earlier = {run.suite.name: run for run in before}
    gone = sorted(set(earlier) - {run.suite.name for run in after})
    if gone:
        raise InputError(f"suite {gone[0]} is in the first RUN and not in the second; run it again")
    return [(earlier.get(run.suite.name), run) for run in after]
