"""What users of other systems complain about (beyond.md section 1), as cases that must work here.

    @case(3, "what it is about", "a line of the timeline", "the next message's", ...)
    def _(c: Case) -> Steps: what happens; each `yield` lets the mail in

A line: subject | ways it came by | whose | records (role), and | files | the thread, if another
mail began it; for what is excluded "excluded: reason". Every case has people of its own: c.bob,
c.carol.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crmstore import message, records, timeline, users
from tests.cores import winmail
from tests.paths.office import ImapDoor, Office

ALICE, DAN, CHIEF = (f"{name}@ours.example" for name in ("alice", "dan", "chief"))
Steps = Iterator[None]
LONG = "<" + "a" * 20_000


@dataclass
class Case:
    """The people, doors and mail of one case."""

    office: Office
    number: int
    captures: list[str] = field(default_factory=list)

    @property
    def bob(self) -> str:
        return f"bob@c{self.number}.example"

    @property
    def carol(self) -> str:
        return f"carol@c{self.number}.example"

    def contact(self, name: str = "Bob", *addresses: str) -> int:
        return self.office.contact(*(addresses or [self.bob]), name=name).id

    # Mail

    def mail(self, subject: str, frm: str, to: str, text: str = "", *head: str) -> bytes:
        lines = [f"From: {frm}", f"To: {to}", f"Subject: {subject}", *head]
        if not any(line.startswith("Content-Type") for line in head):
            lines.append("Content-Type: text/plain; charset=utf-8")
        return "\r\n".join([*lines, "", text or f"{subject} {self.number}", ""]).encode()

    def sent(self, mail: bytes, *to: str, auth: str = ALICE, sender: str = "") -> bytes:
        """By a mail program through the submission listener."""
        return self._door("submission", mail, to=to, auth=auth, sender=sender or auth)

    def came(self, mail: bytes, *to: str, sender: str = "") -> bytes:
        """From outside, through the MX."""
        return self._door("inbound", mail, to=to or (ALICE,), sender=sender or self.bob)

    def _door(self, role: str, mail: bytes, **how: Any) -> bytes:
        door = self.office.door(f"{role}-{self.number}{len(self.captures)}", role)
        self.captures.append(door.mail(mail, **how))
        return mail

    def out(self, subject: str, *head: str, to: str = "", text: str = "") -> bytes:
        """Alice writes to Bob."""
        to = to or self.bob
        return self.sent(self.mail(subject, ALICE, to, text, *head), to)

    def in_(self, subject: str, *head: str, frm: str = "", text: str = "") -> bytes:
        """Bob writes to Alice."""
        frm = frm or self.bob
        return self.came(self.mail(subject, frm, ALICE, text, *head), sender=frm)

    def seen(self, mail: bytes, *, special: str = "inbox", **how: Any) -> bytes:
        """In Alice's mailbox, through the IMAP door."""
        door = ImapDoor(self.office.settings.journal_dir, f"i-{self.number}{len(self.captures)}")
        uid = self.number * 100 + len(self.captures)
        self.captures.append(door.seen(mail, special=special, mailbox=special, uid=uid, **how))
        return mail

    # What came of it

    def ids(self) -> list[int]:
        """The messages of this case, in the order in which they were first seen."""
        marks = ", ".join(f"'{capture}'" for capture in self.captures)
        found = dict(
            self.office.query(
                "SELECT capture_id, message_id FROM captures"
                f" WHERE message_id IS NOT NULL AND capture_id IN ({marks})"
            )
        )
        return list(dict.fromkeys(found[c] for c in self.captures if c in found))

    def timeline(self) -> list[str]:
        lines = [self._line(timeline_row(self.office, id_)) for id_ in self.ids()]
        marks = ", ".join(f"'{capture}'" for capture in self.captures)
        out = self.office.query(
            "SELECT disposition, reason FROM captures WHERE message_id IS NULL"
            f" AND capture_id IN ({marks}) ORDER BY capture_id"
        )
        return lines + [f"{disposition}: {reason}" for disposition, reason in out]

    def _line(self, row: dict[str, Any]) -> str:
        ways = "+".join(row["source"])
        owners = " ".join(owner.removesuffix("@ours.example") for owner in row["owners"])
        on = ", ".join(f"{one['name']} ({one['role']})" for one in row["records"]) or "-"
        files = ", ".join(item["name"] for item in row["attachments"])
        line = f"{row['subject']} | {ways} | {owners} | {on}"
        if files:
            line += f" | {files}"
        if row["thread"] != row["id"]:
            line += f" | in {timeline_row(self.office, row['thread'])['subject']}"
        return line


def timeline_row(office: Office, id_: int) -> dict[str, Any]:
    with office.store.reading() as connection:
        return timeline.rows_for(connection, [id_])[0]


