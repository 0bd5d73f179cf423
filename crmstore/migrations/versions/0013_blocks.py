"""The search index in tables of our own: built anew from the texts, and the engines' own dropped.

A million messages take some minutes. Revision 0013_blocks, after 0012_links.
"""

import sqlalchemy as sa
from alembic import op

from crmstore import blockindex, document
from crmstore.tokens import tokens

revision = "0013_blocks"
down_revision = "0012_links"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SEGMENT = 8_192  # messages
READ = 256
TEXTS = """SELECT message_id, document FROM search_texts WHERE message_id > :last
 ORDER BY message_id LIMIT :limit"""
BLOCK = "INSERT INTO search_blocks (id, octets) VALUES (:id, :octets)"
SEGMENTS = "INSERT INTO search_segments (first_id, last_id, octets) VALUES (:first, :last, :octets)"


def upgrade() -> None:
    op.create_table(
        "search_pending",
        sa.Column("message_id", BIG, autoincrement=False, nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_search_pending")),
    )
    op.create_table(
        "search_segments",
        sa.Column("first_id", BIG, autoincrement=False, nullable=False),
        sa.Column("last_id", BIG, nullable=False),
        sa.Column("octets", BIG, nullable=False),
        sa.PrimaryKeyConstraint("first_id", name=op.f("pk_search_segments")),
    )
    op.create_table(
        "search_blocks",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_blocks")),
    )
    op.drop_table("search_index")
    last: int | None = 0
    while last is not None:
        last = _segment(op.get_bind(), last)


def _segment(connection: sa.Connection, last: int) -> int | None:
    """The next segment; returns the last id of it, None if there is no more."""
    blocks: list[list[bytes]] = [[] for _ in range(blockindex.BUCKETS)]
    first = octets = 0
    for _ in range(0, SEGMENT, READ):
        rows = connection.execute(sa.text(TEXTS), {"last": last, "limit": READ}).all()
        if not rows:
            break
        first = first or rows[0][0]
        last = rows[-1][0]
        found = [(id_, tokens(document.unpacked(bytes(text)))) for id_, text in rows]
        for some in blockindex.cuts(found):
            for block, part in zip(blocks, blockindex.parts(some), strict=True):
                block.append(part)
                octets += len(part)
    if not first:
        return None
    connection.execute(sa.text(SEGMENTS), {"first": first, "last": last, "octets": octets})
    written = [
        {"id": first * blockindex.BUCKETS + place, "octets": blockindex.joined(block)}
        for place, block in enumerate(blocks)
        if any(block)
    ]
    if written:
        connection.execute(sa.text(BLOCK), written)
    return last
