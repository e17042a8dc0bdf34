"""The one place that chooses adapters: embedder, scorer, detectors, database, receivers."""

from services.wiring.adapters import (
    EMBEDDERS,
    embedder,
    evaluation_dependencies,
    load_monitor,
    message_look,
    notifiers,
    recorder,
    replay_tools,
    scorer,
    sender,
    slack_answer,
    suite_scorer,
)
from services.wiring.api_server import api_service
from services.wiring.database import has_keys
from services.wiring.worker import API, STEPS, STREAMED, WorkerProcess, WorkerSetup, worker_setup

__all__ = [
    "API",
    "EMBEDDERS",
    "STEPS",
    "STREAMED",
    "WorkerProcess",
    "WorkerSetup",
    "api_service",
    "embedder",
    "evaluation_dependencies",
    "has_keys",
    "load_monitor",
    "message_look",
    "notifiers",
    "recorder",
    "replay_tools",
    "scorer",
    "sender",
    "slack_answer",
    "suite_scorer",
    "worker_setup",
]
