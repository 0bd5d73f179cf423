"""The settings: one frozen class per table of the configuration file.

Promises: a Settings object that exists is sane: every value was checked, and so were the rules
that span several keys (config/rules.py: no open relay, no loop, no key without effect). What
needs the disk (certificates, password files) is checked in config/load.py.
Values are parsed once: durations are seconds, sizes are bytes, networks and targets are objects.
Design page: contract.md, "Configuration".
"""

import os
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    model_validator,
)

from config import rules, targets
from config.database import Database, parse_database, parse_quota
from config.public import Public, parse_public_imap, parse_public_smtp
from config.secret import AccessKey, Secret, read_access_key, read_secret
from config.targets import (
    AddressPattern,
    BlobPlace,
    Endpoint,
    HopTarget,
    ListenAddress,
    Network,
    Upstream,
)

__all__ = [
    "AddressPattern", "BlobPlace", "Bounce", "Capture", "Database", "Drop", "Endpoint", "Hold",
    "HopTarget", "Http", "ImapListener", "Journal", "Limits", "ListenAddress", "Network", "Node",
    "Outbound", "Public", "Secret", "Settings", "SmtpListener", "Store", "Upstream",
]  # fmt: skip


def _path(value: object, info: ValidationInfo) -> Path:
    """Relative paths belong to the folder of the configuration file, not to where one stands."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError('a path like "/var/lib/mailweir"')
    base = (info.context or {}).get("base")
    return Path(base) / value if base is not None else Path(value)


def _timezone(value: object) -> str:
    allowed = 'a time zone of the tz database, like "Asia/Tokyo" or "UTC"'
    if not isinstance(value, str) or not value:
        raise ValueError(allowed)
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(allowed) from None


def _day(value: object) -> date | None:
    """A day, written as TOML or ISO 8601 has it; "" is none."""
    allowed = 'a day like 2026-04-01, or ""'
    if isinstance(value, datetime):
        raise ValueError(allowed)
    if value is None or isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise ValueError(allowed)
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise ValueError(allowed) from None


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)))


Seconds = Annotated[float, BeforeValidator(targets.parse_duration)]
Bytes = Annotated[int, BeforeValidator(targets.parse_size)]
Quota = Annotated[int | Literal["auto", "none"], PlainValidator(parse_quota)]
Listen = Annotated[ListenAddress, PlainValidator(targets.parse_listen)]
Hop = Annotated[HopTarget, PlainValidator(targets.parse_hop)]
DatabaseUrl = Annotated[Database, PlainValidator(parse_database)]
ImapServer = Annotated[Upstream, PlainValidator(targets.parse_upstream)]
PublicImap = Annotated[Public | None, PlainValidator(parse_public_imap)]
PublicSmtp = Annotated[Public | None, PlainValidator(parse_public_smtp)]
Blobs = Annotated[BlobPlace, PlainValidator(targets.parse_blobs)]
BlobEndpoint = Annotated[Endpoint | None, PlainValidator(targets.parse_endpoint)]
Region = Annotated[StrictStr, Field(pattern=r"^[a-z0-9-]{0,64}$")]
Cidr = Annotated[Network, PlainValidator(targets.parse_network)]
Hostname = Annotated[str, PlainValidator(targets.parse_hostname)]
Domain = Annotated[str, PlainValidator(targets.parse_domain)]
RecipientDomain = Annotated[str, PlainValidator(targets.parse_recipient_domain)]
Pattern = Annotated[AddressPattern, PlainValidator(targets.parse_pattern)]
Day = Annotated[date | None, PlainValidator(_day)]
FilePath = Annotated[Path, PlainValidator(_path)]
TimeZone = Annotated[str, PlainValidator(_timezone)]
ListenerName = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
HopTls = Literal["may", "require", "verify"]
DoorTls = Literal["none", "starttls", "implicit"]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
KIB, MIB, GIB = 2**10, 2**20, 2**30


class Table(BaseModel):
    """What all tables share: nothing unknown goes in, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class Node(Table):
    hostname: Hostname
    domains: tuple[Domain, ...] = ()
    data_dir: FilePath = Path("/var/lib/mailweir")
    timezone: TimeZone = "UTC"


class Store(Table):
    url: DatabaseUrl = Database()
    password_file: FilePath | None = None
    blobs: Blobs = BlobPlace()
    blobs_endpoint: BlobEndpoint = None  # AWS
    blobs_region: Region = ""
    blobs_credentials_file: FilePath | None = None
    blobs_ca: FilePath | None = None
    blobs_allow_http: StrictBool = False
    durability: Literal["local", "shared"] = "local"
    mail_quota: Quota = "auto"

    @property
    def password(self) -> Secret | None:
        """Of the database. Read at each use, so that a changed one needs no restart."""
        return read_secret(self.password_file) if self.password_file else self.url.password

    @property
    def blobs_credentials(self) -> AccessKey | None:
        """Read at each use, so that changed keys need no restart."""
        path = self.blobs_credentials_file
        return read_access_key(path) if path else None


