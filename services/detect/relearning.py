"""Streams of a signal that is measured in another way now learn anew; all others watch on. Pure.

What is learned stands under the version that it was learned by. A stream is judged by the newest that has the version
which counts now, so a version that comes back goes on where it was. An alert that fired by the old version is resolved
by no quiet word of the new one: what that calls normal was learned while it fired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from detectors.protocol import Baseline, Detector, Rows, signal_of_column
from schemas.base import hash16, moment
from schemas.position import Position
from schemas.reading import Evidence, Reading, ReadingStatus, reading_id
from services.detect.baseline import arl_of, collect_candidates, rates_of, streams_of
from services.detect.readings import stream_key_parts
from services.detect.state import (
    ABSENT,
    VECTORS,
    Candidates,
    DetectionPlan,
    DetectorStates,
    DetectState,
    Pinned,
    Relearned,
    Relearning,
    SignalVersion,
    joined_rows,
)
from services.detect.topics import topics_of, with_topics
from services.detect.versions import counts, watched_rates
from services.monitor import RoutePolicy
from services.specs import family_of, roles
from services.wording import ruler as words

Place = tuple[int, float, Position]
"""Event index, time and position of the exchange of which a reading speaks."""
_HOUR: Final = 3600.0


def judge_of(pinned: Pinned, versions: Mapping[str, SignalVersion], name: str) -> Pinned | Relearned | None:
    """What the streams of a signal are held against now; None while nothing was learned by the version that counts."""
    version = ABSENT if name not in versions else versions[name].version
    for one in reversed(pinned.relearned):
        if one.versions.get(name) == version:
            return one
    unknown = name not in versions and name not in pinned.versions
    return pinned if unknown or pinned.versions.get(name, ABSENT) == version else None


def rows_for(judge: Pinned | Relearned, versions: Mapping[str, SignalVersion], rows: Rows) -> Rows:
    """The rows as `judge` may see them: unscored where a signal is measured by another version than it learned."""
    changed = {
        name for name, version in judge.versions.items() if name in versions and versions[name].version != version
    }
    other = [name for name in rows.signals if signal_of_column(name) in changed]
    if not other:
        return rows
    return replace(rows, signals={**rows.signals, **{name: np.full(len(rows), np.nan) for name in other}})


def relearn(state: DetectState, policy: RoutePolicy, place: Place) -> DetectState:
    """The state that learns what nothing was learned of yet; one that does so already goes on."""
    pinned = state.pinned
    if pinned is None:
        return state
    wanted = {
        name: version
        for name in {*watched_rates(policy), *pinned.versions}
        if (version := counts(state.versions, name)) != ABSENT and judge_of(pinned, state.versions, name) is None
    }
    learning = state.relearning
    if not wanted or (learning is not None and wanted.items() <= learning.versions.items()):
        return state
    return replace(state, relearning=Relearning(dict(sorted(wanted.items())), place[0], place[1]))


def start_learning(plan: DetectionPlan, state: DetectState, place: Place) -> tuple[DetectState, tuple[Reading, ...]]:
    """As `relearn`, and what is said of it."""
    after = relearn(state, plan.policy, place)
    return after, () if after is state else progress(plan, after, place, 0)


def learn_on(
    plan: DetectionPlan, state: DetectState, rows: Rows, identity: tuple[str, ...], untimed: Any, start: int, stop: int
) -> tuple[DetectState, int | None, tuple[tuple[int, int], ...]]:
    """Rows of the baseline's identity towards what is learned anew: state, the row that completed it, milestones.

    Only rows are taken that were measured by the versions which are learned.
    """
    learning, pinned = state.relearning, state.pinned
    if learning is None or pinned is None or any(counts(state.versions, n) != v for n, v in learning.versions.items()):
        return state, None, ()
    scored = np.zeros(len(rows), dtype=bool)
    for name in learning.versions:
        scored |= ~np.isnan(rows.signals.get(name, np.full(len(rows), np.nan)))
    places = np.array([i for i in range(start, stop) if identity[i] == pinned.identity and scored[i]], np.int64)
    got = collect_candidates(
        {pinned.identity: learning.candidates} if learning.candidates.n else {},
        rows.take(places),
        [pinned.identity] * len(places),
        untimed[places],
        plan.policy.baseline,
        until_complete=True,
    )
    kept = got.candidates.get(pinned.identity, learning.candidates)
    row = None if got.row is None else int(places[got.row])
    milestones = tuple((int(places[i]), n) for i, n in got.milestones)
    return replace(state, relearning=replace(learning, candidates=kept)), row, milestones


def relearned(plan: DetectionPlan, state: DetectState, ts: float, event_index: int) -> DetectState:
    """The state whose baseline has what was learned anew; K and ARL of the whole set count from here.

    The other streams keep their evidence, and fire no more easily than before: where the set grew, all of it shares
    the same budget, so each is held to the greater of its own ARL and the new one.
    """
    learning, pinned = state.relearning, state.pinned
    assert learning is not None
    assert pinned is not None
    rows = joined_rows(learning.candidates.chunks, plan.policy.baseline.size)
    rows = with_topics(rows, topics_of(pinned))
    streams = streams_of(plan, rows)
    floors = {name: plan.policy.floors[name] for name in learning.versions if name in plan.policy.floors}
    baseline = Baseline(rows, floors, arl_of(plan, state, streams, ts, event_index), roles=roles())
    with threadpool_limits(1, user_api="blas"):
        made = {one.spec.name: one.fit(baseline) for one in plan.detectors if _learns_signals(one, baseline)}
    new = Relearned(
        id=f"{pinned.id}+{hash16([sorted(learning.versions.items()), event_index, rows.ids[0], rows.ids[-1]])}",
        versions=dict(learning.versions),
        n=len(rows),
        streams=streams,
        arl=baseline.arl,
        ts=ts,
        since=learning.since,
        event_index=event_index,
        rates=rates_of(rows, learning.versions),
        artefacts=made,
    )
    later = replace(pinned, relearned=(*_still_used(pinned.relearned, new), new))
    running = _of(state.watch.running, later)
    return replace(state, pinned=budgeted(later), relearning=None, watch=replace(state.watch, running=running))


def kept_at_pin(state: DetectState, rows: Rows, policy: RoutePolicy) -> tuple[Rows, dict[str, str], Relearning | None]:
    """What a baseline may learn of candidates during which versions changed.

    The rows without what another version measured, the versions that it is learned by, and what learns on: signals of
    which too few rows are left, with those rows.
    """
    versions = {VECTORS: state.versions[VECTORS].version} if VECTORS in state.versions else {}
    late: dict[str, SignalVersion] = {}
    signals = dict(rows.signals)
    for name in watched_rates(policy):
        held = state.versions.get(name)
        if held is None or held.version == ABSENT:
            continue
        mine = rows.index >= held.since
        for column in () if mine.all() else [one for one in signals if signal_of_column(one) == name]:
            signals[column] = np.where(mine, signals[column], np.nan)
        if mine.all() or mine.sum() >= policy.baseline.min_size:
            versions[name] = held.version
        else:
            late[name] = held
    rows = replace(rows, signals=signals)
    return rows, versions, _late(late, rows) if late else None


def _late(late: dict[str, SignalVersion], rows: Rows) -> Relearning:
    newest = max(late.values(), key=lambda held: held.since)
    rest = rows.take(np.flatnonzero(rows.index >= newest.since))
    hours: dict[int, int] = {}
    for ts in rest.ts.tolist():
        hours[int(ts // _HOUR)] = hours.get(int(ts // _HOUR), 0) + 1
    first = float(rest.ts[0]) if len(rest) else None
    taken = Candidates((rest,) if len(rest) else (), len(rest), hours, first)
    return Relearning({name: held.version for name, held in sorted(late.items())}, newest.since, newest.ts, taken)


def budgeted(pinned: Pinned) -> Pinned:
    """The baseline with every artefact held to the greatest ARL that counts since it was made."""
    arl = max((pinned.arl, *(one.arl for one in pinned.relearned)))
    held = tuple(replace(one, artefacts=_with_arl(one.artefacts, arl)) for one in pinned.relearned)
    return replace(pinned, artefacts=_with_arl(pinned.artefacts, arl), relearned=held)


def _with_arl(value: Any, arl: float) -> Any:
    """The artefacts with every field `arl` below this one raised to it; what holds none is the same object."""
    if isinstance(value, dict):
        return {key: _with_arl(one, arl) for key, one in value.items()}
    if type(value) is tuple:
        made = tuple(_with_arl(one, arl) for one in value)
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {one.name: getattr(value, one.name) for one in fields(value)}
    raised = {name: max(part, arl) if name == "arl" else _with_arl(part, arl) for name, part in parts.items()}
    changed = {name: part for name, part in raised.items() if part is not parts[name]}
    return replace(value, **changed) if changed else value


def _learns_signals(detector: Detector[Any, Any], baseline: Baseline) -> bool:
    """Whether it learns, and has streams of single signals."""
    return detector.learns and any(stream.signal in baseline.floors for stream in detector.streams(baseline))


def _still_used(before: tuple[Relearned, ...], new: Relearned) -> tuple[Relearned, ...]:
    """Those that still judge a signal, or would if the version before came back: one a signal, beside the newest."""
    kept: list[Relearned] = []
    seen = dict.fromkeys(new.versions, 1)
    for one in reversed(before):
        wanted = [name for name in one.versions if seen.get(name, 0) < 2]
        for name in one.versions:
            seen[name] = seen.get(name, 0) + 1
        if wanted:
            kept.insert(0, one)
    return tuple(kept)


def _of(running: dict[str, Any], pinned: Pinned) -> dict[str, Any]:
    """The running states without those of what is not kept any more."""
    known = {one.id for one in pinned.relearned}
    return {key: one for key, one in running.items() if len(parts := key.split("/")) < 3 or parts[2] in known}


def superseded(watch: DetectorStates, name: str, before: str) -> DetectorStates:
    """The evidence once another version of a signal counts: what fires by `before` goes on until a person says so."""
    mine = {key for key in (*watch.firing, *watch.blind) if stream_key_parts(key)[2] == name and _is_learned(key)}
    firing = {key: before for key in watch.firing if key in mine and key not in watch.superseded}
    blind = {key: why for key, why in watch.blind.items() if key not in mine}
    return replace(watch, superseded={**watch.superseded, **firing}, blind=blind)


def _is_learned(stream_key: str) -> bool:
    """Whether its stream is held against a baseline: a ceiling is the same, whichever version measures."""
    return family_of(stream_key_parts(stream_key)[0]).of_baseline


def restored(watch: DetectorStates, name: str, now: str) -> DetectorStates:
    """The evidence once the version by which streams fire counts again."""
    kept = {
        key: version
        for key, version in watch.superseded.items()
        if (stream_key_parts(key)[2], version) != (name, now) and key in watch.firing
    }
    return replace(watch, superseded=kept)


def streams_named(plan: DetectionPlan, state: DetectState, name: str) -> list[str]:
    """Keys of the streams of a signal that have spoken, that of the whole route's traffic always."""
    learners = {one.spec.name for one in plan.detectors if one.learns}
    assert state.pinned is not None
    spoken = {
        key
        for key in (*state.watch.spoken, *state.watch.firing)
        if (parts := stream_key_parts(key))[2] == name and parts[0] in learners
    }
    rates = [one for one in plan.detectors if one.learns and one.spec.kind == "rate"]
    whole = {one.spec.name: state.pinned.identity if one.scope == "identity" else "" for one in rates}
    return sorted({*spoken, *("|".join((detector, who, name, "")) for detector, who in whole.items())})


