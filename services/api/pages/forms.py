"""The form of an incident's page, read by hand: what it decides, or which field cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, get_args
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from schemas.decision import Decision, DecisionKind
from schemas.exchange import Route
from schemas.incident import Incident
from services.api.auth import csrf
from services.api.decision_outbox import decision_time
from services.api.http.body import SMALL_BYTES, BodyBudget, read_body
from services.api.http.problems import Problem, problem_of_violation
from services.api.resources.decisions import MOST_REASON_CHARS, TIMED_KINDS
from services.wording.decisions import OFFERED, UNSAID_REASONS

HOURS: Final = (1, 4, 12, 24, 72, 168)
_MOST_FIELDS: Final = 20
_MODEL: Final = ("requested", "served", "provider")
ROUTE_FIELDS: Final = ("actor", "reason", *_MODEL)
"""What the form of a route holds in words."""
_ROUTE: Final[TypeAdapter[str]] = TypeAdapter(Route)


async def read_form(request: Request, budget: BodyBudget) -> dict[str, str]:
    """The fields of a form that a page of this browser sent.

    Raises:
        Problem: 403 if it did not come from there, 413 or 422 if it cannot be read.
    """
    with budget.share() as share:
        fields = fields_of(await read_body(request, share, SMALL_BYTES))
    csrf.check(request, fields.get(csrf.FIELD, ""))
    return fields


def fields_of(raw: bytes) -> dict[str, str]:
    """The fields of a urlencoded body; of a field that is there twice the last one counts.

    Raises:
        Problem: 422 if it is none.
    """
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem(422, "form: cannot be read; open the incident's page and send it from there") from None
    return {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in pairs}


def decision_of(fields: Mapping[str, str], incident: Incident, now: datetime, name: str | None = None) -> Decision:
    """What the form decides on the incident `now`; with a key it is the key's `name` that decides.

    A route's clock may run ahead. A silence is of people, and ends by the clock on their wall.

    Raises:
        Problem: 422 names the field.
    """
    kind = fields.get("kind", "")
    if kind not in (*OFFERED, "end_silence", "comment") or kind not in get_args(DecisionKind):
        raise Problem.of_field("decision", "press one of the buttons")
    actor = name or _words(fields, "actor", "your name", 200)
    reason = _words(fields, "reason", "the reason", MOST_REASON_CHARS, unsaid=UNSAID_REASONS.get(kind, ""))
    ts = decision_time(incident, now)
    return Decision(
        kind=kind,
        route=incident.route,
        incident=incident.id,
        actor=actor,
        reason=reason,
        ts=ts,
        expires=(now if kind == "silence" else ts) + timedelta(hours=_hours(fields)) if kind in TIMED_KINDS else None,
    )


def route_decision_of(fields: Mapping[str, str], route: str, ts: datetime, name: str | None) -> Decision:
    """What the form of a route decides, at `ts`: a silence or its end, an accepted baseline, an announced change.

    Raises:
        Problem: 422 names the field.
    """
    kind = fields.get("kind", "")
    if kind not in ("accept_baseline", "silence", "end_silence", "announce"):
        raise Problem.of_field("decision", "press one of the buttons")
    draft: dict[str, Any] = {
        "kind": kind,
        "route": route,
        "actor": name or _words(fields, "actor", "your name", 200),
        "reason": _words(fields, "reason", "the reason", MOST_REASON_CHARS),
        "ts": ts,
        "expires": ts + timedelta(hours=_hours(fields)) if kind == "silence" else None,
    }
    if kind == "announce":
        said = {part: " ".join(fields.get(part, "").split()) or None for part in _MODEL}
        if said["requested"] is None:
            raise Problem.of_field("model", "is missing: write the name under which it is asked for")
        draft["model"] = said
    try:
        return Decision.decode(to_json(draft))
    except ValidationError as error:
        raise problem_of_violation(error) from None


def is_route(text: str) -> bool:
    """Whether it could be a route's name."""
    try:
        _ROUTE.validate_python(text)
    except ValidationError:
        return False
    return True


def _words(fields: Mapping[str, str], name: str, what: str, most: int, unsaid: str = "") -> str:
    text = " ".join(fields.get(name, "").split()) or unsaid
    if not text:
        raise Problem.of_field(what, "is missing: write it into the form; it stays in the timeline")
    if len(text) > most:
        raise Problem.of_field(what, f"is longer than {most:,} characters: write less")
    return text


def _hours(fields: Mapping[str, str]) -> int:
    given = fields.get("hours", "4")
    if given not in {str(hours) for hours in HOURS}:
        raise Problem.of_field("time", "choose one of the list")
    return int(given)
