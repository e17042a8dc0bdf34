"""A route's own questions that are asked again, and how many were asked on a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "own_suites",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("baseline", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("origins", sa.Text(), nullable=False),
        sa.Column("written", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("route", "baseline", name="pk_own_suites"),
    )
    op.create_table(
        "own_asked",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", name="pk_own_asked"),
    )
    for column in ("route", "day"):
        op.create_index(f"ix_own_asked_{column}", "own_asked", [column])


def downgrade() -> None:
    """Drop them: what is asked of a baseline is asked once more after an upgrade."""
    op.drop_table("own_asked")
    op.drop_table("own_suites")
