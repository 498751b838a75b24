"""Whether an order was signed before: cancelling it then gives its key's day nothing back."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column("signed_before", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
