"""What users leave out by rules of their own.

Revision 0015_rules, after 0014_links_alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015_rules"
down_revision = "0014_links_alone"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "capture_rules",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("field", sa.String(length=8), nullable=False),
        sa.Column("pattern", sa.String(length=320), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.CheckConstraint(
            "field IN ('from', 'to', 'folder')", name=op.f("ck_capture_rules_field")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_capture_rules_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capture_rules")),
        sa.UniqueConstraint(
            "user_id", "field", "pattern", name=op.f("uq_capture_rules_user_id_field_pattern")
        ),
    )
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("value", BIG))
    op.bulk_insert(counters, [{"name": "rules", "value": 0}])
