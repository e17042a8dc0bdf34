"""What each scorer measured of the anchors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ruler",
        sa.Column("scorer", sa.String(), nullable=False),
        sa.Column("anchors", sa.String(), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measured", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scorer", "anchors", name="pk_ruler"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("ruler")
