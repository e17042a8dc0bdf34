"""When a route's last exchange arrived stands in one place: with the route."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_OF_ROUTE = "(SELECT {column} FROM {table} WHERE {table}.route = {other}.route)"


def upgrade() -> None:
    """Drop the second one, where it is not the later."""
    later = (
        "EXISTS (SELECT 1 FROM arrivals a WHERE a.route = routes.route AND a.arrived > COALESCE(routes.arrived, {}))"
    )
    found = _OF_ROUTE.format(column="arrived", table="arrivals", other="routes")
    op.execute(f"UPDATE routes SET arrived = {found} WHERE {later.format(_NEVER)}")  # noqa: S608 -- names of ours
    op.drop_column("arrivals", "arrived")


_NEVER = "'1970-01-01 00:00:00'"


def downgrade() -> None:
    """Bring it back."""
    op.add_column(
        "arrivals", sa.Column("arrived", sa.DateTime(timezone=True), nullable=False, server_default=sa.text(_NEVER))
    )
    found = _OF_ROUTE.format(column="arrived", table="routes", other="arrivals")
    op.execute(f"UPDATE arrivals SET arrived = {found} WHERE {found} IS NOT NULL")  # noqa: S608 -- names of ours
