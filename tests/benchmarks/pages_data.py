"""A database as a month of 1,000,000 exchanges leaves it, written straight into its tables in seconds.

20 routes over 30 days, two or three identities each, slices by locale and hazard, 10,000 incidents with the alerts,
changes and decisions behind them, readings, score rows and samples. One route has 300,000 exchanges around the clock;
the others come in bursts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, text

from schemas.base import hash16
from schemas.change import Change, Pinning
from schemas.fact import Fact
from schemas.identity import Model, identity_of
from schemas.incident import Incident, TimelineEntry, incident_id
from services.store import fleet, journal, routes
from services.store.baselines import BaselineRow
from services.store.engine import Database
from services.store.incidents import IncidentRow
from services.store.readings import ReadingRow, StreamRow, stream_of
from services.store.rollups import HourlyRollupRow, RollupRow
from services.store.routes import RouteRow
from services.store.samples import SampleRow
from services.store.scores import ScoreRow, ScorerRow
from services.store.tables import table
from tests.support.api import NOW
from tests.support.asked import stocked
from tests.support.records import FELL, alert, change, comparison, decision, place, reading

ROUTES = tuple(f"team-{i // 5}/bot-{i}/prod" for i in range(20))
DAYS = 30
EXCHANGES, INCIDENTS = 1_000_000, 10_000
BUSY_SHARE, BURST_MINUTES = 0.3, 2_000
START = NOW - timedelta(days=DAYS)
MODELS = tuple(Model(provider="openai", requested="gpt-4", served=f"gpt-4-06{i:02}") for i in (1, 12, 25))
WHO = tuple(identity_of(model) for model in MODELS)
SIGNALS = {"": 1.0, "refusal": 0.18, "pii_leak": 0.01, "secret_leak": 0.0004, "system_prompt_leak": 0.001}
SLICES = {"tags.locale": ("de", "en", "fr", "ja"), "hazard": ("violent_crimes", "self_harm", "privacy")}
SCORER = "0" * 16
_MINUTES = DAYS * 24 * 60
_COLUMNS = "route, minute, identity, slice, signal, n, scored, sum"
_HOUR = {"sqlite": "substr(minute, 1, 14) || '00:00.000000'", "postgresql": "date_trunc('hour', minute, 'UTC')"}


def fill(database: Database) -> None:
    """Fill an empty database."""
    with database.write() as connection:
        _routes(connection)
        _rollups(connection)
        for i, route in enumerate(ROUTES):
            _story(connection, route, INCIDENTS // len(ROUTES))
            _readings(connection, route, kept=200 if i == 0 else 10)
            _exchanges(connection, route, rows=5_000 if i == 0 else 300, samples=20_000 if i == 0 else 300)
    stocked(database)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def baseline_of(route: str) -> str:
    """The id of a route's baseline."""
    return hash16([route, "baseline"])


def _routes(connection: Connection) -> None:
    rows = [{"route": route, "clock": NOW, "journal_seq": 0, "journal_hash": ""} for route in ROUTES]
    connection.execute(insert(table(RouteRow)), rows)
    connection.execute(insert(table(ScorerRow)), [{"id": SCORER, "payload": "{}"}])
    for route in ROUTES:
        routes.add_identities(connection, route, dict(zip(WHO, MODELS, strict=True)))


def _rollups(connection: Connection) -> None:
    """Cells (route, minute, identity, slice, n) by the driver's quickest way; signals, hours and sums by SQL."""
    time = "TIMESTAMP WITH TIME ZONE" if connection.dialect.name == "postgresql" else "TEXT"
    columns = f"route TEXT, minute {time}, identity TEXT, slice TEXT, n INTEGER"
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE cells ({columns})")
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        with driver.cursor().copy("COPY cells FROM STDIN") as copy:
            for row in _cells():
                copy.write_row((row[0], f"{row[1]}+00", *row[2:]))
    else:
        driver.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", _cells())
    with _keys_made_afterwards(connection):
        _expand(connection)
    connection.exec_driver_sql("DROP TABLE cells")


