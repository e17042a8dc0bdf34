"""Notifications on their way: what each receiver has, and who sends to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "deliveries",
        sa.Column("notification", sa.String(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("shown", sa.String(), nullable=True),
        sa.Column("storm", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("notification", "receiver", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_receiver_incident", "deliveries", ["receiver", "incident"])
    op.create_index("ix_deliveries_receiver_state", "deliveries", ["receiver", "state"])
    op.create_table(
        "receivers",
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("receiver", name="pk_receivers"),
    )


def downgrade() -> None:
    """Drop the tables, with all that they hold."""
    op.drop_table("receivers")
    op.drop_table("deliveries")
