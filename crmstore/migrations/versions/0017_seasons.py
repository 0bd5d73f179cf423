"""The mail of a record and of an address by season.

Revision 0017_seasons, after 0016_record_rules. docs/decisions/0068 says why.

An index on an expression is not seen by who copies a table (op.batch_alter_table on SQLite): a
later migration that does has to make these two again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017_seasons"
down_revision = "0016_record_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_participants_address_when_us_message_id"), "participants")
    op.drop_index(op.f("ix_links_record_id_hidden_when_us_message_id"), "links")
    season = sa.column("when_us", sa.BigInteger()).op(">>")(sa.literal_column("43"))
    op.create_index(
        "ix_participants_season_address",
        "participants",
        [season, "address", "when_us", "message_id"],
    )
    op.create_index(
        "ix_links_season_record", "links", [season, "record_id", "hidden", "when_us", "message_id"]
    )