@contextmanager
def _keys_made_afterwards(connection: Connection) -> Iterator[None]:
    """On PostgreSQL sorting once at the end takes a third of keeping millions of rows in order."""
    if connection.dialect.name == "sqlite":
        yield
        return
    tables = (table(RollupRow), table(HourlyRollupRow))
    for one in tables:
        connection.exec_driver_sql(f"ALTER TABLE {one.name} DROP CONSTRAINT pk_{one.name}")
    yield
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '256MB'")
    for one in tables:
        keys = ", ".join(column.name for column in one.primary_key)
        connection.exec_driver_sql(f"ALTER TABLE {one.name} ADD CONSTRAINT pk_{one.name} PRIMARY KEY ({keys})")


def _expand(connection: Connection) -> None:
    for signal, rate in SIGNALS.items():
        connection.execute(
            text(
                f"INSERT INTO rollups ({_COLUMNS}) SELECT route, minute, identity, slice, '{signal}', n, n, "
                f"CAST(n * {rate} + {0.0 if rate == 1 else 0.5} AS INTEGER) FROM cells"
            )
        )
    hour = _HOUR[connection.dialect.name]
    connection.exec_driver_sql(
        f"INSERT INTO rollups_hourly ({_COLUMNS.replace('minute', 'hour')}) SELECT route, {hour}, identity, slice, "
        f"signal, sum(n), sum(scored), sum(sum) FROM rollups GROUP BY route, {hour}, identity, slice, signal"
    )


