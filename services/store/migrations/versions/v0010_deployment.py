"""The id of the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the id is made when it is first asked for."""
    op.create_table(
        "deployment",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_deployment"),
    )


def downgrade() -> None:
    """Drop it: a cluster that belongs to this database takes it for another one when it is made anew."""
    op.drop_table("deployment")
