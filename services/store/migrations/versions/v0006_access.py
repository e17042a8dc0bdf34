"""API keys, and the sessions of browsers that signed in with one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    current = sa.text("revoked IS NULL")
    op.create_index(
        "uq_api_keys_current_name",
        "api_keys",
        ["name"],
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )
    op.create_table(
        "api_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["api_keys.id"], name="fk_api_sessions_key_api_keys"),
        sa.PrimaryKeyConstraint("id", name="pk_api_sessions"),
    )
    op.create_index("ix_api_sessions_expires", "api_sessions", ["expires"])
    op.create_index("ix_api_sessions_key", "api_sessions", ["key"])


def downgrade() -> None:
    """Drop the tables, with all that they hold."""
    op.drop_table("api_sessions")
    op.drop_table("api_keys")
