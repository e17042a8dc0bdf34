"""Silences with their ends, which silence keeps which notification, and when a route was last heard of."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SILENCES = """
SELECT fact, payload FROM journal
WHERE kind = 'decision' AND payload LIKE '%"kind":"silence"%' ORDER BY ts, fact
"""


def upgrade() -> None:
    """Make the tables and the columns; the silences are those that people decided."""
    silences = op.create_table(
        "silences",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=True),
        sa.Column("incident", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_route_until", "silences", ["route", "until"])
    op.add_column("outbox", sa.Column("silence", sa.String(), nullable=True))
    op.create_index("ix_outbox_incident", "outbox", ["incident"])
    op.create_index("ix_outbox_silence", "outbox", ["silence"])
    _make_arrivals()
    rows = [_silence(fact, json.loads(payload)) for fact, payload in op.get_bind().execute(sa.text(_SILENCES))]
    if rows:
        op.bulk_insert(silences, rows)


def _make_arrivals() -> None:
    op.create_table(
        "arrivals",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("arrived", sa.DateTime(timezone=True), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("longest", sa.Float(), nullable=False),
        sa.Column("usual", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("route", name="pk_arrivals"),
    )
    op.create_table(
        "partition_watches",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("committed", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("step", "topic", "partition", name="pk_partition_watches"),
    )


def _silence(fact: str, told: dict[str, Any]) -> dict[str, Any]:
    since = datetime.fromisoformat(told["ts"])
    until = since + timedelta(hours=24) if told.get("expires") is None else datetime.fromisoformat(told["expires"])
    kept = {name: told.get(name) for name in ("route", "actor", "reason", "fingerprint", "incident")}
    return {"id": fact, "since": since, "until": until, "ended_by": None, "ended_reason": None, **kept}


def downgrade() -> None:
    """Drop them: the journal has every decision."""
    op.drop_table("partition_watches")
    op.drop_table("arrivals")
    op.drop_index("ix_outbox_silence", "outbox")
    op.drop_index("ix_outbox_incident", "outbox")
    op.drop_column("outbox", "silence")
    op.drop_table("silences")
