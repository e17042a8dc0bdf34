"""`keelwatch schedule`: when suites are run by the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from schemas.base import iso
from services import wiring
from services.cli.named_routes import NewOption, checked_route, refuse_unknown
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.evaluate.suite_library import load_suite
from services.monitor.schema import ScheduleSection
from services.settings import load_settings
from services.store import routes, schedules
from services.store.engine import open_database
from services.store.schedules import StoredSchedule
from services.wording import receipts
from services.wording.numbers import moment

app = typer.Typer(help="Schedules: when suites are run by the clock.", no_args_is_help=True)
_SECTION = TypeAdapter(ScheduleSection)

RouteArgument = Annotated[str, typer.Argument(metavar="ROUTE", help="The route.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name, one of its kind on the route.")]


@app.command("add")
def add(
    route: RouteArgument,
    name: NameArgument,
    cron: Annotated[str, typer.Option(help='Five fields, such as "0 6 * * 1"; weekdays count from Sunday = 0.')],
    timezone: Annotated[str, typer.Option(help="IANA name, such as Europe/Berlin.")] = "UTC",
    suites: Annotated[list[str] | None, typer.Option("--suite", help="Else the route's suites.")] = None,
    new: NewOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Run suites of a route at these times; its target stands in the monitor file."""
    try:
        section = _SECTION.validate_python({"name": name, "cron": cron, "timezone": timezone})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = {"name": "NAME"}.get(str(first["loc"][0]), f"--{first['loc'][0]}")
        raise InputError(f"{field}: {first['msg'].removeprefix('Value error, ')}") from None
    for suite in suites or ():
        load_suite(suite)
    chosen = tuple(suites) if suites else None
    now = datetime.now(UTC)
    planned = StoredSchedule(
        checked_route(route), section.name, chosen, section.cron, section.timezone, True, "command", now
    )
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    with open_database(database or settings.database, heads=settings.data_dir).write() as connection:
        if not new:
            refuse_unknown(route, routes.names(connection), watched)
        if not schedules.add(connection, planned):
            raise InputError(f"{route} has a schedule {name}; remove it, or choose another NAME")
    OUT.print(receipts.scheduled(route, chosen, cron, timezone), markup=False)


@app.command("list")
def list_schedules(database: DatabaseOption = None, json: JsonOption = None) -> None:
    """List the schedules of the monitor file and of commands, with the last time at which each was run."""
    with opened(database).read() as connection:
        found = [(one, schedules.last_fire(connection, one)) for one in schedules.find(connection)]
    fired = [(one, None if last == one.since else last) for one, last in found]
    write_json([_object(one, last) for one, last in fired], json)
    if json == STDOUT:
        return
    table = Table("route", "name", "cron", "time zone", "suites", "stands in", "last", box=None)
    for one, last in fired:
        suites = receipts.OWN_SUITES if one.suites is None else ", ".join(one.suites)
        when = "" if last is None else moment(last)
        table.add_row(one.route, one.name, one.cron, one.timezone, suites, one.origin, when)
    OUT.print(table if fired else receipts.NO_SCHEDULE)


@app.command("remove")
def remove(route: RouteArgument, name: NameArgument, database: DatabaseOption = None) -> None:
    """Remove a schedule that was added by a command."""
    with opened(database).write() as connection:
        of_file = {(one.route, one.name) for one in schedules.find(connection) if one.origin == schedules.FILE}
        if (route, name) in of_file:
            raise InputError(f"schedule {name} of {route} stands in the monitor file; remove it there")
        if not schedules.remove(connection, route, name):
            raise InputError(f"{route} has no schedule {name}; `keelwatch schedule list` names them")
    OUT.print(receipts.unscheduled(route, name), markup=False)


def _object(one: StoredSchedule, last: datetime | None) -> dict[str, object]:
    return {
        "route": one.route,
        "name": one.name,
        "cron": one.cron,
        "timezone": one.timezone,
        "suites": None if one.suites is None else list(one.suites),
        "enabled": one.enabled,
        "origin": one.origin,
        "last": None if last is None else iso(last),
    }
