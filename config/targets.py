"""The small notations of the configuration file, each a pure function from text to a value.

Promises: no disk, no network, no clock. A refusal is a ValueError whose text says what is
allowed (never the value itself: the caller shows it, with secrets taken out). Case of host names
is folded, because DNS compares that way (RFC 4343); nothing else is guessed.

Notations: durations ("5d"), sizes ("512 MiB"), listen addresses ("[::1]:25"), next hops
("lmtp:///run/dovecot/lmtp"), networks in CIDR form, host and domain names, address patterns
("*@lawyer.example"), places of blobs ("s3://bucket/prefix") and their endpoints.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import idna

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HopKind = Literal["smtp", "smtps", "lmtp", "mx"]

DURATION_ALLOWED = 'a duration with its unit, like "90s", "15m", "2h" or "5d"'
SIZE_ALLOWED = 'a number of bytes, or text like "512 MiB"'
LISTEN_ALLOWED = 'an IP address and a port from 1 to 65535, like "0.0.0.0:25" or "[::]:25"'
HOP_ALLOWED = (
    '"smtp://host:port", "smtps://host:port", "lmtp://host:port", "lmtp:///path/of/socket" or "mx"'
)
UPSTREAM_ALLOWED = '"imap://host:port" or "imaps://host:port"'
NETWORK_ALLOWED = 'a network like "192.0.2.0/24" or "2001:db8::/32", or one address'
HOSTNAME_ALLOWED = 'a full host name like "mail.example.com"'
DOMAIN_ALLOWED = 'a mail domain like "example.com"'
BLOBS_ALLOWED = '"file" or "s3://bucket/prefix"'
ENDPOINT_ALLOWED = 'an address like "https://s3.example.com" or "http://127.0.0.1:8333"'
PATTERN_ALLOWED = 'an address like "hr@example.com" or a pattern like "*@lawyer.example"'

# Networks that are never somebody else's (RFC 1918, 3927, 4193, 4291, 6598). The standard library's
# is_private is not used: on some Python 3.11 it calls 0.0.0.0/0 private.
PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
        "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|m|h|d|w)", re.ASCII)
_SIZES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
# What S3 takes as a bucket's name, and letters of a prefix that no server and no proxy rewrites.
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9_.=-]{1,100}(?:/[A-Za-z0-9_.=-]{1,100}){0,9}", re.ASCII)
_DEFAULT_PORT = {"smtp": 25, "smtps": 465, "lmtp": 24}


class ListenAddress(NamedTuple):
    """Where a door listens; the host is an IP address without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HopTarget:
    """A mail server to hand mail to; for "mx" and unix sockets host is "" and port 0."""

    kind: HopKind
    host: str = ""
    port: int = 0
    unix_path: str | None = None

    def __str__(self) -> str:
        if self.kind == "mx":
            return "mx"
        if self.unix_path is not None:
            return f"{self.kind}://{self.unix_path}"
        return f"{self.kind}://{ListenAddress(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """An IMAP server; "imaps" speaks TLS from the first octet."""

    kind: Literal["imap", "imaps"]
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.kind}://{ListenAddress(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """Where blobs lie: in data_dir/blobs (bucket is ""), or in a bucket, under a prefix."""

    bucket: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        if not self.bucket:
            return "file"
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server of a bucket."""

    scheme: Literal["http", "https"]
    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")

    @property
    def near(self) -> bool:
        """On this machine, or at an address that is no one else's; of a name we cannot know."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return any(address in network for network in PRIVATE)


@dataclass(frozen=True, slots=True)
class AddressPattern:
    """An address or a glob of addresses: `*` stands for any run of characters, all else for itself.

    Local part and domain are compared apart, so `*` never reaches over the "@". Matching is linear
    (no regular expression), because the addresses come from strangers.
    """

    local: tuple[str, ...]
    domain: tuple[str, ...]

    def matches(self, address: str) -> bool:
        local, at, domain = address.lower().rpartition("@")
        return bool(at) and _glob(self.local, local) and _glob(self.domain, domain)

    def __str__(self) -> str:
        return "*".join(self.local) + "@" + "*".join(self.domain)


def parse_duration(value: object) -> float:
    """Seconds. A bare number counts as seconds, so that 0 may be written as 0."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value < float("inf"):
            return float(value)
    elif isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _UNITS[found[2]]
    raise ValueError(DURATION_ALLOWED)


