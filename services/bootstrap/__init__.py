"""The one place that chooses adapters: embedder, scorer, detectors, database, receivers.

Each name is imported when it is first asked for: `keelwatch up` looks at the monitor file and then watches over a
worker for weeks, with none of what the worker needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from services.bootstrap.access import has_keys
    from services.bootstrap.evaluating import evaluation, judge
    from services.bootstrap.notifying import answer, look, notifiers, sender
    from services.bootstrap.scoring import EMBEDDERS, embedder, recorder, scorer, tools
    from services.bootstrap.watched import monitor
    from services.bootstrap.work import API, STEPS, STREAMED, Process, Work, api, work

_PLACES: Final = {
    "access": ("has_keys",),
    "evaluating": ("evaluation", "judge"),
    "notifying": ("answer", "look", "notifiers", "sender"),
    "scoring": ("EMBEDDERS", "embedder", "recorder", "scorer", "tools"),
    "watched": ("monitor",),
    "work": ("API", "STEPS", "STREAMED", "Process", "Work", "api", "work"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            found = import_module(f"{__name__}.{module}")
            # Bound at once: importing the module `work` has just bound its name to the module, not to what is in it.
            globals().update({one: getattr(found, one) for one in names})
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
