"""Who joins which thread: conversations as tables, in every order in which they may come."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from crmstore import message, threads
from tests.paths.office import Door, Office

ALICE, CAROL = "alice@ours.example", "carol@ours.example"
BOB, EVE = "bob@x.example", "eve@evil.example"

# name -> (from, to, the messages that it names, extra headers)
Mail = tuple[str, str, str, str]
CONVERSATION: dict[str, Mail] = {
    "offer": (ALICE, BOB, "", ""),
    "answer": (BOB, ALICE, "offer", ""),
    "thanks": (ALICE, BOB, "offer answer", ""),
}
# A conversation, and the threads that it makes.
TABLE: dict[str, tuple[dict[str, Mail], str]] = {
    "a mail, its answer, and thanks": (CONVERSATION, "offer answer thanks"),
    "the one in the middle never came by": (
        {"offer": CONVERSATION["offer"], "thanks": CONVERSATION["thanks"]},
        "offer thanks",
    ),
    "only the last one is named": (
        {**CONVERSATION, "thanks": (ALICE, BOB, "answer", "")},
        "offer answer thanks",
    ),
    "a stranger names them all": (
        {**CONVERSATION, "spam": (EVE, ALICE, "offer answer thanks", "")},
        "offer answer thanks | spam",
    ),
    "an answer to the stranger is not in the thread": (
        {
            "offer": CONVERSATION["offer"],
            "spam": (EVE, ALICE, "offer", ""),
            "no": (ALICE, EVE, "spam", ""),
        },
        "offer | spam no",
    ),
    "a colleague who was not on it answers": (
        {**CONVERSATION, "colleague": (CAROL, BOB, "answer", "")},
        "offer answer thanks colleague",
    ),
    "somebody whom it was forwarded to answers": (
        {
            "offer": CONVERSATION["offer"],
            "forward": (BOB, "dave@y.example", "offer", ""),
            "dave": ("dave@y.example", ALICE, "forward offer", ""),
        },
        "offer forward dave",
    ),
    "two conversations": (
        {**CONVERSATION, "other": (ALICE, BOB, "", ""), "yes": (BOB, ALICE, "other", "")},
        "offer answer thanks | other yes",
    ),
    "two become one": (
        {"a": (ALICE, BOB, "", ""), "b": (BOB, ALICE, "", ""), "c": (ALICE, BOB, "a b", "")},
        "a b c",
    ),
    "one that names itself": ({"a": (ALICE, BOB, "a", "")}, "a"),
    "two that name each other": (
        {"a": (ALICE, BOB, "b", ""), "b": (BOB, ALICE, "a", "")},
        "a b",
    ),
}
ORDERS = {
    "as they were sent": lambda mails: mails,
    "backwards": lambda mails: mails[::-1],
    "the first last": lambda mails: [*mails[1:], mails[0]],
}


@pytest.fixture
def office(tmp_path: Path, store_url: str) -> Iterator[Office]:
    made = Office(tmp_path, store_url)
    yield made
    made.close()
    made.store.close()


_numbers = itertools.count()


def doors(office: Office) -> dict[bool, Door]:
    number = next(_numbers)
    return {True: office.door(f"sub-{number}"), False: office.door(f"mx-{number}", "inbound")}


def written(tag: str, name: str, mail: Mail) -> bytes:
    sender, to, named, more = mail
    refs = " ".join(f"<{one}.{tag}@x.example>" for one in named.split())
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {name} {tag}\r\n"
    head += f"Message-ID: <{name}.{tag}@x.example>\r\n" + more
    return (head + (f"References: {refs}\r\n" if refs else "") + f"\r\n{name}\r\n").encode()


def put(office: Office, tag: str, mails: Sequence[tuple[str, Mail]], *, batch: bool) -> None:
    both = doors(office)
    for number, (name, mail) in enumerate(mails):
        sender, to, *_ = mail
        door = both[sender.endswith("@ours.example")]
        when = f"2026-11-22T10:{number:02}:00Z"
        door.mail(written(tag, name, mail), sender=sender, to=[to], time=when)
        if not batch:
            office.take()
    office.take()


def found(office: Office, tag: str) -> set[frozenset[str]]:
    """The threads of one conversation, by the names of their mails."""
    by_thread: dict[int, set[str]] = {}
    for row in office.rows(limit=1000):
        name, _, its = row["subject"].partition(" ")
        if its == tag:
            by_thread.setdefault(row["thread"], set()).add(name)
    return {frozenset(names) for names in by_thread.values()}


def expected(text: str) -> set[frozenset[str]]:
    return {frozenset(names.split()) for names in text.split("|")}


@pytest.mark.parametrize("batch", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("order", ORDERS)
def test_conversations(office: Office, order: str, batch: bool) -> None:
    """All of the table in one store, so that no conversation disturbs another."""
    for number, (mails, _) in enumerate(TABLE.values()):
        put(office, f"t{number}", ORDERS[order](list(mails.items())), batch=batch)
    told = {case: found(office, f"t{number}") for number, case in enumerate(TABLE)}
    assert told == {case: expected(text) for case, (_, text) in TABLE.items()}
    foreign = [row["subject"] for row in office.rows() if threads.FOREIGN in row["flags"]]
    assert sorted(foreign) == ["spam t3", "spam t4"]


def test_evidence_and_the_page_of_a_thread(office: Office) -> None:
    put(office, "t", [*CONVERSATION.items(), ("spam", (EVE, ALICE, "offer", ""))], batch=False)
    why = [message.email(office.store, id_)["thread_evidence"] for id_ in (1, 2, 3, 4)]
    assert why == [
        "",
        "names message 1; bob@x.example has part in it",
        "names message 2; alice@ours.example has part in it",
        "names message 1, but its sender has no part in that one",
    ]
    assert [row["id"] for row in office.rows(thread=1)] == [3, 2, 1]
    assert [row["id"] for row in office.rows(thread=1, source="inbound")] == [2]
    assert [row["id"] for row in office.rows(thread=1, before=office_next(office))] == [2, 1]
    assert office.rows(thread=2) == []


def office_next(office: Office) -> str:
    from crmstore import timeline

    place = timeline.page(office.store, thread=1, limit=1).next
    assert place is not None
    return place


def test_a_stolen_message_id_draws_no_answer_away(office: Office) -> None:
    """Eve sends Alice a mail with the Message-ID of the offer; Bob's answer names it, and so does
    Alice's next one: both belong to the offer."""
    mails = [*CONVERSATION.items()]
    both = doors(office)
    fake = written("t", "offer", (EVE, ALICE, "", "")).replace(b"Subject: offer", b"Subject: fake")
    both[False].mail(fake, sender=EVE, to=[ALICE])
    put(office, "t", mails, batch=False)
    assert found(office, "t") == expected("fake | offer answer thanks")


