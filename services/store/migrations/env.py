"""What alembic runs: the migrations on the connection that the caller opened, in the caller's transaction."""

from __future__ import annotations

from alembic import context

from services.store.tables import all_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_metadata(),
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
