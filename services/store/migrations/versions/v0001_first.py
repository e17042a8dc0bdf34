"""The first tables: from score rows and samples to the journal, incidents, the outbox and states."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _baselines()
    _candidates()
    _dead_counts()
    _dead_letters()
    _identities()
    _incidents()
    _journal()
    _outbox()
    _readings()
    _rollups()
    _routes()
    _samples()
    _scorers()
    _states()
    _score_rows()


def downgrade() -> None:
    """Drop the tables, with all that they hold."""
    op.drop_table("score_rows")
    op.drop_table("states")
    op.drop_table("scorers")
    op.drop_table("samples")
    op.drop_table("routes")
    op.drop_table("rollups")
    op.drop_table("readings")
    op.drop_table("outbox")
    op.drop_table("journal")
    op.drop_table("incidents")
    op.drop_table("identities")
    op.drop_table("dead_letters")
    op.drop_table("dead_counts")
    op.drop_table("candidates")
    op.drop_table("baselines")


def _baselines() -> None:
    op.create_table(
        "baselines",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_baselines"),
    )
    op.create_index("ix_baselines_route", "baselines", ["route"])


def _candidates() -> None:
    op.create_table(
        "candidates",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("route", "key", name="pk_candidates"),
    )


def _dead_counts() -> None:
    op.create_table(
        "dead_counts",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("step", "cluster", "topic", "reason", name="pk_dead_counts"),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("step", "cluster", "topic", "partition", "offset", name="pk_dead_letters"),
    )


def _identities() -> None:
    op.create_table(
        "identities",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("route", "identity", name="pk_identities"),
    )


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("opened_event_index", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    op.create_index("ix_incidents_route_opened_at", "incidents", ["route", "opened_at"])
    op.create_index(
        "uq_incidents_unresolved_route",
        "incidents",
        ["route"],
        unique=True,
        sqlite_where=sa.text("state <> 'resolved'"),
        postgresql_where=sa.text("state <> 'resolved'"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("route", "seq", name="pk_journal"),
        sa.UniqueConstraint("route", "kind", "fact", name="uq_journal_route_kind_fact"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_route_state", "outbox", ["route", "state"])
    op.create_index("ix_outbox_state_next_attempt", "outbox", ["state", "next_attempt"])


def _readings() -> None:
    op.create_table(
        "readings",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_readings"),
    )
    op.create_index("ix_readings_route_stream_event_index_id", "readings", ["route", "stream", "event_index", "id"])


def _rollups() -> None:
    op.create_table(
        "rollups",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("slice", sa.String(), nullable=False),
        sa.Column("signal", sa.String(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("route", "minute", "identity", "slice", "signal", name="pk_rollups"),
    )


def _routes() -> None:
    op.create_table(
        "routes",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("clock", sa.DateTime(timezone=True), nullable=True),
        sa.Column("journal_seq", sa.BigInteger(), nullable=False),
        sa.Column("journal_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("route", name="pk_routes"),
    )


def _samples() -> None:
    op.create_table(
        "samples",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("draw", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=True),
        sa.Column("conversation", sa.String(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("route", "id", name="pk_samples"),
    )
    op.create_index("ix_samples_route_day_draw", "samples", ["route", "day", "draw"])
    op.create_index("ix_samples_route_ts", "samples", ["route", "ts"])
    op.create_index("ix_samples_user", "samples", ["user"])


def _scorers() -> None:
    op.create_table(
        "scorers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scorers"),
    )


def _states() -> None:
    op.create_table(
        "states",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("step", "route", name="pk_states"),
    )


def _score_rows() -> None:
    op.create_table(
        "score_rows",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("conversation", sa.String(), nullable=True),
        sa.Column("user", sa.String(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.Column("embedded", sa.Boolean(), nullable=False),
        sa.Column("scorer", sa.String(), nullable=False),
        sa.Column("prompt_vec", sa.LargeBinary(), nullable=True),
        sa.Column("response_vec", sa.LargeBinary(), nullable=True),
        sa.Column("style", sa.LargeBinary(), nullable=True),
        sa.Column("signals", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["scorer"], ["scorers.id"], name="fk_score_rows_scorer_scorers"),
        sa.PrimaryKeyConstraint("route", "event_index", name="pk_score_rows"),
    )
    op.create_index("ix_score_rows_route_id", "score_rows", ["route", "id"])
    op.create_index("ix_score_rows_route_identity_event_index", "score_rows", ["route", "identity", "event_index"])
    op.create_index("ix_score_rows_user", "score_rows", ["user"])
