"""What waits in a park is left without what an erasure takes, and its exchanges count as they were counted."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import select

from schemas.alert import Alert
from schemas.base import Record
from schemas.change import Change
from schemas.reading import Reading
from schemas.sample import SampleBlock
from schemas.score import ScoreBlock
from services.detect.core import step
from services.detect.state import DetectState
from services.record.recorder import Recorder
from services.store import parks
from services.store.engine import Database
from services.store.erasure import Subject
from services.store.parks import ParkedRecord, ParkFault, Parking
from services.store.scores import ScoreRow
from services.store.tables import table
from services.stream.messages import decode_record, topic_of
from services.stream.parked_erasure import erased_id, parked_without
from tests.record.test_erasure import (
    ERIKA,
    NOW,
    PLAN,
    TEXT,
    erased,
    everything,
    is_hers,
    policy,
    sample,
    traffic,
    usual,
)
from tests.support.blocks import ROUTE


def parked(database: Database, records: Sequence[Record]) -> None:
    """Records that wait at detect, as the broker had them."""
    waiting = tuple(
        ParkedRecord(topic_of(one).name, 0, offset, NOW, one.encode()) for offset, one in enumerate(records)
    )
    with database.write() as connection:
        parks.write(connection, "detect", ROUTE, Parking(ParkFault("ValueError", "1"), waiting), NOW)


def waiting(database: Database) -> list[Record]:
    with database.read() as connection:
        park = parks.standing(connection, "detect", [ROUTE]).get(ROUTE)
        if park is None:
            return []
        held = parks.waiting(connection, park, 10_000, 2**40)
    assert (park.n, park.size) == (len(held.records), sum(len(one.value) for _, one in held.records))
    found = [decode_record(one.topic, one.value) for _, one in held.records]
    assert all(isinstance(one, Record) for one in found), found
    return [one for one in found if isinstance(one, Record)]


def test_nothing_of_a_user_waits_in_a_park_and_what_is_of_others_waits_as_it_was(database: Database) -> None:
    given = traffic()
    whole, mixed = given[0], given[1:4]
    only = whole.model_copy(update={"user": (ERIKA,) * len(whole.id)})
    made = usual()[1]
    readings = [one for records in made for one in records if isinstance(one, Reading | Alert | Change)]
    texts = SampleBlock(route=ROUTE, samples=tuple(sample(mixed[0], i) for i in range(len(mixed[0].id))))
    hers_alone = SampleBlock(route=ROUTE, samples=tuple(one for one in texts.samples if one.user == ERIKA))
    parked(database, [only, *mixed, texts, hers_alone, *readings])
    report = erased(database, user=ERIKA)
    assert report.rows["parked_records"] > len(mixed)
    after = everything(database)
    names = [*only.id, *(id for block in mixed for id in block.id if is_hers(id))]
    assert [name for name in (ERIKA, TEXT, *names) if name.encode() in after] == []
    left = waiting(database)
    first, *others = [one for one in left if isinstance(one, ScoreBlock)]
    assert set(first.user) == {None}
    assert first.id == tuple(map(erased_id, only.id))
    for old, new in zip(mixed, others, strict=True):
        assert_blank_where_hers(old, new)
    (rest,) = [one for one in left if isinstance(one, SampleBlock)]
    assert [one.id for one in rest.samples] == [id for id in mixed[0].id if not is_hers(id)]
    assert sum(isinstance(one, Reading | Alert | Change) for one in left) == len(readings)


def assert_blank_where_hers(old: ScoreBlock, new: ScoreBlock) -> None:
    mine = [is_hers(id) for id in old.id]
    style, before = vectors(new.style, len(mine)), vectors(old.style, len(mine))
    assert any(mine)
    for i, hers in enumerate(mine):
        assert (new.partition[i], new.offset[i], new.ts[i], new.flags[i]) == (
            *(old.partition[i], old.offset[i], old.ts[i], old.flags[i]),
        )
        column, known = new.signals["refusal"], old.signals["refusal"]
        told = (new.id[i], new.user[i], new.embedded[i], column.value[i], column.status[i])
        if hers:
            assert told == (erased_id(old.id[i]), None, False, None, "unscored")
            assert (new.conversation[i], new.tags[i], column.probability[i]) == (None, {}, None)
            assert not style[i].any()
        else:
            assert told == (old.id[i], old.user[i], old.embedded[i], known.value[i], known.status[i])
            assert np.array_equal(style[i], before[i])


def test_every_column_that_tells_of_an_exchange_is_blank() -> None:
    """Those that publishers fill, and what is said of single tools, as well."""
    block = traffic()[0]
    n = len(block.id)
    tools = replace_parts(block, tuple({"search": True} if is_hers(id) else {} for id in block.id))
    full = tools.model_copy(
        update={
            "latency_ms": tuple(float(i) for i in range(n)),
            "output_tokens": tuple(7 if is_hers(id) else None for id in block.id),
            "tags": ({"plan": "gold"},) * n,
        }
    )
    value = parked_without(topic_of(full).name, full.encode(), Subject("user", (ERIKA,)), ())
    assert value is not None
    left = ScoreBlock.decode(value)
    assert [left.latency_ms[i] for i in range(n) if is_hers(block.id[i])] == [None] * sum(map(is_hers, block.id))
    assert left.output_tokens == ()
    assert left.signals["refusal"].parts == ()
    assert [dict(one) for one in left.tags] == [{} if is_hers(id) else {"plan": "gold"} for id in block.id]
    assert left.latency_ms[1] == 1.0


def replace_parts(block: ScoreBlock, parts: Any) -> ScoreBlock:
    column = block.signals["refusal"].model_copy(update={"parts": parts})
    return block.model_copy(update={"signals": {**block.signals, "refusal": column}})


def test_detect_counts_what_waited_as_record_counted_it(database: Database) -> None:
    """An event index means the same exchange to both, whatever was erased in between."""
    given = traffic()
    recorder = Recorder(database, policy)
    for block in given[:6]:
        recorder.apply([block])
    parked(database, given[2:6])
    erased(database, user=ERIKA)
    state = DetectState.start(ROUTE)
    for block in (*given[:2], *(one for one in waiting(database) if isinstance(one, ScoreBlock)), given[6]):
        state, _ = step(PLAN, state, [block])
    recorder.apply([given[6]])
    rows = table(ScoreRow)
    with database.read() as connection:
        stored = {row.id: row.event_index for row in connection.execute(select(rows.c.id, rows.c.event_index))}
    others = [id for block in given[:7] for id in block.id if not is_hers(id)]
    assert stored == {id: int(id[-5:]) for id in others}
    assert state.intake.count == sum(len(one.id) for one in given[:7])


def vectors(column: str, n: int) -> Any:
    return np.frombuffer(base64.b64decode(column), "<f2").reshape(n, -1)


def test_a_park_of_which_nothing_is_left_is_gone(database: Database) -> None:
    block = traffic()[0]
    texts = tuple(replace_talk(sample(block, i)) for i in range(5))
    parked(database, [SampleBlock(route=ROUTE, samples=texts)])
    assert erased(database, conversation="talk-9").exchanges == 5
    assert waiting(database) == []


def replace_talk(one: Any) -> Any:
    return one.model_copy(update={"conversation": "talk-9"})
