"""What is watched and how: the monitor file."""

from __future__ import annotations

from services.monitor import Monitor, load
from services.settings import Settings


def load_monitor(settings: Settings, path: str | None = None) -> Monitor:
    """The monitor file of `--config`, else that of KEELWATCH_CONFIG, else the defaults.

    Raises:
        MonitorError: if the file cannot be used.
    """
    return load(path or settings.config)
