"""Which picture stands in which message."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pictures",
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("receiver", "incident", name="pk_pictures"),
    )


def downgrade() -> None:
    """Drop it: pictures in messages stay, and are sent once more when something changes."""
    op.drop_table("pictures")
