"""States that were kept before their classes held fewer bytes go on as they would have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.attack_cluster import STEPS, AttackCluster
from detectors.escalating_conversation import EscalatingConversation, LiveConversation
from detectors.model_shift import ModelShift
from detectors.rate_shift import RateArtefact, RateShift, RateState
from detectors.stats import drift
from detectors.stats.bets import Placed
from detectors.stats.drift_state import DriftState
from detectors.stats.rate_columns import GROWN, SCALED
from detectors.stats.rate_evidence import RateEvidence
from detectors.stats.rate_state import WatchState, start_watch
from services.store.codec import pack, unpack
from tests.support import rows as made

STREAM = made.drifting()
CUT = 610
MARKS = ("firing", "moved", "blind", "ones", "zeros", "ones_at", "zeros_at", "onset")


def test_conversations_that_were_kept_one_by_one_go_on() -> None:
    detector = EscalatingConversation()
    artefact = detector.fit(made.baseline())
    state, _ = detector.step(artefact, detector.start(artefact), STREAM.take(np.arange(CUT)))
    before = tuple(
        LiveConversation(key, evidence, turns, 0, (at, ts), shown)
        for key, (evidence, turns, at, ts, shown) in state.walks.items()
    )
    old = unpack(type(state), pack(replace(state, live=before, walks={})))
    rest = STREAM.take(np.arange(CUT, len(STREAM)))
    assert detector.step(artefact, old, rest) == detector.step(artefact, state, rest)


def test_attacks_that_were_kept_in_halves_go_on() -> None:
    detector = AttackCluster()
    artefact = detector.fit(made.baseline())
    state, _ = detector.step(artefact, detector.start(artefact), STREAM.take(np.arange(CUT)))
    assert len(state.held.ids) > 2
    halves = (state.held.sketch / STEPS).astype(np.float16)
    old = unpack(type(state), pack(replace(state, held=replace(state.held, sketch=halves))))
    rest = STREAM.take(np.arange(CUT, len(STREAM)))
    (after, found), (known, wanted) = (detector.step(artefact, one, rest) for one in (old, state))
    assert found == wanted
    assert after.held.ids == known.held.ids != state.held.ids
    assert (after.held.sketch == known.held.sketch).all()


def test_a_stream_that_was_kept_in_double_precision_goes_on() -> None:
    detector = ModelShift()
    artefact = detector.fit(made.baseline())
    state, _ = detector.step(artefact, detector.start(artefact), STREAM.take(np.arange(CUT)))
    old = unpack(DriftState, pack(wide(state)))
    rest = STREAM.take(np.arange(CUT, len(STREAM)))
    (_, found), (_, known) = (detector.step(artefact, one, rest) for one in (old, state))
    assert [(one.row, one.status, one.exemplars) for one in found] == [
        (one.row, one.status, one.exemplars) for one in known
    ]
    for one, other in zip(found, known, strict=True):
        assert one.log_e == pytest.approx(other.log_e, rel=1e-4, abs=1e-4)  # sums are of single precision


def test_rates_that_were_kept_one_by_one_go_on() -> None:
    detector = RateShift()
    artefact = detector.fit(made.baseline())
    state, _ = detector.step(artefact, detector.start(artefact), STREAM.take(np.arange(CUT)))
    old = unpack(RateState, pack(replace(state, columns=None, streams=one_by_one(artefact, state))))
    rest = STREAM.take(np.arange(CUT, len(STREAM)))
    (after, found), (known, wanted) = (detector.step(artefact, one, rest) for one in (old, state))
    assert [(one.row, one.stream, one.status, one.n, one.exemplars, one.change_point) for one in found] == [
        (one.row, one.stream, one.status, one.n, one.exemplars, one.change_point) for one in wanted
    ]
    assert any(one.status == "firing" for one in found)
    assert after.columns is not None
    assert known.columns is not None
    np.testing.assert_allclose(after.columns.mix, known.columns.mix)
    assert artefact.table is not None
    weight = artefact.table.bets.weight
    np.testing.assert_allclose(weight * after.columns.wealth, weight * known.columns.wealth)
    assert (after.columns.values == known.columns.values).all()
    assert (after.columns.ts == known.columns.ts).all()


def one_by_one(artefact: RateArtefact, state: RateState) -> tuple[WatchState, ...]:
    """The streams as they were kept before: each a state of its own, the blind ones as well."""
    columns, table, made = state.columns, artefact.table, list[WatchState]()
    assert columns is not None
    assert table is not None
    for place, watch in enumerate(artefact.watches):
        if place not in artefact.live:
            made.append(start_watch(watch))
            continue
        s = artefact.live.index(place)
        n, bets, marks = int(columns.n[s]), table.bets.count[s], columns.marks[s]
        share = columns.mix[s] / np.maximum(table.roots[s], 1e-300) / GROWN[n % SCALED]
        evidence = RateEvidence(columns.wealth[s, :bets].copy(), np.ones(bets), np.zeros(bets, dtype=np.int64))
        told, dated = min(n, columns.values.shape[1]), int(columns.dated[s])
        made.append(
            WatchState(
                evidence=evidence,
                share=share,
                values=columns.values[s, columns.values.shape[1] - told :].copy(),
                expected=columns.expected[s, columns.expected.shape[1] - told :].copy(),
                n=n,
                unscored=int(columns.unscored[s]),
                strange=int(columns.strange[s]),
                index=columns.index[s, columns.index.shape[1] - dated :].copy(),
                ts=columns.ts[s, columns.ts.shape[1] - dated :].copy(),
                **{name: getattr(marks, name) for name in MARKS},
            )
        )
    return tuple(made)


def wide(state: DriftState) -> DriftState:
    """The state as it was kept before: doubles, sums as they are now, and no numbers of the rows to be named."""
    placed = state.placed
    kept = range(state.n - 48, state.n)
    named = dict(zip(state.places, zip(state.ids, state.scores, strict=True), strict=True))
    every = [named.get(place, (f"row {place}", 0.0)) for place in kept]
    return replace(
        state,
        sums=state.sums.astype(np.float64) / ModelShift().evidence.scales[state.n - (state.sums_of or 0), :, None],
        sums_of=None,
        cusum=np.zeros(3),
        since=np.zeros(3, dtype=np.int64),
        placed=Placed(
            slope=placed.slope.astype(np.float64),
            offset=placed.offset.astype(np.float64),
            expected=placed.expected.astype(np.float64),
            aim=placed.aim.astype(np.float64),
            centre=placed.centre.astype(np.float64),
            spread=placed.spread,
        ),
        along=(state.along / drift.STEPS).astype(np.float32),
        ids=tuple(id_ for id_, _ in every),
        scores=tuple(score for _, score in every),
        places=(),
    )
