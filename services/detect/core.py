"""Pure core of detect: (plan, state, batch) -> (state, readings and changes) of one route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from schemas.base import moment
from schemas.change import Change
from schemas.decision import Decision
from schemas.identity import identity_of
from schemas.position import Position
from schemas.reading import Reading
from schemas.score import ScoreBlock
from services.detect.baseline import Collected, collect_candidates, completed_identity, pin_baseline
from services.detect.ceilings import hold_back, may_accept, rates_above
from services.detect.counterparts import NearestNoted, forget_old, note_nearest, with_counterparts
from services.detect.floods import USUAL_PROMPTS, follow_floods
from services.detect.given_baseline import introduce
from services.detect.identities import (
    forget_identity,
    merge_identities,
    observe_identity,
    pinned_change,
    suspected_again,
    suspected_change,
)
from services.detect.questions import with_questions
from services.detect.readings import (
    StreamFinding,
    again_reading,
    flood_reading,
    reading_of,
    status_reading,
    with_note,
)
from services.detect.relearning import (
    Place,
    kept_at_pin,
    learn_on,
    progress,
    relearned,
    start_learning,
    stream_readings,
    streams_named,
)
from services.detect.ruler_change import take_version
from services.detect.run_detectors import apply_findings, reset_evidence, run_detectors, tells_change
from services.detect.second_reference import begun_anew, look_again, still_firing
from services.detect.state import Candidates, DetectionPlan, DetectOutput, DetectState, joined_rows
from services.detect.trial import extension_of, is_extending, learning_plan
from services.detect.versions import VersionChange, follow_versions, seeded, without_uncounted
from services.intake.core import Intake
from services.intake.core import step as take_in
from services.intake.volatile_fields import MOST_IDENTITIES, WINDOW
from services.monitor import BaselinePolicy
from services.specs import BLIND, LEARNING, VOLATILE, family_of, mover_of
from services.wording import ruler, trials

KEPT_DECISIONS: Final = 64
_NO_CHANGE: Final = frozenset({"event", "level", "anomaly"})
"""What fires and makes nobody suspect the model: slower or longer answers start no re-evaluation."""
FORGETS: Final = (
    f"more than {MOST_IDENTITIES} models have answered; one that was not seen for {WINDOW:,} exchanges is forgotten, "
    "and counts as new when it comes back"
)


def step(
    plan: DetectionPlan, state: DetectState, batch: Sequence[ScoreBlock | Decision]
) -> tuple[DetectState, DetectOutput]:
    """Take in score blocks and decisions of one route, in order."""
    output = DetectOutput()
    for item in batch:
        state, more = _decide(plan, state, item) if isinstance(item, Decision) else _take_block(plan, state, item)
        output += more
    return state, output


def _take_block(plan: DetectionPlan, state: DetectState, block: ScoreBlock) -> tuple[DetectState, DetectOutput]:
    fields = state.intake.volatility.fields
    intaken, intake = take_in(state.intake, block, plan.policy.slices)
    output = DetectOutput(_intake_readings(state, block, intake))
    state = replace(_timed(seeded(state, block), block, intake), intake=intaken)
    followed = follow_versions(state, plan.policy, block, intake.rows)
    intake = replace(intake, rows=without_uncounted(intake.rows, followed.counted))
    state, given = introduce(replace(state, versions=followed.versions), intake)
    output += DetectOutput(changes=given)
    if len(intake.rows):
        state, said = start_learning(plan, state, _place(intake, 0))
        output += DetectOutput(said)
    start = 0
    for row, turn in _turns(intake, followed.changes):
        while start < row:
            state, start, more = _segment(plan, state, intake, start, row)
            output += more
        if isinstance(turn, VersionChange):
            state, said = take_version(plan, state, turn, _place(intake, row))
            output += DetectOutput(said)
        elif isinstance(turn, Forgotten):
            state = forget_identity(state, turn.who)
        elif turn is not None:
            fields = (*fields, turn)
            state = merge_identities(state, fields)
    readings = tuple(sorted(output.readings, key=lambda reading: reading.event_index))
    return state, replace(output, readings=readings)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An identity that was idle gives way."""

    who: str


def _turns(
    intake: Intake, changes: Sequence[VersionChange]
) -> list[tuple[int, str | Forgotten | VersionChange | None]]:
    """Where rows are cut, and at the end.

    Before a row a field became volatile (its name), an identity was forgotten, or another version counts.
    """
    turns: list[tuple[int, int, str | Forgotten | VersionChange | None]] = [
        *((row, 0, name) for name, row in intake.volatile),
        *((row, 1, Forgotten(who)) for who, row in intake.forgotten),
        *((change.row, 2, change) for change in changes),
    ]
    turns.sort(key=lambda turn: turn[:2])
    return [*((row, turn) for row, _, turn in turns), (len(intake.rows), None)]


