"""Of a finding that would speak of the model: were the questions since the change still those of the baseline? Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from detectors.stats.question_likeness import usual_questions
from schemas.reading import Effect
from services.detect.floods import FollowedFlood
from services.detect.readings import StreamFinding
from services.specs import family_of, mover_of

STRANGE: Final = 0.1
"""Of answers that differ as a whole nobody can say by how much; so many other questions could be what moved them."""


def with_questions(found: StreamFinding, flood: FollowedFlood) -> StreamFinding:
    """The finding with what its questions are to those of the baseline, where that decides whether the model moved.

    The questions are the route's since the change, whoever answered them: those that the detectors judged, so without
    a flood of one question.
    """
    if not _would_blame(found) or not len(flood.usual.sketches):
        return found
    point = found.finding.change_point
    held = flood.judged_since(found.row, 0 if point is None else point.event_index)
    questions = usual_questions(flood.usual.sketches).judge(held, _strange(found.finding.effect))
    return replace(found, finding=replace(found.finding, questions=questions))


def _would_blame(found: StreamFinding) -> bool:
    """Whether it fires, and would lay to the model what a rate or the answers did."""
    family = family_of(found.detector)
    of_model = mover_of(found.detector, found.finding.stream.signal) == "model" and family.kind in ("shift", "rate")
    return of_model and found.finding.status == "firing" and found.again is None


def _strange(effect: Effect | None) -> float:
    """The share of other questions that could be what moved: the least that a rate did, a tenth where that is less."""
    if effect is None or effect.unit != "pp" or effect.low is None or effect.high is None:
        return STRANGE
    least = min(abs(effect.low), abs(effect.high)) / 100 if effect.low * effect.high > 0 else 0.0
    return max(least, STRANGE)
