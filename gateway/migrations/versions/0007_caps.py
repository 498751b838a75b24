"""What a merchant's till was accepted to issue today, beside the daily cap of its key."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "merchants", sa.Column("cap_day", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "merchants", sa.Column("cap_points", sa.BigInteger(), server_default="0", nullable=False)
    )
