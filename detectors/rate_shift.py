"""Whether the rate of a Boolean signal moved, given the prompts: the answer to "did the safety profile change?"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import ClassVar

import numpy as np

from detectors.protocol import PART, Baseline, Bool, Finding, Float, Rows, Scope, Stream, part_column
from detectors.stats.budget_shares import budget_weights
from detectors.stats.prompt_map import Places, PromptMap, map_prompts
from detectors.stats.rate_columns import RateColumns
from detectors.stats.rate_evidence import make_bets
from detectors.stats.rate_expectation import Expectation, LogisticModel, expect, fit_model
from detectors.stats.rate_state import RateBatch, RateTable, RateWatch, WatchState, start_watch
from detectors.stats.rate_stream import FEW_REASON, RatePass
from detectors.stats.repeated_prompts import Marks, repeated_in
from schemas.spec import Spec


@dataclass(frozen=True, slots=True)
class RateArtefact:
    """What `step` needs of a baseline.

    Attributes:
        prompts: where its prompts lie, None without enough of them.
        watches: one a stream; live: places of those that can see; table: these side by side, made anew and not stored.
    """

    prompts: PromptMap | None
    watches: tuple[RateWatch, ...]
    live: tuple[int, ...] = field(init=False, repr=False, compare=False)
    table: RateTable | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put side by side what every batch asks of the watches."""
        live = tuple(s for s, watch in enumerate(self.watches) if watch.expectation is not None)
        object.__setattr__(self, "live", live)
        object.__setattr__(self, "table", RateTable.of([self.watches[s] for s in live]) if live else None)

    def columns_of(self, state: RateState) -> RateColumns:
        """Where the streams that see stand; there is a table of them."""
        if state.columns is not None:
            return state.columns
        held = [state.streams[s] for s in self.live] if state.streams else self.started()
        assert self.table is not None
        return RateColumns.of(held, self.table)

    def started(self) -> list[WatchState]:
        """The streams that see, without any evidence."""
        return [start_watch(self.watches[s]) for s in self.live]


@dataclass(frozen=True, slots=True)
class RateState:
    """Where the streams stand.

    Attributes:
        streams: empty; states kept before have one state a stream there, in the order of the watches.
        recent: keys of the last prompts.
        begun: whether any row was seen.
        columns: where the streams that see stand, None before the first row.
    """

    streams: tuple[WatchState, ...]
    recent: Marks
    begun: bool = False
    columns: RateColumns | None = None


