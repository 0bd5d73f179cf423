"""Records with a type and a company; addresses with the time of their mail; what is hidden, and
what is still to be linked or hidden.

Revision 0012_links, after 0011_kept.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012_links"
down_revision = "0011_kept"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLES = "'from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'resent', 'forward', 'envelope'"


def upgrade() -> None:
    none, nothing = sa.text("0"), sa.text("''")
    for table, column in (
        ("records", sa.Column("type", sa.String(64), nullable=False, server_default=nothing)),
        ("records", sa.Column("company", sa.Text(), nullable=False, server_default=nothing)),
        ("record_addresses", sa.Column("mail_from_us", BIG, nullable=False, server_default=none)),
        ("messages", sa.Column("hidden", sa.Integer(), nullable=False, server_default=none)),
        ("sightings", sa.Column("address", sa.String(320), nullable=False, server_default=nothing)),
        ("sightings", sa.Column("hidden", sa.Integer(), nullable=False, server_default=none)),
        ("links", sa.Column("hidden", sa.Integer(), nullable=False, server_default=none)),
    ):
        op.add_column(table, column)
    for table, old, new in (
        (
            "sightings",
            ["owner", "when_us", "message_id"],
            ["owner", "hidden", "when_us", "message_id"],
        ),
        (
            "links",
            ["record_id", "when_us", "message_id"],
            ["record_id", "hidden", "when_us", "message_id"],
        ),
    ):
        op.drop_index(op.f(f"ix_{table}_{'_'.join(old)}"), table)
        op.create_index(op.f(f"ix_{table}_{'_'.join(new)}"), table, new)
    with op.batch_alter_table("participants") as batch:
        batch.drop_constraint(op.f("ck_participants_role"), type_="check")
        batch.create_check_constraint(op.f("ck_participants_role"), f"role IN ({ROLES})")
    op.create_table(
        "remembered",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_remembered")),
    )
    op.create_table(
        "former_addresses",
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("until_us", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_former_addresses_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "address", name=op.f("pk_former_addresses")),
    )
    op.create_table(
        "relinks",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("record_id", BIG, nullable=True),
        sa.Column("contact_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=True),
        sa.Column("from_us", BIG, nullable=False),
        sa.Column("until_us", BIG, nullable=True),
        sa.Column("when_us", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.CheckConstraint(
            "what IN ('link', 'unlink', 'settle', 'hide', 'show')", name=op.f("ck_relinks_what")
        ),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name=op.f("fk_relinks_record_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_relinks_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relinks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_relinks_record_id"), "relinks", ["record_id"])
    op.create_index(op.f("ix_relinks_user_id"), "relinks", ["user_id"])
