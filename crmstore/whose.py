"""Whose mail is it, who takes part, and may the CRM have it at all? A core.

judge() looks at one decided capture: envelope, verdict, facts. It answers with owners (each gets
a sighting), participants with their evidence, or the reason why the capture is excluded.

Rules (contract.md [capture], features.md A7, A20, A30, B2):
- submission is mail sent: it belongs to the user who authenticated, else to the sender address.
- inbound and lmtp are mail received: it belongs to each recipient that is a user; a recipient of
  our domains that is no user yet owns it under the plain address.
- What comes by IMAP has no envelope. It belongs to the user who is logged in, and is sent if it is
  from one of their addresses or lies in their Sent folder, else received. Junk, Trash, Drafts and
  drafts elsewhere are excluded.
- An envelope recipient of sent mail that stands in no header is a Bcc: known by the envelope
  only, marked so, to be shown to the sender only. So is who stands in a Bcc header: it is known by
  somebody's own copy.
- Nobody of ours (domain or user's address) ever keys a record.
- Who wrote a message that is attached whole, or forwarded as text, takes part only if a user sent
  it to nobody but themselves: that is filing it. To anybody else it is a document
  (see docs/decisions).
- Excluded: all who correspond are ours and capture.internal is off; `never` matches whoever
  writes, the owner, or every outside recipient; the owner's capturing is switched off, or they are
  not enrolled where only listed people are ([capture].users), or a rule of their own says so
  (personal.py); or nothing is kept at all while it is
  only looked what would be ([capture].mode).
- Where that holds for some only, the mail is kept for the others and without these: they are no
  owners, no participants, and `left_out` says by which rule.
- What an owner's own rules put onto records (`filed`) is of that owner alone, and of what is kept:
  whatever leaves mail out is the stronger word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from crmstore import addresses
from crmstore.facts import Facts
from crmstore.leftout import READS, WRITES, LeftOut, Rules, kinds
from crmstore.mailplace import Place, login_name, place_of
from crmstore.personal import RULE, Filed, PersonalRules

__all__ = [
    "RECIPIENT",
    "ROLES",
    "Judgement",
    "Owner",
    "Participant",
    "People",
    "Rules",
    "UserRef",
    "judge",
    "kinds",
    "mailbox_user",
]

# From the best reason to be on a record to the weakest.
ROLES = ("from", "sender", "to", "cc", "bcc", "reply-to", "resent", "forward", "envelope", RULE)
_ROLE_OF = {
    "resent-from": "resent",
    "resent-sender": "resent",
    "resent-to": "resent",
    "resent-cc": "resent",
    "resent-bcc": "bcc",
}
RECIPIENT = "envelope recipient"  # the evidence of one whom no header names
_AUTHORS = ("from ", "sender ", "resent-from ", "resent-sender ")
_NOT_ADDRESSED = (*_AUTHORS, "reply-to ", "From of")
_FORWARDED = {
    "forward": "From of a message attached",
    "forward-text": "From of a message forwarded as text",
}


OBSERVED = "observe"  # it would have been captured
_key = lru_cache(maxsize=4096)(addresses.key)  # envelopes name the same people again and again

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
    version: int = -1  # of the store's people, when they were read
    rules: Mapping[int, PersonalRules] = field(default_factory=dict)  # by user id

    def internal(self, address: str) -> bool:
        return address.rpartition("@")[2] in self.domains or address in self.users


class Owner(NamedTuple):
    """Who has this sighting: a user, or (user_id None) an address of ours, or "" for nobody.
    `address`: by which of the owner's addresses; "" if the login alone says it."""

    name: str
    user_id: int | None
    status: str
    address: str = ""


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
    left_out: str = ""  # captured, but not for everybody: the rules that kept somebody out
    filed: Sequence[tuple[str, Filed]] = ()  # whose rules (the login) put it onto which records


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
        found = _judge_place(place, facts, people, rules)._replace(place=place)
    else:
        sent = header.get("role") == "submission"
        direction, source = ("sent", "submission") if sent else ("received", "inbound")
        sender = _key(str(header.get("sender", "")))
        recipients = _recipients(header, verdict)
        to = [address for address, _ in recipients]
        who = _participants(sent, sender, to, facts)
        if sent:
            owner = _sender_owner(header, sender, recipients, verdict, people)
            owners, files = [(owner, owner.name)], _is_all_mine(owner, to, people)
        else:
            owners, files = _recipient_owners(recipients, people), False
        found = _allowed(direction, source, owners, who, sender, people, rules, files=files)
    return found._replace(excluded=OBSERVED) if rules.observe and not found.excluded else found


def _judge_place(place: Place, facts: Facts | None, people: People, rules: Rules) -> Judgement:
    """What was seen in a mailbox."""
    user = mailbox_user(place.login, people)
    name, ident = (user.login, user.id) if user is not None else (place.login, None)
    participants = _in_header(facts, "", ())

    def mine(roles: Sequence[str]) -> list[str]:
        return [
            p.address
            for p in participants
            if p.role in roles
            and (p.address == name or (user is not None and people.users.get(p.address) == user))
        ]

    authors = mine(("from",))
    sent = bool(authors) or place.special == "sent"
    direction = "sent" if sent else "received"
    if place.closed:
        return Judgement(direction, place.source, (), (), (), place.closed)
    own = authors if sent else mine(("to", "cc", "bcc", "resent"))
    owner = Owner(name, ident, direction, own[0] if own else "")
    sender = next((p.address for p in participants if p.role == "from"), "")
    to = [p.address for p in participants if p.role in ("to", "cc", "bcc")]
    files = (place.source == "imap_append" or place.special == "sent") and bool(authors)
    return _allowed(
        direction,
        place.source,
        [(owner, name)],
        participants,
        sender,
        people,
        rules,
        files=files and _is_all_mine(owner, to, people),
        read=facts is not None,
        mailbox=place.mailbox,
    )


