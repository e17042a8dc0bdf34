"""`keelwatch eval list`: runs that are stored, and those that are not done yet, with what they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.table import Table
from sqlalchemy import Connection

from schemas.base import iso
from services.cli.options import DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.store import runs
from services.store.runs import RequestedRun, RunFilter
from services.store.tables import EVERYTHING
from services.wording import commands as words
from services.wording import numbers
from services.wording.schedules import RUNNING, cause, waiting

_MOST: Final = 1_000


def list_runs(
    route: Annotated[str | None, typer.Option(help="Only this route.")] = None,
    open_ones: Annotated[
        bool, typer.Option("--waiting", help="Those that are due or under way, and what they wait for.")
    ] = False,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """List the runs that are stored, the newest last; or those that are not done yet, the next one first."""
    with opened(database).read() as connection:
        if open_ones:
            _tell_waiting(_waiting(connection, route), datetime.now(UTC), json)
            return
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


def _waiting(connection: Connection, route: str | None) -> list[RequestedRun]:
    globs = EVERYTHING if route is None else (route,)
    return list(reversed(runs.page(connection, RunFilter(globs, states=("due", "running")), None, _MOST)))


def _tell_waiting(found: Sequence[RequestedRun], now: datetime, json: str | None) -> None:
    names = ("id", "route", "suite", "identity", "moment", "cause", "state", "reason", "target")
    write_json(
        [
            {name: getattr(one, name) for name in names}
            | {"due": iso(one.ts), "until": None if one.until is None else iso(one.until)}
            for one in found
        ],
        json,
    )
    if json == STDOUT:
        return
    for one in found:
        line = words.waiting_run(one.id or "", one.route, one.suite or "", cause(one.moment), _waits_for(one, now))
        OUT.print(line, markup=False, soft_wrap=True)
    if not found:
        OUT.print(words.NONE_WAITS)


def _waits_for(one: RequestedRun, now: datetime) -> str:
    return RUNNING if one.state == "running" else waiting(one.ts, one.until, one.reason, now)[0]
