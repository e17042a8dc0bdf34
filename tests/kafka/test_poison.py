"""A tenth of a stream is poison: every message has its end, the worker goes on, and dead letters come back once."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.demo.support_bot import Script
from services.store import dead_letters
from services.store.engine import open_database
from services.stream.dead_letters import FAILED_AGAIN
from tests.chaos.check import configured
from tests.support.fleet import Fleet
from tests.support.oracle import expected_of, seen_ids, text
from tests.support.streams import keyed, make_topics, publish, read_all, seen
from tests.support.traffic import ROUTES, story

GOOD, POISON, LATE = 2_700, 300, 300
BAD = [b"{not json", b"\xff\xfe\x00", b'{"x":"y"}', b"[1,2]", b"null", b"{}", b"", b'{"route":"bot-0/prod","prompt":5}']
DEAD = f"{EXCHANGES.name}.score.dead"


def reasons(url: str) -> dict[str, int]:
    """Reason -> how many dead letters of score the database counts."""
    database = open_database(url, create=False)
    with closing(database):
        return {
            one.reason: one.n
            for one in database.query(dead_letters.counts)
            if (one.step, one.topic) == ("score", EXCHANGES.name)
        }


def mixed(good: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Every ninth exchange is followed by poison, with the key of its neighbour: it lies among that route's records."""
    every = GOOD // POISON
    return [
        pair
        for i, one in enumerate(good)
        for pair in ([one, (one[0], BAD[i // every % len(BAD)])] if i % every == 0 else [one])
    ]


def letters(broker, exchanges) -> list[tuple[bytes, bytes]]:
    """Dead letters of good exchanges, as an earlier version that could not read them has left them."""
    places = (
        Position(cluster=broker.cluster, topic=EXCHANGES.name, partition=0, offset=1_000_000 + i) for i in range(LATE)
    )
    made = [
        DeadLetter.of(one.encode(), "score", "response: an earlier version could not read it", place)
        for one, place in zip(exchanges, places, strict=True)
    ]
    return [(b"", letter.encode()) for letter in made]


def test_poison_has_its_end_and_what_can_be_read_by_now_comes_back_once(stage, keelwatch, tmp_path):
    broker, url = stage.broker, f"sqlite:///{tmp_path / 'keelwatch.db'}"
    make_topics(broker)
    exchanges = list(islice(story(Script(before=300, after=2_000, leak=0.03)), GOOD + LATE))
    now, late = exchanges[:GOOD], exchanges[GOOD:]
    publish(broker, EXCHANGES.name, mixed(keyed(now)))
    with Fleet(tmp_path, broker, url, config := configured(tmp_path)) as fleet:
        process = fleet.join("worker").process
        fleet.until(lambda: fleet.shared(1) and fleet.settled(), "everything has its end")
        assert set(seen_ids(url)) == {one.id for one in now}
        found = reasons(url)
        assert (sum(found.values()), len(found) > 3, all(found)) == (POISON, True, True)

        publish(broker, DEAD, letters(broker, late))
        fleet.until(lambda: sum(reasons(url).values()) == POISON + LATE, "the letters of the earlier version count")
        replay = ("dead", "replay", "--bootstrap", broker.bootstrap, "--topic", DEAD, "--database", url)
        code, said, _ = keelwatch(*replay)
        assert (code, said) == (0, f"{POISON + LATE} dead letters sent again\n")
        fleet.until(lambda: len(seen_ids(url)) == GOOD + LATE and fleet.settled(), "they are scored")
        after = (seen_ids(url), reasons(url), [text(seen(url, route)) for route in ROUTES])
        assert set(after[0].values()) == {1}
        assert sum(after[1].values()) == POISON + LATE  # what is poison still has died again, as what it was

        assert keelwatch(*replay)[:2] == (0, f"0 dead letters sent again\n{POISON:,} left: {FAILED_AGAIN}\n")
        fleet.until(fleet.settled, "the second run has its end")
        assert (seen_ids(url), reasons(url), [text(seen(url, route)) for route in ROUTES]) == after
        assert (fleet.workers["worker"].process, fleet.restarts) == (process, [])
        fleet.leave("worker")
    expected = expected_of(broker, config)
    assert [text(seen(url, route)) for route in ROUTES] == [text(expected[route]) for route in ROUTES]
    assert len(read_all(broker, DEAD)) == 2 * POISON + LATE
