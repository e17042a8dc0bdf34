"""`keelwatch eval run` and `eval list`: a suite against a model now, and the runs that are stored."""

from __future__ import annotations

import asyncio
import json as jsons
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import TypeAdapter, ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from schemas.base import hash16, iso
from schemas.exchange import Route
from services import bootstrap
from services.cli.evaluate import app
from services.cli.incidents import DatabaseOption, opened
from services.cli.options import ConfigOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.evaluate import telling
from services.evaluate.client import Asking, Endpoint, asking
from services.evaluate.library import load_suite
from services.evaluate.result import Answer, RunResult, to_record
from services.evaluate.runner import Order, Tools, run
from services.evaluate.suite import Suite
from services.monitor import Monitor, Target
from services.settings import load_settings, secret
from services.store import runs
from services.store.engine import open_database

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
    config: ConfigOption = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Store the runs here, too.")] = None,
    json: JsonOption = None,
) -> None:
    """Run suites against a model now; no service is needed. Exit code 1 if a run is not complete.

    With --endpoint the route's system prompt and settings are sent all the same, and its key only to its own host.
    """
    watched = bootstrap.monitor(load_settings(), config)
    target = _target(watched, checked_route(route), endpoint, model, key)
    allowed = [*watched.allow_hosts, *([_place(endpoint)[1]] if endpoint else [])]
    loaded = [load_suite(name) for name in suites or watched.policy(route).suites or ["core"]]
    given = asking(target, secret)
    results = asyncio.run(_all(route, loaded, given, allowed))
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
    with opened(database).database.read() as connection:
        found = runs.find(connection, route)
    names = ("id", "route", "suite", "identity", "moment", "cause", "status", "reason")
    write_json([{**{name: getattr(one, name) for name in names}, "ts": iso(one.ts)} for one in found], json)
    if json == STDOUT:
        return
    table = Table(box=None)
    for name in ("run", "route", "suite", "asked for by", "ended", "status"):
        table.add_column(name, no_wrap=name != "status")
    for one in found:
        status = one.status if one.reason is None else f"{one.status}: {one.reason}"
        table.add_row(one.id, one.route, one.suite, one.moment, f"{one.ts:%Y-%m-%d %H:%M}", status)
    OUT.print(table if found else "no run is stored yet")


def checked_route(route: str) -> str:
    """The route itself.

    Raises:
        InputError: if it is none.
    """
    try:
        return _ROUTE.validate_python(route)
    except ValidationError:
        raise InputError(f"route {route}: must be 1-200 characters of a-z, 0-9 and . _ / -") from None


def _target(watched: Monitor, route: str, endpoint: str | None, model: str | None, key: str | None) -> Target:
    """The route's target, with what the command line names in its place."""
    known = watched.policy(route).target
    if known is None and (endpoint is None or model is None):
        raise InputError(f"route {route} has no target in the monitor file; name --endpoint and --model")
    base = known or Target(endpoint or "", model or "")
    same = endpoint is None or _place(endpoint) == _place(base.url)
    return replace(
        base,
        url=endpoint or base.url,
        model=model or base.model,
        api_key_env=key or (base.api_key_env if same else None),
    )


def _place(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        place = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        place = "", "", None
    if place[0] not in ("http", "https") or not place[1]:
        raise InputError("--endpoint: must be a URL such as https://HOST/v1")
    return place


async def _all(route: str, suites: list[Suite], given: Asking, allowed: list[str]) -> list[RunResult]:
    score, scorers = bootstrap.judge()
    results = []
    async with Endpoint(given, allowed, Random(), _now) as endpoint:  # noqa: S311 -- spreads pauses
        for suite in suites:
            id = hash16(["command", route, given.base, given.model, suite.sha256, iso(_now())])
            with _counted(f"suite {suite.name}", suite.answers) as advance:

                async def keep(_: Answer, advance: Callable[[], None] = advance) -> None:
                    advance()

                results.append(await run(Order(id, route, suite), endpoint, Tools(score, scorers, _now, keep)))
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
    database = open_database(url)
    try:
        with database.write() as connection:
            for result in results:
                telling.store(connection, result, runs.COMMAND, None)
    finally:
        database.close()


def _tell(result: RunResult) -> None:
    reason = "" if result.reason is None else f": {result.reason}"
    answers = f"{len(result.answers):,} answers of {result.target.model}"
    text = f"suite {result.suite.name} {result.suite.version}, {answers}: {result.status}{reason}"
    OUT.print(text, markup=False, soft_wrap=True)
    record = to_record(result)
    if record.measures:
        OUT.print(_profile([measure.model_dump() for measure in record.measures]))


def _profile(measures: list[dict[str, Any]]) -> Table:
    """Each measure over all hazards, and the hazards that had events; fewer are better."""
    table = Table("measure", "hazard", "events", "items", "rate", box=None)
    for name in dict.fromkeys(measure["measure"] for measure in measures):
        own = [measure for measure in measures if measure["measure"] == name]
        every = {"hazard": "all", "n": sum(one["n"] for one in own), "events": sum(one["events"] for one in own)}
        for one in [every, *(hazard for hazard in own if hazard["events"])]:
            rate = f"{one['events'] / one['n']:.0%}" if one["n"] else ""
            table.add_row(name.replace("_", " "), one["hazard"], str(one["events"]), str(one["n"]), rate)
    return table


app.command("run")(run_suites)
app.command("list")(list_runs)
