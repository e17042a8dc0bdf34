"""The one place that chooses adapters: embedder, scorer, detectors, database, receivers.

Each name is imported when it is first asked for: `keelwatch up` looks at the monitor file and then watches over a
worker for weeks, with none of what the worker needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from services.wiring.adapters import (
        EMBEDDERS,
        embedder,
        evaluation_dependencies,
        recorder,
        replay_tools,
        scorer,
        suite_scorer,
    )
    from services.wiring.api_server import api_service
    from services.wiring.database import has_keys
    from services.wiring.judging import PATIENT, judge_panel, judge_world, pair_judges, suite_judge
    from services.wiring.monitor_file import load_monitor
    from services.wiring.receivers import message_look, notifiers, receiver_named, sender
    from services.wiring.ruler import check_ruler
    from services.wiring.scorers import scorer_versions
    from services.wiring.signals import configured_signals
    from services.wiring.worker import API, STEPS, STREAMED, WorkerProcess, WorkerSetup, worker_setup

_PLACES: Final = {
    "adapters": (
        "EMBEDDERS",
        "embedder",
        "evaluation_dependencies",
        "recorder",
        "replay_tools",
        "scorer",
        "suite_scorer",
    ),
    "api_server": ("api_service",),
    "database": ("has_keys",),
    "judging": ("PATIENT", "judge_panel", "judge_world", "pair_judges", "suite_judge"),
    "monitor_file": ("load_monitor",),
    "receivers": ("message_look", "notifiers", "receiver_named", "sender"),
    "ruler": ("check_ruler",),
    "scorers": ("scorer_versions",),
    "signals": ("configured_signals",),
    "worker": ("API", "STEPS", "STREAMED", "WorkerProcess", "WorkerSetup", "worker_setup"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "API",
    "EMBEDDERS",
    "PATIENT",
    "STEPS",
    "STREAMED",
    "WorkerProcess",
    "WorkerSetup",
    "api_service",
    "check_ruler",
    "configured_signals",
    "embedder",
    "evaluation_dependencies",
    "has_keys",
    "judge_panel",
    "judge_world",
    "load_monitor",
    "message_look",
    "notifiers",
    "pair_judges",
    "receiver_named",
    "recorder",
    "replay_tools",
    "scorer",
    "scorer_versions",
    "sender",
    "suite_judge",
    "suite_scorer",
    "worker_setup",
]