def test_a_late_parent_gathers_the_waiting_but_not_strangers(office: Office) -> None:
    put(office, "t", [("answer", CONVERSATION["answer"]), ("spam", (EVE, ALICE, "offer", ""))],
        batch=True)  # fmt: skip
    assert found(office, "t") == expected("answer | spam")
    put(office, "t", [("offer", CONVERSATION["offer"])], batch=True)
    assert found(office, "t") == expected("answer offer | spam")
    (spam,) = [row for row in office.rows() if row["subject"].startswith("spam")]
    assert threads.FOREIGN in spam["flags"]
    assert "came later" in message.email(office.store, 1)["thread_evidence"]


def test_long_threads_stay_apart(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MAX_MERGE", 1)
    for tag in ("a", "b"):
        put(office, tag, list(CONVERSATION.items()), batch=True)
    both = doors(office)
    text = b"From: %s\r\nTo: %s\r\nReferences: <offer.a@x.example> <offer.b@x.example>\r\n\r\n"
    both[True].mail(text % (ALICE.encode(), BOB.encode()))
    office.take()
    assert sorted(row["thread"] for row in office.rows()) == [1, 1, 1, 1, 4, 4, 4]


def test_several_threads_turn_out_to_be_one_in_a_batch(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long one keeps its name, and the others of its group get it."""
    monkeypatch.setattr(threads, "MAX_MERGE", 2)
    for tag in ("a", "b", "c", "d", "e"):
        names = list(CONVERSATION) if tag == "b" else ["offer"]
        put(office, tag, [(name, CONVERSATION[name]) for name in names], batch=True)
    both = doors(office)
    for tags in ("abc", "de"):
        named = " ".join(f"<offer.{tag}@x.example>" for tag in tags)
        text = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {tags}\r\nReferences: {named}\r\n\r\n"
        both[True].mail(text.encode())
    office.take()
    assert sorted(row["thread"] for row in office.rows()) == [2] * 6 + [6] * 3


# Answers that name nothing

OFFER = "The offer that we spoke about:\r\n500 wheels at 30 EUR each, delivered in May.\r\n"
OUTLOOK = (
    "Fine.\r\n\r\n-----Original Message-----\r\nFrom: Alice\r\nSent: Monday\r\n"
    "To: Bob\r\nSubject: wheels\r\n\r\n" + OFFER
)
QUOTED = "On Monday Alice wrote:\r\n> The offer that we spoke\r\n> about: 500 wheels at\r\n" \
    "> 30 EUR each, delivered in May.\r\nFine.\r\n"  # fmt: skip
GERMAN = "Gut.\r\nVon: Alice\r\nGesendet: Montag\r\n\r\n" + OFFER
UNKNOWN = "References: <rewritten-on-its-way@exchange.example>"
# (from, to, days later, subject, text) of an answer without references -> does it join?
REPAIRS: dict[str, tuple[str, str, int, str, str, bool]] = {
    "the same subject": (BOB, ALICE, 2, "Re: wheels", "Fine.", True),
    "a subject of another language": (BOB, ALICE, 2, "AW: RE: Wheels", "Fine.", True),
    "Japanese": (BOB, ALICE, 2, "返信: wheels", "Fine.", True),
    "an edited subject, Outlook's quotation": (BOB, ALICE, 2, "30 EUR", OUTLOOK, True),
    "an edited subject, quoted and wrapped": (BOB, ALICE, 20, "Re: 30 EUR", QUOTED, True),
    "an edited subject, German": (BOB, ALICE, 2, "30 EUR", GERMAN, True),
    "their own next mail": (ALICE, BOB, 2, "Re: wheels", "And?", True),
    "an edited subject, nothing quoted": (BOB, ALICE, 2, "Re: 30 EUR", "Fine.", False),
    "not an answer": (BOB, ALICE, 2, "wheels", "Fine.", False),
    "forwarded": (BOB, ALICE, 2, "Fwd: wheels", "Fine.", False),
    "the same subject, too late": (BOB, ALICE, 9, "Re: wheels", "Fine.", False),
    "quoted, much too late": (BOB, ALICE, 40, "Re: 30 EUR", OUTLOOK, False),
    "somebody else": (EVE, ALICE, 2, "Re: wheels", OUTLOOK, False),
    "to somebody else": (BOB, CAROL, 2, "Re: wheels", OUTLOOK, False),
    "too little in common": (BOB, ALICE, 2, "Re: ok", "> ok", False),
    "it names what nobody has seen": (BOB, ALICE, 2, f"Re: wheels\r\n{UNKNOWN}", "Fine.", True),
    "so does somebody else": (EVE, ALICE, 2, f"Re: wheels\r\n{UNKNOWN}", "Fine.", False),
    "so does another subject": (BOB, ALICE, 2, f"Re: 30 EUR\r\n{UNKNOWN}", "Fine.", False),
}


@pytest.mark.parametrize("batch", [True, False], ids=["in one batch", "one by one"])
def test_repairs(office: Office, batch: bool) -> None:
    both = doors(office)
    for number, (sender, to, days, subject, text, _) in enumerate(REPAIRS.values()):
        alice, bob, carol = (f"{number}.{one}" for one in (ALICE, BOB, CAROL))
        names = {ALICE: alice, BOB: bob, CAROL: carol, EVE: EVE}
        head = f"From: {alice}\r\nTo: {bob}\r\nSubject: wheels\r\n\r\n"
        both[True].mail(
            (head + OFFER).encode(), sender=alice, to=[bob], time="2026-10-01T10:00:00Z"
        )
        head = f"From: {names[sender]}\r\nTo: {names[to]}\r\nSubject: {subject}\r\n\r\n"
        both[sender == ALICE].mail(
            (head + text).encode(), sender=names[sender], to=[names[to]],
            time=f"2026-{10 + (days > 30)}-{1 + days % 30:02}T10:00:00Z",
        )  # fmt: skip
        if not batch:
            office.take()
    office.take()
    by_number: dict[str, set[int]] = {}
    for row in office.rows(limit=1000):
        mine = next(one for one in (row["from"], *row["to"]) if one[0].isdigit())
        by_number.setdefault(mine.partition(".")[0], set()).add(row["thread"])
    told = {case: len(by_number[str(n)]) == 1 for n, case in enumerate(REPAIRS)}
    assert told == {case: joins for case, (*_, joins) in REPAIRS.items()}
