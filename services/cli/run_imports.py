"""`keelwatch eval import`: runs that other tools made, as files that `eval compare` reads and as stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.measure_table import measure_table
from services.cli.named_routes import checked_route
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.evaluate import persistence
from services.evaluate.importers import IMPORTERS, imported
from services.evaluate.importers.assembling import ImportedRun, ImportOrder
from services.evaluate.importers.meanings import ASKABLE, Meaning, parse_event
from services.evaluate.importers.reading import read_content
from services.evaluate.profile import profile_of
from services.evaluate.run_seal import exported_run
from services.settings import load_settings
from services.store import runs
from services.store.engine import open_database
from services.wording import commands, importing

DEFAULT_ROUTE: Final = "imported"
_MOST_FIGURES: Final = 40
_TOOLS: Final = ", ".join(one.tool for one in IMPORTERS)

ForeignPath = Annotated[Path, typer.Argument(metavar="FILE", help=f"A file or folder of {_TOOLS}.")]
MeasureOption = Annotated[
    str | None, typer.Option("--measure", metavar="M", help=f"What a bad verdict counts for: {', '.join(ASKABLE)}.")
]
EventOption = Annotated[
    str | None, typer.Option("--event", metavar="V", help="The bad verdicts, such as C or C,P, or a level: '>=0.5'.")
]
GoodOption = Annotated[
    str | None, typer.Option("--good", metavar="V", help="The good verdicts, where they are not plainly the others.")
]
ScorerOption = Annotated[
    str | None, typer.Option("--scorer", metavar="NAME", help="Whose verdicts count, where a file has several.")
]
AnsweringOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Whose answers count, where a file has several.")
]


def import_runs(
    file: ForeignPath,
    route: Annotated[str, typer.Option("--route", metavar="R", help="Whose run it is.")] = DEFAULT_ROUTE,
    measure: MeasureOption = None,
    event: EventOption = None,
    good: GoodOption = None,
    scorer: ScorerOption = None,
    model: AnsweringOption = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Store the runs here, too.")] = None,
    json: JsonOption = None,
) -> None:
    """Read a run that another tool made: for `eval compare`, profiles and pages. Exit code 1 if it is not complete.

    The tool is told by what is in the file. Verdicts stay those of its own scorer, and the run says so.
    """
    order = ImportOrder(checked_route(route), _meaning(measure, event, good))
    try:
        found = imported(read_content(file), order, scorer, model)
    except InputError as error:
        raise InputError(importing.printable(str(error))) from None
    if database is not None:
        _store(database, found)
    whole = [exported_run(one.result) for one in found]
    write_json(whole[0] if len(whole) == 1 else whole, json, exact=True)
    if json != STDOUT:
        for one in found:
            _tell(one)
    if any(one.result.status != "complete" for one in found):
        raise typer.Exit(1)


def _meaning(measure: str | None, event: str | None, good: str | None) -> Meaning | None:
    if measure is None and event is None and good is None:
        return None
    if measure is None or event is None:
        raise InputError("--measure, --event: go together: which measure, and which verdicts are the bad ones")
    for name in ASKABLE:
        if name == measure:
            return Meaning(name, parse_event(event, good))
    raise InputError(f"--measure {measure}: must be one of {', '.join(ASKABLE)}")


def _store(url: str, found: tuple[ImportedRun, ...]) -> None:
    database = open_database(url, heads=load_settings().data_dir)
    try:
        with database.write() as connection:
            for one in found:
                persistence.store_run(connection, one.result, runs.COMMAND, None)
    finally:
        database.close()


def _tell(one: ImportedRun) -> None:
    result = one.result
    status = commands.run_status(result.status, result.reason)
    told = [
        commands.run_told(result.suite.name, result.suite.version, len(result.answers), result.target.model, status),
        *([] if result.origin is None else [importing.made_elsewhere(result.origin)]),
        *(importing.tool_figure(one.tool, figure.name, figure.value) for figure in one.printed[:_MOST_FIGURES]),
        importing.verdicts(one.verdicts),
        importing.left_out(one.left_out, len(result.answers)),
        f"run {result.id}",
    ]
    for line in told:
        OUT.print(importing.printable(line), markup=False, soft_wrap=True)
    OUT.print(measure_table(profile_of(result), corrected=False))
