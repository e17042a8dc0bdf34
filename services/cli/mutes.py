"""`keelwatch mute`: what fires unheard since somebody resolved it, or called it a false alarm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import Connection

from schemas.base import iso
from services.alert.state import Mute
from services.api.route_snapshot import muted_alerts
from services.cli.changes import named_actor, post_to_api
from services.cli.options import ActorOption, DatabaseOption, ReasonOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.settings import load_settings
from services.store import routes
from services.wording import commands as words
from services.wording.decisions import DECISIONS
from services.wording.numbers import moment
from services.wording.unseen import on_one_line

app = typer.Typer(help="Mutes: what fires unheard since somebody resolved it.", no_args_is_help=True)


@app.command("list")
def list_mutes(database: DatabaseOption = None, json: JsonOption = None) -> None:
    """List what is muted, by whose decision, and until when at the latest."""
    found = opened(database).query(_all)
    write_json([_object(route, one) for route, one in found], json)
    if json == STDOUT:
        return
    table = Table(*words.MUTE_COLUMNS, box=None)
    for route, one in found:
        said = map(on_one_line, (one.actor, one.reason))
        table.add_row(route, one.fingerprint, DECISIONS[one.kind].done, moment(one.until), *said)
    OUT.print(table if found else words.NO_MUTE)


@app.command("end")
def end(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Such as support-bot/prod.")],
    reason: ReasonOption,
    fingerprint: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this alert, as `keelwatch mute list` shows it.")
    ] = None,
    actor: ActorOption = None,
) -> None:
    """Have what is muted on a route heard again when it fires, by the running service at KEELWATCH_API_URL."""
    settings = load_settings()
    body = {"kind": "unmute", "route": route, "fingerprint": fingerprint, "reason": reason}
    told = post_to_api(settings, "/v1/decisions", body | named_actor(settings, actor))
    OUT.print(DECISIONS["unmute"].thanks, markup=False)
    OUT.print(f"decided: {told['id']}", markup=False)


def _all(connection: Connection) -> list[tuple[str, Mute]]:
    now = datetime.now(UTC)
    found = ((name, one) for name in routes.names(connection) for one in muted_alerts(connection, name, now))
    return [(name, one) for name, one in found if not one.is_accepted]


def _object(route: str, one: Mute) -> dict[str, object]:
    told = {name: getattr(one, name) for name in ("fingerprint", "kind", "actor", "reason")}
    return {"route": route, **told, "since": iso(one.since), "until": iso(one.until)}