def parse_size(value: object) -> int:
    """Bytes. Only binary units exist here, so that nobody has to ask which MB is meant."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= 0:
            return value
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        return int(found[1]) * _SIZES[found[2] or ""]
    raise ValueError(SIZE_ALLOWED)


def parse_listen(value: object) -> ListenAddress:
    if isinstance(value, ListenAddress):
        return value
    if not isinstance(value, str):
        raise ValueError(LISTEN_ALLOWED)
    host, colon, port_text = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    port = _port(port_text)
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(LISTEN_ALLOWED) from None
    if not colon or port is None or bracketed != (address.version == 6):
        raise ValueError(LISTEN_ALLOWED)
    return ListenAddress(str(address), port)


def parse_hop(value: object) -> HopTarget:
    """A next hop. A user or password in the address is refused: files with secrets have a key."""
    if isinstance(value, HopTarget):
        return value
    if not isinstance(value, str):
        raise ValueError(HOP_ALLOWED)
    if value == "mx":
        return HopTarget("mx")
    try:
        parts = urlsplit(value)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise ValueError(HOP_ALLOWED) from None
    kind = parts.scheme
    if "@" in parts.netloc:
        raise ValueError(f"{HOP_ALLOWED}, without user or password")
    if kind not in _DEFAULT_PORT or parts.query or parts.fragment or not value.isprintable():
        raise ValueError(HOP_ALLOWED)
    if kind == "lmtp" and not parts.netloc and len(parts.path) > 1:
        # sockaddr_un holds 108 octets with the closing zero, see unix(7)
        if len(parts.path.encode()) > 107:
            raise ValueError("a socket path of at most 107 octets")
        return HopTarget("lmtp", unix_path=parts.path)
    if parts.path not in ("", "/") or port == 0:
        raise ValueError(HOP_ALLOWED)
    if kind == "smtp":
        return HopTarget("smtp", _hop_host(host), port or 25)
    if kind == "smtps":
        return HopTarget("smtps", _hop_host(host), port or 465)
    return HopTarget("lmtp", _hop_host(host), port or 24)


def parse_upstream(value: object) -> Upstream:
    """An IMAP server. A user or password in the address is refused: each user brings their own."""
    if isinstance(value, Upstream):
        return value
    scheme, host, port = server_of(value, UPSTREAM_ALLOWED)
    if scheme == "imap":
        return Upstream("imap", host, port or 143)
    if scheme == "imaps":
        return Upstream("imaps", host, port or 993)
    raise ValueError(UPSTREAM_ALLOWED)


def parse_network(value: object) -> Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError(NETWORK_ALLOWED)
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(NETWORK_ALLOWED) from None
    if "/" in value and ipaddress.ip_address(value.partition("/")[0]) != network.network_address:
        # 10.1.2.3/8 is more often a slip than meant, and the slip opens 16 million addresses
        raise ValueError(f'the address of the network, "{network}", or fewer addresses')
    return network


def parse_hostname(value: object) -> str:
    """A host name with at least one dot: what we say at EHLO and in Received (RFC 5321 2.3.5)."""
    return _dns_name(value, HOSTNAME_ALLOWED)


def parse_domain(value: object) -> str:
    """A mail domain in its A-label form, so that both spellings of a name meet (RFC 5891)."""
    return _dns_name(value, DOMAIN_ALLOWED)


def parse_recipient_domain(value: object) -> str:
    if value == "*":
        raise ValueError(f'{DOMAIN_ALLOWED}: "*" would make an open relay')
    return parse_domain(value)


def parse_pattern(value: object) -> AddressPattern:
    if isinstance(value, AddressPattern):
        return value
    if not isinstance(value, str) or len(value) > 320 or not value.isprintable():
        raise ValueError(PATTERN_ALLOWED)
    local, _, domain = value.lower().rpartition("@")
    if not local or not domain or " " in value or "@" in local.replace('"', ""):
        raise ValueError(PATTERN_ALLOWED)
    if set(local) == {"*"} and set(domain) <= {"*", "."}:
        raise ValueError(f"{PATTERN_ALLOWED}; this one would leave out all mail")
    return AddressPattern(tuple(local.split("*")), tuple(domain.split("*")))


def parse_blobs(value: object) -> BlobPlace:
    if isinstance(value, BlobPlace):
        return value
    if value == "file":
        return BlobPlace()
    if not isinstance(value, str) or not value.startswith("s3://"):
        raise ValueError(BLOBS_ALLOWED)
    bucket, _, prefix = value.removeprefix("s3://").partition("/")
    prefix = prefix.removesuffix("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ValueError(f"{BLOBS_ALLOWED}; a bucket has 3 to 63 of a-z, 0-9, - and .")
    if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
        raise ValueError(f"{BLOBS_ALLOWED}; a prefix has letters, digits, - _ . = and /")
    return BlobPlace(bucket, prefix)


def parse_endpoint(value: object) -> Endpoint | None:
    """The server of a bucket; None: the one of AWS. Keys have a file, so none may stand here."""
    if value is None or isinstance(value, Endpoint):
        return value
    if value == "":
        return None
    scheme, host, port = server_of(value, ENDPOINT_ALLOWED)
    if scheme not in ("http", "https"):
        raise ValueError(ENDPOINT_ALLOWED)
    return Endpoint("https" if scheme == "https" else "http", host, port)


def server_of(value: object, allowed: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address that says no more than where a server is."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(allowed)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if "@" in parts.netloc:
        raise ValueError(f"{allowed}, without user or password")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{allowed}, without a path")
    if port == 0 or not _is_host(host):
        raise ValueError(allowed)
    return parts.scheme, host, port


def _glob(parts: tuple[str, ...], text: str) -> bool:
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return text == first
    if len(text) < len(first) + len(last):
        return False
    if not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        return None
    return port if 1 <= (port := int(text)) <= 65535 else None


def _hop_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if host == "localhost" or _is_name(host):
        return host
    raise ValueError(HOP_ALLOWED)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or _is_name(host)
    return "%" not in host


def _is_name(name: str) -> bool:
    """Letters, digits and hyphens in labels (RFC 5321 4.1.2), the last one not a number."""
    labels = name.split(".")
    return (
        len(name) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


def _dns_name(value: object, allowed: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 253:
        raise ValueError(allowed)
    name = value.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise ValueError(allowed) from None
    if "." not in name or not _is_name(name):
        raise ValueError(allowed)
    return name
