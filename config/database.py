"""`store.url`: where the database is, read once; its password hides. And `store.mail_quota`.

    sqlite
    postgresql+psycopg://[user[:password]@][host[:port][,host[:port]...]]/[database][?option=value]

What the URL leaves out libpq finds in its usual places: PGHOST, PGUSER, PGDATABASE, PGPASSWORD,
PGPASSFILE and ~/.pgpass, PGSERVICE, the unix socket. Options are those of libpq that have to do
with where the server is and how it is trusted, by name (PostgreSQL manual, 34.1.2); a password is
none of them, because it could not be told from the others in a log.
Limits: nothing is looked up or connected here. Cites: contract.md "Configuration"; RFC 3986.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from config.secret import Secret
from config.targets import SIZE_ALLOWED, parse_size

__all__ = ["Database", "parse_database", "parse_quota"]

ALLOWED = (
    '"sqlite", or an address like "postgresql+psycopg://user@host/database"'
    " (the password in store.password_file)"
)
OPTIONS = frozenset(
    "application_name channel_binding connect_timeout gssencmode host krbsrvname"
    " load_balance_hosts passfile require_auth service sslcert sslcertmode sslcrl sslkey sslmode"
    " sslrootcert ssl_min_protocol_version target_session_attrs".split()
)
_SCHEME = re.compile(r"postgresql(\+psycopg)?://")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:,]*)(?::([0-9]{1,5}))?")
_TOO_LONG = 2000


@dataclass(frozen=True, slots=True)
class Database:
    """A place for the store; the default is SQLite in the data folder.

    `host` and `port` may be lists with commas, as libpq takes them; "" is libpq's own default.
    """

    engine: str = "sqlite"
    host: str = ""
    port: str = ""
    user: str = ""
    password: Secret | None = None
    name: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """For people: without password and options."""
        if self.engine == "sqlite":
            return "sqlite"
        user = f"{self.user}@" if self.user else ""
        hosts, ports = self.host.split(","), self.port.split(",")
        places = [
            (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
            for host, port in zip(hosts, ports, strict=True)
        ]
        return f"postgresql://{user}{','.join(places)}/{self.name}"


def parse_database(value: object) -> Database:
    """The value of store.url; ValueError with what is allowed."""
    if isinstance(value, Database):
        return value
    if value == "sqlite":
        return Database()
    if not isinstance(value, str) or not _SCHEME.match(value) or len(value) > _TOO_LONG:
        raise ValueError(ALLOWED)
    if not value.isprintable() or " " in value or "#" in value:
        raise ValueError(f"{ALLOWED}; other characters as %XX")
    rest, _, query = value.partition("://")[2].partition("?")
    authority, _, name = rest.partition("/")
    login, _, places = authority.rpartition("@")
    user, colon, password = login.partition(":")
    if colon and not password:
        raise ValueError(f"{ALLOWED}; there is an empty password in it")
    hosts, ports = _places(places)
    return Database(
        "postgresql",
        hosts,
        ports,
        _text(user),
        Secret(_text(password)) if password else None,
        _text(name),
        tuple(_options(query)),
    )


def _places(text: str) -> tuple[str, str]:
    hosts: list[str] = []
    ports: list[str] = []
    for place in text.split(","):
        found = _HOST.fullmatch(place)
        if found is None or (found[2] and not 1 <= int(found[2]) <= 65535):
            raise ValueError(f"{ALLOWED}; host or port cannot be read")
        hosts.append(_text(found[1].strip("[]")))
        ports.append(found[2] or "")
    return ",".join(hosts), ",".join(ports)


def _options(query: str) -> list[tuple[str, str]]:
    found = []
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if key not in OPTIONS or not equals:
            raise ValueError(f"{ALLOWED}; options known here: {', '.join(sorted(OPTIONS))}")
        found.append((key, _text(value)))
    return found


def _text(part: str) -> str:
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"{ALLOWED}; %XX must be UTF-8") from None
    if not text.isprintable():
        raise ValueError(ALLOWED)
    return text


def parse_quota(value: object) -> int | Literal["auto", "none"]:
    """Bytes, at least one; or a word."""
    if value == "auto":
        return "auto"
    if value == "none":
        return "none"
    try:
        if (found := parse_size(value)) > 0:
            return found
    except ValueError:
        pass
    raise ValueError(f'"auto", "none", {SIZE_ALLOWED}')
