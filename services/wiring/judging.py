"""Who is asked as a judge, with what of this process: its data directory, its environment, its clock and chance."""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from typing import Final

from services.evaluate.dependencies import Prefer
from services.evaluate.judged_pairs import JudgedPairs
from services.evaluate.result import RunResult
from services.judge.checks import JudgeChecks
from services.judge.daily_calls import DailyCalls
from services.judge.pair_judging import PairJudge
from services.judge.panel import SECONDS, JudgePanel, JudgeWorld
from services.judge.suite_scoring import PanelSuiteJudge
from services.monitor import Monitor
from services.score.redaction import Redactor
from services.settings import Settings, secret
from services.signals.custom.definition import PREFIX
from services.signals.custom.judge_rule import JudgeRule
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


def judge_panel(settings: Settings, watched: Monitor, *, patient: bool = False, checked: bool = False) -> JudgePanel:
    """The judges of the monitor file; which of them will not be asked, and why, is logged unless one is `checked`."""
    redactor = Redactor(configured_signals(watched))
    world = judge_world(settings, watched)
    panel = JudgePanel(watched.signals, redactor, world, PATIENT if patient else SECONDS)
    for signal, why in () if checked else panel.unusable.items():
        LOG.warning("%s", words.judge_silent(signal, why))
    return panel


def suite_judge(settings: Settings, watched: Monitor) -> PanelSuiteJudge | None:
    """The judge that the monitor file says scores suites; None where the built-in head does."""
    for one in watched.signals:
        if isinstance(one.rule, JudgeRule) and one.rule.suites:
            world = judge_world(settings, watched)
            panel = JudgePanel((), Redactor(configured_signals(watched)), world)
            return PanelSuiteJudge(one, one.rule, panel, world)
    return None


def pair_judges(settings: Settings, watched: Monitor) -> Prefer:
    """Asks a judge of the monitor file, by its name, which of the answers of two runs are better."""
    world, masked = judge_world(settings, watched), Redactor(configured_signals(watched)).masked

    async def prefer(name: str, before: RunResult, after: RunResult) -> JudgedPairs:
        [(one, rule)] = [
            (one, one.rule)
            for one in watched.signals
            if one.name == name.removeprefix(PREFIX) and isinstance(one.rule, JudgeRule)
        ]
        return await PairJudge(one, rule, world, masked).judged(before, after)

    return prefer