class Told(NamedTuple):
    row: int
    about: str
    expected: tuple[str, ...]
    happens: Callable[[Case], Steps]


CASES: list[Told] = []


def case(row: int, about: str, *expected: str) -> Callable[[Callable[[Case], Steps]], None]:
    def add(happens: Callable[[Case], Steps]) -> None:
        CASES.append(Told(row, about, expected, happens))

    return add


# 1. Silent loss


@case(
    1,
    "mail that is hardly mail is there all the same",
    " | inbound | alice | Bob (from)",
    "no body | inbound | alice | Bob (from)",
    "junk | inbound | alice | Bob (from)",
)
def _(c: Case) -> Steps:
    c.contact()
    for mail in (
        b"\x00\xff\xfe no header",
        b"Subject: no body\r\n",
        b"Subject: junk\r\n\r\n\xff\x00",
    ):
        c.came(mail)
    yield


# 2. Message-ID: one mail is two, two mails are one

ID = "Message-ID: <1@mail.example>"


@case(
    2,
    "two different mails with one Message-ID are two",
    "offer | inbound | alice | Bob (from)",
    "invoice | inbound | alice | Bob (from)",
)
def _(c: Case) -> Steps:
    c.contact()
    c.in_("offer", ID)
    c.in_("invoice", ID)
    yield


@case(2, "company-wide mail is in each mailbox", "news | inbound | alice chief dan | Bob (from)")
def _(c: Case) -> Steps:
    c.contact()
    mail = c.mail("news", c.bob, "all@ours.example", "", ID)
    for user in (ALICE, DAN, CHIEF):
        c.came(b"Delivered-To: " + user.encode() + b"\r\n" + mail, user)
    yield


@case(
    2,
    "a colleague's copy of mail to a customer is the same mail",
    "offer | inbound+submission | alice dan | Bob (to)",
)
def _(c: Case) -> Steps:
    c.contact()
    mail = c.sent(c.mail("offer", ALICE, c.bob, "", f"Cc: {DAN}"), c.bob, DAN)
    c.came(b"Received: from a by b\r\n" + mail, DAN, sender=ALICE)
    yield


@case(2, "sent again after a lost reply it is one mail", "offer | submission | alice | Bob (to)")
def _(c: Case) -> Steps:
    c.contact()
    c.sent(c.out("offer", ID), c.bob)
    yield


# 3. Message-IDs that are missing, malformed, huge


@case(
    3,
    "any Message-ID or none is ordinary mail",
    *(f"{n} | inbound | alice | Bob (from)" for n in range(6)),
)
def _(c: Case) -> Steps:
    c.contact()
    odd = ("X: none", "Message-ID: <<a@x>>", "Message-ID: a@x", "Message-ID: []", "Message-ID:")
    for number, head in enumerate((*odd, f"Message-ID: {LONG}@x>")):
        c.in_(str(number), head)
    yield


@case(
    3,
    "20,000 octets that differ in the last one are two",
    "same | inbound | alice | -",
    "same | inbound | alice | -",
)
def _(c: Case) -> Steps:
    c.in_("same", f"Message-ID: {LONG}1@x>")
    c.in_("same", f"Message-ID: {LONG}2@x>")
    yield


# 4. On the wrong record, in the wrong conversation


@case(
    4,
    "a stranger with our number in the subject is a stranger",
    "[#4711] offer | submission | alice | Bob (to)",
    "Re: [#4711] offer | inbound | alice | -",
)
def _(c: Case) -> Steps:
    c.contact()
    c.out("[#4711] offer")
    c.in_("Re: [#4711] offer", frm=c.carol)
    yield


@case(
    4,
    "a stranger with copied References does not join",
    "offer | submission | alice | Bob (to)",
    "Re: offer | inbound | alice | -",
)
def _(c: Case) -> Steps:
    c.contact()
    c.out("offer", "Message-ID: <c4@ours.example>")
    c.in_("Re: offer", "References: <c4@ours.example>", frm=c.carol)
    yield


@case(4, "an empty To matches nobody", " | submission | alice | -")
def _(c: Case) -> Steps:
    c.contact("Nobody yet")
    c.sent(c.mail("", ALICE, "", "x"), c.carol)
    yield


# 5. Broken conversations


@case(
    5,
    "Outlook drops the references when the subject is edited",
    "offer | submission | alice | Bob (to)",
    "30 EUR | inbound | alice | Bob (from) | in offer",
)
def _(c: Case) -> Steps:
    c.contact()
    text = "Five hundred wheels at 30 EUR each, delivered in May."
    c.out("offer", text=text)
    yield
    c.in_("30 EUR", text=f"Ok.\r\n\r\n-----Original Message-----\r\nFrom: Alice\r\n\r\n{text}")
    yield


