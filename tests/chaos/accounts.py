"""What database and topics say that was done, in the form that the judge compares; and the undisturbed replay."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from detectors import DETECTORS
from schemas.alert import Alert
from schemas.dead_letter import DeadLetter
from schemas.exchange import STREAM_ROUTE
from schemas.position import Position
from schemas.topics import ALERTS, EXCHANGES, READINGS, SCORES
from services.ingest.decode import decode
from services.monitor import load
from services.record.recorder import Recorder
from services.replay.report import alert_object
from services.replay.runner import ReplayDependencies, ReplayRunner
from services.score.core import ExchangeScorer
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder
from services.store import journal, routes, secret_keys
from services.store.dead_letters import DeadCountRow
from services.store.engine import Database, open_database
from services.store.rollups import RollupRow
from services.store.scores import ScoreRow
from services.store.tables import table
from services.stream.broker import Broker
from services.stream.letter_seal import opened
from services.stream.messages import decode_record
from services.stream.stateful import DetectStateStore
from tests.chaos.judge import Account, Row
from tests.chaos.ledger import poison_id
from tests.support.streams import incidents_of, read_all

DERIVED = ("ts", "flags", "signals", "prompt_vec", "response_vec", "style", "identity", "event_index", "embedded")


def account(database: Database, broker: Broker | None) -> Account:
    """What the database says, and the dead letters on the topic; without `broker` none."""
    rows, rollups = table(ScoreRow), table(RollupRow)
    with database.read() as connection:
        scored = [_row(row._mapping) for row in connection.execute(select(rows))]
        sums = [tuple(row) for row in connection.execute(select(*_columns(rollups)))]
        dead = sum(connection.execute(select(table(DeadCountRow).c.n)).scalars())
        store, names = DetectStateStore(DETECTORS), database.query(routes.names)
        detected = {route: store.load(connection, route).now.intake.count for route in names}
    counted: Counter[str] = Counter()
    for route, _, _, slice_, signal, n, *_ in sums:
        counted[route] += n if (slice_, signal) == ("", "") else 0
    return Account(
        rows=scored,
        dead=[] if broker is None else _dead(broker, database),
        dead_counted=dead,
        counted=dict(counted),
        detected=detected,
        rollups={key: (n, scored, value) for *key_, n, scored, value in sums for key in [tuple(key_)]},
        # What is said of the stream itself goes by our own clock and the broker: a replay has neither.
        told={route: _told(database, route) for route in names if route != STREAM_ROUTE},
    )


def oracle(captured: Sequence[Any], cluster: str, config: Path, path: Path) -> Account:
    """What an undisturbed replay of the captured topic says, recorded into a database of its own."""
    policy = load(config).policy
    scorer = ExchangeScorer(CachedEmbedder(OpenVinoEmbedder(threads=1)), policy)
    database = open_database(f"sqlite:///{path}")
    try:
        replay = ReplayRunner(ReplayDependencies(scorer.score, DETECTORS, policy, Recorder(database, policy).apply))
        for one in sorted(captured, key=lambda one: (one.partition, one.offset)):
            place = Position(cluster=cluster, topic=one.topic, partition=one.partition, offset=one.offset)
            replay.feed(decode(one.value, place, received=datetime.fromtimestamp(one.timestamp / 1000, UTC)))
        flows = replay.finish().flows
        return replace(
            account(database, None), detected={route: flow.detect.intake.count for route, flow in flows.items()}
        )
    finally:
        database.close()


def is_scored(url: str, id: str) -> bool:
    """Whether there is a score row of this id."""
    database, rows = open_database(url, create=False), table(ScoreRow)
    try:
        with database.read() as connection:
            return connection.execute(select(rows.c.id).where(rows.c.id == id)).first() is not None
    finally:
        database.close()


def redelivered(broker: Broker) -> int:
    """Records that stand on the topics between the steps more than once: somebody did the same work again."""
    again = 0
    for topic in (SCORES, READINGS, ALERTS):
        made: Counter[Any] = Counter()
        for one in read_all(broker, topic.name):
            record = decode_record(topic.name, one.value)
            made.update(zip(record.partition, record.offset, strict=True) if topic is SCORES else [record.id])
        again += made.total() - len(made)
    return again


def _dead(broker: Broker, database: Database) -> list[str]:
    """Who is buried: by what the letter holds or, where no key was known yet to seal it with, by where it stood."""
    keys = database.query(secret_keys.find, secret_keys.DEAD_LETTERS)
    places = {(one.partition, one.offset): one.value for one in read_all(broker, EXCHANGES.name)}
    found = []
    for one in read_all(broker, EXCHANGES.dead("score")):
        assert b"sealed" in one.value or b"withheld" in one.value, "content in clear"
        letter = opened(DeadLetter.decode(one.value), keys)
        raw = places[letter.source.partition, letter.source.offset] if letter.withheld else base64.b64decode(letter.raw)
        assert hashlib.sha256(raw).hexdigest() == letter.sha256
        found.append(poison_id(raw))
    return found


def _columns(rollups: Any) -> list[Any]:
    names = ("route", "minute", "identity", "slice", "signal", "n", "scored", "sum")
    return [rollups.c[name] for name in names]


def _row(row: Any) -> Row:
    derived = hashlib.sha256(repr([row[name] for name in DERIVED]).encode()).hexdigest()
    check = json.loads(row["tags"]).get("check", "")
    return Row(row["route"], row["id"], check if row["conversation"] == check else "", derived)


def _told(database: Database, route: str) -> dict[str, Any]:
    alerts = [fact for fact in database.query(journal.facts, route) if isinstance(fact, Alert)]
    alerts.sort(key=lambda alert: (alert.ts, alert.fingerprint))
    return {"alerts": [alert_object(alert) for alert in alerts], "incidents": incidents_of(database, route)}
