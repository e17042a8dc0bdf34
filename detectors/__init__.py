"""Detectors, one a file. A newcomer is a line in `DETECTORS`; other people's come by the entry-point group."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Final

from detectors.attack_cluster import AttackCluster
from detectors.escalating_conversation import EscalatingConversation
from detectors.events import Events
from detectors.model_shift import ModelShift
from detectors.novel_rate import NovelRate
from detectors.novelty import Novelty
from detectors.objective import Objectives
from detectors.protocol import Detector
from detectors.rate_shift import RateShift
from detectors.score_shift import ScoreShift
from detectors.user_shift import UserShift

GROUP: Final = "keelwatch.detectors"  # each entry point names a detector without required fields
DETECTORS: Final[tuple[Detector[Any, Any], ...]] = (
    ModelShift(),
    UserShift(),
    RateShift(),
    NovelRate(),
    Events(),
    Objectives(),
    ScoreShift(),
    Novelty(),
    AttackCluster(),
    EscalatingConversation(),
)


def registered() -> tuple[Detector[Any, Any], ...]:
    """`DETECTORS` and those that other distributions registered, by name.

    Raises:
        ValueError: if two detectors have one name.
    """
    others = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    found = (*DETECTORS, *(point.load()() for point in others))
    names = [detector.spec.name for detector in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two detectors are named {twice[0]}; rename the one that was added by an entry point")
    return found
