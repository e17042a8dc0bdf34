"""What alembic runs: the migrations on the connection that the caller opened, in the caller's transaction."""

from __future__ import annotations

from alembic import context

from services.store import decisions  # noqa: F401 -- it has a table of its own
from services.store import run_tables  # noqa: F401 -- makes them known to the metadata
from services.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
