"""Decisions on their way to their topic, and incidents by the time of their opening."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make table and index."""
    op.create_table(
        "decisions_outbox",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("incident", sa.String(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("route", "seq", name="pk_decisions_outbox"),
        sa.UniqueConstraint("id", name="uq_decisions_outbox_id"),
    )
    op.create_index("ix_decisions_outbox_published_route", "decisions_outbox", ["published", "route"])
    op.create_index("ix_decisions_outbox_incident", "decisions_outbox", ["incident"])
    op.create_index("ix_incidents_opened_at_id", "incidents", ["opened_at", "id"])


def downgrade() -> None:
    """Drop both, with all that the table holds."""
    op.drop_index("ix_incidents_opened_at_id", "incidents")
    op.drop_table("decisions_outbox")
