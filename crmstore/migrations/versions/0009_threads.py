"""Threads: which messages are one conversation, and what later ones are found by.

After 0008_search. Each message that is there begins a thread of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009_threads"
down_revision = "0008_search"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("messages", sa.Column("thread", BIG, server_default="0", nullable=False))
    op.add_column("messages", sa.Column("thread_why", sa.Text(), server_default="", nullable=False))
    messages = sa.table("messages", sa.column("id", BIG), sa.column("thread", BIG))
    op.execute(messages.update().values(thread=messages.c.id))
    op.create_index("ix_messages_thread_when_us_id", "messages", ["thread", "when_us", "id"])
    op.create_table(
        "thread_keys",
        sa.Column("hash", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("hash", "message_id", name=op.f("pk_thread_keys")),
        sqlite_with_rowid=False,
    )
