"""A route's state after exchanges were erased: not among its candidates, nor in what was learned of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from detectors.protocol import Baseline, Rows, part_column, probability_column, signal_of_column
from detectors.stats.topic_map import TopicMap
from schemas.base import hash16
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH, Scorer
from services.detect.baseline import collect_candidates
from services.detect.counterparts import BaselineExamples, NearestNoted
from services.detect.floods import USUAL_PROMPTS, usual_prompts
from services.detect.second_reference import begun_anew
from services.detect.state import (
    UNVERSIONED,
    VECTORS,
    Candidates,
    DetectionPlan,
    DetectState,
    Pinned,
    joined_rows,
)
from services.detect.topics import TOPIC_MAP, topics_of, with_topics
from services.intake.slice_values import hash_text
from services.monitor import BaselinePolicy
from services.monitor.policy import AT_ONCE
from services.specs import dimensions, roles, signal_of

_HOUR: Final = 3600.0
_HALF: Final = np.dtype("<f2")
_PARTS: Final = 3
"""Where the parts stand in what is stored of a signal, if it has any: after value, probability and status."""


def without_candidates(state: DetectState, ids: Collection[str]) -> tuple[DetectState, int]:
    """The state without these exchanges among its candidates, and how many those were."""
    gone, kept, learning = 0, {}, state.relearning
    for who, candidates in state.candidates.items():
        kept[who], n = _without(candidates, ids)
        gone += n
    if learning is not None:
        rest, n = _without(learning.candidates, ids)
        learning, gone = replace(learning, candidates=rest), gone + n
    second = dict(state.second)
    for who, reference in state.second.items():
        rest, n = _without(reference.candidates, ids)
        second[who], gone = replace(reference, candidates=rest), gone + n
    return (replace(state, candidates=kept, relearning=learning, second=second), gone) if gone else (state, 0)


def without_relearned(state: DetectState, holds: Callable[[int, int], bool]) -> tuple[DetectState, tuple[str, ...]]:
    """The state without what was learned anew of erased exchanges, and its ids: those streams learn once more.

    `holds` says whether exchanges of the route between two event indexes were erased.
    """
    pinned = state.pinned
    if pinned is None:
        return state, ()
    gone = {one.id for one in pinned.relearned if holds(one.since, one.event_index)}
    if not gone:
        return state, ()
    kept = tuple(one for one in pinned.relearned if one.id not in gone)
    running = {key: one for key, one in state.watch.running.items() if key.rpartition("/")[2] not in gone}
    watch = replace(state.watch, running=running)
    return replace(state, pinned=replace(pinned, relearned=kept), watch=watch), tuple(sorted(gone))


def without_second(state: DetectState, holds: Callable[[int, int], bool]) -> tuple[DetectState, tuple[str, ...]]:
    """The state without second references that were fitted of erased exchanges, and their ids: they begin anew.

    `holds` is as of `without_relearned`.
    """
    gone = {who: one.id for who, one in state.second.items() if one.id and holds(one.after, one.event_index)}
    if not gone:
        return state, ()
    now = max(state.intake.count - 1, 0)
    return begun_anew(state, now, state.intake.clock or 0.0, gone), tuple(sorted(filter(None, gone.values())))


def measured_by(rows: Rows, scorers: Sequence[Scorer], versions: Mapping[str, str]) -> Rows:
    """The rows as a baseline of these versions learned them: without vectors or values that others measured.

    `scorers` are those of the rows, one a row.
    """
    signals = dict(rows.signals)
    for name, version in versions.items():
        columns = [one for one in signals if signal_of_column(one) == name]
        mine = np.array([one.signals.get(name, UNVERSIONED) == version for one in scorers], dtype=bool)
        signals.update({column: np.where(mine, signals[column], np.nan) for column in columns})
    rows = replace(rows, signals=signals)
    if VECTORS not in versions:
        return rows
    mine = np.array([f"{one.engine}/{one.precision}" == versions[VECTORS] for one in scorers], dtype=bool)
    return rows if mine.all() else rows.take(np.flatnonzero(mine))


def _without(candidates: Candidates, ids: Collection[str]) -> tuple[Candidates, int]:
    chunks, hours, gone = [], dict(candidates.hours), 0
    for chunk in candidates.chunks:
        stays = np.array([id not in ids for id in chunk.ids], dtype=bool)
        for ts in chunk.ts[~stays]:
            hour = int(ts // _HOUR)
            hours[hour] = max(hours.get(hour, 0) - 1, 0)
        gone += int((~stays).sum())
        left = chunk if stays.all() else chunk.take(np.flatnonzero(stays))
        if len(left):
            chunks.append(left)
    return (
        (replace(candidates, chunks=tuple(chunks), n=candidates.n - gone, hours=hours), gone)
        if gone
        else (
            candidates,
            0,
        )
    )


def rows_of(stored: Sequence[Mapping[str, Any]], asked: Sequence[str]) -> Rows:
    """Score rows as they stand in the database, as detectors take them; they are answered and embedded.

    `asked` are the slices of the route.
    """
    tags = [json.loads(row["tags"]) for row in stored]
    signals = [json.loads(row["signals"]) for row in stored]
    names = sorted({name for told in signals for name in told})
    return Rows(
        index=np.array([row["event_index"] for row in stored], np.int64),
        ts=np.array([row["ts"].timestamp() for row in stored]),
        prompt=_vectors([row["prompt_vec"] for row in stored], VECTOR_WIDTH),
        response=_vectors([row["response_vec"] for row in stored], VECTOR_WIDTH),
        style=_vectors([row["style"] for row in stored], STYLE_WIDTH),
        embedded=np.ones(len(stored), bool),
        answered=np.ones(len(stored), bool),
        signals={
            name: np.array([_number(told.get(name)) for told in signals])
            for name in names
            if not signal_of(name).category
        }
        | {
            probability_column(name): np.array([_probability(told.get(name)) for told in signals])
            for name in names
            if not signal_of(name).category and any((told.get(name) or (None, None))[1] is not None for told in signals)
        }
        | _part_columns(signals, dimensions().intersection(asked)),
        slices={
            dimension: tuple(
                one.get(dimension.removeprefix("tags."))
                if dimension.startswith("tags.")
                else _category(told, dimension)
                for one, told in zip(tags, signals, strict=True)
            )
            for dimension in asked
            if dimension not in dimensions()
        },
        ids=tuple(row["id"] for row in stored),
        user=_pseudonyms([row["user"] for row in stored]),
        conversation=_pseudonyms([row["conversation"] for row in stored]),
    )


def _pseudonyms(names: Sequence[str | None]) -> Any:
    return np.array([0 if name is None else hash_text(name) for name in names], np.int64)


def _vectors(stored: Sequence[bytes], width: int) -> Any:
    return np.array([np.frombuffer(one, _HALF) for one in stored], np.float16).reshape(len(stored), width)


def _number(told: Any) -> float:
    return float("nan") if told is None or told[0] is None or isinstance(told[0], str) else float(told[0])


def _probability(told: Any) -> float:
    return float("nan") if told is None or told[1] is None else float(told[1])


def _part_columns(signals: Sequence[Mapping[str, Any]], asked: Collection[str]) -> dict[str, Any]:
    """What signals said of each tool or guardrail alone, as intake makes it of a block."""
    made: dict[str, Any] = {}
    for i, row in enumerate(signals):
        for name, told in row.items():
            dimension = signal_of(name).dimension
            if len(told) <= _PARTS or dimension not in asked:
                continue
            for part, value in told[_PARTS].items():
                column = made.setdefault(part_column(name, f"{dimension}={part}"), np.full(len(signals), np.nan))
                column[i] = float(value)
    return made


def _category(told: Mapping[str, Any], dimension: str) -> str | None:
    """The category that the signal `dimension` found of a row."""
    value = (told.get(dimension) or (None,))[0]
    return value if isinstance(value, str) else None


def baseline_rows(route: str, pinned: Pinned, rows: Rows, untimed: Any, policy: BaselinePolicy) -> Rows | None:
    """The rows of which the baseline was made, found among stored ones by its id; None when they are not all there.

    Args:
        route: of the baseline.
        pinned: the baseline.
        rows: stored rows of its identity up to where it was complete, in order.
        untimed: (n,) the row has no time of its own.
        policy: by which candidates are chosen.
    """
    policy = replace(policy, size=pinned.n, per_hour=AT_ONCE if pinned.trial else policy.per_hour)
    for start in range(len(rows)):
        if not _may_begin(route, pinned, rows, start):
            continue
        where = np.arange(start, len(rows))
        taken = collect_candidates(
            {}, rows.take(where), [pinned.identity] * len(where), untimed[where], policy, until_complete=False
        ).candidates
        if not taken:
            return None
        found = joined_rows(taken[pinned.identity].chunks, policy.size)
        # Fewer than were learned of: some were erased before. Which is the first and the last is bound by the id.
        if len(found) <= pinned.n and _id(route, pinned, found.ids[0], found.ids[-1]) == pinned.id:
            return found
    return None


def _may_begin(route: str, pinned: Pinned, rows: Rows, start: int) -> bool:
    """Whether a baseline of this id can begin there: it ended with the last row, or it began with the very first."""
    return start == 0 or _id(route, pinned, rows.ids[start], rows.ids[-1]) == pinned.id


def _id(route: str, pinned: Pinned, first: str, last: str) -> str:
    return hash16([route, pinned.identity, pinned.event_index, first, last, pinned.n, round(pinned.arl, 6)])


def refitted(plan: DetectionPlan, state: DetectState, rows: Rows) -> DetectState:
    """The state with its baseline learned from these rows alone, under its old id; what is held against it begins anew.

    Evidence was gathered along the axes of the old one: it means nothing to the new one.
    """
    assert state.pinned is not None
    topics = None if topics_of(state.pinned) is None else TopicMap.of(rows.prompt)
    rows = with_topics(rows, topics)
    baseline = Baseline(rows, plan.policy.floors, arl=state.pinned.arl, roles=roles())  # raised again when it is loaded
    with threadpool_limits(1, user_api="blas"):
        made = {one.spec.name: one.fit(baseline) for one in plan.detectors if one.learns}
    keys = [key for key in state.watch.running if key.partition("/")[0] in made]
    kept: dict[str, Any] = {USUAL_PROMPTS: usual_prompts(rows)} | ({} if topics is None else {TOPIC_MAP: topics})
    watch = state.watch
    began = {**watch.restarts, **dict.fromkeys(keys, state.intake.count)}
    firing = tuple(key for key in watch.firing if key.partition("|")[0] not in made)
    blind = {key: why for key, why in watch.blind.items() if key.partition("|")[0] not in made}
    running = {key: value for key, value in watch.running.items() if key not in keys}
    since, suspect = (watch.since, watch.suspect) if firing else (None, None)
    watch = replace(watch, running=running, firing=firing, blind=blind, restarts=began, since=since, suspect=suspect)
    pinned = replace(state.pinned, artefacts={**made, **kept}, examples=_left(state.pinned.examples, rows.ids))
    return replace(state, pinned=pinned, watch=watch, noted=NearestNoted(), second={})


def _left(examples: BaselineExamples | None, ids: Sequence[str]) -> BaselineExamples | None:
    """The examples that are still among a baseline's exchanges."""
    return None if examples is None else examples.without(set(examples.ids) - set(ids))


def without_flood(state: DetectState) -> DetectState:
    """The state that has forgotten what was asked last, and by whom: nobody can say which of it is erased."""
    return replace(state, flood=state.flood.counted_anew()) if len(state.flood.sketches) else state


def without_examples(state: DetectState, ids: Collection[str]) -> DetectState:
    """The state whose baseline shows none of these exchanges beside later ones."""
    pinned = state.pinned
    if pinned is None or pinned.examples is None or not set(ids).intersection(pinned.examples.ids):
        return state
    pinned = replace(pinned, examples=pinned.examples.without(ids))
    return replace(state, pinned=pinned, noted=NearestNoted())
