"""Rules of users that put mail onto a record, and the work that they leave.

Revision 0016_record_rules, after 0015_rules.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016_record_rules"
down_revision = "0015_rules"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WHAT = "what IN ('link', 'unlink', 'settle', 'hide', 'show', 'file')"


def upgrade() -> None:
    with op.batch_alter_table("capture_rules") as batch:
        batch.add_column(sa.Column("record_id", BIG, nullable=True))
        batch.create_foreign_key(
            op.f("fk_capture_rules_record_id"), "records", ["record_id"], ["id"], ondelete="CASCADE"
        )
        batch.drop_constraint(op.f("uq_capture_rules_user_id_field_pattern"), type_="unique")
        batch.create_unique_constraint(
            op.f("uq_capture_rules_user_id_field_pattern_record_id"),
            ["user_id", "field", "pattern", "record_id"],
        )
    op.create_index(op.f("ix_capture_rules_record_id"), "capture_rules", ["record_id"])
    op.create_index(
        "uq_capture_rules_left_out",
        "capture_rules",
        ["user_id", "field", "pattern"],
        unique=True,
        sqlite_where=sa.text("record_id IS NULL"),
        postgresql_where=sa.text("record_id IS NULL"),
    )
    with op.batch_alter_table("relinks", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_constraint(op.f("ck_relinks_what"), type_="check")
        batch.create_check_constraint(op.f("ck_relinks_what"), WHAT)
