"""The first schema: people, records, messages and their sightings, ledger, queue.

Revision 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "captures",
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.Column("door", sa.String(length=64), nullable=False),
        sa.Column("journal", sa.String(length=26), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("verdict_seq", BIG, nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=True),
        sa.Column("segment", BIG, nullable=False),
        sa.Column("offset", BIG, nullable=False),
        sa.CheckConstraint(
            "disposition IN ('pending', 'captured', 'excluded', 'failed', 'refused')",
            name=op.f("ck_captures_disposition"),
        ),
        sa.PrimaryKeyConstraint("capture_id", name=op.f("pk_captures")),
    )
    op.create_index(
        "ix_captures_pending",
        "captures",
        ["door", "segment"],
        unique=False,
        sqlite_where=sa.text("disposition = 'pending'"),
        postgresql_where=sa.text("disposition = 'pending'"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "journal_positions",
        sa.Column("door", sa.String(length=64), nullable=False),
        sa.Column("journal", sa.String(length=26), nullable=False),
        sa.Column("segment", BIG, nullable=False),
        sa.Column("offset", BIG, nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("door", name=op.f("pk_journal_positions")),
    )
    op.create_table(
        "ledger",
        sa.Column("id", BIG, nullable=False),
        sa.Column("door", sa.String(length=64), nullable=False),
        sa.Column("journal", sa.String(length=26), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("door", "journal", "seq", name=op.f("uq_ledger_door_journal_seq")),
    )
    op.create_table(
        "messages",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("when_us", BIG, nullable=False),
        sa.Column("date_us", BIG, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("from_address", sa.Text(), nullable=False),
        sa.Column("from_name", sa.Text(), nullable=False),
        sa.Column("date_header", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Integer(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("sha256", name=op.f("uq_messages_sha256")),
    )
    op.create_index(op.f("ix_messages_when_us_id"), "messages", ["when_us", "id"], unique=False)
    op.create_table(
        "queue_messages",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.Column("listener", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("sender_params", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("only_copy", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.Column("expires_us", BIG, nullable=False),
        sa.Column("next_us", BIG, nullable=False),
        sa.Column("lease", sa.String(length=64), nullable=True),
        sa.Column("finished_us", BIG, nullable=True),
        sa.CheckConstraint(
            "(state = 'sending') = (lease IS NOT NULL)", name=op.f("ck_queue_messages_lease")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'delivered', 'failed', 'expired')",
            name=op.f("ck_queue_messages_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_messages")),
        sa.UniqueConstraint("capture_id", name=op.f("uq_queue_messages_capture_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_queue_messages_due",
        "queue_messages",
        ["next_us", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'sending')"),
        postgresql_where=sa.text("state IN ('queued', 'sending')"),
    )
    op.create_index(
        "ix_queue_messages_only_copy",
        "queue_messages",
        ["id"],
        unique=False,
        sqlite_where=sa.text("only_copy = 1"),
        postgresql_where=sa.text("only_copy = 1"),
    )
    op.create_index(op.f("ix_queue_messages_sha256"), "queue_messages", ["sha256"], unique=False)
    op.create_index(
        op.f("ix_queue_messages_state_created_us"),
        "queue_messages",
        ["state", "created_us"],
        unique=False,
    )
    op.create_table(
        "records",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_records_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
    )
    op.create_index(op.f("ix_records_kind_id"), "records", ["kind", "id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("login", sa.String(length=320), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Integer(), nullable=False),
        sa.Column("created_us", BIG, nullable=False),
        sa.CheckConstraint("enabled IN (0, 1)", name=op.f("ck_users_enabled")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("login", name=op.f("uq_users_login")),
    )
    op.create_table(
        "attachments",
        sa.Column("id", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("inline", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_attachments_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
        sa.UniqueConstraint(
            "message_id", "position", name=op.f("uq_attachments_message_id_position")
        ),
    )
    op.create_table(
        "deal_contacts",
        sa.Column("deal_id", BIG, nullable=False),
        sa.Column("record_id", BIG, nullable=False),
        sa.Column("main", sa.Integer(), nullable=False),
        sa.CheckConstraint("main IN (0, 1)", name=op.f("ck_deal_contacts_main")),
        sa.ForeignKeyConstraint(
            ["deal_id"], ["records.id"], name=op.f("fk_deal_contacts_deal_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_deal_contacts_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deal_id", "record_id", name=op.f("pk_deal_contacts")),
    )
    op.create_index(
        op.f("ix_deal_contacts_record_id_main_deal_id"),
        "deal_contacts",
        ["record_id", "main", "deal_id"],
        unique=False,
    )
    op.create_index(
        "uq_deal_contacts_main",
        "deal_contacts",
        ["deal_id"],
        unique=True,
        sqlite_where=sa.text("main = 1"),
        postgresql_where=sa.text("main = 1"),
    )
    op.create_table(
        "links",
        sa.Column("id", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("record_id", BIG, nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=True),
        sa.Column("when_us", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_links_message_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name=op.f("fk_links_record_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint(
            "message_id",
            "record_id",
            "role",
            "address",
            name=op.f("uq_links_message_id_record_id_role_address"),
        ),
    )
    op.create_index(
        op.f("ix_links_record_id_when_us_message_id"),
        "links",
        ["record_id", "when_us", "message_id"],
        unique=False,
    )
    op.create_table(
        "participants",
        sa.Column("id", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=True),
        sa.Column("when_us", BIG, nullable=False),
        sa.CheckConstraint(
            "role IN ('from', 'to', 'cc', 'bcc', 'envelope')", name=op.f("ck_participants_role")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_participants_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participants")),
    )
    op.create_index(
        op.f("ix_participants_address_when_us_message_id"),
        "participants",
        ["address", "when_us", "message_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_participants_message_id"), "participants", ["message_id"], unique=False
    )
    op.create_table(
        "queue_recipients",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("queue_id", BIG, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("changed_us", BIG, nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'delivered', 'failed', 'expired')",
            name=op.f("ck_queue_recipients_state"),
        ),
        sa.ForeignKeyConstraint(
            ["queue_id"],
            ["queue_messages.id"],
            name=op.f("fk_queue_recipients_queue_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_recipients")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_queue_recipients_queue_id"), "queue_recipients", ["queue_id"], unique=False
    )
    op.create_table(
        "record_addresses",
        sa.Column("id", BIG, nullable=False),
        sa.Column("record_id", BIG, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("from_us", BIG, nullable=False),
        sa.Column("until_us", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_record_addresses_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_addresses")),
    )
    op.create_index(
        op.f("ix_record_addresses_address_until_us_record_id"),
        "record_addresses",
        ["address", "until_us", "record_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_record_addresses_record_id_position"),
        "record_addresses",
        ["record_id", "position"],
        unique=False,
    )
    op.create_index(
        "uq_record_addresses_current",
        "record_addresses",
        ["record_id", "address"],
        unique=True,
        sqlite_where=sa.text("until_us IS NULL"),
        postgresql_where=sa.text("until_us IS NULL"),
    )
    op.create_table(
        "sightings",
        sa.Column("id", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.Column("owner", sa.String(length=320), nullable=False),
        sa.Column("user_id", BIG, nullable=True),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("seen_us", BIG, nullable=False),
        sa.Column("when_us", BIG, nullable=False),
        sa.CheckConstraint(
            "direction IN ('sent', 'received')", name=op.f("ck_sightings_direction")
        ),
        sa.CheckConstraint(
            "status IN ('scheduled', 'queued', 'sent', 'delivered', 'soft_bounce',"
            " 'hard_bounce', 'cancelled', 'received')",
            name=op.f("ck_sightings_status"),
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_sightings_message_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sightings_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        sa.UniqueConstraint("capture_id", "owner", name=op.f("uq_sightings_capture_id_owner")),
    )
    op.create_index(op.f("ix_sightings_message_id"), "sightings", ["message_id"], unique=False)
    op.create_index(
        op.f("ix_sightings_owner_when_us_message_id"),
        "sightings",
        ["owner", "when_us", "message_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_sightings_source_when_us_message_id"),
        "sightings",
        ["source", "when_us", "message_id"],
        unique=False,
    )
    op.create_table(
        "user_addresses",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_addresses_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_user_addresses")),
    )
    op.create_index(op.f("ix_user_addresses_user_id"), "user_addresses", ["user_id"], unique=False)
    # ### end Alembic commands ###
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("value", BIG))
    names = ("messages", "people", "records", "users")
    op.bulk_insert(counters, [{"name": name, "value": 0} for name in names])
