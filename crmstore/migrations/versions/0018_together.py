"""The people, sightings and links of a message lie together.

Revision 0018_together, after 0017_seasons. docs/decisions/0069 says why.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018_together"
down_revision = "0017_seasons"
branch_labels = None
depends_on = None

SEASONS = {
    "participants": ("ix_participants_season_address", ["address", "when_us", "message_id"]),
    "links": ("ix_links_season_record", ["record_id", "hidden", "when_us", "message_id"]),
}


def upgrade() -> None:
    connection = op.get_bind()
    on_postgresql = connection.dialect.name == "postgresql"
    highest = 0
    for table in ("participants", "sightings"):
        ids = sa.table(table, sa.column("id", sa.BigInteger())).c.id
        last = connection.execute(sa.select(sa.func.max(ids))).scalar()
        highest = max(highest, last or 0)
        _together(table, ["message_id", "id"])
        if on_postgresql:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN id DROP DEFAULT")
            op.execute(f"DROP SEQUENCE {table}_id_seq")
    counters = sa.table("counters", sa.column("name"), sa.column("value"))
    op.bulk_insert(counters, [{"name": "rows", "value": highest}])
    _together("links", ["message_id", "record_id", "role", "address"])


def _together(table: str, key: list[str]) -> None:
    """SQLite: a table in the order of its key; it copies the rows. PostgreSQL: another key."""
    season = SEASONS.get(table)
    if season:
        op.drop_index(season[0], table)
    with op.batch_alter_table(table, table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.drop_constraint(op.f(f"pk_{table}"), type_="primary")
        if table == "links":
            batch.drop_constraint(
                op.f("uq_links_message_id_record_id_role_address"), type_="unique"
            )
            batch.drop_column("id")
        else:
            batch.drop_index(op.f(f"ix_{table}_message_id"))
        if table == "sightings":  # as it was; read from SQLite it gets parentheses
            batch.alter_column("address", server_default=sa.text("''"))
        batch.create_primary_key(op.f(f"pk_{table}"), key)
    if season:
        name, rest = season
        expression = sa.column("when_us", sa.BigInteger()).op(">>")(sa.literal_column("43"))
        op.create_index(name, table, [expression, *rest])
