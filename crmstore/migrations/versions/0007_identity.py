"""One message, many bodies: what identifies a message is its content, not its octets.

After 0002_mailboxes. Messages that are there stay what they are: the key of their octets is found
by no copy. A Bcc in a header belongs to the captures whose copy has it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_identity"
down_revision = "0002_mailboxes"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAY_US = 86_400_000_000
NO_DATE = 1 << 40  # as crmstore.identity has it


def upgrade() -> None:
    op.add_column("messages", sa.Column("identity", sa.String(32)))
    op.add_column("messages", sa.Column("hint", BIG))
    op.add_column("messages", sa.Column("print", BIG))
    evidence = sa.Column("evidence", sa.Text(), server_default="same octets", nullable=False)
    op.add_column("sightings", evidence)
    messages = sa.table(
        "messages",
        sa.column("sha256", sa.Text()),
        sa.column("when_us", BIG),
        sa.column("identity", sa.Text()),
        sa.column("hint", BIG),
        sa.column("print", BIG),
    )
    sightings = sa.table(
        "sightings", sa.column("message_id", BIG), sa.column("capture_id", sa.Text())
    )
    people = sa.table(
        "participants",
        sa.column("message_id", BIG),
        sa.column("role", sa.Text()),
        sa.column("capture_id", sa.Text()),
    )
    op.execute(
        messages.update().values(
            identity=sa.func.substr(messages.c.sha256, 1, 32),
            hint=-NO_DATE - messages.c.when_us // DAY_US,
            print=0,  # found by nothing
        )
    )
    first = (
        sa.select(sa.func.min(sightings.c.capture_id))
        .where(sightings.c.message_id == people.c.message_id)
        .scalar_subquery()
    )
    op.execute(
        people.update()
        .where(people.c.role == "bcc", people.c.capture_id.is_(None))
        .values(capture_id=first)
    )
    with op.batch_alter_table("messages") as batch:
        batch.alter_column("identity", nullable=False)
        batch.alter_column("hint", nullable=False)
        batch.alter_column("print", nullable=False)
        batch.drop_constraint("uq_messages_sha256", type_="unique")
        batch.create_index("ix_messages_print", ["print"])
