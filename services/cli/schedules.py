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
from services.evaluate.schedule import next_fire
from services.evaluate.suite_library import load_suite
from services.monitor.schema import ScheduleSection
from services.settings import load_settings
from services.store import routes, schedules
from services.store.engine import open_database
from services.store.schedules import LastFire, StoredSchedule
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
    cron: Annotated[str, typer.Option(help='Five fields, such as "0 6 * * 1" (Sunday = 0), or "@every 6h".')],
    timezone: Annotated[str, typer.Option(help="IANA name, such as Europe/Berlin.")] = "UTC",
    overlap: Annotated[
        str, typer.Option(metavar="RULE", help="skip or queue a time at which runs of the one before are not done.")
    ] = "queue",
    catch_up: Annotated[
        str, typer.Option(metavar="RULE", help="Which times that nobody noticed are run afterwards: none, last or all.")
    ] = "last",
    suites: Annotated[list[str] | None, typer.Option("--suite", help="Else the route's suites.")] = None,
    new: NewOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Run suites of a route at these times; its target stands in the monitor file."""
    try:
        section = _SECTION.validate_python(
            {"name": name, "cron": cron, "timezone": timezone, "overlap": overlap, "catch_up": catch_up}
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = {"name": "NAME"}.get(str(first["loc"][0]), f"--{first['loc'][0]}".replace("_", "-"))
        raise InputError(f"{field}: {first['msg'].removeprefix('Value error, ')}") from None
    for suite in suites or ():
        load_suite(suite)
    chosen = tuple(suites) if suites else None
    now = datetime.now(UTC)
    planned = StoredSchedule(
        checked_route(route),
        section.name,
        chosen,
        section.cron,
        section.timezone,
        True,
        "command",
        now,
        section.overlap,
        section.catch_up,
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
    """List the schedules of the monitor file and of commands: when each runs next, and what became of its last time."""
    now = datetime.now(UTC)
    with opened(database).read() as connection:
        found = schedules.find(connection)
        fires = schedules.last_fires(connection, [one.route for one in found])
    listed = [(one, fires.get((one.route, one.name)), next_fire(one, now)) for one in found]
    write_json([_object(*each) for each in listed], json)
    if json == STDOUT:
        return
    table = Table(*receipts.SCHEDULE_COLUMNS, box=None)
    for one, last, following in listed:
        suites = receipts.OWN_SUITES if one.suites is None else ", ".join(one.suites)
        following_text = "" if following is None else moment(following)
        last_text, missed = ("", "") if last is None else (moment(last.fire_time), last.missed or "")
        rules = f"{one.overlap}, {one.catch_up}"
        cells = one.route, one.name, one.cron, one.timezone, suites, one.origin, rules
        table.add_row(*cells, following_text, last_text, missed)
    OUT.print(table if listed else receipts.NO_SCHEDULE)


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


def _object(one: StoredSchedule, last: LastFire | None, following: datetime | None) -> dict[str, object]:
    return {
        "route": one.route,
        "name": one.name,
        "cron": one.cron,
        "timezone": one.timezone,
        "suites": None if one.suites is None else list(one.suites),
        "enabled": one.enabled,
        "origin": one.origin,
        "overlap": one.overlap,
        "catch_up": one.catch_up,
        "next": None if following is None else iso(following),
        "last": None if last is None else iso(last.fire_time),
        "missed": None if last is None else last.missed,
    }
