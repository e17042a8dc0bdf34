"""What the page of evaluations shows: what runs, what went wrong, schedules, runs by route. Pure: words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.evaluation import Comparison
from services.api.pages import words
from services.api.pages.cron_words import in_words
from services.api.planned import Plan
from services.store.asked import Asked

MOMENTS: Final[Mapping[str, str]] = {
    "first_seen": "first sight of the route",
    "pinned": "baseline pinned",
    "change": "change of the model",
    "announced": "announced change",
    "scheduled": "schedule",
    "requested": "asked for by a person",
    "command": "run by hand",
}
RECENT: Final = timedelta(days=7)
"""What failed or was missed within this needs a look."""
LATE: Final = timedelta(minutes=5)
MOST_OF_ROUTE: Final = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One run in a list.

    Attributes:
        why: what asked for it, in words. said: what became of it, or why nothing did. bad: whether it needs a look.
        verdict: its comparison with the baseline's run in one word, None where there is none.
        before: the run that it was compared with.
    """

    run: Asked
    why: str
    said: str
    bad: bool
    verdict: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """One schedule: when in words, and what became of its last fire time."""

    plan: Plan
    when: str
    said: str
    bad: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """The page, from top to bottom; `of_routes` are the newest runs that ended, by route."""

    heading: str
    lead: str
    now: tuple[Line, ...]
    wrong: tuple[Line, ...]
    clocks: tuple[Clock, ...]
    of_routes: tuple[tuple[str, tuple[Line, ...]], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the page is made of: each list the newest first, and the comparisons by their later run."""

    open: Sequence[Asked]
    wrong: Sequence[Asked]
    ended: Sequence[Asked]
    plans: Sequence[Plan]
    outcomes: Mapping[str, Comparison]


def overview(found: Found, now: datetime) -> Overview:
    """The page of what was found."""
    wrong = [one for one in found.wrong if now - one.ts <= RECENT]
    open = [line(one, now) for one in sorted(found.open, key=lambda one: (one.state != "running", one.ts, one.place))]
    by_route: dict[str, list[Line]] = {}
    for one in found.ended:
        of_it = by_route.setdefault(one.route, [])
        if len(of_it) < MOST_OF_ROUTE:
            of_it.append(line(one, now, found.outcomes.get(one.id or "")))
    regressed = sum(one.overall == "regressed" and now - one.ts <= RECENT for one in found.outcomes.values())
    any_known = bool(found.plans or found.ended or found.open or found.wrong)
    clocks = tuple(_clock(plan) for plan in found.plans)
    return Overview(
        _heading(open, wrong, regressed, any_known),
        _lead(open) if any_known else "",
        tuple(open),
        tuple(line(one, now) for one in wrong),
        clocks,
        tuple((route, tuple(lines)) for route, lines in sorted(by_route.items())),
    )


def line(one: Asked, now: datetime, compared: Comparison | None = None) -> Line:
    """One run in words."""
    said, bad = _said(one, now)
    if compared is None:
        return Line(one, MOMENTS.get(one.moment, one.moment), said, bad)
    bad = bad or compared.overall == "regressed"
    return Line(one, MOMENTS.get(one.moment, one.moment), said, bad, compared.overall, compared.before_run)


def _said(one: Asked, now: datetime) -> tuple[str, bool]:
    """What became of a run, or why nothing did, and whether it needs a look."""
    if one.state in ("missed", "failed"):
        return one.reason or one.state, True
    if one.state == "due":
        return _waits(now - one.ts)
    if one.status == "incomplete":
        return f"incomplete: {one.reason}", True
    return ("running" if one.state == "running" else "every answer came"), False


def _waits(late: timedelta) -> tuple[str, bool]:
    if late > LATE:
        return "overdue: no worker took it; is one running that evaluates?", True
    return ("about to begin" if late >= timedelta(0) else "waits for its time"), False


def _clock(plan: Plan) -> Clock:
    words_of = {
        "not yet": "has not fired yet",
        "missed": "missed",
        "due": "waits for a worker",
        "running": "running",
        "done": "done",
        "failed": "failed",
    }
    said = words_of[plan.outcome] if plan.reason is None else f"{words_of[plan.outcome]}: {plan.reason}"
    return Clock(plan, in_words(plan.schedule.cron), said, plan.outcome in ("missed", "failed"))


def _heading(open: Sequence[Line], wrong: Sequence[Asked], regressed: int, any_known: bool) -> str:
    """The worst first; that nothing failed is only said where something was asked."""
    counts = [
        (regressed, "regressed"),
        (sum(line.bad for line in open), "overdue"),
        (sum(one.state == "failed" for one in wrong), "failed"),
        (sum(one.state == "missed" for one in wrong), "missed"),
    ]
    told = [f"{n} {what}" for n, what in counts if n]
    if told:
        return f"Evaluations: {', '.join(told)}"
    running = sum(line.run.state == "running" for line in open)
    if running:
        return f"Evaluations: {running} running"
    return "Evaluations: nothing failed or was missed" if any_known else "No suite was run yet"


def _lead(open: Sequence[Line]) -> str:
    running = sum(one.run.state == "running" for one in open)
    runs = "Nothing runs now" if not running else f"{running} run{words.plural(running)} under way"
    return f"{runs}, {len(open) - running} waiting. What regressed, failed or was missed counts for {RECENT.days} days."
