"""`keelwatch receiver`: who is told of incidents, and whether they hear it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer
from rich.table import Table

from services import wiring
from services.cli.options import ConfigOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, check_writable, write_json
from services.monitor import Monitor
from services.notify.channel import DEFAULT, MessageRef, NotAccepted
from services.notify.incident_event import trial_event
from services.notify.message import of_trial
from services.settings import load_settings
from services.wording import commands as words
from services.wording.notifications import trial

app = typer.Typer(help="Receivers: who is told of incidents, and whether they hear it.", no_args_is_help=True)


@app.command("test")
def send_test(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As in the monitor file; `default` is the environment's.")
    ],
    config: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Send a test message to a receiver, as notifications are sent, and print what it answered.

    Exit code 1 if it did not accept it. PagerDuty gets an event of severity info, which is resolved at once.
    """
    check_writable(json, "--json")
    settings = load_settings()
    receiver = wiring.receiver_named(
        name, settings, wiring.load_monitor(settings, config), _aside if json == STDOUT else _say
    )
    event = trial_event(f"test-{uuid4().hex[:16]}", datetime.now(UTC), trial(name), None)
    trouble = None
    try:
        answer = _answer(asyncio.run(receiver.channel.post(of_trial(name, event))))
    except NotAccepted as refused:
        answer, trouble = str(refused), refused
    about = {"receiver": name, "accepted": trouble is None, "answer": answer, "id": event.id}
    write_json(about, json)
    if trouble is not None:
        ERR.print(words.not_accepted(name, answer), markup=False, soft_wrap=True)
        raise typer.Exit(1)
    if json != STDOUT:
        OUT.print(words.accepted(name, answer), markup=False, soft_wrap=True)


@app.command("list")
def list_receivers(config: ConfigOption = None, json: JsonOption = None) -> None:
    """List the receivers of the monitor file, and which of its routes tell them. Nothing is sent."""
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    found = [(name, one.name, one.severity, _routes(name, watched)) for name, one in sorted(watched.receivers.items())]
    write_json([dict(zip(("receiver", "kind", "severity", "routes"), row, strict=True)) for row in found], json)
    if json == STDOUT:
        return
    table = Table(*words.RECEIVER_COLUMNS, box=None)
    for name, kind, severity, routes in found:
        table.add_row(name, kind, severity, ", ".join(routes))
    OUT.print(table if found else words.NO_RECEIVER)


def _routes(name: str, watched: Monitor) -> list[str]:
    sections = {"defaults": watched.defaults, **watched.routes}
    return [pattern for pattern, policy in sections.items() if name in (policy.notify or (DEFAULT,))]


def _answer(place: MessageRef) -> str:
    return place.answer or (words.stands_in(place.channel, place.ts) if place.channel else "")


def _say(line: str) -> None:
    OUT.print(line, markup=False, soft_wrap=True)


def _aside(line: str) -> None:
    ERR.print(line, markup=False, soft_wrap=True)
