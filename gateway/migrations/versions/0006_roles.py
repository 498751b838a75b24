"""Roles, scopes, labels and ends of API keys; buckets of the rate limits."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OF_MEMBERS = sa.text("member_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("label", sa.Text(), server_default="", nullable=False))
    op.add_column("api_keys", sa.Column("scopes", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("member_id", sa.BigInteger(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "api_keys_by_member",
        "api_keys",
        ["member_id"],
        unique=False,
        sqlite_where=OF_MEMBERS,
        postgresql_where=OF_MEMBERS,
    )
    op.create_table(
        "rate_buckets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
