"""Who is asked as a judge, with what of this process: its data directory, its environment, its clock and chance."""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from typing import Final

from services.judge.checks import JudgeChecks
from services.judge.daily_calls import DailyCalls
from services.judge.panel import SECONDS, JudgePanel, JudgeWorld
from services.monitor import Monitor
from services.score.redaction import Redactor
from services.settings import Settings, secret
from services.wiring.signals import configured_signals
from services.wording import signals as words

LOG: Final = logging.getLogger("keelwatch.judge")
PATIENT: Final = 120.0
"""Seconds for the judges of a batch where nothing else waits: replays, files, checks."""


def judge_world(settings: Settings, watched: Monitor) -> JudgeWorld:
    """What judges ask of the world."""
    return JudgeWorld(
        calls=DailyCalls.of(settings.data_dir),
        checks=JudgeChecks.of(settings.data_dir),
        allow_hosts=watched.allow_hosts,
        secret=secret,
        clock=lambda: datetime.now(UTC),
        mark=lambda: secrets.token_hex(16),
    )


def judge_panel(settings: Settings, watched: Monitor, *, patient: bool = False) -> JudgePanel:
    """The judges of the monitor file; which of them will not be asked, and why, is logged."""
    redactor = Redactor(configured_signals(watched))
    world = judge_world(settings, watched)
    panel = JudgePanel(watched.signals, redactor, world, PATIENT if patient else SECONDS)
    for signal, why in panel.unusable.items():
        LOG.warning("%s", words.judge_silent(signal, why))
    return panel
