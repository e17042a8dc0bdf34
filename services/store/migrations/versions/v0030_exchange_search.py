"""What the search for exchanges goes by: their time, also of one route, one conversation and one user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0027"
branch_labels = None
depends_on = None

_BY_TIME = (("score_rows", ("ts", "route", "event_index")), ("score_rows", ("route", "ts", "event_index")))
_TEXTS = ("samples", ("ts", "route", "id"))
_NAMED = {"conversation": "length(conversation) <= 500", "user": '"user" IS NOT NULL'}


def upgrade() -> None:
    """Make the indexes; the one of users alone is part of a new one."""
    op.drop_index("ix_score_rows_user", "score_rows")
    for table, columns in (*_BY_TIME, _TEXTS):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
    for name, condition in _NAMED.items():
        held, made = sa.text(condition), f"ix_score_rows_{name}_ts_route_event_index"
        of = [name, "ts", "route", "event_index"]
        op.create_index(made, "score_rows", of, sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    """Drop them, and make the one of users."""
    for name in _NAMED:
        op.drop_index(f"ix_score_rows_{name}_ts_route_event_index", "score_rows")
    for table, columns in (*_BY_TIME, _TEXTS):
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)
    op.create_index("ix_score_rows_user", "score_rows", ["user"])
