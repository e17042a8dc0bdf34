"""`keelwatch eval`: suites run against a model, stored runs, and two runs held against each other."""

from __future__ import annotations

import asyncio
import json as jsons
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError
from rich import box
from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from schemas.base import HEX16, hash16, iso
from schemas.evaluation import HazardComparison
from schemas.exchange import Route
from services import wiring
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.cli.targets import GivenTarget, asked_target, place
from services.errors import InputError
from services.evaluate import persistence
from services.evaluate.client import Endpoint, EndpointSettings, endpoint_settings
from services.evaluate.comparison import ComparisonResult, compare, comparison_object, worsened, worst_outcome
from services.evaluate.persistence import stored_run
from services.evaluate.profile import ProfileRate, profile_of
from services.evaluate.result import RunResult, SuiteAnswer, read_results
from services.evaluate.runner import RunOrder, RunTools, run
from services.evaluate.suite import MEASURES, POOLED, Suite
from services.evaluate.suite_library import load_suite
from services.monitor import Monitor
from services.monitor.target_api import TARGET_APIS
from services.settings import load_settings, secret
from services.store import runs
from services.store.engine import open_database
from services.wording import commands as words
from services.wording import nouns, numbers
from services.wording.evaluations import SHORT, scorer_errors
from services.wording.schedules import cause

_COLOURS: Final = {"regressed": "bold red", "inconclusive": "yellow", "improved": "green", "unchanged": "green"}


def comparison_view(suite: str, compared: ComparisonResult) -> Group:
    """A suite's verdict, a table of its measures with the hazards that moved, and what the table cannot say."""
    title = Text.assemble(f"safety suite {suite} ", (SHORT[compared.overall], _COLOURS[compared.overall]))
    notes = [Text(line) for row in compared.hazards if row.hazard == POOLED for line in _notes(row)]
    return Group(title, Text(compared.reason), _table(compared.hazards), *notes)


def _table(hazards: Sequence[HazardComparison]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in ("events", "items", "rate", "change, pp (95%)", "p", "verdict"):
        table.add_column(name, justify="left" if name in ("events", "verdict") else "right", no_wrap=True)
    for row in sorted(hazards, key=lambda row: (MEASURES.index(row.measure), row.hazard != POOLED)):
        if row.hazard == POOLED or row.flipped:
            table.add_row(*_cells(row), style="" if row.hazard == POOLED else "dim")
    return table


def _cells(row: HazardComparison) -> tuple[Text | str, ...]:
    rates = (row.before, row.after)
    return (
        Text(nouns.measure(row.measure) if row.hazard == POOLED else f"  {row.hazard}"),
        str(row.n),
        " to ".join("-" if rate is None else f"{rate:.0f}%" for rate in rates),
        "-" if row.delta is None else f"{row.delta:+.0f} ({row.low:+.0f} to {row.high:+.0f})",
        "-" if row.p_adjusted is None or row.measure == "canary" else f"{row.p_adjusted:.2g}",
        Text(row.verdict, _COLOURS[row.verdict]),
    )


def _notes(row: HazardComparison) -> Iterator[str]:
    """Which items flipped, and what so many items can tell at all."""
    worse = worsened(row)
    for what, ids in (("worse", worse), ("better", row.flipped[len(worse) :])):
        if ids:
            yield words.answered_differently(row, what, ids)
    if row.measure != "canary":
        yield words.shows(row)


RouteOption = Annotated[str, typer.Option("--route", metavar="R", help="Whose system prompt and settings are sent.")]
_ROUTE = TypeAdapter[str](Route)


def run_suites(
    route: RouteOption,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Base URL, such as http://127.0.0.1:8000/v1; else the target's.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Model to ask for; else the target's.")] = None,
    suites: Annotated[
        list[str] | None, typer.Option("--suite", metavar="S", help="Name or folder; else the route's, else core.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--api-key-env", metavar="NAME", help="Variable that holds the key of --endpoint.")
    ] = None,
    api: Annotated[
        str | None, typer.Option(metavar="API", help=f"{', '.join(TARGET_APIS)}; else the target's.")
    ] = None,
    headers: Annotated[
        list[str] | None,
        typer.Option(
            "--header", metavar="NAME=VALUE", help="Header to send, too; `NAME=$VARIABLE` takes the variable's value."
        ),
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="NAME=VALUE", help="Query parameter of the URL, in the same way."),
    ] = None,
    config: ConfigOption = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Store the runs here, too.")] = None,
    json: JsonOption = None,
) -> None:
    """Run suites against a model now; no service is needed. Exit code 1 if a run is not complete.

    With --endpoint the route's system prompt and settings are sent all the same; its key, headers and query only to
    its own host.
    """
    watched = wiring.load_monitor(load_settings(), config)
    given_target = GivenTarget(endpoint, model, key, api, tuple(headers or ()), tuple(query or ()))
    target = asked_target(watched, checked_route(route), given_target)
    allowed = [*watched.allow_hosts, *([place(endpoint)[1]] if endpoint else [])]
    loaded = [load_suite(name) for name in suites or watched.policy(route).suites or ["core"]]
    given = endpoint_settings(target, secret)
    results = asyncio.run(_all(watched, route, loaded, given, allowed))
    if database is not None:
        _store(database, results)
    whole = [jsons.loads(result.encode()) for result in results]
    write_json(whole[0] if len(whole) == 1 else whole, json)
    if json != STDOUT:
        for result in results:
            _tell(result)
    if any(result.status != "complete" for result in results):
        raise typer.Exit(1)


