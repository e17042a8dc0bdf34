"""`keelwatch silence`: for a while nobody is told of a route's alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from schemas.base import iso
from schemas.decision import Silence
from services.cli.changes import named_actor, post_to_api
from services.cli.options import HOURS, ActorOption, DatabaseOption, HoursOption, ReasonOption, ShorterOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.settings import load_settings
from services.store import silences
from services.wording import commands as words
from services.wording.numbers import moment
from services.wording.unseen import on_one_line

app = typer.Typer(help="Silences: for a while nobody is told of a route's alerts.", no_args_is_help=True)


@app.command("add")
def add(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Such as support-bot/prod.")],
    reason: ReasonOption,
    hours: HoursOption = HOURS,
    fingerprint: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this alert, not all of the route.")
    ] = None,
    actor: ActorOption = None,
) -> None:
    """Tell nobody of a route's alerts for some hours, by the running service at KEELWATCH_API_URL."""
    settings = load_settings()
    body = {"route": route, "hours": hours, "fingerprint": fingerprint, "reason": reason}
    told = post_to_api(settings, "/v1/silences", body | named_actor(settings, actor))
    until = told.get("until")  # an older API does not say
    ends = None if until is None else datetime.fromisoformat(until)
    OUT.print(words.silenced(told["id"], ends), markup=False, soft_wrap=True)


@app.command("list")
def list_silences(database: DatabaseOption = None, json: JsonOption = None) -> None:
    """List the silences that hold, with what they keep from people."""
    with opened(database).read() as connection:
        found = silences.all_holding(connection, datetime.now(UTC))
        kept = silences.kept_by(connection, [one.id for one in found])
    write_json([_object(one, len(kept.get(one.id, ()))) for one in found], json)
    if json == STDOUT:
        return
    table = Table(*words.SILENCE_COLUMNS, box=None)
    for one in found:
        what = words.ALL_ALERTS if one.fingerprint is None else one.fingerprint
        said = map(on_one_line, (one.actor, one.reason))
        table.add_row(one.id, one.route, what, moment(one.until), str(len(kept.get(one.id, ()))), *said)
    OUT.print(table if found else words.NO_SILENCE)


@app.command("end")
def end(
    silence: Annotated[str, typer.Argument(metavar="ID", help="As `keelwatch silence list` shows it.")],
    reason: ReasonOption,
    hours: ShorterOption = None,
    actor: ActorOption = None,
) -> None:
    """End a silence, or shorten it: people are told what still stands, by the service at KEELWATCH_API_URL."""
    settings = load_settings()
    body = {"hours": hours, "reason": reason} | named_actor(settings, actor)
    told = post_to_api(settings, f"/v1/silences/{silence}/end", body)
    OUT.print(f"decided: {told['id']}", markup=False)


def _object(one: Silence, kept: int) -> dict[str, object]:
    names = ("id", "route", "fingerprint", "incident", "actor", "reason", "ended_by", "ended_reason")
    told = {name: getattr(one, name) for name in names}
    return {**told, "since": iso(one.since), "until": iso(one.until), "kept": kept}