def _segment(
    plan: DetectionPlan, state: DetectState, intake: Intake, start: int, stop: int
) -> tuple[DetectState, int, DetectOutput]:
    """Rows up to the one that completes a baseline, or to `stop`: state, where to go on, output."""
    output = DetectOutput()
    due = None
    full, plan = plan.policy.baseline, learning_plan(plan, state)
    if state.pinned is None or state.accepting is not None or is_extending(state):
        state, row, due, output = _collect(plan, state, intake, range(start, stop))
        stop = stop if row is None else row + 1
    learned = None
    if due is None and state.accepting is None:
        state, learned, more = _learn_anew(plan, state, intake, start, stop)
        output += more
        stop = stop if learned is None else learned + 1
    state, more = _watch(plan, state, intake, start, stop)
    output += more
    if learned is not None:
        state, more = _relearned(plan, state, _place(intake, learned))
        output += more
    if due is not None and (state.pinned is None or state.accepting is not None or is_extending(state)):
        state, more = _pin_or_hold(plan, state, due, _place(intake, stop - 1), full)
        output += more
        if state.relearning is not None:
            said = progress(plan, state, _place(intake, stop - 1), state.relearning.candidates.n)
            output += DetectOutput(said)
    return state, stop, output


def _learn_anew(
    plan: DetectionPlan, state: DetectState, intake: Intake, start: int, stop: int
) -> tuple[DetectState, int | None, DetectOutput]:
    """Rows for the streams that learn beside the baseline: state, the row at which there were enough, progress."""
    state, row, milestones = learn_on(plan, state, intake.rows, intake.identity, intake.untimed, start, stop)
    said: list[Reading] = []
    for i, n in milestones:
        said += progress(plan, state, _place(intake, i), n) if n > 1 else ()  # that it begins was said
    return state, row, DetectOutput(tuple(said))


def _relearned(plan: DetectionPlan, state: DetectState, place: Place) -> tuple[DetectState, DetectOutput]:
    """What was learned anew watches from the next row on."""
    assert state.relearning is not None
    names, since = state.relearning.versions, moment(state.relearning.ts)
    state = relearned(plan, state, place[1], place[0])
    assert state.pinned is not None
    new = state.pinned.relearned[-1]
    reason = ruler.learned(names, since, new.n, new.arl)
    keys = [key for name in names for key in streams_named(plan, state, name) if key not in state.watch.superseded]
    return state, DetectOutput(stream_readings(state, keys, "quiet", place, reason))


def _collect(
    plan: DetectionPlan, state: DetectState, intake: Intake, places: range
) -> tuple[DetectState, int | None, str | None, DetectOutput]:
    """Learn from rows until a baseline is complete: state, the row that completed it, whose it is, progress."""
    extending = state.pinned.identity if state.pinned is not None and is_extending(state) else None
    only = state.accepting or extending
    wanted = [i for i in places if only in (None, intake.identity[i])]
    got = _gathered(plan, state, intake, wanted, until_complete=True)
    size = plan.policy.baseline.size
    readings = []
    for i, n in got.milestones:
        place = wanted[i]
        at = (int(intake.rows.index[place]), float(intake.rows.ts[place]), intake.positions[place])
        reason = f"learned {n} of {size} exchanges" if extending is None else trials.progress(n, size)
        readings.append(status_reading(state.route, LEARNING, "learning", at, reason, n=n))
    row = None if got.row is None else wanted[got.row]
    return replace(state, candidates=got.candidates), row, got.due, DetectOutput(tuple(readings))


def _gathered(
    plan: DetectionPlan, state: DetectState, intake: Intake, places: list[int], *, until_complete: bool
) -> Collected:
    where = np.array(places, dtype=np.int64)
    who = [intake.identity[i] for i in places]
    policy = plan.policy.baseline
    rows = intake.rows.take(where)
    return collect_candidates(state.candidates, rows, who, intake.untimed[where], policy, until_complete=until_complete)


