"""`keelwatch route`: which routes there are, how one is deleted, and how one on which a step failed is tried again."""

from __future__ import annotations

import getpass
import logging
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import quote

import typer
from rich.table import Table
from rich.text import Text

from schemas.base import iso
from services import wiring
from services.api.resources.coverage import RouteCoverage, coverage_of
from services.cli.changes import ask_api, post_to_api
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.monitor.known_routes import named_routes
from services.settings import load_settings
from services.store import route_deletion, routes
from services.wording import commands as words
from services.wording import coverage as asked_words
from services.wording import routes as route_words
from services.wording.numbers import moment

LOG: Final = logging.getLogger("keelwatch.route")
_EXAMPLE: Final = 80
app = typer.Typer(help="Routes: listed, deleted, tried again after a step failed on one.", no_args_is_help=True)


@app.command("list")
def list_routes(database: DatabaseOption = None, config: ConfigOption = None, json: JsonOption = None) -> None:
    """List the routes that are stored or that the monitor file names, and when an exchange came last."""
    watched = wiring.load_monitor(load_settings(), config)
    waiting = dict.fromkeys(named_routes(watched))
    found = sorted((waiting | opened(database).query(routes.arrivals)).items())
    rows = [
        {"route": name, "listed": watched.lists(name), "arrived": None if ts is None else iso(ts)} for name, ts in found
    ]
    write_json(rows, json)
    if json == STDOUT:
        return
    table = Table(*words.ROUTE_LIST_COLUMNS, box=None)
    for name, ts in found:
        table.add_row(name, "yes" if watched.lists(name) else "no", words.NEVER if ts is None else moment(ts))
    OUT.print(table if found else words.NO_ROUTE)
    OUT.print(words.places(sum(not watched.lists(name) for name, _ in found), watched.max_routes), style="dim")


@app.command("delete")
def delete(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="The route, as `keelwatch route list` names it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is logged with who said so.")],
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who says so; else the key's name, or the user's.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="It is meant: nothing brings it back but a backup.")] = False,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Delete there; else the running service at KEELWATCH_API_URL does."),
    ] = None,
) -> None:
    """Delete all that is stored of a route: what it learned, its incidents, samples, runs and schedules.

    Exchanges that come later make it anew, as a route that was never seen; so do those that are on their way.
    """
    if not yes:
        raise InputError(f"--yes: missing; {words.about_to_delete(route)}")
    settings = load_settings()
    by = actor or (getpass.getuser() if database or not settings.shows_key else None)
    if database is None:
        params = {"reason": reason, **({} if by is None else {"actor": by})}
        told = ask_api(settings, "DELETE", f"/v1/routes/{quote(route)}", params=params)
        gone: dict[str, int] = told["rows"]
    else:
        named = by or getpass.getuser()
        gone = opened(database).transact(lambda one: route_deletion.delete_by(one, route, named, reason))
        if not gone:
            raise InputError(f"{route}: not in this database; `keelwatch route list` names its routes")
        LOG.warning("route %s was deleted by %s: %s", route, named, " ".join(reason.split()))
    OUT.print(words.deleted(route, sum(gone.values()), len(gone)), markup=False)


@app.command("coverage")
def show_coverage(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="The route, as `keelwatch route list` names it.")],
    database: DatabaseOption = None,
    config: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """How much of what users ask of a route its suites ask too, and the largest groups of questions that none asks."""
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    policy = watched.policy(route) if config or settings.config else None  # without a file nobody says what is run
    kept = opened(database)
    if not kept.query(routes.exists, route):
        raise InputError(f"{route}: not in this database; `keelwatch route list` names its routes")
    found = kept.query(coverage_of, route, policy, datetime.now(UTC))
    write_json(found.model_dump(mode="json"), json)
    if json == STDOUT:
        return
    OUT.print(found.sentence, markup=False, soft_wrap=True)
    if found.low is None or found.high is None or found.measured is None:
        return
    basis = asked_words.basis(found.questions, found.exchanges, found.low, found.high)
    OUT.print(f"{basis}; {asked_words.by_what(found.suites)}; {asked_words.measured(found.measured)}", style="dim")
    OUT.print(_gaps(found) if found.gaps else asked_words.NO_GAP)
    if found.gaps:
        OUT.print(asked_words.to_add(route, found.gaps[0].number), markup=False, soft_wrap=True)


def _gaps(found: RouteCoverage) -> Table:
    """One row a group; what users wrote is text, never markup."""
    table = Table(*asked_words.COLUMNS, box=None)
    for one in found.gaps:
        example = next((" ".join(kept.prompt.split()) for kept in one.examples if kept.prompt), asked_words.NO_TEXT)
        example = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in example)
        shown = f"{example[:_EXAMPLE]}{'...' if len(example) > _EXAMPLE else ''}"
        rates = (asked_words.rate(share) for share in (one.share, one.risky, one.declined))
        table.add_row(str(one.number), Text(", ".join(one.words) or "-"), *rates, Text(shown))
    return table


@app.command("retry")
def retry(route: Annotated[str, typer.Argument(metavar="ROUTE", help="Such as support-bot/prod.")]) -> None:
    """Have what waits of a route taken up again, after the cause was mended: asks the API at KEELWATCH_API_URL."""
    told = post_to_api(load_settings(), "/v1/route-retries", {"route": route})
    steps = [(str(one["step"]), int(one["waiting"])) for one in told["steps"]]
    OUT.print(route_words.retried(route, steps) if steps else route_words.NOT_PARKED, markup=False, soft_wrap=True)
