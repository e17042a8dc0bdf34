"""The detectors run over rows of a route, and what follows from a stream that starts or stops firing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Detector, Rows
from schemas.alert import fingerprint_of
from services.detect.baseline import untrained_artefact
from services.detect.floods import leaves_out
from services.detect.readings import StreamFinding, detector_state_key, should_report, stream_key_parts
from services.detect.relearning import judge_of, rows_for
from services.detect.state import DetectionPlan, DetectorStates, DetectState, Pinned, Relearned
from services.detect.topics import topics_of, with_topics
from services.intake.core import Intake
from services.specs import family_of

T = TypeVar("T")


def run_detectors(
    plan: DetectionPlan, before: DetectState, intake: Intake, start: int, stop: int, left_out: NDArray[np.bool_]
) -> tuple[DetectorStates, tuple[StreamFinding, ...]]:
    """Step every detector through rows `start` to `stop` of an intake: all their findings, in order.

    Rows that are `left_out` (of all the intake's) repeat too much for some of the detectors.

    A detector runs on the baseline, and again on each part of it that was learned anew; of each stream the one is
    heard that was learned by the version of its signal that counts.
    """
    running = dict(before.watch.running)
    findings: list[StreamFinding] = []
    pinned = before.pinned
    known = with_topics(intake.rows, topics_of(pinned))
    taken = dict[bytes, Rows]()  # detectors that get the same rows share what they work out of them
    for detector, identity, every in _tasks(plan, intake, start, stop):
        places = every[~left_out[every]] if leaves_out(detector) else every
        if not len(places):
            continue
        name, same = detector.spec.name, places.tobytes()
        rows = taken[same] if same in taken else taken.setdefault(same, known.take(places))
        for judge, artefact in _artefacts(plan, pinned, detector):
            key = detector_state_key(name, identity)
            key = f"{key}/{judge.id}" if identity is not None and isinstance(judge, Relearned) else key
            key = f"{key}//{judge.id}" if identity is None and isinstance(judge, Relearned) else key
            seen = rows if judge is None else rows_for(judge, before.versions, rows)
            state = running[key] if key in running else detector.start(artefact)
            running[key], found = detector.step(artefact, state, seen)
            of = judge if isinstance(judge, Relearned) else None
            findings += [
                StreamFinding(int(places[one.row]), name, identity, one, of)
                for one in found
                if _is_heard(before, judge, one.stream.signal)
            ]
    findings.sort(key=lambda one: one.order)
    return replace(before.watch, running=running), tuple(findings)


def _is_heard(state: DetectState, judge: Pinned | Relearned | None, signal: str | None) -> bool:
    """Whether `judge` speaks for the streams of the signal."""
    if judge is None or state.pinned is None:
        return True
    if signal is None:
        return isinstance(judge, Pinned)
    return judge_of(state.pinned, state.versions, signal) is judge


def _tasks(
    plan: DetectionPlan, intake: Intake, start: int, stop: int
) -> Iterator[tuple[Detector[Any, Any], str | None, NDArray[np.int64]]]:
    rows = np.arange(start, stop, dtype=np.int64)
    who = np.array(intake.identity[start:stop])
    for detector in plan.detectors:
        if detector.scope == "route":
            yield detector, None, rows
            continue
        for identity in dict.fromkeys(intake.identity[start:stop]):
            yield detector, identity, rows[who == identity]


def _artefacts(
    plan: DetectionPlan, pinned: Pinned | None, detector: Detector[Any, Any]
) -> Iterator[tuple[Pinned | Relearned | None, Any]]:
    """What a detector is held against, and who judges by it; a detector that learns nothing has no judge."""
    name = detector.spec.name
    if not detector.learns:
        yield None, untrained_artefact(detector, plan, pinned)
    elif pinned is not None:
        yield pinned, pinned.artefacts[name]
        for one in pinned.relearned:
            if name in one.artefacts:
                yield one, one.artefacts[name]


def apply_findings(
    watch: DetectorStates, findings: tuple[StreamFinding, ...], rows: Rows
) -> tuple[DetectorStates, tuple[StreamFinding, ...]]:
    """Which streams fire after the findings, and those findings that become readings."""
    times = dict(watch.spoken)
    firing = dict.fromkeys(watch.firing)
    blind = dict(watch.blind)
    old = {key: version for key, version in watch.superseded.items() if key in firing}
    since, suspect = watch.since, watch.suspect
    reported: list[StreamFinding] = []
    for found in findings:
        ts = float(rows.ts[found.row])
        if found.key in old:  # it fires by another version: no quiet word of this one ends that, a person does
            if found.finding.status != "firing":
                continue
            del old[found.key]
        if should_report(found, times, ts):
            times[found.key] = ts
            reported.append(found)
        if not found.finding.transition:
            continue
        status = found.finding.status
        blind.pop(found.key, None)
        if status == "firing":
            firing[found.key] = None
        elif status == "blind":
            blind[found.key] = found.finding.reason or "blind"
        else:
            firing.pop(found.key, None)
        moved = any(tells_change(key) for key in firing)
        if since is None and moved:
            since, suspect = int(rows.index[found.row]), found.identity
        if not moved:
            since, suspect = None, None
    after = replace(
        watch, spoken=times, firing=tuple(firing), blind=blind, since=since, suspect=suspect, superseded=old
    )
    return after, tuple(reported)


def tells_change(stream_key: str) -> bool:
    """Whether a firing stream says since when something is different: a rate may always have been above its ceiling."""
    return family_of(stream_key_parts(stream_key)[0]).kind != "ceiling"


def reset_evidence(watch: DetectorStates, route: str, count: int, fingerprint: str | None = None) -> DetectorStates:
    """Zero the evidence of every detector that has a firing stream, or one that fires for `fingerprint`.

    `count` exchanges of the route were seen by then.
    """
    meant = [key for key in watch.firing if fingerprint is None or fingerprint in _fingerprints(route, key)]
    names = {detector_state_key(*_head(key)) for key in meant}
    running = {key: state for key, state in watch.running.items() if _of_baseline(key) not in names}
    restarts = {**watch.restarts, **dict.fromkeys(names, count)}
    blind = {key: why for key, why in watch.blind.items() if detector_state_key(*_head(key)) not in names}
    firing = tuple(key for key in watch.firing if detector_state_key(*_head(key)) not in names)
    since, suspect = (watch.since, watch.suspect) if any(map(tells_change, firing)) else (None, None)
    return replace(watch, running=running, firing=firing, blind=blind, since=since, suspect=suspect, restarts=restarts)


def _fingerprints(route: str, stream_key: str) -> set[str]:
    """The fingerprints that a stream may fire for, whichever way it moves."""
    detector, _, signal, slice_ = stream_key_parts(stream_key)
    return {fingerprint_of(route, detector, signal, None, slice_, direction) for direction in (None, "up", "down")}


def _of_baseline(state_key: str) -> str:
    """The key of the baseline's own state, of one that belongs to what was learned anew beside it."""
    return "/".join(state_key.split("/")[:2]).rstrip("/")


def _head(stream_key: str) -> tuple[str, str | None]:
    """Detector and identity of a stream key."""
    return stream_key_parts(stream_key)[:2]


def rename_streams(watch: DetectorStates, names: dict[str, str], first: str | None) -> DetectorStates:
    """The same evidence under new identities: a field of theirs turned out to say nothing.

    Where identities become one, the evidence of `first` (the baseline's) goes on, else that of the oldest.
    """
    kept: dict[str, str] = {}
    for key in sorted(watch.running, key=lambda key: key.split("/")[1:2] != [first]):
        kept.setdefault(_under(names, key, "/"), key)
    goes_on = set(kept.values())

    def of_kept(known: dict[str, T]) -> dict[str, T]:
        """By stream: what is known of an identity whose evidence ends here ends with it."""
        lasting = [key for key in known if detector_state_key(*_head(key)) in goes_on]
        return {_under(names, key, "|"): known[key] for key in lasting}

    return replace(
        watch,
        running={new: watch.running[old] for new, old in kept.items()},
        firing=tuple(dict.fromkeys(_under(names, key, "|") for key in watch.firing)),
        blind=of_kept(watch.blind),
        spoken=of_kept(watch.spoken),
        superseded=of_kept(watch.superseded),
        restarts={_under(names, key, "/"): count for key, count in watch.restarts.items()},
        suspect=names.get(watch.suspect or "", watch.suspect or "") or None,
    )


def fires(watch: DetectorStates, who: str) -> bool:
    """Whether a stream of the identity fires."""
    return any(_head(key)[1] == who for key in watch.firing)


def drop_streams(watch: DetectorStates, who: str) -> DetectorStates:
    """The evidence without that of one identity."""

    def others(known: dict[str, T]) -> dict[str, T]:
        return {key: value for key, value in known.items() if _head(key)[1] != who}

    firing = tuple(key for key in watch.firing if _head(key)[1] != who)
    return replace(
        watch,
        running={key: state for key, state in watch.running.items() if key.split("/")[1:2] != [who]},
        firing=firing,
        blind=others(watch.blind),
        since=watch.since if firing else None,
        suspect=watch.suspect if firing else None,
        spoken=others(watch.spoken),
        superseded=others(watch.superseded),
        restarts={key: count for key, count in watch.restarts.items() if key.partition("/")[2] != who},
    )


def _under(names: dict[str, str], key: str, mark: str) -> str:
    """A key whose second part is an identity, under that identity's new name."""
    detector, first, rest = key.partition(mark)
    identity, second, stream = rest.partition(mark)
    return detector + first + names.get(identity, identity) + second + stream
