"""Runs of suites, their schedules and fire times."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.add_column("evaluations", sa.Column("created", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("suite_sha256", sa.String(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_route_suite_ts", "runs", ["route", "suite", "ts"])
    op.create_table(
        "run_answers",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "item", "repeat", name="pk_run_answers"),
    )
    _schedules()


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("suites", sa.Text(), nullable=True),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("route", "name", name="pk_schedules"),
    )
    op.create_table(
        "fire_times",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("fire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missed", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("route", "schedule", "fire_time", name="pk_fire_times"),
    )


def downgrade() -> None:
    """Drop the tables, with all that they hold."""
    for name in ("fire_times", "schedules", "run_answers", "runs"):
        op.drop_table(name)
    with op.batch_alter_table("evaluations") as table:
        table.drop_column("created")
