"""`keelwatch incident ack` and its like: what people decide about an incident, by the running API, from any machine."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from schemas.decision import DecisionKind
from services.cli.changes import API_URL, ask_api, failed, named_actor, post_to_api
from services.cli.options import HOURS, ActorOption, HoursOption, ReasonOption
from services.cli.output import OUT, STDOUT, JsonOption, check_writable, write_json
from services.errors import InputError
from services.settings import Settings, load_settings
from services.wording import decisions as words

app = typer.Typer()
_START: Final = re.compile(r"[0-9a-f]{4,16}")
_SHOWN: Final = 5

IncidentArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the incident, or its first digits (4 at least).")
]


def _reason_option(kind: DecisionKind) -> Any:
    told = f'Why, "{words.UNSAID_REASONS[kind]}" if you do not say; it stays in the timeline.'
    return typer.Option("--reason", metavar="TEXT", help=told)


@app.command("ack")
def acknowledge(
    id: IncidentArgument,
    reason: Annotated[str | None, _reason_option("acknowledge")] = None,
    actor: ActorOption = None,
    json: JsonOption = None,
) -> None:
    """Acknowledge an incident: others see that you look at it, and it stays open."""
    _decide("acknowledge", id, reason, actor, json)


@app.command("snooze")
def snooze(
    id: IncidentArgument,
    hours: HoursOption = HOURS,
    reason: Annotated[str | None, _reason_option("snooze")] = None,
    actor: ActorOption = None,
    json: JsonOption = None,
) -> None:
    """Hide an incident for some hours, or until it gets worse; then it is open again."""
    _decide("snooze", id, reason, actor, json, hours=hours)


@app.command("resolve")
def resolve(id: IncidentArgument, reason: ReasonOption, actor: ActorOption = None, json: JsonOption = None) -> None:
    """Close an incident that was handled; the same again within 24 hours opens it again."""
    _decide("resolve", id, reason, actor, json)


@app.command("accept")
def accept(id: IncidentArgument, reason: ReasonOption, actor: ActorOption = None, json: JsonOption = None) -> None:
    """Accept answers since an incident began as the new normal; it is resolved, leaks and ceilings aside."""
    _decide("accept_baseline", id, reason, actor, json)


@app.command("false-alarm")
def false_alarm(id: IncidentArgument, reason: ReasonOption, actor: ActorOption = None, json: JsonOption = None) -> None:
    """Call an incident a false alarm: resolved, and heard of again only if the change doubles or returns."""
    _decide("false_alarm", id, reason, actor, json)


@app.command("comment")
def comment(
    id: IncidentArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What others are to read on its timeline.")],
    actor: ActorOption = None,
    json: JsonOption = None,
) -> None:
    """Write a comment on an incident's timeline, also after it was resolved; nothing else changes."""
    _decide("comment", id, text, actor, json)


def _decide(
    kind: DecisionKind, start: str, reason: str | None, actor: str | None, json: str | None, **more: Any
) -> None:
    check_writable(json, "--json")
    settings = load_settings()
    incident = _incident(settings, start)
    about = {"kind": kind, "route": incident["route"], "incident": incident["id"]}
    said = {"reason": words.UNSAID_REASONS[kind] if reason is None else reason, **named_actor(settings, actor)}
    told = post_to_api(settings, "/v1/decisions", about | said | more)
    until = told.get("until")
    write_json({"decision": told["id"], **about, "ts": told["ts"], "until": until}, json)
    if json == STDOUT:
        return
    ends = None if until is None else datetime.fromisoformat(until)
    OUT.print(words.answered(kind, incident["route"], incident["id"], ends), markup=False, soft_wrap=True)
    OUT.print(f"decided: {told['id']}", markup=False)


def _incident(settings: Settings, start: str) -> dict[str, Any]:
    """The incident whose id begins so.

    Raises:
        InputError: if there is none, or several. typer.Exit: if the API cannot look for one.
    """
    digits = start.strip().lower()
    if not _START.fullmatch(digits):
        raise InputError(f"ID {start}: must be the 4 to 16 first digits (0-9, a-f) of an incident's id")
    try:
        found = ask_api(settings, "GET", "/v1/incidents", params={"id": digits, "limit": _SHOWN + 1})["items"]
    except InputError as refused:
        if not str(refused).startswith("id: is no parameter"):
            raise
        raise failed(words.older_api(settings.api_url or API_URL)) from None
    found = [one for one in found if one["id"].startswith(digits)]  # one that is older still gives all
    if len(found) == 1:
        return dict(found[0])
    if not found:
        raise InputError(words.no_incident_so(digits))
    named = [(one["id"], one["route"], one["state"]) for one in found[:_SHOWN]]
    raise InputError(words.many_incidents_so(digits, named, len(found) > _SHOWN))