class SmtpListener(Table):
    name: ListenerName
    listen: Listen
    role: Literal["inbound", "submission", "lmtp"]
    next_hop: Hop
    next_hop_tls: HopTls = "may"
    next_hop_ca: FilePath | None = None
    next_hop_client: Literal["none", "xclient", "proxy"] = "none"
    allow_private: StrictBool = False
    tls: DoorTls = "none"
    cert: FilePath | None = None
    key: FilePath | None = None
    public: PublicSmtp = None  # what listen and tls say
    auth: Literal["none", "next_hop", "imap"] = "none"
    auth_plain_without_tls: StrictBool = False
    trusted: tuple[Cidr, ...] = ()
    proxy_protocol: StrictBool = False
    proxy_from: tuple[Cidr, ...] = ()
    # Not written means node.domains for inbound (filled in by rules.py), no limit for the others.
    recipient_domains: Annotated[tuple[RecipientDomain, ...], Field(min_length=1)] | None = None
    doors: Annotated[StrictInt, Field(ge=1, le=64)] = Field(default_factory=_cores)
    # Not written means what the next hop says (proxy/smtp/policy.py).
    max_size: Annotated[Bytes, Field(ge=64 * KIB, le=2 * GIB)] | None = None
    max_recipients: Annotated[StrictInt, Field(ge=100, le=50_000)] = 1000
    max_connections_per_client: Annotated[StrictInt, Field(ge=1, le=100_000)] = 50
    bare_lf: Literal["fix", "refuse"] = "fix"


class ImapListener(Table):
    name: ListenerName
    listen: Listen
    upstream: ImapServer
    upstream_tls: HopTls = "may"
    upstream_ca: FilePath | None = None
    upstream_client: Literal["none", "id", "proxy"] = "none"
    tls: DoorTls = "none"
    cert: FilePath | None = None
    key: FilePath | None = None
    public: PublicImap = None  # what listen and tls say
    auth_plain_without_tls: StrictBool = False
    proxy_protocol: StrictBool = False
    proxy_from: tuple[Cidr, ...] = ()
    doors: Annotated[StrictInt, Field(ge=1, le=64)] = Field(default_factory=_cores)
    max_size: Annotated[Bytes, Field(ge=64 * KIB, le=2 * GIB)] = 256 * MIB
    max_connections: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 20_000
    max_connections_per_client: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1000
    max_connections_per_user: Annotated[StrictInt, Field(ge=1, le=100_000)] = 100
    login_timeout: Annotated[Seconds, Field(ge=1, le=HOUR)] = 180.0
    # RFC 3501 section 5.4: at least 30 minutes.
    idle_timeout: Annotated[Seconds, Field(ge=30 * MINUTE, le=DAY)] = 35 * MINUTE


class Outbound(Table):
    route: Hop = HopTarget("mx")
    user: StrictStr = ""
    password_file: FilePath | None = None
    tls: HopTls = "may"
    ca: FilePath | None = None
    allow_private: StrictBool = False
    retry_for: Annotated[Seconds, Field(ge=MINUTE, le=30 * DAY)] = 5 * DAY
    retry_first: Annotated[Seconds, Field(ge=1, le=DAY)] = MINUTE
    retry_max: Annotated[Seconds, Field(ge=1, le=DAY)] = HOUR

    @property
    def password(self) -> Secret | None:
        """Read at each use, so that a changed password needs no restart."""
        return read_secret(self.password_file) if self.password_file else None


class Drop(Table):
    domain: Domain | Literal[""] = ""


class Hold(Table):
    domain: Domain | Literal[""] = ""
    max: Seconds = 60 * DAY
    undo: Seconds = 0.0


class Bounce(Table):
    return_path_domain: Domain | Literal[""] = ""
    key_file: FilePath | None = None  # data_dir/return-path.keys, made and rotated by us
    envid: StrictBool = False
    suppress: StrictBool = True
    soft_count: Annotated[StrictInt, Field(ge=2, le=1000)] = 5
    soft_for: Annotated[Seconds, Field(ge=0, le=365 * DAY)] = 7 * DAY
    delay_notice: Annotated[Seconds, Field(ge=0, le=30 * DAY)] = 4 * HOUR