@case(
    5,
    "the Message-ID was changed on its way, the answer names the new one",
    "offer | submission | alice | Bob (to)",
    "Re: offer | inbound | alice | Bob (from) | in offer",
)
def _(c: Case) -> Steps:
    c.contact()
    c.out("offer", "Message-ID: <old@ours.example>")
    yield
    c.in_("Re: offer", "In-Reply-To: <new@exchange.example>")
    yield


@case(
    5,
    "the answer comes before what it answers",
    "Re: offer | inbound | alice | Bob (from)",
    "offer | submission | alice | Bob (to) | in Re: offer",
)
def _(c: Case) -> Steps:
    c.contact()
    c.in_("Re: offer", "In-Reply-To: <late@ours.example>")
    yield
    c.out("offer", "Message-ID: <late@ours.example>")
    yield


# 8. The internal note


@case(
    8,
    "what colleagues say about a customer's mail is on no record",
    "offer | inbound | alice | Bob (from)",
    "excluded: internal",
)
def _(c: Case) -> Steps:
    c.contact()
    c.in_("offer", "Message-ID: <note@x.example>")
    note = c.mail("Fwd: offer", ALICE, DAN, "too dear", "References: <note@x.example>")
    c.sent(note, DAN)
    yield


# 9. Junk records


@case(9, "newsletters make no record", "Sale! | inbound | alice | -")
def _(c: Case) -> Steps:
    c.in_("Sale!", "List-Unsubscribe: <https://x.example>", "Precedence: bulk", frm=c.carol)
    yield
    known = f"SELECT record_id FROM record_addresses WHERE address = '{c.carol}'"
    assert c.office.query(known) == []


# 10, 11. Sent by other programs; double in Sent


@case(
    10,
    "what was sent past us counts from the Sent folder",
    "by phone | imap_append | alice | Bob (to)",
    "by desktop | imap_fetch | alice | Bob (to)",
)
def _(c: Case) -> Steps:
    c.contact()
    c.seen(c.mail("by phone", ALICE, c.bob), special="sent", source="imap_append")
    c.seen(c.mail("by desktop", ALICE, c.bob), special="sent")
    yield


@case(
    11,
    "sent, filed in Sent and read there it is one mail",
    "offer | imap_append+imap_fetch+submission | alice | Bob (to)",
)
def _(c: Case) -> Steps:
    c.contact()
    mail = c.out("offer", ID)
    yield
    c.seen(mail, special="sent", source="imap_append")
    c.seen(b"Received: from pc\r\n" + mail, special="sent")
    yield


# 12. Missing attachments and texts

PARTS = "--b\r\nContent-Type: {}\r\n\r\n{}\r\n"


def parts(*each: tuple[str, str]) -> str:
    return "".join(PARTS.format(kind, text) for kind, text in each) + "--b--"


@case(
    12,
    "inline files, mails inside and the text beside them are there",
    "files | inbound | alice | Bob (from) | scan.png, offer.pdf, inner.eml",
)
def _(c: Case) -> Steps:
    c.contact()
    text = parts(
        ("text/plain", "see below"),
        ("image/png\r\nContent-Disposition: inline; filename=scan.png", "x"),
        ("application/pdf; name=offer.pdf", "x"),
        ("message/rfc822; name=inner.eml", "Subject: inner\r\n\r\nwithin"),
    )
    c.in_("files", "Content-Type: multipart/mixed; boundary=b", text=text)
    yield
    (id_,) = c.ids()
    assert message.email(c.office.store, id_)["preview"].startswith("see below")


@case(12, "winmail.dat is unpacked", "tnef | inbound | alice | Bob (from) | 見積.txt")
def _(c: Case) -> Steps:
    c.contact()
    inside = winmail.stream(winmail.body("within"), winmail.file("見積.txt", b"x"))
    head = b"From: %s\r\nSubject: tnef\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n"
    c.came(head % c.bob.encode() + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + inside)
    yield


# 17. Another address


@case(
    17,
    "a change of address keeps what was, and takes what comes",
    "before | submission | alice | Bob (to)",
    "earlier, to the new | submission | alice | Bob (to)",
    "to the new | submission | alice | Bob (to)",
    "to the old | submission | alice | -",
)
def _(c: Case) -> Steps:
    bob = c.contact()
    c.out("before")
    c.out("earlier, to the new", to=c.carol)
    yield
    records.change(c.office.store, bob, add_emails=[c.carol], remove_emails=[c.bob])
    c.out("to the new", to=c.carol)
    c.out("to the old")
    yield


# 18. Shared addresses


@case(18, "an address of two contacts is on both", "hi | inbound | alice | Ann (from), Bob (from)")
def _(c: Case) -> Steps:
    c.contact("Ann")
    c.contact("Bob")
    c.in_("hi")
    yield
    (row,) = (timeline_row(c.office, id_) for id_ in c.ids())
    assert [one["shared_by"] for one in row["records"]] == [2, 2]


