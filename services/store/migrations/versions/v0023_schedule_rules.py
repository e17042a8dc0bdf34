"""What a schedule does where runs overlap or were missed, and which attempt a run is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; null is what held before there were any: queue, last, the first attempt."""
    op.add_column("schedules", sa.Column("overlap", sa.String(), nullable=True))
    op.add_column("schedules", sa.Column("catch_up", sa.String(), nullable=True))
    op.add_column("evaluations", sa.Column("attempt", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop them: every schedule queues and catches up the last time, and a retry is a run like others."""
    with op.batch_alter_table("schedules") as table:
        table.drop_column("catch_up")
        table.drop_column("overlap")
    with op.batch_alter_table("evaluations") as table:
        table.drop_column("attempt")
