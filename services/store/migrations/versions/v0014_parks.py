"""Records of routes on which a step failed, until they are taken up again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "parked_routes",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry", sa.Boolean(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("beyond", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("step", "route", name="pk_parked_routes"),
    )
    op.create_table(
        "parked_records",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("step", "route", "seq", name="pk_parked_records"),
        sa.UniqueConstraint(
            "step",
            "route",
            "topic",
            "partition",
            "offset",
            "digest",
            name="uq_parked_records_step_route_topic_partition_offset_digest",
        ),
    )
    op.create_table(
        "write_probes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_write_probes"),
    )


def downgrade() -> None:
    """Drop them. What waits is lost: have it taken up first, see `keelwatch route retry`."""
    op.drop_table("write_probes")
    op.drop_table("parked_records")
    op.drop_table("parked_routes")
