"""Refunds, returns, withdrawals and cancellations: what their orders name, owners' nonces."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

REVERSING = sa.text("of_id IS NOT NULL")
RETURNING = sa.text("epoch IS NOT NULL AND state < 8")


def upgrade() -> None:
    op.add_column(
        "merchants",
        sa.Column(
            "next_owner_nonce",
            sa.BigInteger(),
            server_default="-9223372036854775808",
            nullable=False,
        ),
    )
    op.add_column("orders", sa.Column("of_id", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("epoch", sa.Integer(), nullable=True))
    op.add_column("orders", sa.Column("shortfall", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("cancel_asked_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "orders_reversing",
        "orders",
        ["of_id"],
        unique=False,
        sqlite_where=REVERSING,
        postgresql_where=REVERSING,
    )
    op.create_index(
        "orders_returning",
        "orders",
        ["epoch", "merchant_id"],
        unique=False,
        sqlite_where=RETURNING,
        postgresql_where=RETURNING,
    )
    op.add_column("batches", sa.Column("cancel_id", sa.BigInteger(), nullable=True))
