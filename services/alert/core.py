"""Pure core of alert: (state, inputs, now) -> (state, alerts) of one route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from schemas.alert import Alert
from services.alert import stages
from services.alert.state import AlertInput, AlertState, StageContext, in_the_open

PATH: Final[tuple[Callable[[StageContext], StageContext], ...]] = (
    stages.drop_repeats,
    stages.keep_place,
    stages.observe,
    stages.apply_decision,
    stages.unmute,
    stages.begin_baseline,
    stages.lift_mutes,
    stages.follow_stream,
    stages.fire,
    stages.escalate,
    stages.change_again,
    stages.resolve,
    stages.track_groups,
)


def step(
    state: AlertState,
    inputs: Sequence[AlertInput],
    now: datetime | None = None,
    shadows: Callable[[str | None], bool] = in_the_open,
) -> tuple[AlertState, tuple[Alert, ...]]:
    """Take in readings, changes, evaluations and decisions of one route, in order.

    Every rule runs on the times of the records, so nothing is due at a timer's tick: `now` has the place that
    it has in every core, and changes nothing. `shadows` says of a signal whether its alerts are in shadow.

    Returns:
        The new state, and an alert per transition: firing, resolved, and firing again when its severity rose.
    """
    alerts: list[Alert] = []
    for item in inputs:
        turn = StageContext(state, item, shadows=shadows)
        for stage in PATH:
            turn = stage(turn)
        state = turn.state
        alerts += turn.alerts
    return state, tuple(alerts)
