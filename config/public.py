"""Where mail programs find a listener, if not where it listens itself: "imaps://host:port".

Pure functions, like those of config/targets.py: a refusal is a ValueError whose text says what is
allowed.
"""

from dataclasses import dataclass
from typing import Literal

from config.targets import parse_hostname, server_of

__all__ = ["Public", "parse_public_imap", "parse_public_smtp"]

IMAP_ALLOWED = '"imaps://host:port" or "imap://host:port" (STARTTLS), "none", or nothing'
SMTP_ALLOWED = '"smtps://host:port" or "smtp://host:port" (STARTTLS), "none", or nothing'


@dataclass(frozen=True, slots=True)
class Public:
    """What mail programs are told of a listener; "none": nothing. "imaps" and "smtps" speak TLS
    from the first octet, "imap" and "smtp" after STARTTLS."""

    kind: Literal["imap", "imaps", "smtp", "smtps", "none"]
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind}://{self.host}:{self.port}"


def parse_public_imap(value: object) -> Public | None:
    """None: what the listener's own keys say."""
    return _public(value, {"imap": 143, "imaps": 993}, IMAP_ALLOWED)


def parse_public_smtp(value: object) -> Public | None:
    """Submission: its ports are the defaults (RFC 6409, RFC 8314)."""
    return _public(value, {"smtp": 587, "smtps": 465}, SMTP_ALLOWED)


def _public(value: object, ports: dict[str, int], allowed: str) -> Public | None:
    """A host name, never an address: the certificate has to name it."""
    if value is None or isinstance(value, Public):
        return value
    if value == "":
        return None
    if value == "none":
        return Public("none")
    scheme, host, port = server_of(value, allowed)
    if scheme not in ports:
        raise ValueError(allowed)
    try:
        host = parse_hostname(host)
    except ValueError:
        raise ValueError(allowed) from None
    return Public(scheme, host, port or ports[scheme])  # type: ignore[arg-type]
