"""How often something was taken off what a merchant or a member holds."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("merchants", "members"):
        op.add_column(
            table, sa.Column("releases", sa.BigInteger(), server_default="0", nullable=False)
        )