def stream_readings(
    state: DetectState, keys: Iterable[str], status: ReadingStatus, place: Place, reason: str, n: int = 0
) -> tuple[Reading, ...]:
    """A word on streams that no test stands behind: that they learn anew, or are not measured."""
    return tuple(_stream_reading(state, key, status, place, reason, n) for key in keys)


def _stream_reading(state: DetectState, key: str, status: ReadingStatus, place: Place, reason: str, n: int) -> Reading:
    detector, identity, signal, slice_ = stream_key_parts(key)
    index, ts, source = place
    baseline = None if state.pinned is None else state.pinned.id
    return Reading(
        # Named by its exchange: other readings of the stream count its rows, and their ids must not be these.
        id=reading_id(state.route, identity, detector, signal, slice_, None, baseline, -1 - index, status),
        route=state.route,
        identity=identity,
        detector=detector,
        signal=signal,
        slice=slice_,
        status=status,
        evidence=Evidence(n=n, baseline=baseline),
        event_index=index,
        ts=moment(ts),
        source=source,
        reason=reason,
    )


def progress(plan: DetectionPlan, state: DetectState, place: Place, n: int) -> tuple[Reading, ...]:
    """How far the streams that learn anew are."""
    learning = state.relearning
    assert learning is not None
    size = plan.policy.baseline.size
    said: list[Reading] = []
    for name in learning.versions:
        keys = streams_named(plan, state, name)
        fired = any(key in state.watch.superseded for key in keys)
        reason = words.learning([name], moment(learning.ts), n, size, fired=fired)
        said += stream_readings(state, keys, "learning", place, reason, n)
    return tuple(said)
