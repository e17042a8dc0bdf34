"""Requests of Slack that were taken, and receivers that take nothing until a person mends something."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the columns; every receiver is tried again."""
    op.create_table(
        "slack_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("taken", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_slack_requests"),
    )
    op.add_column("receivers", sa.Column("closed", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("deliveries", sa.Column("instead_of", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("deliveries", "instead_of")
    op.drop_column("receivers", "closed")
    op.drop_table("slack_requests")
