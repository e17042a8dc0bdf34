"""Hostile exchanges of one route: what is kept of them stays small, and the route still learns."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events import Events
from detectors.rate_shift import RateShift
from schemas.identity import IDENTITY_FIELDS, Model, identity_of
from schemas.reading import Reading
from schemas.score import ScoreBlock
from services.detect.core import FORGETS, step
from services.detect.serialization import pack_running_state
from services.detect.state import DetectionPlan, DetectState
from services.intake.core import IntakeState
from services.intake.core import step as take_in
from services.intake.slice_values import OTHER
from services.intake.volatile_fields import MOST_IDENTITIES
from services.monitor import BaselinePolicy, RoutePolicy
from services.record.core import additions, rollup_rows
from services.store.codec import pack
from tests.support.blocks import ROUTE, START, Row, block, blocks

POLICY = RoutePolicy(baseline=BaselinePolicy(size=200, min_size=100), slices=("tags.locale",))
PLAN = DetectionPlan((RateShift(), Events()), POLICY)


def of_six(generator: random.Random) -> Model:
    """Seven fields of six values each: nearly every exchange another combination."""
    return Model(**{name: f"{name}-{generator.randrange(6)}" for name in IDENTITY_FIELDS})


def hostile(n: int, size: int = 128, step: float = 86.4) -> Iterator[ScoreBlock]:
    """Blocks with the vectors of one: drawing new ones takes most of the time."""
    generator = random.Random(16)
    whole = block([Row(f"e{i}", i, 0.0) for i in range(size)])
    for start in range(0, n, size):
        yield renamed(whole, [Row(f"e{i}", i, i * step, of_six(generator)) for i in range(start, start + size)])


def renamed(whole: ScoreBlock, some: Sequence[Row]) -> ScoreBlock:
    return whole.model_copy(
        update={
            "identities": {identity_of(row.model): row.model for row in some},
            "identity": tuple(identity_of(row.model) for row in some),
            "id": tuple(row.id for row in some),
            "offset": tuple(row.offset for row in some),
            "ts": tuple(START + timedelta(seconds=row.seconds) for row in some),
            "tags": tuple({"locale": f"l{row.offset}"} for row in some),
        }
    )


def test_sixty_thousand_exchanges_of_hostile_identities_and_tags_leave_little() -> None:
    state, rollups = IntakeState.start(ROUTE), set()
    for one in hostile(60_000, step=0.2):
        state, intake = take_in(state, one, POLICY.slices)
        rollups |= {row[:5] for row in rollup_rows([additions(one, intake).sums])}
    assert state.count >= 60_000
    assert len(pack(state)) < 16_000
    assert len({identity for _, _, identity, _, _ in rollups}) < 100
    assert len(rollups) < 8_000, "200 minutes"
    assert OTHER in {label.partition("=")[2] for _, _, _, label, _ in rollups}


def test_a_route_whose_identities_are_hostile_learns_all_the_same() -> None:
    state, most = DetectState.start(ROUTE), 0
    readings: list[Reading] = []
    for one in hostile(2_000):
        state, output = step(PLAN, state, [one])
        readings += output.readings
        most = max(most, len(pack_running_state(state)))
    assert state.pinned is not None
    assert most < 40_000  # with the versions of the signals, and 6 KB of who and what was asked last
    volatile = [one.signal for one in readings if one.detector == "identity"]
    assert len(volatile) == len(set(volatile)) == len(IDENTITY_FIELDS) - 1, (
        "each once, and what a person calls it stays"
    )
    assert "requested" not in volatile


def test_a_few_models_behind_a_route_stay_apart() -> None:
    models = [Model(requested=f"m{i % 4}", system_prompt_sha256=f"{i % 3}" * 64) for i in range(12)]
    state = IntakeState.start(ROUTE)
    for one in blocks([Row(f"e{i}", i, i * 60.0, models[i % 12]) for i in range(600)]):
        state, intake = take_in(state, one)
        assert not intake.volatile
    assert len(state.volatility.identities) == 12


def newcomers(n: int) -> list[Row]:
    """A model of its own every 60 exchanges: never many at once, and never an end of them."""
    usual = Model(requested="gpt-4")
    return [Row(f"e{i}", i, i * 10.0, Model(requested=f"m{i}") if i % 60 == 59 else usual) for i in range(n)]


def test_identities_that_are_idle_are_forgotten_and_the_baselines_is_not() -> None:
    state = DetectState.start(ROUTE)
    readings: list[Reading] = []
    for one in blocks(newcomers(4_000), 128):
        state, output = step(PLAN, state, [one])
        readings += output.readings
    assert len(state.known.models) <= MOST_IDENTITIES + 1
    assert len(state.watch.running) <= 2 * (MOST_IDENTITIES + 2)
    assert state.pinned is not None
    assert state.pinned.identity in state.known.models
    assert [one.reason for one in readings if one.signal == "identities"] == [FORGETS], "told once"


@settings(max_examples=3, deadline=None)
@given(cuts=st.lists(st.integers(1, 128), min_size=1, max_size=6))
def test_what_is_forgotten_does_not_depend_on_how_blocks_are_cut(cuts: list[int]) -> None:
    some = newcomers(2_600)
    kept = []
    for cut in ([128], cuts):
        state, said = DetectState.start(ROUTE), []
        for one in blocks(some, cut):
            state, output = step(PLAN, state, [one])
            said += [(one.id, one.event_index) for one in output.readings]
            said += [(one.id, one.event_index) for one in output.changes]
        kept.append((sorted(state.known.models), sorted(state.watch.running), sorted(said)))
    assert kept[0] == kept[1]