def _allowed(
    direction: str,
    source: str,
    owners: Sequence[tuple[Owner, str]],
    participants: Sequence[Participant],
    sender: str,
    people: People,
    rules: Rules,
    *,
    files: bool,
    read: bool = True,
    mailbox: str = "",
) -> Judgement:
    """The judgement without what the rules keep out. `files`: a user files somebody's mail, so who
    wrote what is attached takes part. `read`: whether anything is known of who takes part."""
    out = LeftOut(rules)
    found = [p for p in participants if files or p.role != "forward"]
    outside = [p for p in found if not people.internal(p.address)]
    if read and not rules.internal and all(p.role == "reply-to" for p in outside):
        return Judgement(direction, source, (), (), (), "internal")
    mine = out.owners(owners, people, found, mailbox)
    if not mine:
        return Judgement(direction, source, (), (), (), out.reasons[-1])
    stay = out.participants(found, sender)
    if stay is None:
        return Judgement(direction, source, (), (), (), out.reasons[-1])
    outsiders = [p for p in stay if not people.internal(p.address)]
    told_off = len(outsiders) < len(outside)
    if direction == "sent" and told_off and all(p.role in WRITES for p in outsiders):
        return Judgement(direction, source, (), (), (), out.reasons[-1])
    left_out = "; ".join(dict.fromkeys(out.reasons))
    filed = _filed(mine, people, outsiders, mailbox) if people.rules else ()
    return Judgement(direction, source, mine, stay, outsiders, "", left_out=left_out, filed=filed)


def _filed(
    owners: Sequence[Owner], people: People, outsiders: Sequence[Participant], mailbox: str
) -> list[tuple[str, Filed]]:
    """What the owners' own rules say."""
    found: list[tuple[str, Filed]] = []
    for owner in owners:
        rules = people.rules.get(owner.user_id) if owner.user_id is not None else None
        if rules is not None and rules.files:
            writers = [one.address for one in outsiders if one.role in WRITES]
            readers = [one.address for one in outsiders if one.role in READS]
            filed = rules.filed(writers, readers, [mailbox])
            found += [(owner.name, one) for one in filed]
    return found


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
        address = _key(written)
        if address and outcome != "refused":
            found.setdefault(address, outcome)
    return list(found.items())


def _participants(
    sent: bool, sender: str, recipients: Sequence[str], facts: Facts | None
) -> list[Participant]:
    """Everybody once a role, with the places where they were seen."""
    participants = _in_header(facts, sender, recipients, sent=sent)
    wrote = {p.address for p in participants if p.evidence.startswith(_AUTHORS)}
    addressed = {p.address for p in participants if not p.evidence.startswith(_NOT_ADDRESSED)}
    if sender and sender not in wrote:
        role = "envelope" if wrote else "from"
        participants.append(Participant(role, sender, "", "envelope sender", role == "envelope"))
    # Received mail whose header does not name its recipient is a list's, or a Bcc of theirs.
    role = "bcc" if sent else "envelope"
    participants += [
        Participant(role, address, "", RECIPIENT, True)
        for address in recipients
        if address not in addressed and not (role == "envelope" and address == sender)
    ]
    return participants


def _in_header(
    facts: Facts | None, sender: str, recipients: Sequence[str], *, sent: bool = False
) -> list[Participant]:
    """Whom the header names, and who wrote what is attached."""
    found: list[Participant] = []
    envelope = set(recipients)
    for header, address, name in facts.people if facts is not None else ():
        if header in _FORWARDED:
            found.append(Participant("forward", address, name, _FORWARDED[header], False))
            continue
        role = _ROLE_OF.get(header, header)
        if header in ("from", "sender", "resent-from", "resent-sender"):
            both = address == sender
        else:
            if sent and address.startswith(FORCE) and address[len(FORCE) :] in envelope:
                address = address[len(FORCE) :]  # the word was for us (proxy/smtp/gate.py)
            both = header != "reply-to" and address in envelope
        evidence = f"{header} header and envelope" if both else f"{header} header"
        found.append(Participant(role, address, name, evidence, role == "bcc"))
    return found


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
            # By the address that the mail was sent from, if it is one of theirs.
            own = sender if people.users.get(sender) == user else addresses.key(name)
            return Owner(user.login, user.id, status, own)
    if sender and people.internal(sender):
        return Owner(sender, None, status, sender)
    return Owner(login or sender, None, status)


def _recipient_owners(
    recipients: Sequence[tuple[str, str]], people: People
) -> list[tuple[Owner, str]]:
    """Each owner once for each of their addresses that it went to, with the address."""
    owners: list[tuple[Owner, str]] = []
    for address, _ in recipients:
        user = people.users.get(address)
        if user is not None:
            owners.append((Owner(user.login, user.id, "received", address), address))
        elif people.internal(address):
            owners.append((Owner(address, None, "received", address), address))
    if not owners:  # a domain that we relay for and do not call ours
        name = recipients[0][0] if recipients else ""
        owners.append((Owner(name, None, "received"), name))
    return owners


def _is_all_mine(owner: Owner, recipients: Sequence[str], people: People) -> bool:
    """Did a user send this to nobody but themselves?"""
    mine = [people.users.get(address) for address in recipients]
    return bool(mine) and all(user is not None and user.id == owner.user_id for user in mine)
