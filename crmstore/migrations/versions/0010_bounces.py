"""What became of what we sent: outcomes, suppressed addresses, reports to senders.

Revision 0010_bounces. The Message-IDs of mail sent before are taken in, so that a report about it
is tied to it as well.
"""

import sqlalchemy as sa
from alembic import op

from crmstore.sentids import id_hash

revision = "0010_bounces"
down_revision = "0009_threads"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CHUNK = 5_000


def upgrade() -> None:
    _tables()
    _columns()
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("value", BIG))
    op.bulk_insert(counters, [{"name": "suppressions", "value": 0}])
    _earlier_mail()


def _tables() -> None:
    op.create_table(
        "sent_ids",
        sa.Column("hash", BIG, nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("hash", "capture_id", name=op.f("pk_sent_ids")),
    )
    op.create_table(
        "outcomes",
        sa.Column("id", BIG, nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("evidence", sa.String(length=16), nullable=False),
        sa.Column("report", sa.String(length=26), nullable=True),
        sa.Column("at_us", BIG, nullable=False),
        sa.CheckConstraint(
            "state IN ('hard', 'soft', 'delivered', 'delayed', 'relayed')",
            name=op.f("ck_outcomes_state"),
        ),
        sa.CheckConstraint("source IN ('live', 'dsn', 'report')", name=op.f("ck_outcomes_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
    )
    op.create_index(op.f("ix_outcomes_capture_id_address"), "outcomes", ["capture_id", "address"])
    op.create_index(op.f("ix_outcomes_address_at_us"), "outcomes", ["address", "at_us"])
    op.create_table(
        "soft_runs",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("bounces", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("first_us", BIG, nullable=False),
        sa.Column("last_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_soft_runs")),
    )
    op.create_table(
        "suppressions",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("evidence", sa.String(length=16), nullable=False),
        sa.Column("capture_id", sa.String(length=26), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("since_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_suppressions")),
    )
    op.create_index(op.f("ix_suppressions_since_us"), "suppressions", ["since_us"])


def _columns() -> None:
    op.add_column("queue_messages", sa.Column("report_us", BIG, nullable=True))
    op.create_index(
        "ix_queue_messages_report",
        "queue_messages",
        ["report_us"],
        sqlite_where=sa.text("report_us IS NOT NULL"),
        postgresql_where=sa.text("report_us IS NOT NULL"),
    )
    for column in (
        sa.Column("category", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("remote", sa.Text(), nullable=False, server_default=""),
        sa.Column("passed_on", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("told", sa.String(length=16), nullable=False, server_default=""),
    ):
        op.add_column("queue_recipients", column)


def _earlier_mail() -> None:
    connection = op.get_bind()
    messages = sa.table("messages", sa.column("id", BIG), sa.column("message_id", sa.Text))
    sightings = sa.table(
        "sightings",
        sa.column("id", BIG),
        sa.column("message_id", BIG),
        sa.column("capture_id", sa.String),
        sa.column("direction", sa.String),
    )
    sent_ids = sa.table("sent_ids", sa.column("hash", BIG), sa.column("capture_id", sa.String))
    last = 0
    while True:
        rows = connection.execute(
            sa.select(sightings.c.id, sightings.c.capture_id, messages.c.message_id)
            .join(messages, messages.c.id == sightings.c.message_id)
            .where(sightings.c.id > last, sightings.c.direction == "sent")
            .order_by(sightings.c.id)
            .limit(CHUNK)
        ).all()
        if not rows:
            return
        last = rows[-1].id
        found = {(id_hash(row.message_id), row.capture_id) for row in rows if row.message_id}
        if found:
            op.bulk_insert(sent_ids, [{"hash": h, "capture_id": c} for h, c in sorted(found)])