def _cells() -> Iterator[tuple[str, str, str, str, int]]:
    chance = np.random.default_rng(6)
    minutes = [f"{START + timedelta(minutes=i):%Y-%m-%d %H:%M}:00.000000" for i in range(_MINUTES)]
    for i, route in enumerate(ROUTES):
        n = int(EXCHANGES * (BUSY_SHARE if i == 0 else (1 - BUSY_SHARE) / (len(ROUTES) - 1)))
        when = chance.integers(_MINUTES, size=n)
        if i:
            when = chance.choice(_MINUTES, BURST_MINUTES, replace=False)[when % BURST_MINUTES]
        who = np.clip(when * (2 + i % 2) // _MINUTES + (chance.random(n) < 0.1), 0, 1 + i % 2)
        yield from _counted(route, minutes, when * 3 + who, [""])
        for name, values in SLICES.items():
            label = np.minimum(chance.geometric(0.5, n) - 1, len(values) - 1)
            yield from _counted(route, minutes, (when * 3 + who) * len(values) + label, [f"{name}={v}" for v in values])


def _counted(
    route: str, minutes: list[str], keys: np.ndarray[Any, np.dtype[np.int64]], labels: list[str]
) -> Iterator[tuple[str, str, str, str, int]]:
    for key, n in zip(*(part.tolist() for part in np.unique(keys, return_counts=True)), strict=True):
        cell, label = divmod(key, len(labels))
        yield route, minutes[cell // 3], WHO[cell % 3], labels[label], n


def _story(connection: Connection, route: str, incidents: int) -> None:
    """Incidents one after another, the last one open, with the facts behind them."""
    facts: list[Fact] = [
        change("observed", 0, route=route, to_identity=who, id=hash16([route, who]), model=model, ts=_day(10 * i))
        for i, (who, model) in enumerate(zip(WHO, MODELS, strict=True))
    ]
    rates = {name: rate for name, rate in SIGNALS.items() if name}
    pinning = Pinning(n=1_000, streams=42, arl=1e6, rates=rates)
    facts.append(
        change("pinned", 9, route=route, to_identity=WHO[0], baseline=baseline_of(route), pinning=pinning, ts=_day(1))
    )
    rows = []
    for i in range(incidents):
        ts, done = _day(i * DAYS / incidents), _day((i + 0.5) * DAYS / incidents)
        fired = alert("firing", i, route=route, ts=ts, effect=FELL, identities=(WHO[i % 3],))
        id = incident_id(route, fired.fingerprint, WHO[i % 3], i)
        over = i < incidents - 1
        facts.append(fired)
        if i % 10 == 0:
            facts.append(comparison("regressed", route=route, id=hash16([route, i]), identity=WHO[i % 3], ts=ts))
        if over:
            facts.append(decision("resolve", route=route, incident=id, ts=done))
        rows.append(_incident(fired, id, done if over else None))
    journal.append(connection, route, facts)
    fleet.note_pins(connection, [fact for fact in facts if isinstance(fact, Change)])
    connection.execute(insert(table(IncidentRow)), rows)
    connection.execute(insert(table(BaselineRow)), [{"id": baseline_of(route), "route": route, "blob": b"0"}])


def _incident(fired: Any, id: str, done: Any) -> dict[str, Any]:
    entries = [TimelineEntry(ts=fired.ts, kind="opened", text="refusal rate fell", ref=fired.id)]
    if done is not None:
        entries.append(TimelineEntry(ts=done, kind="resolved", text="we looked at it", actor="mara"))
    made = Incident(
        id=id,
        route=fired.route,
        state="open" if done is None else "resolved",
        opened_event_index=fired.event_index,
        opened_at=fired.ts,
        updated_at=done or fired.ts,
        resolved_at=done,
        verdict="model",
        verdict_reason="answers to like prompts moved",
        severity="warning",
        headline=f"refusal rate of {fired.route} fell from 18.8% to 2.1%",
        families=("rate_shift",),
        signals=("refusal",),
        identities=fired.identities,
        fingerprints=(fired.fingerprint,),
        exemplars=("e1", "e2"),
        timeline=tuple(entries),
    )
    names = ("id", "route", "state", "severity", "opened_event_index", "opened_at")
    return {**{name: getattr(made, name) for name in names}, "payload": made.encode().decode()}


def _readings(connection: Connection, route: str, kept: int) -> None:
    """Forty-two streams with so many readings each."""
    rows, heads = [], []
    where = [None, *(f"{name}={value}" for name, values in SLICES.items() for value in values)]
    for identity in WHO[:1] + WHO[-1:]:
        for signal in [name for name in SIGNALS if name][:3]:
            for label in where[:7]:
                said = reading(
                    "quiet",
                    route=route,
                    identity=identity,
                    signal=signal,
                    slice=label,
                    ts=NOW,
                    baseline=baseline_of(route),
                )
                stream, payload = stream_of(said), said.encode().decode()
                for i in range(kept):
                    id = hash16([stream, i])
                    ts = NOW - timedelta(hours=kept - i)
                    row = {"id": id, "route": route, "stream": stream, "event_index": i, "ts": ts, "status": "quiet"}
                    rows.append({**row, "payload": payload.replace(said.id, id)})
                told = {
                    "detector": said.detector,
                    "signal": signal,
                    "baseline": baseline_of(route),
                    "n": said.evidence.n,
                }
                heads.append({**row, **told, "n": said.evidence.n, "reason": None})
    connection.execute(insert(table(ReadingRow)), rows)
    connection.execute(insert(table(StreamRow)), heads)


def _exchanges(connection: Connection, route: str, rows: int, samples: int) -> None:
    """Score rows, the newest of them within the last hours, and samples over all days."""
    signals = json.dumps({name: [False, 0.01, "scored"] for name in SIGNALS if name}, separators=(",", ":"))
    step = timedelta(minutes=1)
    plain = {"cluster": "c", "topic": "keelwatch.exchanges", "partition": 0, "tags": "{}", "flags": "[]"}
    plain |= {"route": route, "identity": WHO[-1], "embedded": False, "scorer": SCORER, "signals": signals}
    made = [
        {**plain, "event_index": i, "id": f"e{i}", "ts": NOW - step * (rows - i), "offset": i, "kept": i % 20 == 0}
        for i in range(rows)
    ]
    connection.execute(insert(table(ScoreRow)), made)
    kept = []
    for i in range(samples):
        id = f"e{rows - 1 - 20 * i}" if 20 * i < rows else f"s{i}"
        ts = NOW - timedelta(days=DAYS) * i / samples
        told = {"id": id, "route": route, "source": place(i).model_dump(), "ts": ts.isoformat(), "identity": WHO[-1]}
        told |= {"schema_version": 1, "prompt": "Where is my order? " * 20, "response": "It left. " * 40}
        payload = json.dumps({**told, "schema_version": 1, "why": ["refusal"], "reason": "signal"})
        kept.append({"route": route, "id": id, "ts": ts, "day": ts.toordinal(), "draw": f"0{i:06}", "payload": payload})
    connection.execute(insert(table(SampleRow)), kept)


def _day(days: float) -> Any:
    return START + timedelta(days=days)
