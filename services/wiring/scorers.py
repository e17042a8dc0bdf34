"""Which versions would score the answers of a suite in this process."""

from __future__ import annotations

from services.evaluate.scorers import versions
from services.monitor import Monitor
from services.wiring.signals import configured_signals


def scorer_versions(watched: Monitor) -> dict[str, str]:
    """Scorer -> its version, by the monitor file's signals: what profiles hold stored runs against.

    Raises:
        InputError: if the file of a head is no longer one.
    """
    return versions({signal.spec.name: signal for signal in configured_signals(watched)})
