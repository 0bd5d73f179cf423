"""Mail seen by IMAP: where a sighting lies, what is known of each mailbox, who enrolled when.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_mailboxes"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("users", sa.Column("enrolled_us", BIG, nullable=True))
    op.add_column("sightings", sa.Column("mailbox", sa.Text(), nullable=True))
    op.add_column("sightings", sa.Column("special", sa.String(length=16), nullable=True))
    op.add_column("sightings", sa.Column("uidvalidity", BIG, nullable=True))
    op.add_column("sightings", sa.Column("uid", BIG, nullable=True))
    op.create_table(
        "mailboxes",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("login", sa.String(length=320), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("special", sa.String(length=16), nullable=False),
        sa.Column("uidvalidity", BIG, nullable=False),
        sa.Column("known", sa.Text(), nullable=False),
        sa.Column("present", sa.Text(), nullable=False),
        sa.Column("known_count", BIG, nullable=False),
        sa.Column("present_count", BIG, nullable=True),
        sa.Column("skipped_count", BIG, nullable=False),
        sa.Column("changed_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_mailboxes")),
    )
    op.create_index(op.f("ix_mailboxes_login"), "mailboxes", ["login"], unique=False)
    op.create_index(op.f("ix_mailboxes_special"), "mailboxes", ["special"], unique=False)
