"""The detect step: score blocks and decisions of a route in; readings and changes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schemas.base import Record
from schemas.decision import Decision
from schemas.score import ScoreBlock
from services.detect.core import step
from services.detect.saved import Detectors
from services.detect.state import DetectState, Plan
from services.monitor import RoutePolicy
from services.stream.stateful import Stateful, Tools
from services.stream.states import DETECT, DetectStore


def detect(detectors: Detectors, policy: Callable[[str], RoutePolicy], tools: Tools) -> Stateful[DetectState]:
    """The detect step with these detectors; `policy` gives a route's part of the monitor file."""

    def advance(route: str, state: DetectState, records: Sequence[Record]) -> tuple[DetectState, Sequence[Record]]:
        plan = Plan(tuple(detectors), policy(route))
        items = [record for record in records if isinstance(record, ScoreBlock | Decision)]
        state, said = step(plan, state, items)
        return state, (*said.readings, *said.changes)

    return Stateful(DETECT, advance, DetectStore(detectors), tools, repeated)


def repeated(before: DetectState, after: DetectState, records: Sequence[Record]) -> int:
    """Exchanges of the blocks that were not counted: at or below the fence, or with an id that had been seen."""
    rows = sum(len(record.id) for record in records if isinstance(record, ScoreBlock))
    return rows - (after.intake.count - before.intake.count)