def _watch(
    plan: DetectionPlan, state: DetectState, intake: Intake, start: int, stop: int
) -> tuple[DetectState, DetectOutput]:
    changes: list[Change] = []
    before, since = state, state.watch.since
    for row in range(start, stop):
        state, observed = observe_identity(state, intake, row)
        changes += observed
    usual = None if state.pinned is None else state.pinned.artefacts.get(USUAL_PROMPTS)
    flood = follow_floods(state.flood, usual, intake.rows, start, stop)
    watch, findings = run_detectors(plan, state, intake, start, stop, flood.left_out)
    watch, reported = apply_findings(watch, findings, intake.rows)
    examples = None if state.pinned is None else state.pinned.examples
    noted = note_nearest(state.noted, examples, intake.rows.take(np.arange(start, stop)))
    reported = tuple(
        replace(one, finding=with_counterparts(one.finding, noted, examples, int(intake.rows.index[one.row])))
        for one in (with_questions(one, flood) for one in reported)
    )
    state = replace(state, watch=watch, noted=forget_old(noted), flood=flood.state)
    second, again = look_again(plan, before, intake, start, stop, reported, flood.left_out)
    state, suspected = _suspected(replace(state, second=second), intake, (*reported, *again))
    changes += suspected
    restarts = watch.restarts
    readings = (
        *(flood_reading(state.route, one, _place(intake, one.row)) for one in flood.findings),
        *(
            with_note(
                reading_of(one, state.route, intake, state.pinned, restarts.get(one.state_key, 0)),
                flood.note_at(one.row) if one.finding.status in ("firing", "blind") else None,
            )
            for one in reported
        ),
        *(again_reading(one, state.route, intake) for one in again),
    )
    changes.sort(key=lambda change: change.event_index)
    return _after_crossing(plan, state, intake, start, stop, since), DetectOutput(readings, tuple(changes))


def _suspected(
    state: DetectState, intake: Intake, findings: Sequence[StreamFinding]
) -> tuple[DetectState, list[Change]]:
    """What is suspected of the model, row by row: one suspicion keeps later ones back, whichever look it came of."""
    changes: list[Change] = []
    for one in sorted(findings, key=lambda one: one.row):  # of one row those against the baseline stay first
        if one.again is not None:
            state, more = suspected_again(state, intake, one)
        elif _tells_of_model(one):
            state, more = suspected_change(state, intake, one.row, one.identity, one.detector)
        else:
            continue
        changes += more
    return state, changes


def _tells_of_model(one: StreamFinding) -> bool:
    fired = one.finding.status == "firing" and one.finding.transition
    asked = mover_of(one.detector, one.finding.stream.signal) == "users"
    family = family_of(one.detector)
    return fired and not asked and family.of_baseline and family.kind not in _NO_CHANGE


def _after_crossing(
    plan: DetectionPlan, state: DetectState, intake: Intake, start: int, stop: int, before: int | None
) -> DetectState:
    """Keep what comes after the first crossing: it is what `accept_baseline` will ask for.

    `before` is the first crossing as it was before these rows: what was gathered without one was for another end.
    """
    if state.pinned is None or state.accepting is not None:
        return state
    since = state.watch.since
    if since is None:
        return state if state.pinned.trial and before is None else replace(state, candidates={})
    if before is None:
        state = replace(state, candidates={})
    places = [i for i in range(start, stop) if intake.rows.index[i] > since]
    return replace(state, candidates=_gathered(plan, state, intake, places, until_complete=False).candidates)


def _pin_or_hold(
    plan: DetectionPlan, state: DetectState, identity: str, place: Place, full: BaselinePolicy
) -> tuple[DetectState, DetectOutput]:
    """Pin the baseline that is complete, unless one of its rates is above a ceiling and nobody accepted that."""
    rows = joined_rows(state.candidates[identity].chunks, plan.policy.baseline.size)
    counted, _, _ = kept_at_pin(state, rows, plan.policy)
    above = rates_above(counted, plan.policy) if state.accepting is None else {}
    if not above:
        return _pin(plan, state, identity, place[1], place[0], full)
    state, said = hold_back(state, identity, rows, above, plan.policy, place)
    return state, DetectOutput((said,))


def _pin(
    plan: DetectionPlan, state: DetectState, identity: str, ts: float, event_index: int, full: BaselinePolicy
) -> tuple[DetectState, DetectOutput]:
    rows = joined_rows(state.candidates[identity].chunks, plan.policy.baseline.size)
    rows, versions, late = kept_at_pin(state, rows, plan.policy)
    baseline = pin_baseline(plan, state, identity, rows, versions, ts, event_index, full.size)
    limits = trials.cannot_see(baseline.rates, plan.policy.floors, baseline.n, full.size) if baseline.trial else ""
    change = pinned_change(state.route, state.pinned, baseline, f"; a trial: {limits}" if limits else "")
    extension = extension_of(rows, identity, full, state.untimed) if baseline.trial else {}
    watching = {detector.spec.name for detector in plan.detectors if not detector.learns}
    kept = {key: value for key, value in state.watch.running.items() if key.partition("/")[0] in watching}
    firing = tuple(key for key in state.watch.firing if key.partition("|")[0] in watching)
    blind = {key: why for key, why in state.watch.blind.items() if key.partition("|")[0] in watching}
    since = event_index if any(map(tells_change, firing)) else None
    watch = replace(state.watch, running=kept, firing=firing, blind=blind, since=since, suspect=None, superseded={})
    after = replace(
        state,
        pinned=baseline,
        watch=watch,
        candidates=extension,
        accepting=None,
        relearning=late,
        above={},
        noted=NearestNoted(),
        second={},
    )
    return after, DetectOutput(changes=(change,))


