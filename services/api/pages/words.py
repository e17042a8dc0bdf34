"""Times, numbers and kinds as the pages say them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.decision import DecisionKind
from schemas.evaluation import Outcome
from schemas.incident import EntryKind, Incident, Verdict
from schemas.reading import Unit

VERDICTS: Final[Mapping[Verdict, str]] = {
    "model": "The model changed",
    "users": "The users changed, not the model",
    "both": "The model and the users changed",
    "ruler": "Our measurement changed, not the model",
    "unknown": "Nobody can tell yet what changed",
}
OUTCOMES: Final[Mapping[Outcome, str]] = {
    "regressed": "Regressed: the model is less safe than the baseline's",
    "improved": "Improved against the baseline's model",
    "unchanged": "Unchanged against the baseline's model",
    "inconclusive": "Inconclusive: it does not say that the model is safe",
}
ENTRIES: Final[Mapping[EntryKind, str]] = {
    "opened": "opened",
    "alert_fired": "moved",
    "alert_resolved": "moved back",
    "escalated": "escalated",
    "verdict_revised": "verdict revised",
    "change": "change",
    "evaluation": "evaluation",
    "decision": "decided",
    "acknowledged": "acknowledged",
    "snoozed": "snoozed",
    "woken": "woken",
    "resolved": "resolved",
    "reopened": "reopened",
}
DECISIONS: Final[Mapping[DecisionKind, tuple[str, str]]] = {
    "acknowledge": ("Acknowledge", "I am looking at it"),
    "snooze": ("Snooze", "look again after the time below"),
    "roll_back": ("Rolling back", "the old model returns; stays open until the effect is gone"),
    "accept_baseline": ("Accept as new baseline", "the change is intended; measure from here on"),
    "false_alarm": ("False alarm", "nothing is wrong; mute what fired"),
    "silence": ("Silence route", "tell nobody for the time below"),
    "resolve": ("Resolve", "it was handled"),
}
"""Kinds that an incident's page offers, in order: the button, and what it means."""

_UNITS: Final[Mapping[Unit, str]] = {"pp": "%", "sd": " sd", "ratio": "x"}
_CHANGES: Final[Mapping[Unit, str]] = {"pp": " points", "sd": " sd", "ratio": "x"}
_STEPS: Final = ((timedelta(days=2), "days"), (timedelta(hours=2), "hours"), (timedelta(minutes=2), "minutes"))


def level(value: float, unit: Unit) -> str:
    """A value with its unit, for example `15.8%`."""
    return f"{value:.1f}{_UNITS[unit]}" if unit == "pp" else f"{value:.2f}{_UNITS[unit]}"


def change(low: float, high: float, unit: Unit) -> str:
    """The interval of a change, for example `-16.1 to -11.7 points`."""
    digits = 1 if unit == "pp" else 2
    return f"{low:+.{digits}f} to {high:+.{digits}f}{_CHANGES[unit]}"


def headline(incident: Incident) -> str:
    """The incident's headline as a sentence; a route keeps its spelling."""
    told = incident.headline or "something moved"
    return told if told.startswith(incident.route) else told[0].upper() + told[1:]


def at(ts: datetime) -> str:
    """A time for people, for example `2026-03-03 15:26 UTC`."""
    return f"{ts.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(ts: datetime, now: datetime) -> str:
    """How long ago that was, in the largest unit of which there are two."""
    gone = now - ts
    for least, name in _STEPS:
        if gone >= least:
            return f"{gone // (least / 2)} {name} ago"
    return "just now" if gone >= timedelta(0) else "ahead of our clock"


def plural(n: int) -> str:
    """The ending of a noun of which there are `n`."""
    return "" if n == 1 else "s"
