"""What is on its way to detect or record while somebody is erased is not taken in, whatever time it names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from detectors import DETECTORS
from schemas.base import Record
from schemas.sample import SampleBlock
from schemas.score import ScoreBlock
from services.record.recorder import Recorder
from services.store.engine import Database
from services.stream.handlers import detect_handler, record_handler
from services.stream.messages import Handler, TopicMessage, topic_of
from services.stream.parked_erasure import coming_without, erased_id
from services.stream.stateful import HandlerResources, Stateful
from tests.record.test_erasure import ERIKA, NOW, erased, everything, hers, is_hers, policy, sample, told, traffic
from tests.stream.test_isolation import staged
from tests.support.blocks import ROUTE

BEFORE, AFTER = NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)
Making = Callable[[Database], Callable[[HandlerResources], Handler]]


def detecting(database: Database) -> Callable[[HandlerResources], Handler]:
    return lambda tools: detect_handler(DETECTORS, policy, tools)


def recording(database: Database) -> Callable[[HandlerResources], Handler]:
    return lambda tools: record_handler(Recorder(database, policy).apply, tools)


def later(block: ScoreBlock) -> ScoreBlock:
    """Its exchanges name times of after the erasure."""
    return block.model_copy(update={"ts": tuple(NOW + timedelta(minutes=10, seconds=i) for i in range(len(block.ts)))})


def texts(block: ScoreBlock) -> SampleBlock:
    return SampleBlock(route=ROUTE, samples=tuple(sample(block, i) for i in range(len(block.id))))


def at(place: int, record: Record, ts: datetime) -> TopicMessage:
    return TopicMessage(topic_of(record).name, 0, place, record.encode(), ts)


@pytest.mark.parametrize("making", [detecting, recording])
@pytest.mark.parametrize("ahead", [False, True], ids=["honest", "ahead"])
def test_what_comes_late_of_somebody_who_was_erased_is_blank(database: Database, making: Making, ahead: bool) -> None:
    given = traffic()[:4]
    told(database, given[:1])
    erased(database, user=ERIKA)
    late = [later(one) if ahead else one for one in given[1:]]
    came = [one for block in late for one in ([block, texts(block)] if making is recording else [block])]

    async def run() -> None:
        with staged(making(database), database) as stage:
            await stage.take([at(n, one, BEFORE) for n, one in enumerate(came)])
            await stage.settle()
            assert (stage.died, stage.letters()) == ([], [])
            if isinstance(stage.handler, Stateful):
                assert stage.handler.states[ROUTE].intake.count == sum(len(one.id) for one in given), "they still count"

    asyncio.run(run())
    after = everything(database)
    assert [one for one in hers() if one in after] == []
    kept = [id.encode() for block in late for id in block.id if not is_hers(id)]
    assert [one for one in kept if one not in after] == []


@pytest.mark.parametrize("making", [detecting, recording])
def test_what_comes_after_an_erasure_is_taken_in(database: Database, making: Making) -> None:
    given = traffic()[:2]
    told(database, given[:1])
    erased(database, user=ERIKA)

    async def run() -> None:
        with staged(making(database), database) as stage:
            await stage.take([at(0, later(given[1]), AFTER)])
            await stage.settle()

    asyncio.run(run())
    after = everything(database)
    assert [id for id in given[1].id if id.encode() not in after] == []


def test_a_record_is_left_as_it_is_unless_it_names_the_subject_and_came_before() -> None:
    block = traffic()[0]
    items = [(at(n, one, BEFORE), one) for n, one in enumerate((block, texts(block)))]
    hers_alone = texts(block).model_copy(
        update={"samples": tuple(one for one in texts(block).samples if one.user == ERIKA)}
    )
    assert coming_without(items, lambda names, ts: False) == items
    [rows, left] = coming_without(
        [*items, (at(2, hers_alone, BEFORE), hers_alone)], lambda names, _: names["user"] == ERIKA
    )
    assert isinstance(left[1], SampleBlock)
    assert isinstance(rows[1], ScoreBlock)
    assert [one.id for one in left[1].samples] == [id for id in block.id if not is_hers(id)]
    assert rows[1].id == tuple(erased_id(id) if is_hers(id) else id for id in block.id)
    assert rows[1] == ScoreBlock.decode(rows[0].value)
    nobodys = at(3, block, datetime.min.replace(tzinfo=NOW.tzinfo)), block
    assert coming_without([nobodys], lambda _, ts: ts < block.ts[0]) == [nobodys], "a time that no clock says is none"
