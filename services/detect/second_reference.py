"""A second look while an alarm stands: the same detectors, held against what came after it, see the next change. Pure.

While a stream fires against the baseline it can say no more: a further update of the model would not be seen. So from
the crossing on the identity's exchanges are gathered, and once there are enough the detectors that judge the model are
fitted to them and watch for the next change. When they see it, it is told, and all begins anew with the exchanges after
it. Rows between change and crossing stay out: they are those that made it cross, and would make the reference look more
extreme than the model is.

The baseline is not moved, and what is held against it goes on as before: a person alone decides what is normal. When
the alarm ends, by itself or by a person, the second look ends with it.

Budget: a stream that fires cannot raise another false alarm, so its share of the budget is free as long as the alarm
stands. All tests of the second look have that one share: each of K is held to K times the ARL of the baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from detectors.protocol import Baseline, Detector, Rows
from schemas.base import hash16
from services.detect.baseline import collect_candidates
from services.detect.readings import StreamFinding, stream_key_parts
from services.detect.state import Candidates, DetectionPlan, DetectState, SecondReference, joined_rows
from services.detect.topics import topics_of, with_topics
from services.intake.core import Intake
from services.monitor import BaselinePolicy
from services.specs import roles

MOST: Final = 4
"""Identities of a route that have a second look at once; one whose alarm comes while there are so many waits."""
IDLE: Final = 1_000
"""One that did not answer for so many exchanges of the route gives way to one that waits."""
_WATCHED: Final = ("shift", "rate")


def looks_again(detector: Detector[Any, Any]) -> bool:
    """Whether a detector looks again: it judges the model by what one identity answers, as a shift or a rate."""
    spec = detector.spec
    return detector.learns and detector.scope == "identity" and spec.blames == "model" and spec.kind in _WATCHED


def second_policy(policy: BaselinePolicy) -> BaselinePolicy:
    """How a second reference is gathered: as a baseline, of the fewest exchanges that one may have."""
    size = min(policy.min_size, policy.size)
    return replace(policy, size=size, min_size=size)


@dataclass(slots=True)
class _SecondLook:
    """One identity's way through some rows: its reference as it stands, and what was found."""

    plan: DetectionPlan
    state: DetectState
    who: str
    rows: Rows
    untimed: NDArray[np.bool_]
    reference: SecondReference | None
    findings: list[StreamFinding] = field(default_factory=list)

    def through(self, places: Sequence[int]) -> None:
        """Take in the rows at these places, in order."""
        left = list(places)
        while left and self.reference is not None:
            left = self._gather(left) if self.reference.id is None else self._watch(left)
        if places and self.reference is not None:
            self.reference = replace(self.reference, last=int(self.rows.index[places[-1]]))

    def _gather(self, places: list[int]) -> list[int]:
        """Rows towards the reference: the places after the one that completed it."""
        assert self.reference is not None
        where = np.array(places, np.int64)
        got = collect_candidates(
            {self.who: self.reference.candidates} if self.reference.candidates.n else {},
            self.rows.take(where),
            [self.who] * len(places),
            self.untimed[where],
            second_policy(self.plan.policy.baseline),
            until_complete=True,
        )
        kept = got.candidates.get(self.who, self.reference.candidates)
        self.reference = replace(self.reference, candidates=kept)
        if got.row is None:
            return []
        self._fit(places[got.row])
        return places[got.row + 1 :]

    def _fit(self, place: int) -> None:
        """The reference is complete with the row at this place."""
        assert self.reference is not None
        size = second_policy(self.plan.policy.baseline).size
        rows = joined_rows(self.reference.candidates.chunks, size)
        index, ts = int(self.rows.index[place]), float(self.rows.ts[place])
        self.reference = fitted(self.plan, self.state, self.who, self.reference, rows, (index, ts))

    def _watch(self, places: list[int]) -> list[int]:
        """The detectors on these rows: the places after the one at which a change was seen."""
        reference = self.reference
        assert reference is not None
        seen, running = self.rows.take(np.array(places, np.int64)), dict(reference.running)
        crossed: list[StreamFinding] = []
        for detector in self.plan.detectors:
            name = detector.spec.name
            if name not in reference.artefacts:
                continue
            state = running[name] if name in running else detector.start(reference.artefacts[name])
            running[name], found = detector.step(reference.artefacts[name], state, seen)
            crossed += [
                StreamFinding(places[one.row], name, self.who, one, again=reference)
                for one in found
                if one.transition and one.status == "firing"
            ]
        if not crossed:
            self.reference = replace(reference, running=running)
            return []
        first = min(crossed, key=lambda one: one.order)
        self.findings.append(first)
        self.reference = _begun(self.rows, first.row)
        return places[places.index(first.row) + 1 :]


