"""Full-text search: the texts, the index, the spans of time of its ids.

Messages that were stored before have no text; `mailweir replay` gives it to them.

Revision 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008_search"
down_revision = "0007_identity"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEX = {
    "sqlite": (
        "CREATE VIRTUAL TABLE search_index USING fts5"
        "(tokens, content='', columnsize=0, detail=none, tokenize='ascii')",
        "INSERT INTO search_index (search_index, rank) VALUES ('automerge', 8)",
        "INSERT INTO search_index (search_index, rank) VALUES ('hashsize', 33554432)",
    ),
    "postgresql": (
        "CREATE TABLE search_index (message_id BIGINT PRIMARY KEY"
        " REFERENCES messages (id) ON DELETE CASCADE, tokens TSVECTOR NOT NULL)"
        " WITH (toast_tuple_target = 128)",
        "CREATE INDEX ix_search_index_tokens ON search_index USING gin (tokens)",
    ),
}


def upgrade() -> None:
    op.create_table(
        "search_texts",
        sa.Column("message_id", BIG, autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_search_texts_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_search_texts")),
    )
    op.create_table(
        "search_spans",
        sa.Column("number", BIG, autoincrement=False, nullable=False),
        sa.Column("first_us", BIG, nullable=False),
        sa.Column("last_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_search_spans")),
    )
    for statement in INDEX[op.get_bind().dialect.name]:
        op.execute(statement)
