"""The one place that chooses adapters: embedder, scorer, detectors, database, receivers."""

from services.bootstrap.access import has_keys
from services.bootstrap.evaluating import evaluation, judge
from services.bootstrap.notifying import answer, look, notifiers, sender
from services.bootstrap.scoring import EMBEDDERS, embedder, monitor, recorder, scorer, tools
from services.bootstrap.work import API, STEPS, STREAMED, Process, Work, api, work

__all__ = [
    "API",
    "EMBEDDERS",
    "STEPS",
    "STREAMED",
    "Process",
    "Work",
    "answer",
    "api",
    "embedder",
    "evaluation",
    "has_keys",
    "judge",
    "look",
    "monitor",
    "notifiers",
    "recorder",
    "scorer",
    "sender",
    "tools",
    "work",
]
