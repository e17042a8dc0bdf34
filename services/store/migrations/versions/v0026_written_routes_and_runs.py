"""By our own clock: the day on which the rows of routes and of runs were written."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TABLES = ("routes", "runs")


def upgrade() -> None:
    """Add the columns; what is there counts as written today."""
    for name in _TABLES:
        op.add_column(name, sa.Column("written", sa.Integer(), nullable=False, server_default=sa.text("0")))
        op.execute(f"UPDATE {name} SET written = {int(time.time() // 86_400)}")  # noqa: S608 -- names of ours


def downgrade() -> None:
    """Drop them."""
    for name in _TABLES:
        op.drop_column(name, "written")
