"""The newest reading of each stream, the pinned baseline of each route, and which incidents were false alarms."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NEWEST = """
SELECT route, stream, event_index, id, ts, status, payload FROM (
    SELECT readings.*, row_number() OVER (PARTITION BY route, stream ORDER BY event_index DESC, id DESC) AS place
    FROM readings
) AS placed WHERE place = 1
"""
_PINNED = "SELECT route, payload FROM journal WHERE kind = 'change' AND payload LIKE '%\"pinned\"%'"
_FALSE = "SELECT route, fact FROM journal WHERE kind = 'decision' AND payload LIKE '%\"false_alarm\"%'"
_MARK = "UPDATE incidents SET false_alarm = :yes WHERE route = :route AND payload LIKE :ref"


def upgrade() -> None:
    """Make the tables, the column and the index, and fill them from what is there."""
    streams, pins = _tables()
    op.create_index("ix_streams_route_status", "streams", ["route", "status"])
    op.add_column("incidents", sa.Column("false_alarm", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    exchanges = sa.text("slice = '' AND signal = ''")
    op.create_index(
        "ix_rollups_hourly_route_hour",
        "rollups_hourly",
        ["route", "hour"],
        sqlite_where=exchanges,
        postgresql_where=exchanges,
    )
    bind = op.get_bind()
    typed = sa.text(_NEWEST).columns(ts=sa.DateTime(timezone=True))
    if rows := [_stream(row) for row in bind.execute(typed)]:
        op.bulk_insert(streams, rows)
    found: dict[str, dict[str, Any]] = {}
    for route, payload in bind.execute(sa.text(_PINNED)):
        _pin(found, route, json.loads(payload))
    if found:
        op.bulk_insert(pins, list(found.values()))
    for route, fact in bind.execute(sa.text(_FALSE)).all():
        bind.execute(sa.text(_MARK), {"yes": True, "route": route, "ref": f'%"ref":"{fact}"%'})


def _tables() -> tuple[sa.Table, sa.Table]:
    streams = op.create_table(
        "streams",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("detector", sa.String(), nullable=False),
        sa.Column("signal", sa.String(), nullable=True),
        sa.Column("baseline", sa.String(), nullable=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("route", "stream", name="pk_streams"),
    )
    pins = op.create_table(
        "pins",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("baseline", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("route", name="pk_pins"),
    )
    return streams, pins


def _stream(row: Any) -> dict[str, Any]:
    told = json.loads(row.payload)
    evidence = told["evidence"]
    kept = {name: getattr(row, name) for name in ("route", "stream", "event_index", "id", "ts", "status")}
    return {
        **kept,
        "detector": told["detector"],
        "signal": told.get("signal"),
        "baseline": evidence.get("baseline"),
        "n": evidence.get("n", 0),
        "reason": told.get("reason"),
    }


def _pin(found: dict[str, dict[str, Any]], route: str, told: dict[str, Any]) -> None:
    if told["kind"] != "pinned" or told.get("baseline") is None:
        return
    ts = datetime.fromisoformat(told["ts"])
    n = (told.get("pinning") or {}).get("n", 0)
    made = {"route": route, "event_index": told["event_index"], "ts": ts, "baseline": told["baseline"]}
    order = ("event_index", "ts", "baseline")
    if route not in found or [made[name] for name in order] > [found[route][name] for name in order]:
        found[route] = {**made, "identity": told["to"], "n": n}


def downgrade() -> None:
    """Drop them; readings and journal hold all of it."""
    op.drop_index("ix_rollups_hourly_route_hour", "rollups_hourly")
    op.drop_column("incidents", "false_alarm")
    op.drop_table("pins")
    op.drop_table("streams")
