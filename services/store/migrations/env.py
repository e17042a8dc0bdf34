"""What alembic runs: the migrations on the connection that the caller opened, in the caller's transaction."""

from __future__ import annotations

from alembic import context

from services.store import access_tables, decisions, delivery_tables, fleet_tables, rollup_tables, run_tables
from services.store.tables import Base

_ = (
    access_tables,
    decisions,
    delivery_tables,
    fleet_tables,
    rollup_tables,
    run_tables,
)  # their tables are in the metadata once they are imported
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
