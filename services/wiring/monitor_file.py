"""What is watched and how: the monitor file."""

from __future__ import annotations

from services.monitor import Monitor, load
from services.settings import Settings
from services.specs import know_own


def load_monitor(settings: Settings, path: str | None = None) -> Monitor:
    """The monitor file of `--config`, else that of KEELWATCH_CONFIG, else the defaults.

    What its own signals are called is known from then on, wherever this process writes words.

    Raises:
        MonitorError: if the file cannot be used.
    """
    watched = load(path or settings.config)
    know_own(one.spec for one in watched.signals)
    return watched