def _decide(plan: DetectionPlan, state: DetectState, decision: Decision) -> tuple[DetectState, DetectOutput]:
    if decision.id in state.decided:
        return state, DetectOutput()
    state = replace(state, decided=(*state.decided, decision.id)[-KEPT_DECISIONS:])
    if decision.kind in ("resolve", "false_alarm"):
        watch = reset_evidence(state.watch, state.route, state.intake.count, decision.fingerprint)
        watched = state.pinned is not None and state.accepting is None
        ended = watched and not watch.firing and not is_extending(state)
        after = replace(state, watch=watch, candidates={} if ended else state.candidates)
        return still_firing(plan, after), DetectOutput()
    if decision.kind == "roll_back":  # what comes from here on is the earlier model's, or is about to be
        ts = max(state.intake.clock or 0.0, decision.ts.timestamp())
        return begun_anew(state, max(state.intake.count - 1, 0), ts), DetectOutput()
    if decision.kind == "accept_baseline" and may_accept(state):
        return _accept(plan, state, decision)
    return state, DetectOutput()


def _accept(plan: DetectionPlan, state: DetectState, decision: Decision) -> tuple[DetectState, DetectOutput]:
    """The identity's exchanges after the first crossing become the baseline, at once or when there are enough."""
    full, plan = plan.policy.baseline, learning_plan(plan, state)
    identity = _accepted(state, decision)
    kept = {identity: state.candidates[identity]} if identity in state.candidates else {}
    state = replace(state, candidates=kept, accepting=identity, second={})
    ts = max(state.intake.clock or 0.0, decision.ts.timestamp())
    held = state.pinned is None and bool(state.above) and kept[identity].n >= plan.policy.baseline.min_size
    if not held and completed_identity(kept, ts, plan.policy.baseline) is None:
        return state, DetectOutput()
    return _pin(plan, state, identity, ts, max(state.intake.count - 1, 0), full)


def _accepted(state: DetectState, decision: Decision) -> str:
    if decision.model is not None:
        return identity_of(decision.model, state.intake.volatility.fields)
    if state.watch.suspect is not None:
        return state.watch.suspect
    candidates: dict[str, Candidates] = state.candidates
    if candidates:
        return max(candidates, key=lambda who: candidates[who].n)
    assert state.pinned is not None
    return state.pinned.identity


def _timed(state: DetectState, block: ScoreBlock, intake: Intake) -> DetectState:
    """When the route began, and whether any exchange had no time, for the budget; skewed times are none."""
    if not len(intake.rows):
        return state
    began = state.intake.clock if state.began is None else state.began
    if began is None:
        plausible = ["skew" not in block.flags[i] for i in intake.source_rows]
        began = next(iter(intake.rows.ts[plausible].tolist()), None)
    return replace(state, began=began, untimed=state.untimed or bool(intake.untimed.any()))


def _intake_readings(state: DetectState, block: ScoreBlock, intake: Intake) -> tuple[Reading, ...]:
    readings: list[Reading] = []
    for name, row in intake.volatile:
        reason = f"model.{name} changes all the time; it no longer counts towards identity"
        readings.append(status_reading(state.route, VOLATILE, "quiet", _place(intake, row), reason, subject=name))
    if intake.forgotten and not state.intake.volatility.forgotten:
        place = _place(intake, intake.forgotten[0][1])
        readings.append(status_reading(state.route, VOLATILE, "quiet", place, FORGETS, subject="identities"))
    if intake.blind:
        source = Position(
            cluster=block.cluster, topic=block.topic, partition=block.partition[-1], offset=block.offset[-1]
        )
        place = (max(state.intake.count - 1, 0), block.ts[-1].timestamp(), source)
        readings.append(
            status_reading(state.route, BLIND.name, "firing", place, intake.blind, subject="recreated_topic")
        )
    return tuple(readings)


def _place(intake: Intake, row: int) -> tuple[int, float, Position]:
    return int(intake.rows.index[row]), float(intake.rows.ts[row]), intake.positions[row]