@dataclass(frozen=True, slots=True)
class RateShift:
    """Two-sided sequential test of every Boolean signal's rate against what its baseline expects of these prompts.

    Everywhere, in each frequent value of a slice, and, of a signal that speaks of tools or guardrails one by one, of
    each of those that is frequent.

    The null is "given the prompts, the mean rate moved by at most the floor, and the baseline is off by at most
    `slack` standard errors". The error is that of the topics asked about now, so a narrower mix of prompts gets more
    room; the unit of sampling is the prompt, not the row. A prompt that the baseline saw keeps its own answers as far
    as repeats say that they can be trusted. That the room holds is validity by measurement
    (`make bench-detectors`), not by proof.

    The effect is what was expected of these prompts and what happened, since the change seems to have begun, the last
    500 rows at most; its 95% interval counts both errors, but not that its beginning was chosen. An alarm ends when
    that interval, over 500 rows since the change began, lies inside the floor in the alarm's direction. Where 500 rows
    cannot be that precise (a rate of 20%: +-4 points), "inside" means within 1.25 of the interval's half-widths, that
    is: the estimate is within a quarter of a half-width of none.

    It says nothing of prompts unlike the baseline, or asked again and again (such rows are left out; blind when they
    are half of the last 50), and is slow where a shift is near the floor.

    Attributes:
        width: principal directions of the prompts that the expectation is made of; topics: clusters of prompts.
        novel_share: share of the baseline's exchanges that would count as unlike it, each held against the others.
        slack: standard errors of the baseline's rate, for the current mix of topics, that count as no change.
        least_rows: scored baseline rows without which a stream is blind.
        slice_rows, slice_values: baseline rows that make a slice value a stream, streams a dimension at most.
    """

    spec: ClassVar[Spec] = Spec(
        name="rate_shift",
        kind="rate",
        title="Safety rates",
        noun="safety rate",
        says="the rate of every Boolean signal given the prompt, up and down",
        sign="a safety rate moved and the questions did not change",
        graver=True,
        blames="model",
    )
    scope: ClassVar[Scope] = "identity"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[RateArtefact]] = RateArtefact
    state_type: ClassVar[type[RateState]] = RateState

    width: int = 32
    topics: int = 24
    novel_share: float = 0.05
    slack: float = 1.5
    least_rows: int = 50
    slice_rows: int = 100
    slice_values: int = 8

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Every signal whose floor is above 0, everywhere, in each frequent slice value and of each frequent part."""
        slices = [None, *self._slices(baseline.rows)]
        return tuple(
            Stream(signal, slice)
            for signal in _signals(baseline)
            for slice in (*slices, *self._parts(baseline.rows, signal))
        )

    def fit(self, baseline: Baseline) -> RateArtefact:
        """The expectation of every stream, from the rows that have vectors, an answer and a value."""
        rows, usable = baseline.rows, baseline.rows.embedded & baseline.rows.answered
        streams = self.streams(baseline)
        if usable.sum() < self.least_rows:
            return RateArtefact(None, tuple(self._watch(baseline, stream) for stream in streams))
        prompts = map_prompts(rows.prompt[usable], self.width, self.topics, self.novel_share)
        watches: list[RateWatch] = []
        for column, of_column in groupby(streams, lambda stream: _column_name(rows, stream)):
            told = _column(rows, column)
            scored = (usable & ~np.isnan(told)).nonzero()[0]
            values = told[scored]
            places = prompts.locate(rows.prompt[scored])
            model = fit_model(places, values) if len(scored) >= self.least_rows else None
            for stream in of_column:
                where = _within(rows, stream)[scored]
                expectation = self._expectation(model, places, values, prompts, where)
                watches.append(self._watch(baseline, stream, expectation, places, where))
        return RateArtefact(prompts, _shared(watches))

    def start(self, artefact: RateArtefact) -> RateState:
        """Zero evidence everywhere."""
        return RateState((), np.zeros(0, dtype=np.uint32))

    def step(self, artefact: RateArtefact, state: RateState, rows: Rows) -> tuple[RateState, tuple[Finding, ...]]:
        """Take every stream through the rows."""
        if not len(rows):
            return state, ()
        findings, recent, columns = _blind_for_good(artefact, state), state.recent, state.columns
        if artefact.prompts is not None and artefact.table is not None:
            places = artefact.prompts.locate_in(rows)
            over, recent = repeated_in(rows, artefact.prompts.known, recent)
            watches = [artefact.watches[s] for s in artefact.live]
            batch = _batch(watches, artefact.table, rows, replace(places, novel=places.novel | over))
            columns, found = RatePass(watches, artefact.table, artefact.columns_of(state)).run(batch)
            findings += found
        ordered = tuple(sorted(findings, key=lambda finding: finding.row))
        return RateState((), recent, True, columns), ordered

    def _slices(self, rows: Rows) -> list[str]:
        """`dimension=value` of the most frequent values of each dimension."""
        named = []
        for dimension, values in sorted(rows.slices.items()):
            counts = Counter(value for value in values if value is not None)
            frequent = sorted((-count, value) for value, count in counts.items() if count >= self.slice_rows)
            named += [f"{dimension}={value}" for _, value in frequent[: self.slice_values]]
        return named

    def _parts(self, rows: Rows, signal: str) -> list[str]:
        """`dimension=name` of the tools or guardrails that a signal speaks of most often, by dimension."""
        frequent: dict[str, list[tuple[int, str]]] = {}
        for column, values in rows.signals.items():
            of, mark, slice = column.partition(PART)
            scored = int((~np.isnan(values)).sum())
            if mark and "=" in slice and of == signal and scored >= self.slice_rows:
                frequent.setdefault(slice.partition("=")[0], []).append((-scored, slice))
        return [slice for _, some in sorted(frequent.items()) for _, slice in sorted(some)[: self.slice_values]]

    def _expectation(
        self, model: LogisticModel | None, places: Places, values: Float, prompts: PromptMap, where: Bool
    ) -> Expectation | None:
        """The expectation of a stream, None when too few of its baseline rows were scored."""
        if model is None or where.sum() < self.least_rows:
            return None
        return expect(model, places, values, len(prompts.centres), len(prompts.known.keys), where)

    def _watch(
        self,
        baseline: Baseline,
        stream: Stream,
        expectation: Expectation | None = None,
        places: Places | None = None,
        where: Bool | None = None,
    ) -> RateWatch:
        """A stream's watch; blind for good without an expectation."""
        floor = baseline.floors[stream.signal or ""]
        if expectation is None or places is None or where is None:
            return RateWatch(stream, floor, None, None, 1.0, self.slack, baseline.arl)
        rate = expectation.rate(places)[where]
        room = floor + self.slack * float(np.sqrt(np.dot(expectation.share**2, expectation.error())))
        rare = floor / 2  # bets are sized for all but this share of rows
        bets = make_bets(float(np.quantile(rate, 1 - rare)) + room, float(np.quantile(1 - rate, 1 - rare)) + room)
        return RateWatch(stream, floor, expectation, bets, float(rate.mean()), self.slack, baseline.arl)


