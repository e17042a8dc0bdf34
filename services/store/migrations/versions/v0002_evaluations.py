"""Evaluations that are due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=True),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("delay", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_route_due", "evaluations", ["route", "due"])
    op.create_index("ix_evaluations_state_due", "evaluations", ["state", "due"])


def downgrade() -> None:
    """Drop the table, with all that it holds."""
    op.drop_table("evaluations")
