"""Relayers' balances, and incidents that a person should know of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "relayers",
        sa.Column("address", sa.LargeBinary(length=20), nullable=False),
        sa.Column("balance_wei", sa.Text(), nullable=False),
        sa.Column("needed_wei", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("set_aside_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("noticed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "incidents_open",
        "incidents",
        ["kind", "subject"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL AND acknowledged_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL AND acknowledged_at IS NULL"),
    )
