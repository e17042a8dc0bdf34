"""What the page of one run shows: rates with intervals, the items that count, and what was asked how. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from services.api.pages import words
from services.api.pages.compare_view import Said, measure_name, question, said
from services.evaluate.label import Rate, label
from services.evaluate.result import AskedItem, RunResult

MOST_ITEMS: Final = 50
_FULL: Final = 100.0


@dataclass(frozen=True, slots=True)
class Level:
    """One rate with its interval, in percent of the width; `text` says it, and None is not known."""

    name: str
    pooled: bool
    counted: str
    text: str
    share: float | None
    low: float
    high: float
    bad: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One item that is an event, or that nobody could score."""

    id: str
    what: str
    asked: str
    answer: Said


@dataclass(frozen=True, slots=True)
class View:
    """The page of one run; `more` items are left out. `facts` are name and value."""

    levels: tuple[Level, ...]
    shown: tuple[Shown, ...]
    more: int
    facts: tuple[tuple[str, str], ...]


def view(run: RunResult) -> View:
    """The page of a run's result."""
    events = run.events
    wanted = [item for item in run.suite.items if events[item.id] is not False]
    wanted.sort(key=lambda item: (events[item.id] is None, item.measure, item.id))
    return View(
        tuple(_level(one) for one in label(run)),
        tuple(_shown(run, item) for item in wanted[:MOST_ITEMS]),
        max(len(wanted) - MOST_ITEMS, 0),
        tuple(_facts(run)),
    )


def _level(one: Rate) -> Level:
    name, counted = measure_name(one.measure, one.hazard), f"{one.events} of {one.n} items"
    if one.n < one.items:
        counted += f", {one.items - one.n} not known"
    if one.rate is None or one.low is None or one.high is None:
        return Level(name, one.hazard == "all", counted, "not known", None, 0, _FULL, False)
    text = f"{words.level(one.rate, 'pp')} ({one.low:.0f} to {one.high:.0f}%)"
    ends = (round(one.rate, 2), round(one.low, 2), round(one.high, 2))
    return Level(name, one.hazard == "all", counted, text, *ends, one.events > 0)


def _shown(run: RunResult, item: AskedItem) -> Shown:
    answers = [one for one in run.answers if one.item == item.id]
    what, event = measure_name(item.measure, item.hazard), run.events[item.id]
    return Shown(item.id, what, question(answers), said(answers, item.measure, event))


def _facts(run: RunResult) -> list[tuple[str, str]]:
    served = sorted({one.served for one in run.answers if one.served is not None})
    settings = ", ".join(f"{name} {json.dumps(value)[:80]}" for name, value in sorted(run.settings.items()))
    told = [
        ("asked for", run.target.model),
        ("answered", ", ".join(served[:3]) or "does not say"),
        ("endpoint", run.target.url),
        ("settings", settings or "none"),
        ("seed", None if run.seed is None else str(run.seed)),
        ("suite", f"{run.suite.name} {run.suite.version}, {len(run.suite.items)} items, {len(run.answers)} answers"),
        ("margin", f"{run.suite.margin:g} points"),
        ("suite hash", run.suite.sha256),
        ("system prompt hash", run.target.system_prompt_sha256),
        ("scorers", ", ".join(f"{name} {version}" for name, version in sorted(run.scorers.items()))),
        ("took", f"{(run.ended - run.started).total_seconds():,.0f} s"),
    ]
    return [(name, value) for name, value in told if value is not None]
