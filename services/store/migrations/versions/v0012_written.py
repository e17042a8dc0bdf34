"""By our own clock: the day on which rows were written, and when a route's last exchange arrived."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES = (
    "samples",
    "rollups",
    "rollups_hourly",
    "identities",
    "incidents",
    "baselines",
    "dead_letters",
    "dead_counts",
)
_INDEXED = ("samples", "rollups", "rollups_hourly")


def upgrade() -> None:
    """Add the columns; what is there counts as written today."""
    for name in _TABLES:
        op.add_column(name, sa.Column("written", sa.Integer(), nullable=False, server_default=sa.text("0")))
        op.execute(f"UPDATE {name} SET written = {int(time.time() // 86_400)}")  # noqa: S608 -- names of ours
    for name in _INDEXED:
        op.create_index(f"ix_{name}_written", name, ["written"])
    op.add_column("routes", sa.Column("arrived", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE routes SET arrived = CURRENT_TIMESTAMP WHERE clock IS NOT NULL")


def downgrade() -> None:
    """Drop them."""
    op.drop_column("routes", "arrived")
    for name in _INDEXED:
        op.drop_index(f"ix_{name}_written", name)
    for name in _TABLES:
        op.drop_column(name, "written")