def look_again(
    plan: DetectionPlan,
    before: DetectState,
    intake: Intake,
    start: int,
    stop: int,
    reported: Iterable[StreamFinding],
    left_out: NDArray[np.bool_],
) -> tuple[dict[str, SecondReference], tuple[StreamFinding, ...]]:
    """The references after rows `start` to `stop` of an intake, and at which of them behaviour changed again.

    `before` is the state before these rows, `reported` what was found in them against the baseline; rows that are
    `left_out` repeat too much to say anything about the model.
    """
    turns = _turns(plan, before, reported)
    standing = set() if before.accepting is not None else {who for _, who in _fired(plan, before.watch.firing)}
    if before.pinned is None or not (turns or standing or before.second):
        return before.second, ()
    rows = with_topics(intake.rows, topics_of(before.pinned))
    looks = {
        who: _SecondLook(plan, before, who, rows, intake.untimed, before.second.get(who))
        for who in dict.fromkeys((*before.second, *sorted(standing), *(who for _, who, _ in turns)))
    }
    shown = [(i, intake.identity[i]) for i in range(start, stop) if not left_out[i] and intake.identity[i] in looks]
    at = start
    for row, who, fires in (*turns, (stop - 1, "", False)):
        at = _through(looks, standing, rows, [one for one in shown if at <= one[0] <= row], row)
        if who:
            (standing.add if fires and before.accepting is None else standing.discard)(who)
            looks[who].reference = _begun(rows, row) if fires and _holders(looks) < MOST else None
    second = {who: look.reference for who, look in looks.items() if look.reference is not None}
    findings = [one for look in looks.values() for one in look.findings]
    return second, tuple(sorted(findings, key=lambda one: one.order))


def _through(
    looks: Mapping[str, _SecondLook], standing: Collection[str], rows: Rows, shown: Sequence[tuple[int, str]], end: int
) -> int:
    """Take all looks through these rows, (place, identity) each, up to `end`: the place after it.

    One whose alarm stands without a reference begins one as soon as it answers and there is room.
    """
    left = list(shown)
    while True:
        begins = _beginning(looks, standing, rows, left)
        before = [one for one in left if begins is None or one[0] < begins[0]]
        for who, look in looks.items():
            look.through([i for i, whose in before if whose == who])
        if begins is None:
            return end + 1
        row, who, gives_way = begins
        if gives_way is not None:
            looks[gives_way].reference = None
        looks[who].reference = _begun(rows, row)
        left = [one for one in left if one[0] > row]


def _beginning(
    looks: Mapping[str, _SecondLook], standing: Collection[str], rows: Rows, shown: Sequence[tuple[int, str]]
) -> tuple[int, str, str | None] | None:
    """The first row at which one of the standing begins its reference, whose, and who gives way; None: there is none.

    The identity that answered longest ago gives way, if it has not answered for so long that it may have retired.
    """
    waiting = {who for who in standing if looks[who].reference is None}
    if not waiting:
        return None
    last = {who: max(one.after, one.last) for who, look in looks.items() if (one := look.reference) is not None}
    for row, who in shown:
        index = int(rows.index[row])
        if who in last:
            last[who] = index
        elif who in waiting:
            longest = min(last, key=lambda one: (last[one], one), default="")
            if len(last) < MOST:
                return row, who, None
            if index - last[longest] >= IDLE:
                return row, who, longest
    return None


