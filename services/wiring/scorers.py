"""Which versions would score the answers of a suite in this process."""

from __future__ import annotations

from services.evaluate.scorers import versions
from services.monitor import Monitor
from services.settings import Settings
from services.wiring.judging import suite_judge
from services.wiring.signals import configured_signals


def scorer_versions(settings: Settings, watched: Monitor) -> dict[str, str]:
    """Scorer -> its version, by the signals and the judge of the monitor file: what profiles hold stored runs against.

    Raises:
        InputError: if the file of a head is no longer one.
    """
    named = {signal.spec.name: signal for signal in configured_signals(watched)}
    return versions(named, suite_judge(settings, watched))
