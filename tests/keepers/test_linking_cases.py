"""Which mail is on which record, as a table; every case on both engines.

A line: what it is about; the record's address; the header; "in" (to Alice, from `other`) or "out"
(from Alice, to `other`); the roles by which the record has the message, none for not at all.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmstore import records
from tests.paths.office import Office

ALICE = "alice@ours.example"
ATTACHED = (
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee\r\n--b\r\n"
    "Content-Type: message/rfc822\r\n\r\nFrom: {}\r\nSubject: hi\r\n\r\nhi\r\n--b--\r\n"
)

CASES = [
    # about, the record's address, header, way, other, roles
    ("docomo", "a..b.@docomo.ne.jp", "From: a..b.@docomo.ne.jp", "in",
     "a..b.@docomo.ne.jp", "from"),
    ("docomo, quoted", ".c@docomo.ne.jp", 'From: ".c"@docomo.ne.jp', "in", "x@a1.example", "from"),
    ("plus tag", "p+x@a2.example", "From: p+x@a2.example", "in", "p+x@a2.example", "from"),
    ("another plus tag", "q@a3.example", "From: q+x@a3.example", "in", "q+x@a3.example", ""),
    ("case", "Bob@A4.example", "From: BOB@a4.EXAMPLE", "in", "bOb@a4.example", "from"),
    ("IDN", "x@bücher.example", "From: x@xn--bcher-kva.example", "in", "y@a5.example", "from"),
    ("a name that is an address", "n@a6.example", 'From: "n@a6.example" <m@a6.example>', "in",
     "m@a6.example", ""),
    ("comments", "c@a7.example", "From: (n) c@a7.example (Carol)", "in", "c@a7.example", "from"),
    ("a group", "g@a8.example", "To: Team: x@a8.example, g@a8.example;", "out",
     "g@a8.example", "to"),
    ("Cc", "c@a9.example", "To: x@a9.example\r\nCc: C <c@a9.example>", "out", "c@a9.example", "cc"),
    ("Bcc by the envelope", "b@b1.example", "To: x@b1.example", "out", "b@b1.example", "bcc"),
    ("Bcc in the header", "b@b2.example", "To: x@b2.example\r\nBcc: b@b2.example", "out",
     "b@b2.example", "bcc"),
    ("nobody in To", "u@b3.example", "To: undisclosed-recipients:;", "out", "u@b3.example", "bcc"),
    ("an empty To", "e@b4.example", "To:", "out", "e@b4.example", "bcc"),
    ("an empty address", "e@b5.example", "To: <>, e", "out", "x@b5.example", ""),
    ("Sender", "s@b6.example", "From: x@b6.example\r\nSender: s@b6.example", "in", "x@b6.example",
     "sender"),
    ("Reply-To", "r@b7.example", "From: x@b7.example\r\nReply-To: r@b7.example", "in",
     "x@b7.example", "reply-to"),
    ("Resent-From", "r@b8.example", "From: x@b8.example\r\nResent-From: r@b8.example", "in",
     "x@b8.example", "resent"),
    ("Resent-To", "r@b9.example", "To: x@b9.example\r\nResent-To: r@b9.example", "out",
     "r@b9.example", "resent"),
    ("the envelope's sender", "v@c1.example", "From: x@c1.example", "in", "v@c1.example",
     "envelope"),
    ("forwarded to oneself", "f@c2.example", f"To: {ALICE}\r\n" + ATTACHED.format("f@c2.example"),
     "out", ALICE, "forward"),
    ("forwarded to others", "f@c3.example",
     "To: x@c3.example\r\n" + ATTACHED.format("f@c3.example"), "out", "x@c3.example", ""),
    ("in two roles", "t@c4.example", "To: t@c4.example\r\nCc: t@c4.example", "out", "t@c4.example",
     "cc to"),
]  # fmt: skip


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    made.user(ALICE)
    yield made
    made.close()
    made.store.close()


def on(office: Office, record: int) -> list[str]:
    """Subjects of the mail on a record."""
    return [row["subject"] for row in office.rows(record=record)]


def out(office: Office, to: str, subject: str) -> None:
    body = f"From: {ALICE}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhi\r\n"
    office.door(f"sub-{subject}").mail(body.encode(), auth=ALICE, to=[to])
    office.take()


def test_the_table(office: Office) -> None:
    sub, mx = office.door(), office.door("mx-0", "inbound")
    for about, address, *_ in CASES:
        office.contact(address, name=about)
    for about, _, header, way, other, _ in CASES:
        lines = f"Subject: {about}\r\n" + header
        if "\r\n\r\n" not in header:
            lines += "\r\n\r\nhi\r\n"
        if way == "out":
            sub.mail(f"From: {ALICE}\r\n{lines}".encode(), auth=ALICE, to=[other])
        else:
            mx.mail(f"To: {ALICE}\r\n{lines}".encode(), sender=other, to=[ALICE])
    office.take()
    found: dict[tuple[str, str], list[str]] = {}
    for subject, name, role in office.query(
        "SELECT m.subject, r.name, l.role FROM links l JOIN messages m ON m.id = l.message_id"
        " JOIN records r ON r.id = l.record_id ORDER BY l.role"
    ):
        found.setdefault((subject, name), []).append(role)
    wanted = {(about, about): roles.split() for about, *_, roles in CASES if roles}
    assert found == wanted
    assert len(office.rows(limit=100)) == len(CASES)  # the others are stored, and on no record


THREE = (("one", "contact"), ("two", "lead"), ("three", "contact"))


def test_an_address_on_three_records_is_on_all_of_them(office: Office) -> None:
    ids = [office.contact("bob@x.example", name=name, kind=kind).id for name, kind in THREE]
    out(office, "bob@x.example", "1")
    (row,) = office.rows()
    assert [(one["id"], one["shared_by"]) for one in row["records"]] == [(i, 3) for i in ids]


def test_a_deal_has_the_mail_of_its_main_contact_while_it_is_open(office: Office) -> None:
    bob, carol = (office.contact(f"{name}@x.example").id for name in ("bob", "carol"))
    deal = records.add(office.store, "deal", "Acme", main_contact=bob).id
    out(office, "bob@x.example", "1")
    records.change(office.store, deal, state="closed")
    out(office, "bob@x.example", "2")
    assert on(office, deal) == ["1"] and on(office, bob) == ["2", "1"]
    records.change(office.store, deal, state="open", main_contact=carol)
    out(office, "bob@x.example", "3")
    out(office, "carol@x.example", "4")
    assert "4" in on(office, deal) and "3" not in on(office, deal)


def test_an_address_of_ours_keys_nothing(office: Office) -> None:
    dan = office.contact("dan@x.example").id
    office.user("dan", "dan@x.example")  # he works here now
    body = f"From: {ALICE}\r\nTo: dan@x.example, eve@x.example\r\nSubject: 1\r\n\r\nhi\r\n"
    office.door().mail(body.encode(), auth=ALICE, to=["dan@x.example", "eve@x.example"])
    office.take()
    assert len(office.rows()) == 1 and on(office, dan) == []
