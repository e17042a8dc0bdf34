"""States that were kept before their classes held fewer bytes go on as they would have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.attack_cluster import STEPS, AttackCluster
from detectors.escalating_conversation import EscalatingConversation, LiveConversation
from detectors.model_shift import ModelShift
from detectors.stats import drift
from detectors.stats.bets import Placed
from detectors.stats.drift_state import DriftState
from services.store.codec import pack, unpack
from tests.support import rows as made

STREAM = made.drifting()
CUT = 610


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
    assert [(one.row, one.status, one.exemplars, one.log_e) for one in found] == [
        (one.row, one.status, one.exemplars, one.log_e) for one in known
    ]


def wide(state: DriftState) -> DriftState:
    """The state as it was kept before: doubles, and no numbers of the rows that an alarm may name."""
    placed = state.placed
    kept = range(state.n - 48, state.n)
    named = dict(zip(state.places, zip(state.ids, state.scores, strict=True), strict=True))
    every = [named.get(place, (f"row {place}", 0.0)) for place in kept]
    return replace(
        state,
        sums=state.sums.astype(np.float64),
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
