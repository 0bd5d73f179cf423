"""How far each door's frames are kept in the archive, beside the blobs.

After 0010_bounces.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011_kept"
down_revision = "0010_bounces"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    journal = sa.Column("kept_journal", sa.String(26), server_default="", nullable=False)
    op.add_column("journal_positions", journal)
    seq = sa.Column("kept_seq", BIG, server_default="0", nullable=False)
    op.add_column("journal_positions", seq)
