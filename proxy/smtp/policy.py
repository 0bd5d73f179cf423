"""What a door allows, as values; and what a session must know of the world (core).

`DoorPolicy` is one listener's configuration, made once. `Surroundings` is the small window
through which a session sees clock, disk space and load, so that a test can put anything there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from config.settings import Network, Settings
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.gate import Gate
from proxy.smtp.limits import within

DEFAULT_SIZE = 50 * 2**20  # where neither the configuration nor the hop says one
MOST_SIZE = 2 * 2**30  # as much as max_size may be


@dataclass(frozen=True, slots=True)
class DoorPolicy:
    """One listener. Sizes are octets, times are seconds."""

    listener: str
    door: str
    role: str
    hostname: str
    hop_kind: str
    tls: str = "none"
    auth: bool = False
    auth_without_tls: bool = False
    trusted: tuple[Network, ...] = ()
    recipient_domains: frozenset[str] | None = None
    max_size: int | None = None
    max_recipients: int = 1000
    refuse_bare_lf: bool = False
    spool_above: int = 262_144
    command_timeout: float = 300.0
    data_timeout: float = 300.0
    stress_timeout: float = 10.0
    min_rate: int = 500
    errors: int = 20
    auth_failures: int = 4
    session: float = 3600.0
    max_hops: int = 50
    #: Suppressed recipients, signed return paths: what changes while the door runs.
    gate: Gate | None = None

    @classmethod
    def of(cls, settings: Settings, name: str, slot: int, gate: Gate | None = None) -> DoorPolicy:
        """The policy of a configured listener. KeyError if there is none of this name."""
        listener = settings.listener(name)
        limits = settings.limits
        domains = listener.recipient_domains
        return cls(
            listener=name,
            door=f"{name}-{slot}",
            role=listener.role,
            hostname=settings.node.hostname,
            hop_kind=listener.next_hop.kind,
            tls=listener.tls,
            auth=listener.auth == "next_hop",
            auth_without_tls=listener.auth_plain_without_tls,
            trusted=listener.trusted,
            recipient_domains=None if domains is None else frozenset(domains),
            max_size=listener.max_size,
            max_recipients=listener.max_recipients,
            refuse_bare_lf=listener.bare_lf == "refuse",
            spool_above=settings.journal.spool_above,
            command_timeout=limits.command_timeout,
            data_timeout=limits.data_timeout,
            stress_timeout=limits.stress_timeout,
            min_rate=limits.min_rate,
            errors=limits.errors,
            auth_failures=limits.auth_failures,
            session=limits.session,
            max_hops=limits.max_hops,
            gate=gate,
        )

    def largest(self, hop: int | None) -> int:
        """The largest message that is taken, by what the next hop says it takes (None: nothing).

        Nobody in the path may shrink what mail may carry (features.md F1): without max_size it is
        what the hop takes.
        """
        if self.max_size is not None:
            return min(self.max_size, hop or self.max_size)
        return min(hop, MOST_SIZE) if hop else DEFAULT_SIZE

    def trusts(self, ip: str) -> bool:
        """May this client relay without AUTH? An unreadable address is not trusted."""
        return within(ip, self.trusted)


class Surroundings(Protocol):
    """What a session asks while it runs; all answers are immediate."""

    @property
    def capabilities(self) -> Capabilities | None:
        """What the next hop offered last; None when that is not known."""

    @property
    def journal_full(self) -> bool:
        """True while free space is below the configured minimum."""

    @property
    def stress(self) -> bool:
        """True while this door is close to its connection limit."""

    def login_blocked(self, ip: str) -> bool:
        """True for an address that has guessed passwords too often."""

    def new_id(self) -> str:
        """A fresh capture id."""

    def times(self) -> tuple[str, str]:
        """Now: as the journal writes it (ISO 8601, UTC) and as a header writes it (RFC 5322)."""

    def count(self, verb: str, code: int) -> None:
        """One reply was given, for the metrics; `verb` comes from a closed set."""
