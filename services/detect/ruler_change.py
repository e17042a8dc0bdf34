"""What follows when another version of a signal, or another embedder, counts on a route. Pure.

A change of a signal's version is told as a quiet reading of `instrument_shift`: nothing moved that anybody must act on.
Where an alert stands on what is now measured otherwise, the reading fires, joins its incident, and the verdict of that
is `ruler`: figures before and after the change are no evidence about the model.
"""

from __future__ import annotations

from dataclasses import replace

from schemas.base import moment
from schemas.reading import Reading, ReadingStatus
from services.detect.readings import status_reading, stream_key_parts
from services.detect.relearning import (
    Place,
    judge_of,
    progress,
    relearn,
    restored,
    stream_readings,
    streams_named,
    superseded,
)
from services.detect.second_reference import begun_anew
from services.detect.state import ABSENT, VECTORS, DetectionPlan, DetectState
from services.detect.versions import VersionChange, counts, watched_rates
from services.specs import LEARNING, RULER
from services.wording import ruler as words


def take_version(
    plan: DetectionPlan, state: DetectState, change: VersionChange, place: Place
) -> tuple[DetectState, tuple[Reading, ...]]:
    """The state by which the new version counts from `place` on, and what is said of it."""
    before = counts(state.versions, change.name)
    state = replace(state, versions={**state.versions, change.name: change.now})
    state = begun_anew(state, max(place[0] - 1, 0), place[1])  # a second reference is of one way to measure
    if change.name == VECTORS:
        return _new_vectors(plan, state, before, change.now.version, place)
    if state.pinned is None:
        return state, ()
    fired = [key for key in state.watch.firing if stream_key_parts(key)[2] == change.name and _learns(plan, key)]
    told: tuple[Reading, ...] = ()
    if ABSENT not in (before, change.now.version):
        told = (_told(state, change.name, words.changed(change.name, before, change.now.version), fired, place),)
    watch = superseded(state.watch, change.name, before) if fired or state.watch.blind else state.watch
    state = replace(state, watch=restored(watch, change.name, change.now.version))
    state, said = _of_streams(plan, state, change.name, place)
    return state, (*told, *said)


def _of_streams(
    plan: DetectionPlan, state: DetectState, name: str, place: Place
) -> tuple[DetectState, tuple[Reading, ...]]:
    """The streams of the signal: they go on as before, learn anew, or end."""
    assert state.pinned is not None
    keys = streams_named(plan, state, name)
    version = counts(state.versions, name)
    if version != ABSENT and judge_of(state.pinned, state.versions, name) is not None:
        calm = [key for key in keys if key not in state.watch.firing]
        return state, stream_readings(state, calm, "quiet", place, words.AS_BEFORE)
    if version != ABSENT:
        state = relearn(state, plan.policy, place)
        assert state.relearning is not None
        return state, progress(plan, state, place, state.relearning.candidates.n)
    reason = words.gone(name, moment(place[1]))
    if name not in watched_rates(plan.policy):
        calm = [key for key in keys if key not in state.watch.firing]
        return state, stream_readings(state, calm, "quiet", place, reason)
    blind = {**state.watch.blind, **dict.fromkeys(keys, reason)}
    said = stream_readings(state, keys, "blind", place, reason)
    return replace(state, watch=replace(state.watch, blind=blind)), said


def _new_vectors(
    plan: DetectionPlan, state: DetectState, before: str, now: str, place: Place
) -> tuple[DetectState, tuple[Reading, ...]]:
    """Another embedder or precision: no vector is compared across it, so the route learns its baseline anew.

    Events go on; they need no vectors. Alerts against the old baseline stay open until the new one is pinned.
    """
    reason = words.new_vectors(before, now)
    mine = [key for key in state.watch.firing if _learns(plan, key)]
    said = [_told(state, VECTORS, reason, mine, place)]
    watch = state.watch
    if state.pinned is not None:
        keys = sorted({*(key for key in watch.spoken if _learns(plan, key)), *mine})
        said += stream_readings(state, keys, "blind", place, reason)
        blind = {key: why for key, why in watch.blind.items() if not _learns(plan, key)}
        running = {key: one for key, one in watch.running.items() if key.partition("/")[0] not in _learners(plan)}
        watch = replace(watch, running=running, blind={**blind, **dict.fromkeys(keys, reason)}, superseded={})
    said.append(status_reading(state.route, LEARNING, "learning", place, reason, n=0))
    fresh = replace(state, pinned=None, candidates={}, accepting=None, relearning=None, watch=watch)
    return replace(fresh, second={}, flood=state.flood.counted_anew()), tuple(said)


def _told(state: DetectState, name: str, reason: str, fired: list[str], place: Place) -> Reading:
    """The change as a reading: it fires where an alert stands on what was measured before."""
    status: ReadingStatus = "firing" if fired else "quiet"
    return status_reading(state.route, RULER.name, status, place, reason, subject=name)


def _learners(plan: DetectionPlan) -> set[str]:
    return {one.spec.name for one in plan.detectors if one.learns}


def _learns(plan: DetectionPlan, key: str) -> bool:
    return key.partition("|")[0] in _learners(plan)
