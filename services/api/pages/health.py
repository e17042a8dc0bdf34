"""How Keelwatch itself is, and the button that sends dead letters again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.api.auth import csrf
from services.api.auth.authorization import needs, who
from services.api.dead_letter_replays import ReplayStatus
from services.api.http.problems import Problem
from services.api.pages import forms
from services.api.pages.render import PageContext, page
from services.api.resources.dead_letters import DeadLetterStep, check_sees_all
from services.api.resources.health import HealthReport, current_health
from services.store.dead_letters import DeadLetterCount
from services.wording import health as words

_SOON_SECONDS: Final = 1.0
_REFRESH_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """What one step could not read: how many letters, and of what."""

    step: str
    n: int
    reasons: tuple[DeadLetterCount, ...]


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the page."""
    return _reading(parts), _replaying(parts)


def heading(told: HealthReport) -> str:
    """What the page says at its top."""
    if told.ok:
        return words.WELL
    return words.heading(len(told.needs)) if told.broker.ok and told.database.ok else words.UNKNOWN


def dead_letter_groups(letters: Sequence[DeadLetterCount]) -> tuple[DeadLetterGroup, ...]:
    """Dead letters by step, each with its reasons, the most frequent first."""
    by_step = groupby(sorted(letters, key=lambda one: (one.step, -one.n, one.topic, one.reason)), lambda one: one.step)
    found = ((step, tuple(some)) for step, some in by_step)
    return tuple(DeadLetterGroup(step, sum(one.n for one in some), some) for step, some in found)


def outcome(replay: ReplayStatus) -> str:
    """What became of a replay, in words."""
    if replay.state == "running":
        return words.replaying(replay.step)
    if replay.state == "failed":
        return words.replay_failed(replay.step, replay.fault)
    return words.replayed(replay.step, replay.sent, replay.left)


def _reading(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/health")
    async def health(request: Request) -> Response:
        return await _page(request, parts)

    return made


def _replaying(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "admin")])

    @made.post("/health/replay")
    async def replay(request: Request) -> Response:
        fields = await forms.read_form(request, parts.budget)
        principal, step = who(request), fields.get("step", "")
        try:
            check_sees_all(principal, "replays dead letters")
            if step not in get_args(DeadLetterStep):
                raise Problem(422, "step: press one of the buttons")
            parts.health.replays.begin(step, principal.name)
        except Problem as problem:
            return await _page(request, parts, problem)
        await parts.health.replays.settled(_SOON_SECONDS)
        return RedirectResponse("/health", 303)

    return made


async def _page(request: Request, parts: PageContext, problem: Problem | None = None) -> Response:
    principal, now, token = who(request), datetime.now(UTC), csrf.token_of(request)
    told = await current_health(parts.health, parts.database, principal, now)
    running = told.replay is not None and told.replay.state == "running"
    shown = {
        "told": told,
        "heading": heading(told),
        "sources": [(one, words.missing_parts(one)) for one in told.sources or ()],
        "limits": words.limits(parts.watched.ingest_limits.per_key, parts.watched.ingest_limits.per_route),
        "buried": dead_letter_groups(told.dead_letters or ()),
        "outcome": None if told.replay is None else outcome(told.replay),
        "may_replay": principal.may("admin") and principal.sees_all,
        "running": running,
        "problem": problem,
        "token": token,
        "now": now,
    }
    status = 200 if problem is None else problem.status
    refresh = {"refresh": str(_REFRESH_SECONDS)} if running and problem is None else {}
    made = page(request, "health.html", shown, status, refresh)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made