def _shared(watches: Sequence[RateWatch]) -> tuple[RateWatch, ...]:
    """The watches with their shares in the budget."""
    weights = budget_weights(np.array([watch.stream.slice is None for watch in watches], dtype=np.bool_))
    return tuple(replace(watch, weight=float(weight)) for watch, weight in zip(watches, weights, strict=True))


def _signals(baseline: Baseline) -> list[str]:
    """Signals that are rates, by name."""
    return sorted(signal for signal, floor in baseline.floors.items() if floor > 0)


def _column(rows: Rows, name: str) -> Float:
    """(n,) values of a column, NaN where it was not scored or the rows do not have it."""
    return rows.truths(name)


def _is_part(rows: Rows, stream: Stream) -> bool:
    """Whether a stream is of one tool or guardrail: its dimension is no slice that every row has a value of."""
    return stream.slice is not None and stream.slice.partition("=")[0] not in rows.slices


def _column_name(rows: Rows, stream: Stream) -> str:
    """The column that a stream reads: its signal's, or that of one part."""
    signal = stream.signal or ""
    return part_column(signal, stream.slice or "") if _is_part(rows, stream) else signal


def _within(rows: Rows, stream: Stream) -> Bool:
    """(n,) which rows belong to a stream's slice."""
    if stream.slice is None:
        return np.ones(len(rows), dtype=np.bool_)
    if _is_part(rows, stream):
        return ~np.isnan(_column(rows, _column_name(rows, stream)))
    dimension, _, value = stream.slice.partition("=")
    return np.array([seen == value for seen in rows.slices[dimension]], dtype=np.bool_)


def _blind_for_good(artefact: RateArtefact, state: RateState) -> list[Finding]:
    """A stream without an expectation says once that it is blind."""
    if state.begun:
        return []
    return [
        Finding(0, watch.stream, "blind", True, 0, floor=watch.floor, reason=FEW_REASON)
        for watch in artefact.watches
        if watch.expectation is None
    ]


def _batch(watches: Sequence[RateWatch], table: RateTable, rows: Rows, places: Places) -> RateBatch:
    """The rows as these streams see them."""
    usable = rows.embedded & rows.answered
    names = [_column_name(rows, watch.stream) for watch in watches]
    columns = {name: np.where(usable, _column(rows, name), np.nan) for name in dict.fromkeys(names)}
    inside = dict[str | Stream | None, Bool]()  # a slice is the same for every signal, a part is the signal's own
    keys = [watch.stream if _is_part(rows, watch.stream) else watch.stream.slice for watch in watches]
    for key, watch in zip(keys, watches, strict=True):
        if key not in inside:
            inside[key] = _within(rows, watch.stream)
    memories = [watch.expectation.memory for watch in watches if watch.expectation is not None]
    rate, cell = table.models.expected(memories, places)
    return RateBatch(
        value=np.stack([columns[name] for name in names]),
        expected=rate,
        cell=cell,
        inside=np.stack([inside[key] for key in keys]),
        novel=places.novel,
        index=rows.index,
        ts=rows.ts,
        ids=rows.ids,
    )
