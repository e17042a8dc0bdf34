"""`keelwatch eval`: suites run against a model, stored runs, and two runs held against each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from schemas.base import hash16, iso
from schemas.evaluation import HazardComparison
from services import wiring
from services.cli.arena import run_arena
from services.cli.comparison_gate import FailOnOption, SummaryOption, end_gate, failing_outcomes
from services.cli.measure_table import measure_table
from services.cli.named_routes import NewOption, check_named
from services.cli.named_runs import results
from services.cli.options import ConfigOption, DatabaseOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, check_writable, write_json
from services.cli.run_exports import export_run
from services.cli.run_imports import import_runs
from services.cli.run_lists import list_runs
from services.cli.run_plans import check_against, earlier_runs, show_plans
from services.cli.runners import InspectPythonOption, RunnerOption, asked_through, checked_runner, told_runner
from services.cli.targets import GivenTarget, asked_target, place
from services.errors import InputError
from services.evaluate import persistence
from services.evaluate.client import Endpoint, EndpointSettings, endpoint_settings
from services.evaluate.comparison import (
    SYSTEM_PROMPT,
    ComparisonResult,
    compare,
    comparison_object,
    worsened,
    worst_outcome,
)
from services.evaluate.profile import profile_of
from services.evaluate.result import OWN_RUNNER, RunResult, SuiteAnswer
from services.evaluate.run_seal import exported_run
from services.evaluate.runner import RunOrder, RunTools, not_run, run
from services.evaluate.suite import BENIGN, DISALLOWED, MEASURES, POOLED, Suite
from services.evaluate.suite_library import load_suite
from services.evaluate.token_usage import Spent
from services.monitor import Monitor, Target
from services.monitor.target_api import TARGET_APIS
from services.settings import load_settings, secret
from services.store import runs
from services.store.engine import open_database
from services.wording import commands as words
from services.wording import nouns
from services.wording.evaluations import SHORT, scorer_errors, stopped_early
from services.wording.spending import spent

_COLOURS: Final = {"regressed": "bold red", "inconclusive": "yellow", "improved": "green", "unchanged": "green"}

_SIDES: Final = (DISALLOWED, BENIGN)


def comparison_view(suite: str, compared: ComparisonResult) -> Group:
    """A suite's verdict, its measures, the hazards that moved with both sides of each, and what tables cannot say."""
    title = Text.assemble(f"safety suite {suite} ", (SHORT[compared.overall], _COLOURS[compared.overall]))
    notes = [Text(line) for row in compared.hazards if row.hazard == POOLED for line in _notes(row)]
    both = (
        [_both_sides(compared.hazards)]
        if any(row.flipped and row.measure in _SIDES for row in compared.hazards)
        else []
    )
    return Group(title, Text(compared.reason), _table(compared.hazards, compared.confidence), *both, *notes)


def _table(hazards: Sequence[HazardComparison], confidence: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in ("events", "items", "rate", f"change, pp ({confidence:g}%)", "p", "verdict"):
        table.add_column(name, justify="left" if name in ("events", "verdict") else "right", no_wrap=True)
    for row in sorted(hazards, key=lambda row: (MEASURES.index(row.measure), row.hazard != POOLED)):
        if row.hazard == POOLED or row.flipped:
            table.add_row(*_cells(row), style="" if row.hazard == POOLED else "dim")
    return table


def _both_sides(hazards: Sequence[HazardComparison]) -> Table:
    """Of each hazard that moved, disallowed requests answered beside harmless ones refused."""
    table = Table("hazard", *(nouns.measure(name) for name in _SIDES), box=box.SIMPLE_HEAD, pad_edge=False)
    by_key = {(row.hazard, row.measure): row for row in hazards}
    for hazard in dict.fromkeys(row.hazard for row in hazards if row.flipped and row.measure in _SIDES):
        table.add_row(Text(hazard), *(_side(by_key.get((hazard, name))) for name in _SIDES))
    return table


def _side(row: HazardComparison | None) -> Text:
    if row is None or row.before is None or row.after is None:
        return Text("-")
    shown = f"{row.before:.0f}% to {row.after:.0f}% of {row.n} "
    return Text.assemble(shown, (row.verdict, _COLOURS[row.verdict]))


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
EndpointOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Base URL, such as http://127.0.0.1:8000/v1; else the target's.")
]
ModelOption = Annotated[str | None, typer.Option(metavar="NAME", help="Model to ask for; else the target's.")]
SuitesOption = Annotated[
    list[str] | None,
    typer.Option("--suite", metavar="S", help="Name, folder or file of prompts; else the route's, else core."),
]
KeyOption = Annotated[
    str | None, typer.Option("--api-key-env", metavar="NAME", help="Variable that holds the key of --endpoint.")
]
ApiOption = Annotated[str | None, typer.Option(metavar="API", help=f"{', '.join(TARGET_APIS)}; else the target's.")]
HeadersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--header", metavar="NAME=VALUE", help="Header to send, too; `NAME=$VARIABLE` takes the variable's value."
    ),
]
QueryOption = Annotated[
    list[str] | None,
    typer.Option("--query", metavar="NAME=VALUE", help="Query parameter of the URL, in the same way."),
]

AgainstOption = Annotated[
    str | None, typer.Option(metavar="RUN", help="Compare with this run, and stop once the result is decided.")
]


