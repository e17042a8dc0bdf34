"""A topic that was made anew is counted again after a person accepted it, and not before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.score import ScoreBlock
from services.detect.state import DetectState
from services.errors import InputError
from services.intake.core import STALE_BLOCKS, IntakeState, step
from services.monitor import Monitor
from services.record.recorder import Recorder
from services.store import step_states
from services.store.codec import unpack
from services.store.engine import Database, open_database
from services.stream.stateful import DETECT, DetectStateStore, RouteState
from services.stream.topic_adoption import adopt
from tests.support.blocks import ROUTE, block, rows


@pytest.fixture
def database(tmp_path) -> Database:
    return open_database(f"sqlite:///{tmp_path / 'keelwatch.db'}")


def of(first: int, days: int, topic: str = "t") -> ScoreBlock:
    """Ten exchanges without ids of their own, at places from `first` on."""
    made = block(rows(10, first))
    ids = tuple(f"k:c/{topic}/0/{offset}" for offset in made.offset)
    return made.model_copy(update={"id": ids, "topic": topic, "ts": tuple(ts + timedelta(days) for ts in made.ts)})


def recorded(database: Database) -> IntakeState:
    with database.read() as connection:
        found = step_states.load(connection, "record", ROUTE)
    assert found is not None
    return unpack(IntakeState, found[1])


def test_exchanges_of_the_new_topic_count_after_adoption_alone(database: Database) -> None:
    recorder = Recorder(database, Monitor().policy)
    recorder.apply([of(0, 0), of(10, 0), of(0, 0, "other")])
    for _ in range(STALE_BLOCKS):
        recorder.apply([of(0, 30)])
    assert recorded(database).count == 30
    assert recorded(database).stale == STALE_BLOCKS

    assert adopt(database, "t").routes == 1
    recorder.apply([of(0, 30), of(0, 30, "other")])  # it has the old state in memory, and finds that it is old
    state = recorded(database)
    assert (state.count, state.fence, state.stale) == (40, {"c/t/0": 9, "c/other/0": 9}, 0)


def test_detects_state_goes_on_with_all_that_it_has_learned(database: Database) -> None:
    intake, _ = step(IntakeState.start(ROUTE), of(0, 0))
    before = replace(DetectState.start(ROUTE), intake=intake, gap=17.0)
    store = DetectStateStore(())
    with database.write() as connection:
        store.save(connection, ROUTE, RouteState(before))
    assert adopt(database, "t").routes == 1
    with database.read() as connection:
        after = store.load(connection, ROUTE)
    assert step_states.saves(after.version) == 2
    assert (after.now.gap, after.now.intake.count, after.now.intake.fence) == (17.0, 10, {})
    _, taken = step(after.now.intake, of(0, 30))
    assert len(taken.positions) == 10
    with database.read() as connection:
        assert list(step_states.all_of(connection, DETECT)) == [ROUTE]


def test_an_id_that_the_publisher_gave_is_still_a_repetition(database: Database) -> None:
    recorder = Recorder(database, Monitor().policy)
    recorder.apply([block(rows(10))])
    adopt(database, "t")
    recorder.apply([block(rows(10))])
    assert (recorded(database).count, recorded(database).duplicates) == (10, 10)


def test_a_topic_that_nobody_has_read_is_no_topic_to_adopt(database: Database) -> None:
    Recorder(database, Monitor().policy).apply([of(0, 0)])
    with pytest.raises(InputError, match="no route has read it"):
        adopt(database, "c")
