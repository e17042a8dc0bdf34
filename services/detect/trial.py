"""A trial baseline: fewer exchanges, taken at once, watched against until a full one takes its place. Pure.

The full one is learned by the usual rules, of the same model, beginning with what the trial one holds of them, and only
while nothing fires: what an update brings must not become normal by itself. After a crossing the trial baseline stays
until a person accepts another one, as every baseline does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.protocol import Rows
from services.detect.baseline import collect_candidates
from services.detect.state import Candidates, DetectionPlan, DetectState
from services.monitor import BaselinePolicy


def learning_plan(plan: DetectionPlan, state: DetectState) -> DetectionPlan:
    """The plan by which the route learns now: before its first baseline, `min_size` exchanges at once in a trial."""
    policy = plan.policy.baseline
    if state.pinned is not None or policy.first is policy:
        return plan
    return replace(plan, policy=replace(plan.policy, baseline=policy.first))


def is_extending(state: DetectState) -> bool:
    """Whether the rows are gathered of a full baseline that takes the place of a trial one."""
    trial = state.pinned is not None and state.pinned.trial
    return trial and state.accepting is None and state.watch.since is None


def extension_of(rows: Rows, identity: str, policy: BaselinePolicy, untimed: bool) -> dict[str, Candidates]:
    """What a trial baseline's rows are of a full one: those that its usual rules would have taken."""
    marks = np.full(len(rows), untimed)
    return collect_candidates({}, rows, [identity] * len(rows), marks, policy, until_complete=False).candidates
