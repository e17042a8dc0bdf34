"""Hourly rollups, made of the minutes that are there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_HOUR = {
    "sqlite": "substr(minute, 1, 14) || '00:00.000000'",
    "postgresql": "date_trunc('hour', minute, 'UTC')",
}
_FILL = """
INSERT INTO rollups_hourly (route, hour, identity, slice, signal, n, scored, sum)
SELECT route, HOUR_OF_MINUTE AS hour, identity, slice, signal, sum(n), sum(scored), sum(sum)
FROM rollups GROUP BY route, hour, identity, slice, signal
"""


def upgrade() -> None:
    """Make and fill the table."""
    op.create_table(
        "rollups_hourly",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("slice", sa.String(), nullable=False),
        sa.Column("signal", sa.String(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("route", "hour", "identity", "slice", "signal", name="pk_rollups_hourly"),
        sqlite_with_rowid=False,
    )
    exchanges = sa.text("slice = '' AND signal = ''")
    op.create_index(
        "ix_rollups_hourly_route_identity_hour",
        "rollups_hourly",
        ["route", "identity", "hour"],
        sqlite_where=exchanges,
        postgresql_where=exchanges,
    )
    op.execute(_FILL.replace("HOUR_OF_MINUTE", _HOUR[op.get_bind().dialect.name]))


def downgrade() -> None:
    """Drop the table; the minutes hold all of it."""
    op.drop_table("rollups_hourly")
