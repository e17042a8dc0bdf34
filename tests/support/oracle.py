"""What a stream should have said: an undisturbed replay of what its topic holds; and what the database says instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from detectors import DETECTORS
from schemas.exchange import Exchange
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.ingest.decode import decode
from services.monitor import RoutePolicy, load
from services.ports import Received
from services.replay.report import report, to_text
from services.replay.runner import ReplayDependencies, ReplayRunner
from services.score.core import ExchangeScorer
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder
from services.store import dead_letters
from services.store.engine import open_database
from services.store.scores import ScoreRow
from services.store.tables import table
from services.stream.broker import Broker
from tests.support.streams import Seen, read_all

Policy = Callable[[str], RoutePolicy]


def scorer_of(policy: Policy) -> ExchangeScorer:
    """A scorer with the embedder that workers use."""
    return ExchangeScorer(CachedEmbedder(OpenVinoEmbedder(threads=1)), policy)


def replayed(scorer: ExchangeScorer, policy: Policy, exchanges: Iterable[Exchange]) -> dict[str, Seen]:
    """What replay says of exchanges, by route."""
    places = (Position(cluster="file", topic="f", partition=0, offset=offset) for offset in range(1 << 60))
    return _replayed(scorer, policy, [Received(*pair) for pair in zip(exchanges, places, strict=False)])


def expected_of(broker: Broker, config: Path) -> dict[str, Seen]:
    """What replay says of the exchanges that lie on the topic, each partition in its order."""
    policy = load(config).policy
    items = [
        decode(one.value, Position(cluster=broker.cluster, topic=one.topic, partition=one.partition, offset=one.offset))
        for one in sorted(read_all(broker, EXCHANGES.name), key=lambda one: (one.partition, one.offset))
    ]
    return _replayed(scorer_of(policy), policy, [item for item in items if isinstance(item, Received)])


def text(found: Seen) -> str:
    """All that people see, in the form in which replay prints it: numbers of 6 digits."""
    return to_text({"alerts": found.alerts, "incidents": found.incidents, "exchanges": found.exchanges})


def seen_dead(url: str) -> dict[tuple[str, str], int]:
    """(step, topic) -> dead letters that the database counts."""
    database = open_database(url, create=False)
    with closing(database):
        counts: Counter[tuple[str, str]] = Counter()
        for one in database.query(dead_letters.counts):
            counts[one.step, one.topic] += one.n
        return dict(counts)


def seen_ids(url: str) -> Counter[str]:
    """Exchange id -> its score rows in the database, of all routes; none before a worker has made the file."""
    rows = table(ScoreRow)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        return Counter()
    with closing(open_database(url, create=False)) as database, database.read() as connection:
        return Counter(connection.execute(select(rows.c.id)).scalars())


def _replayed(scorer: ExchangeScorer, policy: Policy, items: Sequence[Received]) -> dict[str, Seen]:
    replay = ReplayRunner(ReplayDependencies(scorer.score, DETECTORS, policy))
    for item in items:
        replay.feed(item)
    found = report(replay.finish(), policy)
    ids = {(item.exchange.route, item.exchange.id or item.position) for item in items}
    counts = Counter(route for route, _ in ids)
    return {
        route: Seen(
            [one for one in found["alerts"] if one["route"] == route],
            [one for one in found["incidents"] if one["route"] == route],
            n,
        )
        for route, n in counts.items()
    }
