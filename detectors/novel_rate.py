"""Whether a rate moved on questions that the baseline does not have: what new users, or an attack, bring about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import logit

from detectors.protocol import PART, Baseline, Bool, Finding, Float, Rows, Scope, Stream
from detectors.rate_shift import RateArtefact, RateState
from detectors.stats.prompt_map import left_out_novel, map_prompts
from detectors.stats.rate_evidence import make_bets
from detectors.stats.rate_expectation import Expectation
from detectors.stats.rate_state import RateBatch, RateWatch
from detectors.stats.rate_stream import RatePass
from detectors.stats.repeated_prompts import repeated_in
from schemas.spec import Spec


@dataclass(frozen=True, slots=True)
class NovelRate:
    """Two-sided sequential test of every Boolean signal's rate over the prompts that the baseline does not know.

    `rate_shift` leaves these prompts out, since nothing is known of how the model answered them before: a rate that
    moves on them says something of the users, whether the model changed or not. The null is "the rate is, up to the
    floor and `slack` standard errors, that of the baseline's own exchanges that were unlike all others of it". Those
    are few, so it is drawn to the whole baseline's rate by `prior` exchanges, and the room is wide.

    Limit: a move that is smaller than what so few exchanges can tell is not seen.

    Attributes:
        topics, novel_share: as of `rate_shift`, so that the two share out the prompts between them.
        prior: exchanges of the baseline's own rate that are added to those of its unlike prompts.
        slack: standard errors of the expected rate that count as no change.
        least_rows: scored baseline rows without which a signal is not watched.
    """

    spec: ClassVar[Spec] = Spec(
        name="novel_rate",
        kind="rate",
        title="Safety rates on new questions",
        noun="safety rate on new questions",
        says="the rate of every Boolean signal on prompts that the baseline does not have, up and down",
        sign="a safety rate moved on questions that were not asked before",
        blames="users",
    )
    scope: ClassVar[Scope] = "route"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[RateArtefact]] = RateArtefact
    state_type: ClassVar[type[RateState]] = RateState

    topics: int = 24
    novel_share: float = 0.05
    prior: float = 5.0
    slack: float = 1.5
    least_rows: int = 50

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Every signal whose floor is above 0 and that the baseline measured often enough."""
        usable = baseline.rows.embedded & baseline.rows.answered
        return tuple(
            Stream(signal)
            for signal, floor in sorted(baseline.floors.items())
            if floor > 0 and PART not in signal and _scored(baseline.rows, signal)[usable].sum() >= self.least_rows
        )

    def fit(self, baseline: Baseline) -> RateArtefact:
        """Which prompts are known, and the expected rate of each signal on the others."""
        rows, usable = baseline.rows, (baseline.rows.embedded & baseline.rows.answered).nonzero()[0]
        streams = self.streams(baseline)
        if not streams:
            return RateArtefact(None, ())
        prompts = map_prompts(rows.prompt[usable], 1, self.topics, self.novel_share)
        novel = left_out_novel(prompts, rows.prompt[usable])
        watches = []
        for stream in streams:
            values = rows.truths(stream.signal or "")[usable]
            watches.append(self._watch(baseline, stream, values[~np.isnan(values)], values[novel & ~np.isnan(values)]))
        return RateArtefact(prompts, tuple(watches))

    def start(self, artefact: RateArtefact) -> RateState:
        """Zero evidence everywhere."""
        return RateState((), np.zeros(0, dtype=np.uint64))

    def step(self, artefact: RateArtefact, state: RateState, rows: Rows) -> tuple[RateState, tuple[Finding, ...]]:
        """Take every stream through the rows whose prompt is not known."""
        if artefact.prompts is None or artefact.table is None or not len(rows):
            return state, ()
        places = artefact.prompts.locate_in(rows)
        over, recent = repeated_in(rows, artefact.prompts.known, state.recent)
        counts = (rows.embedded & rows.answered & places.novel & ~over).nonzero()[0]
        if not len(counts):
            return replace(state, recent=recent, begun=True), ()
        runner = RatePass(artefact.watches, artefact.table, artefact.columns_of(state))
        columns, findings = runner.run(_batch(artefact.watches, rows.take(counts)))
        findings = [replace(finding, row=int(counts[finding.row])) for finding in findings]
        return RateState((), recent, True, columns), tuple(sorted(findings, key=lambda finding: finding.row))

    def _watch(self, baseline: Baseline, stream: Stream, every: Float, unlike: Float) -> RateWatch:
        """The watch of a signal: `every` value of the baseline, and those on prompts `unlike` its others."""
        floor = baseline.floors[stream.signal or ""]
        count = len(unlike) + self.prior + 1
        rate = float(unlike.sum() + self.prior * every.mean() + 0.5) / count  # half a hit and half a miss besides
        error = rate * (1 - rate) / count
        one = np.zeros(1)
        expectation = Expectation(
            weights=np.array([logit(rate), 0.0]),
            offset=one,
            memory=np.array([np.nan]),
            new_error=one + error,
            seen_error=one + error,
            share=np.array([1.0, 0.0]),
        )
        room = floor + self.slack * float(np.sqrt(error))
        return RateWatch(
            stream, floor, expectation, make_bets(rate + room, 1 - rate + room), rate, self.slack, baseline.arl
        )


def _scored(rows: Rows, signal: str) -> Bool:
    """(n,) where the signal was measured."""
    return np.asarray(~np.isnan(rows.truths(signal)))


def _batch(watches: Sequence[RateWatch], rows: Rows) -> RateBatch:
    """Rows with prompts that are not known as the streams see them: where they have a value; one rate is expected."""
    value = np.stack([rows.truths(watch.stream.signal or "") for watch in watches])
    rate = [1 / (1 + np.exp(-watch.expectation.weights[0])) for watch in watches if watch.expectation is not None]
    return RateBatch(
        value=value,
        expected=np.repeat(np.array(rate)[:, None], len(rows), axis=1),
        cell=np.zeros(value.shape, dtype=np.int64),
        inside=~np.isnan(value),
        novel=np.zeros(len(rows), dtype=np.bool_),
        index=rows.index,
        ts=rows.ts,
        ids=rows.ids,
    )
