"""The tables, as SQLAlchemy Core metadata. SCHEMA.md tells what each is for.

Rules of this file:
- Times are whole microseconds since 1970 in UTC (column names end in `_us`), so that they sort,
  index and compare the same on every engine.
- Ids of messages and records come from `counters`, in the writing transaction: they are never
  used twice, and a batch is inserted with plain executemany. Ids of queue rows are AUTOINCREMENT
  (threats.md: SQLite reuses row ids without it, and a late delete then removes a newer message).
- Addresses in key columns are in the form of crmstore.addresses.key().
- A column `when_us` repeats the message's sort time beside the key that a timeline is read by,
  so that one index answers "newest first" at any size. Where there are many keys, the index begins
  with the season of that time (crmstore/seasons.py).
- Only types and constraints that SQLite and PostgreSQL share.
Migrations (crmstore/migrations) must give exactly this; tests/keepers/test_migrations.py compares.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

__all__ = ["COUNTED", "SEASON", "metadata", "season"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes a row id only of the word INTEGER.
Big = BigInteger().with_variant(Integer(), "sqlite")
ADDRESS = String(320)
CAPTURE_ID = String(26)
SEASON = 43  # bits of a time in microseconds that do not count: 102 days


def season(when_us: ColumnElement[int]) -> ColumnElement[int]:
    """The season of a time, as it stands in indexes: engines compare the words."""
    return when_us.op(">>", return_type=BigInteger())(literal_column(str(SEASON), BigInteger()))


def _by_season(name: str, table: Table, *key: str) -> None:
    """The index for "the mail of this key, newest first"."""
    columns = [table.c[one] for one in (*key, "when_us", "message_id")]
    Index(name, season(table.c.when_us), *columns)


counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Big, nullable=False),
)
# "people" counts the changes of users and their addresses: what ingest keeps of them is good while
# it stands still; "rows" are those of participants and sightings.
COUNTED = ("messages", "people", "records", "rows", "rules", "suppressions", "users")

# What others asked to be remembered between runs (see relink.agree).
remembered = Table(
    "remembered",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

# Our people.

users = Table(
    "users",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("login", ADDRESS, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("enabled", Integer, nullable=False),
    Column("created_us", Big, nullable=False),
    Column("enrolled_us", Big),  # made by a first login, then; NULL: by an administrator
    CheckConstraint("enabled IN (0, 1)", name="enabled"),
)

user_addresses = Table(
    "user_addresses",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("user_id", Big, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Index(None, "user_id"),
)

# Addresses that a user had before.
former_addresses = Table(
    "former_addresses",
    metadata,
    Column("user_id", Big, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("address", ADDRESS, nullable=False),
    Column("until_us", Big, nullable=False),
    PrimaryKeyConstraint("user_id", "address"),
)

# What they leave out, or put onto a record, by rules of their own (personal.py).
capture_rules = Table(
    "capture_rules",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("user_id", Big, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("field", String(8), nullable=False),
    Column("pattern", ADDRESS, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("created_us", Big, nullable=False),
    # onto which record; NULL: it leaves out
    Column("record_id", Big, ForeignKey("records.id", ondelete="CASCADE")),
    CheckConstraint("field IN ('from', 'to', 'folder')", name="field"),
    UniqueConstraint("user_id", "field", "pattern", "record_id"),
    Index(None, "record_id"),
    Index(
        "uq_capture_rules_left_out",
        "user_id",
        "field",
        "pattern",
        unique=True,
        sqlite_where=text("record_id IS NULL"),
        postgresql_where=text("record_id IS NULL"),
    ),
)

# Whom they write with.

records = Table(
    "records",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("type", String(64), nullable=False, server_default=text("''")),  # of a general one
    Column("name", Text, nullable=False),
    Column("company", Text, nullable=False, server_default=text("''")),
    Column("state", String(16), nullable=False),
    Column("created_us", Big, nullable=False),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
    Index(None, "kind", "id"),
)

record_addresses = Table(
    "record_addresses",
    metadata,
    Column("id", Big, primary_key=True),
    Column("record_id", Big, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Column("address", ADDRESS, nullable=False),
    Column("position", Integer, nullable=False),
    Column("from_us", Big, nullable=False),
    Column("until_us", Big),  # NULL: current
    Column("mail_from_us", Big, nullable=False, server_default=text("0")),  # older mail is not its
    Index(None, "address", "until_us", "record_id"),
    Index(None, "record_id", "position"),
    Index(
        "uq_record_addresses_current",
        "record_id",
        "address",
        unique=True,
        sqlite_where=text("until_us IS NULL"),
        postgresql_where=text("until_us IS NULL"),
    ),
)

deal_contacts = Table(
    "deal_contacts",
    metadata,
    Column("deal_id", Big, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Column("record_id", Big, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Column("main", Integer, nullable=False),
    PrimaryKeyConstraint("deal_id", "record_id"),
    CheckConstraint("main IN (0, 1)", name="main"),
    Index(None, "record_id", "main", "deal_id"),
    Index(
        "uq_deal_contacts_main",
        "deal_id",
        unique=True,
        sqlite_where=text("main = 1"),
        postgresql_where=text("main = 1"),
    ),
)

# One message, many sightings.

messages = Table(
    "messages",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),  # the copy seen first; captures has the others'
    Column("bytes", Big, nullable=False),
    Column("when_us", Big, nullable=False),  # seen first
    Column("date_us", Big, nullable=False),  # its own date, where it can be believed
    Column("message_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("from_address", Text, nullable=False),
    Column("from_name", Text, nullable=False),
    Column("date_header", Text, nullable=False),
    Column("attachments", Integer, nullable=False),
    Column("preview", Text, nullable=False),
    Column("flags", Text, nullable=False),
    # identity.py: the key of its content, its place among the messages with that content, and the
    # print of both, which it is found by
    Column("identity", String(32), nullable=False),
    Column("hint", Big, nullable=False),
    Column("print", Big, nullable=False),
    # threads.py: the thread's name (the id of a message in it), and why this one is in it
    Column("thread", Big, nullable=False, server_default="0"),
    Column("thread_why", Text, nullable=False, server_default=""),
    # 1: every sighting of it is hidden (see SCHEMA.md, "Hidden")
    Column("hidden", Integer, nullable=False, server_default=text("0")),
    Index(None, "when_us", "id"),
    Index(None, "print"),
    Index(None, "thread", "when_us", "id"),
)

# What threads are found by: hashes of Message-IDs that messages have or wait for, and of who wrote
# to whom in which week. No foreign key: what points to nothing is found by nobody.
thread_keys = Table(
    "thread_keys",
    metadata,
    Column("hash", Big, nullable=False),
    Column("message_id", Big, nullable=False),
    PrimaryKeyConstraint("hash", "message_id"),
    sqlite_with_rowid=False,
)

# What belongs to a message lies together, in the order of messages: a page of a timeline reads one
# block of each table for a message, not a leaf of an index and a block (docs/decisions/0069).
participants = Table(
    "participants",
    metadata,
    Column("id", Big, nullable=False, autoincrement=False),
    Column("message_id", Big, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("role", String(8), nullable=False),
    Column("address", ADDRESS, nullable=False),
    Column("name", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    # the sighting's capture, if only its envelope knew this participant (Bcc)
    Column("capture_id", CAPTURE_ID),
    Column("when_us", Big, nullable=False),
    CheckConstraint(
        "role IN ('from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'resent', 'forward',"
        " 'envelope')",
        name="role",
    ),
    PrimaryKeyConstraint("message_id", "id"),
    sqlite_with_rowid=False,
)
_by_season("ix_participants_season_address", participants, "address")

attachments = Table(
    "attachments",
    metadata,
    Column("id", Big, primary_key=True),
    Column("message_id", Big, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("bytes", Big, nullable=False),
    Column("inline", Integer, nullable=False),
    UniqueConstraint("message_id", "position"),
)

sightings = Table(
    "sightings",
    metadata,
    Column("id", Big, nullable=False, autoincrement=False),
    Column("message_id", Big, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    Column("capture_id", CAPTURE_ID, nullable=False),
    Column("owner", ADDRESS, nullable=False),
    Column("user_id", Big, ForeignKey("users.id", ondelete="SET NULL")),
    # which of the owner's addresses; "" if none of theirs stood in it
    Column("address", ADDRESS, nullable=False, server_default=text("''")),
    Column("direction", String(8), nullable=False),
    Column("source", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("seen_us", Big, nullable=False),
    Column("when_us", Big, nullable=False),
    # where in a mailbox, of what came by IMAP
    Column("mailbox", Text),
    Column("special", String(16)),
    Column("uidvalidity", Big),
    Column("uid", Big),
    # why it is a sighting of this message
    Column("evidence", Text, nullable=False, server_default="same octets"),
    # 1: by an address that the owner has no longer
    Column("hidden", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("capture_id", "owner"),
    CheckConstraint("direction IN ('sent', 'received')", name="direction"),
    CheckConstraint(
        "status IN ('scheduled', 'queued', 'sent', 'delivered', 'soft_bounce', 'hard_bounce',"
        " 'cancelled', 'received')",
        name="status",
    ),
    PrimaryKeyConstraint("message_id", "id"),
    Index(None, "owner", "hidden", "when_us", "message_id"),
    Index(None, "source", "when_us", "message_id"),
    sqlite_with_rowid=False,
)

links = Table(
    "links",
    metadata,
    Column("message_id", Big, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    # No foreign key: PostgreSQL would lock the record's row for each link, which is a page of a
    # table in no order written again (docs/decisions/0064); the id is one of record_addresses'.
    Column("record_id", Big, nullable=False),
    Column("role", String(8), nullable=False),
    Column("address", ADDRESS, nullable=False),
    Column("evidence", Text, nullable=False),
    # as in participants: set if only this capture's envelope gives the reason
    Column("capture_id", CAPTURE_ID),
    Column("when_us", Big, nullable=False),
    # 0: shown; else the sum of why not (relinkstep.py)
    Column("hidden", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("message_id", "record_id", "role", "address"),
    sqlite_with_rowid=False,
)
_by_season("ix_links_season_record", links, "record_id", "hidden")

# What is still to be linked, hidden, shown again or put onto records by rules, in small steps,
# newest mail first.
relinks = Table(
    "relinks",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("what", String(8), nullable=False),
    Column("address", ADDRESS, nullable=False),
    Column("record_id", Big, ForeignKey("records.id", ondelete="CASCADE")),
    Column("contact_id", Big, nullable=False),  # 0, or through whom it is linked
    Column("user_id", Big, ForeignKey("users.id", ondelete="CASCADE")),
    # mail of this time only; until_us NULL: to the end
    Column("from_us", Big, nullable=False),
    Column("until_us", Big),
    # how far it is: what is older than this is still to be done
    Column("when_us", Big, nullable=False),
    Column("message_id", Big, nullable=False),
    CheckConstraint("what IN ('link', 'unlink', 'settle', 'hide', 'show', 'file')", name="what"),
    Index(None, "record_id"),
    Index(None, "user_id"),
    sqlite_autoincrement=True,
)

# What mail says, to search in.

search_texts = Table(
    "search_texts",
    metadata,
    Column(
        "message_id",
        Big,
        ForeignKey("messages.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("document", LargeBinary, nullable=False),  # crmstore/document.py
)

search_spans = Table(
    "search_spans",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    Column("first_us", Big, nullable=False),
    Column("last_us", Big, nullable=False),
)

# The index: blockindex.py and searchindex.py know what is in it.
search_pending = Table(
    "search_pending",
    metadata,
    Column("message_id", Big, primary_key=True, autoincrement=False),
    Column("tokens", LargeBinary, nullable=False),
)

search_segments = Table(
    "search_segments",
    metadata,
    Column("first_id", Big, primary_key=True, autoincrement=False),
    Column("last_id", Big, nullable=False),
    Column("octets", Big, nullable=False),  # of its blocks, as they are without compression
)

search_blocks = Table(
    "search_blocks",
    metadata,
    # search_segments.first_id * blockindex.BUCKETS + the bucket
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
)

# What the doors accepted, and what became of it.

captures = Table(
    "captures",
    metadata,
    Column("capture_id", CAPTURE_ID, primary_key=True),
    Column("door", String(64), nullable=False),
    Column("journal", CAPTURE_ID, nullable=False),
    Column("seq", Big, nullable=False),
    Column("verdict_seq", Big),
    Column("role", String(16), nullable=False),
    Column("at_us", Big, nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Big, nullable=False),
    Column("message_id", Big),  # no foreign key: the ledger of captures outlives messages
    # where the journal has the body, until its segment is deleted
    Column("segment", Big, nullable=False),
    Column("offset", Big, nullable=False),
    CheckConstraint(
        "disposition IN ('pending', 'captured', 'excluded', 'failed', 'refused')",
        name="disposition",
    ),
    # capture ids sort by time, so a span of time needs no index of its own
    Index(
        "ix_captures_pending",
        "door",
        "segment",
        sqlite_where=text("disposition = 'pending'"),
        postgresql_where=text("disposition = 'pending'"),
    ),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Big, primary_key=True),
    Column("door", String(64), nullable=False),
    Column("journal", CAPTURE_ID, nullable=False),  # the chain; a new one only if one was lost
    Column("seq", Big, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("capture_id", CAPTURE_ID, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    UniqueConstraint("door", "journal", "seq"),
)

journal_positions = Table(
    "journal_positions",
    metadata,
    Column("door", String(64), primary_key=True),
    Column("journal", CAPTURE_ID, nullable=False),
    Column("segment", Big, nullable=False),
    Column("offset", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("at_us", Big, nullable=False),
    # headerlog.py: the last frame that the archive has too
    Column("kept_journal", CAPTURE_ID, nullable=False, server_default=""),
    Column("kept_seq", Big, nullable=False, server_default="0"),
)

# Mailboxes that are read by IMAP: which of their messages are known, by UID (RFC 9051 2.3.1.1).

mailboxes = Table(
    "mailboxes",
    metadata,
    # SHA-256 of login and name: names may be longer than an index takes
    Column("key", String(64), primary_key=True),
    Column("login", ADDRESS, nullable=False),  # as given to the mail server
    Column("mailbox", Text, nullable=False),
    Column("special", String(16), nullable=False),
    Column("uidvalidity", Big, nullable=False),
    Column("known", Text, nullable=False),  # UIDs, as ranges
    Column("present", Text, nullable=False),  # UIDs that should be known; "": nobody has looked
    Column("known_count", Big, nullable=False),  # of those present
    Column("present_count", Big),
    Column("skipped_count", Big, nullable=False),  # of those known: too large to be captured
    Column("changed_us", Big, nullable=False),
    Index(None, "login"),
    Index(None, "special"),
)

# Mail that is ours to deliver.

queue_messages = Table(
    "queue_messages",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("capture_id", CAPTURE_ID, nullable=False, unique=True),
    Column("listener", String(64), nullable=False),
    Column("sender", Text, nullable=False),
    Column("sender_params", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Big, nullable=False),
    Column("flags", Text, nullable=False),
    # 1: nobody but the queue needs the blob (the capture is excluded)
    Column("only_copy", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_us", Big, nullable=False),
    Column("expires_us", Big, nullable=False),
    Column("next_us", Big, nullable=False),
    Column("lease", String(64)),
    Column("finished_us", Big),
    # when its sender is to be told something; NULL: never, or all is told
    Column("report_us", Big),
    CheckConstraint(
        "state IN ('queued', 'sending', 'delivered', 'failed', 'expired')", name="state"
    ),
    CheckConstraint("(state = 'sending') = (lease IS NOT NULL)", name="lease"),
    Index(
        "ix_queue_messages_due",
        "next_us",
        "id",
        sqlite_where=text("state IN ('queued', 'sending')"),
        postgresql_where=text("state IN ('queued', 'sending')"),
    ),
    Index(None, "sha256"),
    Index(None, "state", "created_us"),
    Index(
        "ix_queue_messages_only_copy",
        "id",
        sqlite_where=text("only_copy = 1"),
        postgresql_where=text("only_copy = 1"),
    ),
    Index(
        "ix_queue_messages_report",
        "report_us",
        sqlite_where=text("report_us IS NOT NULL"),
        postgresql_where=text("report_us IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

queue_recipients = Table(
    "queue_recipients",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("queue_id", Big, ForeignKey("queue_messages.id", ondelete="CASCADE"), nullable=False),
    Column("address", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reply", Text, nullable=False),
    Column("changed_us", Big, nullable=False),
    # what the last reply meant ("" = nothing bad), and whose it was
    Column("category", String(32), nullable=False, server_default=""),
    Column("remote", Text, nullable=False, server_default=""),
    # 1: the server that took it reports to the sender itself (it offers DSN)
    Column("passed_on", Integer, nullable=False, server_default="0"),
    # what its sender was told last: "", delayed, failed, relayed, none
    Column("told", String(16), nullable=False, server_default=""),
    CheckConstraint("state IN ('queued', 'delivered', 'failed', 'expired')", name="state"),
    Index(None, "queue_id"),
    sqlite_autoincrement=True,
)

# What became of what we sent.

sent_ids = Table(
    "sent_ids",
    metadata,
    Column("hash", Big, nullable=False),  # of the Message-ID (outcomes.id_hash)
    Column("capture_id", CAPTURE_ID, nullable=False),
    PrimaryKeyConstraint("hash", "capture_id"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", Big, primary_key=True),
    Column("capture_id", CAPTURE_ID, nullable=False),  # of what was sent
    Column("address", ADDRESS, nullable=False),
    Column("state", String(16), nullable=False),
    Column("category", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("source", String(8), nullable=False),
    Column("evidence", String(16), nullable=False),
    Column("report", CAPTURE_ID),  # the capture of the report, if one came in
    Column("at_us", Big, nullable=False),
    CheckConstraint("state IN ('hard', 'soft', 'delivered', 'delayed', 'relayed')", name="state"),
    CheckConstraint("source IN ('live', 'dsn', 'report')", name="source"),
    Index(None, "capture_id", "address"),
    Index(None, "address", "at_us"),
)

soft_runs = Table(
    "soft_runs",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("bounces", Integer, nullable=False),
    Column("source", String(8), nullable=False),
    Column("first_us", Big, nullable=False),
    Column("last_us", Big, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("category", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("source", String(8), nullable=False),  # live, dsn, report; manual
    Column("evidence", String(16), nullable=False),
    Column("capture_id", CAPTURE_ID),  # of the mail that bounced
    Column("who", Text, nullable=False),  # the person who added it; "" = a bounce
    Column("since_us", Big, nullable=False),
    Index(None, "since_us"),
)
