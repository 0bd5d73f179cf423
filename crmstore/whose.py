"""Whose mail is it, who takes part, and may the CRM have it at all? A core.

judge() looks at one decided capture: envelope, verdict, facts. It answers with owners (each gets
a sighting), participants with their evidence, or the reason why the capture is excluded.

Rules (contract.md [capture], features.md A7, A20, A30):
- submission is mail sent: it belongs to the user who authenticated, else to the sender address.
- inbound and lmtp are mail received: it belongs to each recipient that is a user; a recipient of
  our domains that is no user yet owns it under the plain address.
- What comes by IMAP has no envelope. It belongs to the user who is logged in, and is sent if it is
  from one of their addresses or lies in their Sent folder, else received. Junk, Trash, Drafts and
  drafts elsewhere are excluded. A Bcc that stands in the header of somebody's own copy is shown to
  them only, like one of the envelope.
- An envelope recipient of sent mail that stands in no header is a Bcc: known by the envelope
  only, marked so, to be shown to the sender only.
- Nobody of ours (domain or user's address) ever keys a record.
- Excluded: all participants are ours and capture.internal is off; `never` matches the owner, the
  sender, or every outside recipient; the owner's capturing is switched off. For other owners and
  other outsiders the same mail is logged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from crmstore import addresses
from crmstore.facts import Facts
from crmstore.mailplace import Place, login_name, place_of

__all__ = [
    "Judgement", "Owner", "Participant", "People", "Rules", "UserRef", "judge", "mailbox_user",
]  # fmt: skip


FORCE = "force+"  # before a recipient: "although it is on the suppression list"


class UserRef(NamedTuple):
    """A user, as far as ingest needs one."""

    id: int
    login: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class People:
    """Who is ours: domains, and users by each of their addresses."""

    domains: frozenset[str]
    users: Mapping[str, UserRef]

    def internal(self, address: str) -> bool:
        return address.rpartition("@")[2] in self.domains or address in self.users


class Rules(NamedTuple):
    """[capture]. `never` gives the pattern that matches an address, or None."""

    internal: bool
    never: Callable[[str], object | None]


class Owner(NamedTuple):
    """Who has this sighting: a user, or (user_id None) an address of ours, or "" for nobody."""

    name: str
    user_id: int | None
    status: str


class Participant(NamedTuple):
    """`evidence`: where it was seen. `envelope_only`: this capture alone tells of it, by its
    envelope or by a Bcc that no other copy has."""

    role: str
    address: str
    name: str
    evidence: str
    envelope_only: bool


class Judgement(NamedTuple):
    direction: str
    source: str
    owners: Sequence[Owner]
    participants: Sequence[Participant]
    outsiders: Sequence[Participant]  # those who may key records
    excluded: str  # the reason; "" = captured
    place: Place | None = None  # of what came by IMAP


def judge(
    header: Mapping[str, Any],
    verdict: Mapping[str, Any],
    facts: Facts | None,
    people: People,
    rules: Rules,
) -> Judgement:
    """Decide one capture. `facts` is None for a message that could not be read."""
    place = place_of(header, verdict)
    if place is not None:
        return _judge_place(place, facts, people, rules)._replace(place=place)
    sent = header.get("role") == "submission"
    sender = addresses.key(str(header.get("sender", "")))
    recipients = _recipients(header, verdict)
    participants = _participants(sent, sender, [r for r, _ in recipients], facts)
    if sent:
        direction, source = "sent", "submission"
        owners = [_sender_owner(header, sender, recipients, verdict, people)]
    else:
        direction, source = "received", "inbound"
        owners = _recipient_owners(recipients, people)
    outsiders = [p for p in participants if not people.internal(p.address)]
    if not outsiders and not rules.internal:
        return Judgement(direction, source, (), (), (), "internal")
    owners, outsiders, reason = _allowed(owners, outsiders, sender, sent, people, rules)
    return Judgement(direction, source, owners, participants, outsiders, reason)


def _judge_place(place: Place, facts: Facts | None, people: People, rules: Rules) -> Judgement:
    """What was seen in a mailbox."""
    user = mailbox_user(place.login, people)
    name, ident = (user.login, user.id) if user is not None else (place.login, None)
    authors = [address for role, address, _ in facts.people if role == "from"] if facts else []
    mine = any(
        address == name or (user is not None and people.users.get(address) == user)
        for address in authors
    )
    sent = mine or place.special == "sent"
    direction = "sent" if sent else "received"
    participants = [
        Participant(role, address, shown, f"{role} header", role == "bcc")
        for role, address, shown in (facts.people if facts is not None else ())
    ]
    owners = [Owner(name, ident, direction)]
    outsiders = [p for p in participants if not people.internal(p.address)]
    reason = place.closed
    if not reason and facts is not None and not outsiders and not rules.internal:
        reason = "internal"
    if not reason:
        sender = authors[0] if authors else ""
        owners, outsiders, reason = _allowed(owners, outsiders, sender, sent, people, rules)
    if reason:
        return Judgement(direction, place.source, (), (), (), reason)
    return Judgement(direction, place.source, owners, participants, outsiders, "")


def mailbox_user(login: str, people: People) -> UserRef | None:
    """Whose mailbox it is: by login or address, or, where the server takes names without a domain,
    by the address that this makes in one of our domains (if only one is a user's)."""
    user = people.users.get(login)
    if user is None and "@" not in login:
        found = {people.users.get(f"{login}@{domain}") for domain in people.domains} - {None}
        user = found.pop() if len(found) == 1 else None
    return user


def _recipients(header: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(address, outcome) of the envelope's recipients that were not refused."""
    outcomes = {
        str(r.get("address", "")): str(r.get("outcome", ""))
        for r in verdict.get("recipients", ())
        if isinstance(r, dict)
    }
    whole = str(verdict.get("outcome", ""))
    found: dict[str, str] = {}
    for recipient in header.get("recipients", ()):
        written = str(recipient.get("address", ""))
        outcome = outcomes.get(written, whole)
        address = addresses.key(written)
        if address and outcome != "refused":
            found.setdefault(address, outcome)
    return list(found.items())


def _participants(
    sent: bool, sender: str, recipients: Sequence[str], facts: Facts | None
) -> list[Participant]:
    """Everybody once a role, with the places where they were seen."""
    participants: list[Participant] = []
    envelope = set(recipients)
    in_header: set[str] = set()
    from_header: set[str] = set()
    for role, address, name in facts.people if facts is not None else ():
        if role == "from":
            from_header.add(address)
            both = address == sender
        else:
            if sent and address.startswith(FORCE) and address[len(FORCE) :] in envelope:
                address = address[len(FORCE) :]  # the word was for us (proxy/smtp/gate.py)
            in_header.add(address)
            both = address in envelope
        evidence = f"{role} header and envelope" if both else f"{role} header"
        participants.append(Participant(role, address, name, evidence, role == "bcc"))
    if sender and sender not in from_header:
        role = "envelope" if from_header else "from"
        participants.append(Participant(role, sender, "", "envelope sender", role == "envelope"))
    # Received mail whose header does not name its recipient is a list's, or a Bcc of theirs.
    role = "bcc" if sent else "envelope"
    participants += [
        Participant(role, address, "", "envelope recipient", True)
        for address in recipients
        if address not in in_header and not (role == "envelope" and address == sender)
    ]
    return participants


def _sender_owner(
    header: Mapping[str, Any],
    sender: str,
    recipients: Sequence[tuple[str, str]],
    verdict: Mapping[str, Any],
    people: People,
) -> Owner:
    outcomes = {outcome for _, outcome in recipients} | {str(verdict.get("outcome", ""))}
    known = (("queued", "queued"), ("accepted", "delivered"))
    status = next((status for outcome, status in known if outcome in outcomes), "sent")
    client = header.get("client")
    login = login_name(str((client or {}).get("auth") or ""))
    for name in (login, sender):
        user = people.users.get(name) if name else None
        if user is not None:
            return Owner(user.login, user.id, status)
    if sender and people.internal(sender):
        return Owner(sender, None, status)
    return Owner(login or sender, None, status)


def _recipient_owners(recipients: Sequence[tuple[str, str]], people: People) -> list[Owner]:
    owners: dict[str, Owner] = {}
    for address, _ in recipients:
        user = people.users.get(address)
        if user is not None:
            owners.setdefault(user.login, Owner(user.login, user.id, "received"))
        elif people.internal(address):
            owners.setdefault(address, Owner(address, None, "received"))
    if not owners:  # a domain that we relay for and do not call ours
        name = recipients[0][0] if recipients else ""
        owners[name] = Owner(name, None, "received")
    return list(owners.values())


def _allowed(
    owners: list[Owner],
    outsiders: list[Participant],
    sender: str,
    sent: bool,
    people: People,
    rules: Rules,
) -> tuple[list[Owner], list[Participant], str]:
    """Take out what [capture].never and switched-off users forbid; the reason if nothing stays."""
    reason = ""
    stay: list[Owner] = []
    for owner in owners:
        user = people.users.get(owner.name)
        pattern = rules.never(owner.name)
        if pattern is not None:
            reason = f"never {pattern}"
        elif user is not None and not user.enabled:
            reason = reason or "user disabled"
        else:
            stay.append(owner)
    if not stay:
        return [], [], reason
    allowed: list[Participant] = []
    told_off = ""
    for outsider in outsiders:
        pattern = rules.never(outsider.address)
        if pattern is None:
            allowed.append(outsider)
            continue
        told_off = f"never {pattern}"
        if outsider.role == "from" or outsider.address == sender:
            return [], [], told_off
    if sent and told_off and not any(o.role != "from" for o in allowed):
        return [], [], told_off
    return stay, allowed, ""