class Capture(Table):
    internal: StrictBool = False
    never: tuple[Pattern, ...] = ()
    mode: Literal["capture", "observe"] = "capture"
    users: Literal["all", "listed"] = "all"
    listed: tuple[Pattern, ...] = ()
    address_change: Literal["keep", "hide"] = "keep"
    enroll: StrictBool = True
    companion: StrictBool = True
    companion_folders: tuple[Annotated[StrictStr, Field(min_length=1, max_length=200)], ...] = (
        "inbox",
        "sent",
    )
    companion_rate: Annotated[StrictFloat | StrictInt, Field(gt=0, le=1_000)] = 5
    companion_max_size: Annotated[Bytes, Field(ge=64 * KIB, le=2 * GIB)] = 50 * MIB
    backfill_since: Day = None

    def takes(self, address: str) -> bool:
        """Is mail of this address taken, whether or not it is a user's?"""
        return self.users == "all" or any(pattern.matches(address) for pattern in self.listed)

    def enrolls(self, address: str) -> bool:
        """May the first login of this address make a user?"""
        return self.enroll and self.mode == "capture" and self.takes(address)

    def matches_never(self, address: str) -> AddressPattern | None:
        """The pattern that keeps this address out of the CRM: the evidence, not only the answer."""
        for pattern in self.never:
            if pattern.matches(address):
                return pattern
        return None


class Http(Table):
    listen: Listen = ListenAddress("127.0.0.1", 8025)
    autoconfig: StrictBool = True
    autoconfig_login: Literal["address", "local_part"] = "address"


class Limits(Table):
    connections: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 5000
    command_timeout: Annotated[Seconds, Field(ge=1, le=HOUR)] = 300.0
    data_timeout: Annotated[Seconds, Field(ge=1, le=HOUR)] = 300.0
    stress_timeout: Annotated[Seconds, Field(ge=1, le=HOUR)] = 10.0
    min_rate: Annotated[StrictInt, Field(ge=0, le=GIB)] = 500
    errors: Annotated[StrictInt, Field(ge=1, le=10_000)] = 20
    auth_failures: Annotated[StrictInt, Field(ge=1, le=1000)] = 4
    session: Annotated[Seconds, Field(ge=MINUTE, le=DAY)] = HOUR
    max_hops: Annotated[StrictInt, Field(ge=5, le=1000)] = 50


class Journal(Table):
    segment_bytes: Annotated[Bytes, Field(ge=MIB, le=4 * GIB)] = 64 * MIB
    min_free: Annotated[Bytes, Field(le=1024 * GIB)] = 512 * MIB
    spool_above: Annotated[Bytes, Field(ge=4 * KIB, le=64 * MIB)] = 256 * KIB
    retain: Annotated[Seconds, Field(le=365 * DAY)] = 0.0


class Settings(Table):
    """The whole file. Make one with config.load.load(), or model_validate() of a dictionary."""

    node: Node
    store: Store = Store()
    smtp: tuple[SmtpListener, ...] = ()
    imap: tuple[ImapListener, ...] = ()
    outbound: Outbound = Outbound()
    drop: Drop = Drop()
    hold: Hold = Hold()
    bounce: Bounce = Bounce()
    capture: Capture = Capture()
    http: Http = Http()
    limits: Limits = Limits()
    journal: Journal = Journal()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        return rules.fill_recipient_domains(data)

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if problems := tuple(rules.problems(self)):
            raise rules.Refused(problems)
        return self

    @property
    def data_dir(self) -> Path:
        return self.node.data_dir

    @property
    def journal_dir(self) -> Path:
        return self.data_dir / "journal"

    @property
    def blob_dir(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def suppression_file(self) -> Path:
        return self.run_dir / "suppression.list"

    @property
    def logins_file(self) -> Path:
        """Failed logins by address, counted by all doors together."""
        return self.run_dir / "logins"

    @property
    def return_path_keys(self) -> Path:
        return self.bounce.key_file or self.data_dir / "return-path.keys"

    @property
    def database(self) -> Path:
        return self.data_dir / "mailweir.db"

    def listener(self, name: str) -> SmtpListener:
        """The [[smtp]] table of this name; KeyError if there is none."""
        for listener in self.smtp:
            if listener.name == name:
                return listener
        raise KeyError(name)

    def imap_listener(self, name: str) -> ImapListener:
        """The [[imap]] table of this name; KeyError if there is none."""
        for listener in self.imap:
            if listener.name == name:
                return listener
        raise KeyError(name)

    @property
    def listeners(self) -> "tuple[SmtpListener | ImapListener, ...]":
        """All of them."""
        return (*self.smtp, *self.imap)

    def doors(self, kind: str) -> "tuple[SmtpListener | ImapListener, ...]":
        """The listeners of a kind, "smtp" or "imap"."""
        return self.smtp if kind == "smtp" else self.imap