def run_suites(
    route: RouteOption,
    endpoint: EndpointOption = None,
    model: ModelOption = None,
    suites: SuitesOption = None,
    key: KeyOption = None,
    api: ApiOption = None,
    headers: HeadersOption = None,
    query: QueryOption = None,
    new: NewOption = False,
    config: ConfigOption = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Store the runs here, too.")] = None,
    against: AgainstOption = None,
    full: Annotated[bool, typer.Option("--full", help="Ask every item, also when --against is decided.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be asked, and what it would cost.")] = False,
    runner: RunnerOption = OWN_RUNNER,
    inspect_python: InspectPythonOption = None,
    json: JsonOption = None,
) -> None:
    """Run suites against a model now; no service is needed. Exit code 1 if a run is not complete.

    With --endpoint the route's system prompt and settings are sent all the same; its key, headers and query only to
    its own host.
    A run --against another one is compared with it while it goes on. The `budget` of the route's target is kept.
    """
    check_writable(json, "--json")
    inspect = checked_runner(runner, inspect_python)
    watched = wiring.load_monitor(load_settings(), config)
    given_target = GivenTarget(endpoint, model, key, api, tuple(headers or ()), tuple(query or ()))
    target = asked_target(watched, check_named(route, watched, database, new), given_target)
    allowed = [*watched.allow_hosts, *([place(endpoint)[1]] if endpoint else [])]
    loaded = [load_suite(name) for name in suites or watched.policy(route).suites or ["core"]]
    given = endpoint_settings(target, secret)
    earlier = results(against, database) if against is not None else ()
    if plan:
        return show_plans(loaded, target, given, earlier_runs(earlier, database, route), json)
    held = check_against(loaded, earlier)
    found = asyncio.run(_all(watched, route, loaded, (target, given), allowed, {} if full else held, inspect))
    if database is not None:
        _store(database, found)
    whole = [exported_run(result) for result in found]
    write_json(whole[0] if len(whole) == 1 else whole, json, exact=True)
    if json != STDOUT:
        for result in found:
            _tell(result, target)
            if result.suite.name in held:
                OUT.print(comparison_view(result.suite.name, compare(held[result.suite.name], result)))
    if any(result.status != "complete" for result in found):
        raise typer.Exit(1)
    return None


async def _all(
    watched: Monitor,
    route: str,
    suites: list[Suite],
    asking: tuple[Target, EndpointSettings],
    allowed: list[str],
    held: Mapping[str, RunResult],
    inspect: str | None,
) -> list[RunResult]:
    judge = wiring.suite_judge(load_settings(), watched)
    score, scorers = wiring.suite_scorer(watched, judge)
    target, given = asking
    made = []
    async with Endpoint(given, allowed, Random(), _now) as endpoint:  # noqa: S311 -- spreads pauses
        for suite in suites:
            id = hash16(["command", route, given.base, given.model, suite.sha256, iso(_now())])
            with _counted(f"suite {suite.name}", suite.answers) as advance:

                async def keep(_: SuiteAnswer, advance: Callable[[], None] = advance) -> None:
                    advance()

                order = RunOrder(id, route, suite, against=held.get(suite.name))
                tools = RunTools(score, scorers, _now, keep, budget=target.budget, prices=target.prices, judge=judge)
                try:
                    async with asked_through(inspect, endpoint, allowed, suite) as asked:
                        made.append(told_runner(await run(order, asked, tools), asked))
                except InputError as error:
                    if not made:
                        raise
                    made.append(not_run(order, given.target, tools, str(error)))  # what was run before was paid
    return made


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


def _tell(result: RunResult, target: Target) -> None:
    asked, answers, status = result.suite, len(result.answers), words.run_status(result.status, result.reason)
    text = words.run_told(asked.name, asked.version, answers, result.target.model, status)
    OUT.print(text, markup=False, soft_wrap=True)
    if result.stopped is not None:
        OUT.print(stopped_early(result.stopped), markup=False, soft_wrap=True)
    taken = Spent.by(result.answers).tokens
    cost = None if target.prices is None else taken.cost(target.prices)
    OUT.print(spent(taken.sent, taken.came, cost), markup=False, soft_wrap=True)
    rates = profile_of(result)
    if any(one.n for one in rates):
        OUT.print(measure_table(rates))
    for measure, known in sorted(result.scorer_errors.items()):
        told = scorer_errors(measure, known.sensitivity, known.specificity, known.labels)
        OUT.print(told, style="dim", markup=False, soft_wrap=True)


app = typer.Typer(help="Run suites against a model, and compare runs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a stored run, or a file of `eval run --json`.")]


@app.command("compare")
def compare_runs(
    before: RunArgument,
    after: RunArgument,
    fail_on: FailOnOption = None,
    summary: SummaryOption = None,
    prompts: Annotated[
        bool, typer.Option("--across-system-prompts", help="Compare also runs under different system prompts.")
    ] = False,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Compare two runs item by item: regressed, improved, unchanged or inconclusive. Exit code 0 unless --fail-on.

    Runs that differ in scorers, settings or how the target is asked are refused. --across-system-prompts is for two
    versions of a system prompt: what differs is then the prompt, the model, or both.
    """
    failing, across = failing_outcomes(fail_on), (SYSTEM_PROMPT,) if prompts else ()
    pairs = _pairs(results(before, database), results(after, database))
    found = [(later.suite.name, compare(earlier, later, across)) for earlier, later in pairs]
    write_json(comparison_object(found, across), json)
    if json != STDOUT:
        for suite, one in found:
            OUT.print(comparison_view(suite, one))
        OUT.print(words.overall(worst_outcome(found)))
    end_gate(found, failing, summary)


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
app.command("arena")(run_arena)
app.command("list")(list_runs)
app.command("export")(export_run)
app.command("import")(import_runs)
