"""Failed orders by reference: which of them an order follows that came again under it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "orders_failed",
        "orders",
        ["merchant_id", "reference", "id"],
        sqlite_where=sa.text("state = 9"),
        postgresql_where=sa.text("state = 9"),
    )
