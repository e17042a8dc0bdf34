"""The last texts of each route, and what of them stays with a baseline or an incident."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_INDEXES = (("route", "held", "ts"), ("route", "incident"), ("held", "hour"))


def upgrade() -> None:
    """Add the columns; what is there was kept for itself."""
    op.add_column("samples", sa.Column("held", sa.String(), nullable=False, server_default=sa.text("'kept'")))
    op.add_column("samples", sa.Column("identity", sa.String(), nullable=False, server_default=sa.text("''")))
    for name in ("size", "hour"):
        op.add_column("samples", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("samples", sa.Column("named", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    for name in ("baseline", "incident"):
        op.add_column("samples", sa.Column(name, sa.String(), nullable=True))
    op.drop_index("ix_samples_route_ts", "samples")
    _note_incidents()
    for columns in _INDEXES:
        op.create_index(f"ix_samples_{'_'.join(columns)}", "samples", list(columns))


def _note_incidents() -> None:
    """Texts of exchanges that an incident names stay with it."""
    connection, samples = op.get_bind(), sa.table("samples", *map(sa.column, ("route", "id", "incident")))
    incidents = connection.execute(sa.text("SELECT id, route, payload FROM incidents ORDER BY opened_at, id"))
    for id, route, payload in incidents.all():
        names = json.loads(payload)["exemplars"]
        of = (samples.c.route == route, samples.c.id.in_(names))
        connection.execute(sa.update(samples).where(*of).values(incident=id))


def downgrade() -> None:
    """Drop them, with the texts that were not kept for themselves."""
    op.execute("DELETE FROM samples WHERE held <> 'kept'")
    for columns in _INDEXES:
        op.drop_index(f"ix_samples_{'_'.join(columns)}", "samples")
    op.create_index("ix_samples_route_ts", "samples", ["route", "ts"])
    for name in ("incident", "baseline", "named", "hour", "size", "identity", "held"):
        op.drop_column("samples", name)
