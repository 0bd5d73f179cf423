"""Which message of ours is a report about? The ladder of evidence, rung by rung (core).

`decide` gets the report and what the store found for each rung, and says for every recipient of the
report which sent message it is about and how sure that is; MATCHING.md tells the rules and what a
forger can do at each rung. Nothing in a report is believed by itself: a message that we never sent,
or not to that recipient, matches nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from bounce.report import Recipient, Report
from crmstore.addresses import domain_of, key

__all__ = [
    "RUNGS",
    "TOLD",
    "WINDOW",
    "Match",
    "decide",
    "host_of",
    "hosts_fit",
    "names",
    "pack",
    "unpack",
]

#: Kinds of reports that say what became of mail; the others are answers of people and programs.
TOLD: Final = frozenset({"bounce", "delayed", "delivered", "feedback"})
#: The rungs from the strongest down. "window" stands alone: it never suppresses.
RUNGS: Final = ("verp", "envid", "message_id")
WINDOW: Final = 7 * 86_400.0  # seconds between mail and report for the last rung


class SentMail(Protocol):
    """As crmstore.outcomes has it."""

    @property
    def capture_id(self) -> str: ...
    @property
    def recipients(self) -> frozenset[str]: ...


class Match(NamedTuple):
    """A recipient of a report, the message it is about, and the address that we wrote to.

    `certain`: it may suppress that address."""

    recipient: Recipient
    capture_id: str
    address: str
    evidence: str
    certain: bool


def names(recipient: Recipient) -> list[str]:
    """The addresses that may be the one we wrote to, the likeliest first."""
    kind, semicolon, original = recipient.original.partition(";")
    found = [key(original if semicolon else kind), key(recipient.address)]
    return list(dict.fromkeys(filter(None, found)))


def decide(
    report: Report, found: Mapping[str, Sequence[SentMail]], *, unsigned: Iterable[str] = ()
) -> tuple[list[Match], list[Recipient]]:
    """(matches, recipients that nothing fits). `found`: for each rung what the store has.

    `unsigned`: captures that went out with a signed return path which this report did not come by;
    whoever wrote it, it was not a server that had the message's envelope.
    """
    doubtful = set(unsigned)
    matches: list[Match] = []
    rest: list[Recipient] = []
    for recipient in report.recipients:
        match = _match(recipient, found, alone=len(report.recipients) == 1)
        if match is None:
            rest.append(recipient)
        else:
            sure = match.certain and match.capture_id not in doubtful
            matches.append(match._replace(certain=sure))
    return matches, rest


def _match(
    recipient: Recipient, found: Mapping[str, Sequence[SentMail]], *, alone: bool
) -> Match | None:
    told = names(recipient)
    for rung in RUNGS:
        for sent in found.get(rung, ()):
            for name in told:
                if name in sent.recipients:
                    return Match(recipient, sent.capture_id, name, rung, True)
    # Forwarded, and the last address bounced: the envelope knows whom it was for. It did not
    # arrive, but the address that we know is not the one that is dead.
    for rung in ("verp", "envid"):
        for sent in found.get(rung, ()):
            if alone and len(sent.recipients) == 1:
                return Match(recipient, sent.capture_id, next(iter(sent.recipients)), rung, False)
    return None


def hosts_fit(report: Report, recipient: Recipient, address: str, ours: Iterable[str]) -> bool:
    """For the last rung: does the report come from the recipient's servers, or from our own?"""
    domains = [domain_of(address), *ours]
    hosts = (host_of(report.reporting_mta), host_of(recipient.remote_mta))
    return any(
        host == domain or host.endswith("." + domain)
        for host in hosts
        if host
        for domain in domains
    )


def host_of(text: str) -> str:
    """ "dns; mx.example.com" and "mx.example.com (192.0.2.1)" are mx.example.com."""
    words = text.rpartition(";")[2].split()
    return words[0].strip(".[]").lower() if words else ""


# Between processes

_FIELDS: Final = ("kind", "original_message_id", "envelope_id", "reporting_mta", "feedback_type")


def pack(report: Report) -> dict[str, Any]:
    """What matching needs of a report, as plain values."""
    packed: dict[str, Any] = {name: getattr(report, name) for name in _FIELDS}
    packed["recipients"] = [
        [r.address, r.klass, r.category, r.action, r.status, r.diagnostic, r.remote_mta, r.original]
        for r in report.recipients
    ]
    return packed


def unpack(packed: Mapping[str, Any]) -> Report:
    """The other way."""
    people = tuple(
        Recipient(address, klass, category, action, status, words, remote, original=original)
        for address, klass, category, action, status, words, remote, original in packed[
            "recipients"
        ]
    )
    return Report(recipients=people, **{name: packed[name] for name in _FIELDS})