def _holders(looks: Mapping[str, _SecondLook]) -> int:
    return sum(look.reference is not None for look in looks.values())


def fitted(
    plan: DetectionPlan,
    state: DetectState,
    who: str,
    reference: SecondReference,
    rows: Rows,
    complete: tuple[int, float],
) -> SecondReference:
    """The reference of these rows: `complete` are event index and time of the last of them."""
    assert state.pinned is not None
    detectors = [one for one in plan.detectors if looks_again(one)]
    baseline = Baseline(rows, plan.policy.floors, float("inf"), roles=roles())
    streams = sum(len(one.streams(baseline)) for one in detectors)
    arl = streams * max((state.pinned.arl, *(one.arl for one in state.pinned.relearned)))
    baseline = replace(baseline, arl=arl)
    with threadpool_limits(1, user_api="blas"):
        artefacts = {one.spec.name: one.fit(baseline) for one in detectors}
    index, ts = complete
    return replace(
        reference,
        candidates=Candidates(),
        id=hash16([state.route, who, "second", index, rows.ids[0], rows.ids[-1], len(rows), round(arl, 6)]),
        n=len(rows),
        event_index=index,
        fitted=ts,
        streams=streams,
        arl=arl,
        artefacts=artefacts,
        running={},
    )


def begun_anew(state: DetectState, after: int, ts: float, only: Iterable[str] | None = None) -> DetectState:
    """The state whose second references are gathered from the exchanges after event index `after` on, at time `ts`."""
    meant = set(state.second if only is None else only)
    if not meant:
        return state
    second = {who: SecondReference(after, ts) if who in meant else one for who, one in state.second.items()}
    return replace(state, second=second)


def still_firing(plan: DetectionPlan, state: DetectState) -> DetectState:
    """The state without the second references of identities whose alarm is over."""
    fires = {who for _, who in _fired(plan, state.watch.firing)}
    if all(who in fires for who in state.second):
        return state
    return replace(state, second={who: one for who, one in state.second.items() if who in fires})


def renamed(second: Mapping[str, SecondReference], names: Mapping[str, str]) -> dict[str, SecondReference]:
    """The references under the new names of identities; where some become one, the first goes on."""
    made: dict[str, SecondReference] = {}
    for who, one in second.items():
        made.setdefault(names.get(who, who), one)
    return made


def _begun(rows: Rows, row: int) -> SecondReference:
    return SecondReference(int(rows.index[row]), float(rows.ts[row]))


def _turns(plan: DetectionPlan, before: DetectState, reported: Iterable[StreamFinding]) -> list[tuple[int, str, bool]]:
    """Row, identity, and whether its first alarm begins there (True) or its last one ends, in the order of the rows."""
    fires: dict[str, set[str]] = {}
    for key, who in _fired(plan, before.watch.firing):
        fires.setdefault(who, set()).add(key)
    turns: list[tuple[int, str, bool]] = []
    names = {one.spec.name for one in plan.detectors if looks_again(one)}
    for one in reported:
        if one.detector not in names or one.identity is None or not one.finding.transition:
            continue
        mine = fires.setdefault(one.identity, set())
        was = bool(mine)
        if one.finding.status == "firing":
            mine.add(one.key)
        elif one.finding.status == "quiet":
            mine.discard(one.key)
        if bool(mine) != was:
            turns.append((one.row, one.identity, not was))
    return turns


def _fired(plan: DetectionPlan, firing: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The streams that fire and look again, each with its identity."""
    names = {one.spec.name for one in plan.detectors if looks_again(one)}
    for key in firing:
        detector, who, _, _ = stream_key_parts(key)
        if detector in names and who is not None:
            yield key, who