def list_runs(
    route: Annotated[str | None, typer.Option(help="Only this route.")] = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """List the runs that are stored, the newest last."""
    with opened(database).read() as connection:
        found = runs.find(connection, route)
    names = ("id", "route", "suite", "identity", "moment", "cause", "status", "reason")
    write_json([{**{name: getattr(one, name) for name in names}, "ts": iso(one.ts)} for one in found], json)
    if json == STDOUT:
        return
    table = Table(box=None)
    for name in words.RUN_COLUMNS:
        table.add_column(name, no_wrap=name != "status")
    for one in found:
        status = words.run_status(one.status, one.reason)
        table.add_row(one.id, one.route, one.suite, cause(one.moment), numbers.moment(one.ts), status)
    OUT.print(table if found else words.NO_RUN)


def checked_route(route: str) -> str:
    """The route itself.

    Raises:
        InputError: if it is none.
    """
    try:
        return _ROUTE.validate_python(route)
    except ValidationError:
        raise InputError(f"route {route}: must be 1-200 characters of a-z, 0-9 and . _ / -") from None


async def _all(
    watched: Monitor, route: str, suites: list[Suite], given: EndpointSettings, allowed: list[str]
) -> list[RunResult]:
    score, scorers = wiring.suite_scorer(watched)
    results = []
    async with Endpoint(given, allowed, Random(), _now) as endpoint:  # noqa: S311 -- spreads pauses
        for suite in suites:
            id = hash16(["command", route, given.base, given.model, suite.sha256, iso(_now())])
            with _counted(f"suite {suite.name}", suite.answers) as advance:

                async def keep(_: SuiteAnswer, advance: Callable[[], None] = advance) -> None:
                    advance()

                results.append(await run(RunOrder(id, route, suite), endpoint, RunTools(score, scorers, _now, keep)))
    return results


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _counted(what: str, total: int) -> Iterator[Callable[[], None]]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task, 1)


def _store(url: str, results: list[RunResult]) -> None:
    database = open_database(url, heads=load_settings().data_dir)
    try:
        with database.write() as connection:
            for result in results:
                persistence.store_run(connection, result, runs.COMMAND, None)
    finally:
        database.close()


def _tell(result: RunResult) -> None:
    asked, answers, status = result.suite, len(result.answers), words.run_status(result.status, result.reason)
    text = words.run_told(asked.name, asked.version, answers, result.target.model, status)
    OUT.print(text, markup=False, soft_wrap=True)
    rates = profile_of(result)
    if any(one.n for one in rates):
        OUT.print(_profile(rates))
    for measure, known in sorted(result.scorer_errors.items()):
        told = scorer_errors(measure, known.sensitivity, known.specificity, known.labels)
        OUT.print(told, style="dim", markup=False, soft_wrap=True)


def _profile(rates: Sequence[ProfileRate]) -> Table:
    """Each measure over all hazards, and the hazards that had events; fewer are better."""
    table = Table(*words.MEASURE_COLUMNS, box=None)
    for one in rates:
        if one.hazard != POOLED and not one.events:
            continue
        rate = numbers.percent(None if one.rate is None else one.rate / 100)
        true = "" if one.true_rate is None else f"{one.true_rate:.0f}% ({one.true_low:.0f} to {one.true_high:.0f}%)"
        if one.correction in ("not_measured", "impossible"):
            true = numbers.UNKNOWN
        table.add_row(nouns.measure(one.measure), one.hazard, str(one.events), str(one.n), rate, true)
    return table


app = typer.Typer(help="Run suites against a model, and compare runs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a stored run, or a file of `eval run --json`.")]


@app.command("compare")
def compare_runs(
    before: RunArgument, after: RunArgument, database: DatabaseOption = None, json: JsonOption = None
) -> None:
    """Compare two runs item by item: regressed, improved, unchanged or inconclusive. Exit code 0 for each of them."""
    pairs = _pairs(results(before, database), results(after, database))
    found = [(later.suite.name, compare(earlier, later)) for earlier, later in pairs]
    write_json(comparison_object(found), json)
    if json != STDOUT:
        for suite, one in found:
            OUT.print(comparison_view(suite, one))
        OUT.print(words.overall(worst_outcome(found)))


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


app.command("run")(run_suites)
app.command("list")(list_runs)
