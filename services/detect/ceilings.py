"""A route that is already above a ceiling does not make that its normal: its baseline waits for a person. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from detectors.protocol import Rows
from schemas.reading import Reading
from services.detect.baseline import rates_of
from services.detect.readings import status_reading, stream_key_parts
from services.detect.relearning import Place
from services.detect.state import Candidates, DetectState
from services.monitor import RoutePolicy
from services.specs import HELD, LEARNING, family_of
from services.wording import ceilings as words

_HOUR: Final = 3600.0
_LEAVES: Final = 4
"""Each time that a baseline is held back, the oldest of so many parts of its rows makes way for newer ones."""


def rates_above(rows: Rows, policy: RoutePolicy) -> dict[str, float]:
    """Signal -> its share in the rows, of those that lie above their ceiling: by the count, however few they are."""
    rates = rates_of(rows, policy.objectives)
    return {name: rate for name, rate in rates.items() if rate > policy.objectives[name]}


def hold_back(
    state: DetectState, identity: str, rows: Rows, above: dict[str, float], policy: RoutePolicy, place: Place
) -> tuple[DetectState, Reading]:
    """The state that pins nothing, and what is said of it: it learns on with the newer rows, and is asked again."""
    rest = rows.take(np.arange(len(rows) // _LEAVES, len(rows)))
    first = float(rest.ts[0])
    hours = {hour: n for hour, n in state.candidates[identity].hours.items() if hour >= int(first // _HOUR)}
    kept = Candidates((rest,), len(rest), hours, first)
    after = replace(state, candidates={**state.candidates, identity: kept}, above=above)
    reason = words.not_pinned(above, policy.objectives)
    return after, status_reading(state.route, LEARNING, "learning", place, reason, subject=HELD)


def may_accept(state: DetectState) -> bool:
    """Whether what is there can be accepted: a baseline, or one that a ceiling holds back or will hold back."""
    fires = any(family_of(stream_key_parts(key)[0]).kind == "ceiling" for key in state.watch.firing)
    return state.pinned is not None or bool(state.candidates and (state.above or fires))