@case(18, "others at the same provider are others", "hi | inbound | alice | -")
def _(c: Case) -> Steps:
    c.contact()
    c.in_("hi", frm=c.carol)
    yield


# 19. Aliases, catch-all, send-as


@case(
    19,
    "an alias is its owner's, and so is what is sent as another",
    "to the alias | inbound | eve | Bob (from)",
    "as the alias | submission | eve | Bob (to)",
    "as sales | submission | eve | Bob (to)",
    "as herself elsewhere | submission | eve | Bob (to), Elsewhere (from)",
)
def _(c: Case) -> Steps:
    c.contact()
    c.contact("Elsewhere", f"eve@private{c.number}.example")
    eve, alias = "eve@ours.example", "e.smith@ours.example"
    c.office.user(eve, eve, alias)
    yield
    c.came(c.mail("to the alias", c.bob, alias), alias)
    for about, frm in (
        ("as the alias", alias),
        ("as sales", "sales@ours.example"),
        ("as herself elsewhere", f"eve@private{c.number}.example"),
    ):
        c.sent(c.mail(about, frm, c.bob), c.bob, auth=eve, sender=frm)
    yield
    told = [message.email(c.office.store, id_)["sightings"][0] for id_ in c.ids()]
    assert [one.get("sent_as") for one in told] == [
        None,
        alias,
        "sales@ours.example",
        f"eve@private{c.number}.example",
    ]


@case(
    19,
    "what the catch-all took waits for whom it is",
    "hi | inbound | frank | Bob (from)",
)
def _(c: Case) -> Steps:
    c.contact()
    c.came(c.mail("hi", c.bob, "info4@ours.example"), "info4@ours.example")
    yield
    c.office.user("frank@ours.example")
    users.change(c.office.store, "frank@ours.example", add_emails=["info4@ours.example"])
    yield


# 20. Bcc


@case(
    20,
    "a Bcc is on its record, and its sender's alone",
    "offer | inbound+submission | alice dan | Bob (to), Carol (bcc)",
)
def _(c: Case) -> Steps:
    c.contact()
    carol = c.contact("Carol", c.carol)
    mail = c.sent(c.mail("offer", ALICE, f"{c.bob}, {DAN}"), c.bob, DAN, c.carol)
    c.came(mail, DAN, sender=ALICE)
    yield
    (id_,) = c.ids()
    shown = {who: message.email(c.office.store, id_, viewer=who)["bcc"] for who in (ALICE, DAN)}
    assert shown == {ALICE: [c.carol], DAN: []}
    assert c.office.rows(record=carol, viewer=DAN) == []
    assert [row["id"] for row in c.office.rows(record=carol, viewer=ALICE)] == [id_]


# 22. To several of us, about several of them


@case(
    22,
    "one mail to two of us about three records is one mail",
    "plan | inbound | alice dan | Bob (from), Carol (to), Renewal (from)",
)
def _(c: Case) -> Steps:
    bob = c.contact()
    c.contact("Carol", c.carol)
    records.add(c.office.store, "deal", "Renewal", main_contact=bob)
    c.came(c.mail("plan", c.bob, f"{ALICE}, {DAN}, {c.carol}"), ALICE, DAN)
    yield


# 23. Forwarded mail

FORWARD = (
    "---------- Forwarded message ---------\r\nFrom: Bob <{}>\r\nDate: x\r\nSubject: offer\r\n"
)


@case(
    23,
    "forwarded to oneself it is on the record of who wrote it",
    "Fwd: attached | submission | alice | Bob (forward) | attachment-1.eml",
    "Fwd: as text | submission | alice | Bob (forward)",
    "Fwd: filed | imap_append | alice | Bob (forward)",
)
def _(c: Case) -> Steps:
    c.contact()
    inner = parts(("message/rfc822", f"From: {c.bob}\r\nSubject: offer\r\n\r\nhi"))
    multipart = "Content-Type: multipart/mixed; boundary=b"
    c.sent(c.mail("Fwd: attached", ALICE, ALICE, inner, multipart), ALICE)
    c.sent(c.mail("Fwd: as text", ALICE, ALICE, FORWARD.format(c.bob)), ALICE)
    mail = c.mail("Fwd: filed", ALICE, ALICE, FORWARD.format(c.bob))
    c.seen(mail, special="sent", source="imap_append")
    yield


@case(
    23,
    "forwarded to another customer it is not",
    "Fwd: offer | submission | alice | Carol (to)",
    "Fwd: for you | inbound | alice | Carol (from) | in Fwd: offer",
)
def _(c: Case) -> Steps:
    c.contact()
    c.contact("Carol", c.carol)
    c.out("Fwd: offer", to=c.carol, text=FORWARD.format(c.bob))
    c.in_("Fwd: for you", frm=c.carol, text=FORWARD.format(c.bob))
    yield
