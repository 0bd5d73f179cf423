"""The companion against a server of our own: what it fetches, and how little it asks for."""

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from config.secret import Secret
from crmstore.mailplace import Look
from crmstore.uidset import UidSet
from proxy.imap import companion as module
from proxy.imap.capture import Captures
from proxy.imap.choice import Folder, chosen, chunks
from proxy.imap.companion import Companion, Figures, Plan
from proxy.imap.grammar import command
from proxy.imap.known import Known
from proxy.imap.login import Credentials
from proxy.imap.mailclient import MailboxClient, MailboxError, Server, connect
from proxy.imap.message import Meta, Outcome
from proxy.imap.notes import Login
from proxy.imap.observer import Observer
from proxy.imap.roster import Entry
from proxy.imap.watcher import Watcher
from proxy.journalread import list_segments, read_frames, segment_path
from proxy.smtp.hoptls import client_context
from tests.certs import certificate_for
from tests.keepers.journals import writing
from tests.paths.fakeimap import Box, FakeImap

ALICE = "alice@example.com"
SINCE = 1_900_000_000_000_000  # 2030-03-17
MAIL = b"From: bob@x.example\r\nSubject: hi\r\n\r\nHello\r\n"
BEFORE, LATER = "16-Mar-2030 23:59:59 +0000", "17-Mar-2030 00:00:00 +0000"


@dataclass
class Sink:
    """A capture that is kept in a list."""

    desk: "Desk"
    meta: Meta
    body: bytearray = field(default_factory=bytearray)
    paused: bool = False
    lost: bool = False

    def write(self, chunk: bytes | memoryview) -> None:
        self.body += chunk

    def discard(self) -> None:
        self.lost = True

    def finish(
        self, outcome: Outcome, reply: str = "", *, done: Callable[[bool], None] | None = None
    ) -> None:
        meta = self.meta
        self.desk.known.add(meta.user, meta.mailbox, meta.uidvalidity, meta.uid)
        self.desk.taken.append((meta.mailbox, meta.uid or 0, bytes(self.body)))
        self.desk.metas.append(meta)
        if done is not None:
            done(self.desk.keeps)


class Desk:
    """What a companion works with, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.known = Known(folder / "known")
        self.taken: list[tuple[str, int, bytes]] = []
        self.metas: list[Meta] = []
        self.looks: list[Look] = []
        self.logins: list[Login] = []
        self.keeps = True
        self.room = True
        self.entry: Entry | None = Entry(ALICE, True, True, SINCE)
        self.folder = folder

    def plan(self, server: FakeImap, **more: Any) -> Plan:
        context = client_context("may", None)
        return self.plan_at(Server("127.0.0.1", server.port, False, "none", context), **more)

    def plan_at(self, server: Server, **more: Any) -> Plan:
        made = Plan(
            server,
            begin=lambda meta: Sink(self, meta) if self.room else None,
            known=self.known,
            roster=lambda user: self.entry,
            leave=self._leave,
            claims=self.folder / "claims",
            rate=1_000.0,
            patience=20.0,
            every=0.05,
            min_gap=0.01,
        )
        return replace(made, **more)

    async def _leave(self, look: Look) -> None:
        self.looks.append(look)

    @property
    def uids(self) -> list[int]:
        return [uid for _, uid, _ in self.taken]


def in_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """The test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **given: Any) -> None:
        asyncio.run(test(*args, **given))

    return run


def password(secret: str = "secret", mechanism: str = "PLAIN") -> Credentials:
    return Credentials(mechanism, ALICE, Secret(secret))


def companion(plan: Plan, **more: Any) -> Companion:
    given = {"credentials": password(), "busy": lambda: False, "figures": Figures(), **more}
    return Companion(plan, ALICE, **given)


async def until(wanted: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)


async def for_a_while(one: Companion, wanted: Callable[[], object]) -> None:
    """Run it until something is so, then end it."""
    task = asyncio.create_task(one.run())
    try:
        await until(lambda: wanted() or task.done())
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert wanted()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def boxes() -> dict[str, Box]:
    return {
        "INBOX": Box({uid: MAIL + b"%d" % uid for uid in (3, 4, 9)}),
        "Sent": Box({1: MAIL + b"sent"}, attributes="\\Sent"),
        "Spam": Box({1: MAIL}, attributes="\\Junk"),
        "Archive": Box({1: MAIL}),
    }


@in_loop
async def test_it_fetches_inbox_and_sent_and_says_how_much_there_is(desk: Desk) -> None:
    async with FakeImap(boxes()) as server:
        for box in server.boxes.values():
            box.dates = dict.fromkeys(box.mail, LATER)
        one = companion(desk.plan(server))
        await for_a_while(one, lambda: one.figures.looks >= 2)
    assert sorted(desk.taken) == [
        ("INBOX", 3, MAIL + b"3"), ("INBOX", 4, MAIL + b"4"), ("INBOX", 9, MAIL + b"9"),
        ("Sent", 1, MAIL + b"sent"),
    ]  # fmt: skip
    assert [(m.source, m.special, m.uidvalidity) for m in desk.metas[-1:]] == [
        ("companion", "sent", 7)
    ]
    assert {(look.special, str(look.present)) for look in desk.looks} == {
        ("inbox", "3:4,9"), ("sent", "1")
    }  # fmt: skip
    assert len(desk.looks) == 2, "told once, not at each look"
    assert one.figures.fetched == 4


@in_loop
async def test_it_says_nothing_that_changes_a_mailbox(desk: Desk) -> None:
    async with FakeImap(boxes()) as server:
        one = companion(desk.plan(server))
        await for_a_while(one, lambda: one.figures.looks >= 1)
        verbs = {" ".join(line.split(" ")[:2 if line.startswith("UID") else 1])
                 for line in server.commands}  # fmt: skip
    assert verbs == {
        "CAPABILITY", "AUTHENTICATE", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH", "LOGOUT"
    }  # fmt: skip
    bodies = [line for line in server.commands if "BODY" in line]
    assert bodies and all("BODY.PEEK[]" in line for line in bodies)


@in_loop
async def test_what_is_known_is_not_fetched_and_what_a_session_captures_meanwhile(
    desk: Desk,
) -> None:
    async with FakeImap({"INBOX": Box(dict.fromkeys((1, 2, 3), MAIL))}) as server:
        desk.known.add(ALICE, "INBOX", 7, 3)
        one = companion(desk.plan(server))
        await for_a_while(one, lambda: one.figures.looks >= 1)
        assert desk.uids == [2, 1]
        server.boxes["INBOX"].mail[4] = MAIL
        server.boxes["INBOX"].mail[5] = MAIL
        one = companion(desk.plan(server))
        original = MailboxClient.sizes

        async def sizes(self: MailboxClient, uids: str) -> Any:
            desk.known.add(ALICE, "INBOX", 7, 4)  # while we look
            return await original(self, uids)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MailboxClient, "sizes", sizes)
            await for_a_while(one, lambda: one.figures.looks >= 1)
    assert desk.uids == [2, 1, 5]


@in_loop
async def test_a_session_and_the_companion_that_read_the_same_mail_at_one_time(
    tmp_path: Path, desk: Desk
) -> None:
    """Twice in the journal is no harm, for the store recognises it; but it is not needed either."""
    box = Box({uid: MAIL + b"%d" % uid for uid in (1, 2, 3, 4)})
    async with FakeImap({"INBOX": box}) as server, writing(tmp_path / "j") as journal:
        captures = Captures(
            journal, desk.known, door="imap-0", listener="imap", on_broken=lambda: None
        )
        client = Observer(Watcher(captures, ALICE, "192.0.2.1", 5, None, 1 << 20), ALICE)
        client.command(command(b"a SELECT INBOX") or pytest.fail(), b"a SELECT INBOX", -1)
        client.untagged(b"* OK [UIDVALIDITY 7] ok", -1)
        client.tagged(b"a", True, b"done")

        def begins(uid: int) -> None:
            body = box.mail[uid]
            tee = client.fetch(b"* %d FETCH (UID %d BODY[] {%d}" % (uid, uid, len(body)), len(body))
            assert tee is not None
            tee(body)

        def ends() -> None:
            client.fetch_more(b")", -1)

        async def durable(uid: int) -> None:
            await until(lambda: desk.known.has(ALICE, "INBOX", 7, uid))

        original = MailboxClient.body
        done: list[int] = []

        async def body(self: MailboxClient, uid: int, write: Any) -> bool:
            done.append(uid)
            if uid == 4:  # while the companion's own FETCH is under way
                begins(4)
                ends()
                await durable(4)
            elif uid == 3:  # and is on its way to the disk when the companion has it, too
                whole = await original(self, uid, write)
                begins(3)
                ends()
                return whole
            elif uid == 1:  # the client's is not whole yet when the companion's is
                begins(1)
            return await original(self, uid, write)

        busy = {2: 0}

        def waits() -> bool:
            if done and done[-1] == 3 and not busy[2]:  # before the companion may ask for the next
                busy[2] += 1
                begins(2)
                ends()
                return True
            return bool(done and done[-1] == 3 and not desk.known.has(ALICE, "INBOX", 7, 2))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MailboxClient, "body", body)
            one = companion(desk.plan(server, begin=captures.begin), busy=waits)
            await for_a_while(one, lambda: one.figures.looks >= 1)
        ends()
        assert done == [4, 3, 1], "what a session has read is not asked for"
        assert one.figures.failed == 0
        assert str(desk.known.uids(ALICE, "INBOX", 7)) == "1:4"
        await journal.close()
        frames = [f for n in list_segments(tmp_path / "j") for f in read_frames(
            segment_path(tmp_path / "j", n))]  # fmt: skip
    told = [f.header["imap"] for f in frames if f.kind == "message"]
    assert [(t["uid"], t["source"]) for t in told] == [
        (4, "imap_fetch"), (3, "imap_fetch"), (2, "imap_fetch"), (1, "companion")
    ]  # fmt: skip


@in_loop
async def test_from_the_day_of_enrolment_or_a_day_that_was_asked_for(desk: Desk) -> None:
    box = Box(dict.fromkeys((1, 2, 3), MAIL), dates={1: BEFORE, 2: LATER, 3: "nonsense"})
    async with FakeImap({"INBOX": box}) as server:
        one = companion(desk.plan(server))
        await for_a_while(one, lambda: one.figures.looks >= 1)
        assert sorted(desk.uids) == [2, 3]
        assert str(desk.looks[-1].present) == "2:3"
        assert "SINCE 16-Mar-2030" in next(c for c in server.commands if "SEARCH" in c)
        one = companion(desk.plan(server, since=date(2030, 1, 1)))
        await for_a_while(one, lambda: one.figures.looks >= 1)
    assert sorted(desk.uids) == [1, 2, 3]


@in_loop
async def test_drafts_and_large_messages_are_left_out(desk: Desk) -> None:
    box = Box(
        dict.fromkeys((1, 2, 3), MAIL), flags={1: "\\Seen \\Draft"}, sizes={2: 60 << 20},
        dates=dict.fromkeys((1, 2, 3), LATER),
    )  # fmt: skip
    async with FakeImap({"INBOX": box}) as server:
        one = companion(desk.plan(server))
        await for_a_while(one, lambda: one.figures.looks >= 2)
    assert desk.uids == [3]
    assert (str(desk.looks[-1].present), str(desk.looks[-1].skipped)) == ("2:3", "2")
    assert one.figures.skipped == 1, "once, not at each look"


@in_loop
async def test_a_new_uidvalidity_is_another_mailbox(desk: Desk) -> None:
    async with FakeImap({"INBOX": Box({1: MAIL})}) as server:
        one = companion(desk.plan(server))
        task = asyncio.create_task(one.run())
        await until(lambda: desk.taken)
        server.boxes["INBOX"].validity = 8
        await until(lambda: len(desk.taken) == 2)
        task.cancel()
    assert [meta.uidvalidity for meta in desk.metas] == [7, 8]


@in_loop
async def test_it_waits_while_the_client_waits(desk: Desk) -> None:
    busy = True
    async with FakeImap({"INBOX": Box({1: MAIL})}) as server:
        one = companion(desk.plan(server), busy=lambda: busy)
        task = asyncio.create_task(one.run())
        await until(lambda: any("LIST" in line for line in server.commands))
        await asyncio.sleep(0.2)
        assert not any("EXAMINE" in line for line in server.commands)
        busy = False
        await until(lambda: desk.taken)
        task.cancel()


@in_loop
async def test_it_comes_again_when_a_session_has_said_or_heard_something(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACTIVE_LOOK", 0.02)
    last = 1.0
    async with FakeImap({"INBOX": Box({1: MAIL})}) as server:
        one = companion(desk.plan(server, every=600.0), active=lambda: last)
        task = asyncio.create_task(one.run())
        await until(lambda: one.figures.looks == 1)
        await asyncio.sleep(0.2)
        assert one.figures.looks == 1
        last = 2.0
        await until(lambda: one.figures.looks == 2)
        task.cancel()


@in_loop
async def test_it_tells_a_server_behind_which_address_its_user_is(desk: Desk) -> None:
    async with FakeImap(script={"192.0.2.7": b"* OK now\r\n"}) as server:
        plan = desk.plan(server, preamble=lambda ip, port: f"PROXY {ip} {port}\r\n".encode())
        one = companion(plan, client=("192.0.2.7", 5))
        await for_a_while(one, lambda: one.figures.looks >= 1)
        assert server.said[0] == b"PROXY 192.0.2.7 5\r\n"
    async with FakeImap(caps="IMAP4rev1 ID AUTH=PLAIN", script={"ID": b"TAG OK\r\n"}) as server:
        plan = desk.plan(server, ident=lambda ip, port: f'("x-originating-ip" "{ip}")')
        one = companion(plan, client=("192.0.2.7", 5))
        await for_a_while(one, lambda: one.figures.looks >= 1)
        assert [c.split()[0] for c in server.commands][:3] == ["CAPABILITY", "ID", "AUTHENTICATE"]
        assert 'ID ("x-originating-ip" "192.0.2.7")' in server.commands


@in_loop
async def test_it_keeps_to_its_rate(desk: Desk) -> None:
    async with FakeImap({"INBOX": Box(dict.fromkeys(range(1, 5), MAIL))}) as server:
        begun = time.monotonic()
        one = companion(desk.plan(server, rate=20.0))
        await for_a_while(one, lambda: len(desk.taken) == 4)
    assert time.monotonic() - begun >= 0.15


@in_loop
async def test_a_message_that_is_gone_when_it_is_asked_for_is_no_trouble(desk: Desk) -> None:
    async with FakeImap({"INBOX": Box({1: MAIL, 2: MAIL})}) as server:
        original = MailboxClient.body

        async def body(self: MailboxClient, uid: int, write: Any) -> bool:
            server.boxes["INBOX"].mail.pop(2, None)
            return await original(self, uid, write)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MailboxClient, "body", body)
            one = companion(desk.plan(server))
            await for_a_while(one, lambda: one.figures.looks >= 1)
    assert desk.uids == [1]


@in_loop
async def test_a_user_who_is_disabled_or_none_has_no_connection(desk: Desk) -> None:
    async with FakeImap() as server:
        for entry in (Entry(ALICE, True, False, SINCE), Entry(ALICE, False, True, 0)):
            desk.entry = entry
            await asyncio.wait_for(companion(desk.plan(server)).run(), 30)
        assert server.said == []


@in_loop
async def test_a_refused_login_is_not_tried_again(desk: Desk) -> None:
    async with FakeImap() as server:
        for mechanism in ("PLAIN", "XOAUTH2", "OAUTHBEARER"):
            one = companion(desk.plan(server), credentials=password("wrong", mechanism))
            await asyncio.wait_for(one.run(), 30)
        assert server.logins == 3


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("caps", ["IMAP4rev1 SASL-IR AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN", "IMAP4"])
@in_loop
async def test_every_way_to_log_in(desk: Desk, mechanism: str, caps: str) -> None:
    """With and without SASL-IR, with LOGIN alone; passwords with all that needs care."""
    secret = 'a "\\ b' if caps == "IMAP4" and mechanism in ("LOGIN", "PLAIN") else "秘密,=\\"
    wanted = secret.replace("\\", "\\\\").replace('"', '\\"') if caps == "IMAP4" else secret
    if mechanism not in ("LOGIN", "PLAIN"):
        wanted = secret
    async with FakeImap(caps=caps, password=wanted) as server:
        client = await connect(desk.plan(server).server)
        await client.login(password(secret, mechanism))
        assert [folder.raw for folder in await client.folders()] == [b"INBOX"]
        await client.logout()


@in_loop
async def test_two_doors_have_one_companion_between_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLAIM_AGAIN", 0.02)
    async with FakeImap({"INBOX": Box({1: MAIL})}) as server:
        first, second = companion(desk.plan(server)), companion(desk.plan(server))
        tasks = [asyncio.create_task(one.run()) for one in (first, second)]
        await until(lambda: first.figures.looks + second.figures.looks)
        await asyncio.sleep(0.1)
        assert (first.figures.looks > 0) != (second.figures.looks > 0)
        other = second if first.figures.looks else first
        tasks[0 if first.figures.looks else 1].cancel()
        await until(lambda: other.figures.looks)
        for task in tasks:
            task.cancel()
        assert server.largest == 1


# When the server misbehaves


@pytest.mark.parametrize(
    ("command", "answer", "stage"),
    [
        ("UID SEARCH", "close", "lost"),
        ("UID SEARCH", b"* BYE going down\r\n", "bye"),
        ("UID SEARCH", None, "timeout"),
        ("UID SEARCH", b"* SEARCH 1 2 x99\r\nTAG OK\r\n", "search"),
        ("UID SEARCH", b"* SEARCH " + b"1" * (5 << 20), "answer"),
        ("UID SEARCH", b"* ESEARCH UID ALL 1:*\r\nTAG OK\r\n", "search"),
        ("LIST", b"* LIST () {" + b"9" * 5_000 + b"}\r\nTAG OK\r\n", None),
        ("LIST", b"* LIST () {9999999999}\r\n", "timeout"),
        ("LIST", b"* LIST " + b"{0}\r\n" * 600 + b"x\r\n", "answer"),
        ("EXAMINE", b"TAG NO [INUSE] locked\r\n", "examine"),
        ("EXAMINE", b"TAG OK without it\r\n", "examine"),
        ("EXAMINE", b"OTHER OK\r\n", "answer"),
        ("EXAMINE", b"+ more?\r\n", "answer"),
        ("EXAMINE", b"\xff\xfe\r\n", "answer"),
        ("AUTHENTICATE", b"+ \r\n+ \r\n+ \r\n+ \r\n", "answer"),
        ("AUTHENTICATE", b"TAG NO [AUTHENTICATIONFAILED] no\r\n", "authenticate"),
    ],
)
@in_loop
async def test_trouble_ends_the_round_in_time_and_says_where(
    desk: Desk, command: str, answer: Any, stage: str | None
) -> None:
    async with FakeImap({"INBOX": Box({1: MAIL})}, script={command: answer}) as server:
        one = companion(desk.plan(server, patience=0.3 if stage == "timeout" else 20.0))
        assert desk.entry is not None
        if stage is None:
            await one._round(desk.entry)
        else:
            with pytest.raises(MailboxError) as found:
                async with asyncio.timeout(20):
                    await one._round(desk.entry)
            assert found.value.stage == stage
            assert "secret" not in repr(found.value)
    assert desk.taken == []


@pytest.mark.parametrize("greeting", [b"* PREAUTH welcome\r\n", b"* BYE full\r\n", b"220 smtp\r\n"])
@in_loop
async def test_a_greeting_that_is_none(desk: Desk, greeting: bytes) -> None:
    async with FakeImap(greeting=greeting) as server:
        with pytest.raises(MailboxError) as found:
            await connect(desk.plan(server).server, 30)
        assert found.value.stage == "greeting"
        assert server.said == []


@in_loop
async def test_trouble_is_tried_again_later_and_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST", 0.02)
    async with FakeImap({"INBOX": Box({1: MAIL})}, script={"UID SEARCH": "close"}) as server:
        one = companion(desk.plan(server))
        task = asyncio.create_task(one.run())
        await until(lambda: one.figures.failed >= 3)
        server.script.clear()
        await until(lambda: desk.taken)
        task.cancel()


@in_loop
async def test_three_thousand_lines_in_one_read(desk: Desk) -> None:
    """aioimaplib's own reader ends in a RecursionError here, and then waits for ever."""
    lines = b"".join(b'* LIST () "/" box%d\r\n' % n for n in range(3_000))
    async with FakeImap(script={"LIST": lines + b"TAG OK\r\n"}) as server:
        client = await connect(desk.plan(server).server)
        await client.login(password())
        assert len(await client.folders()) == 3_000
        client.close()


@in_loop
async def test_a_large_message_goes_by_in_pieces(desk: Desk) -> None:
    large = MAIL + b"x" * 3_000_000
    pieces: list[int] = []
    async with FakeImap({"INBOX": Box({1: large})}) as server:
        client = await connect(desk.plan(server).server)
        await client.login(password())
        await client.examine(b"INBOX")

        def write(chunk: bytes | memoryview) -> bool:
            pieces.append(len(chunk))
            return len(pieces) != 2  # the disk is behind, once

        assert await client.body(1, write)
        assert not await client.body(2, write)
        client.close()
    assert sum(pieces) == len(large) and max(pieces) <= 256 << 10


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b'* 1 FETCH (BODY[] "short" UID 5)\r\nTAG OK\r\n', b"short"),
        (b"* 1 FETCH (BODY[] {5}\r\nshort UID 5)\r\nTAG OK\r\n", b"short"),
        (b"* 1 FETCH (UID 5 BODY[] {0}\r\n)\r\nTAG OK\r\n", b""),
        (b"* 2 FETCH (FLAGS (\\Seen))\r\n* 1 FETCH (UID 5 BODY[] {1}\r\nx)\r\nTAG OK\r\n", b"x"),
        (b"* 1 FETCH (UID 6 BODY[] {5}\r\nshort)\r\nTAG OK\r\n", None),
        (b"* 1 FETCH (UID 5 BODY[] NIL)\r\nTAG OK\r\n", None),
        (b"* 1 FETCH (UID 5 BODY[HEADER] {5}\r\nshort)\r\nTAG OK\r\n", None),
        (b"* 1 FETCH (BODY[] {5}\r\nshort)\r\nTAG OK\r\n", None),
        (b"TAG OK\r\n", None),
    ],
)
@in_loop
async def test_a_body_in_all_its_forms(desk: Desk, answer: bytes, whole: bytes | None) -> None:
    got = bytearray()

    def write(chunk: bytes | memoryview) -> bool:
        got.extend(chunk)
        return True

    async with FakeImap(script={"UID FETCH": answer}) as server:
        client = await connect(desk.plan(server).server)
        await client.login(password())
        await client.examine(b"INBOX")
        assert await client.body(5, write) == (whole is not None)
        client.close()
    if whole is not None:
        assert bytes(got) == whole


@in_loop
async def test_a_journal_without_room_ends_the_round(desk: Desk) -> None:
    async with FakeImap({"INBOX": Box({1: MAIL})}) as server:
        one = companion(desk.plan(server))
        assert desk.entry is not None
        desk.room = False
        with pytest.raises(MailboxError, match="journal"):
            await one._round(desk.entry)
        desk.room, desk.keeps = True, False
        with pytest.raises(MailboxError, match="journal"):
            await one._round(desk.entry)


# TLS


@in_loop
async def test_starttls_as_the_policy_asks(desk: Desk) -> None:
    certificate = certificate_for()
    caps = "IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN"
    async with FakeImap(caps=caps, tls=certificate.server_context()) as server:
        context = client_context("verify", certificate.ca)
        client = await connect(Server("localhost", server.port, False, "verify", context))
        assert client.transport.get_extra_info("ssl_object") is not None
        await client.login(password())
        client.close()
        strange = client_context("verify", None)
        with pytest.raises(MailboxError) as found:
            await connect(Server("localhost", server.port, False, "verify", strange))
        assert found.value.stage == "tls"


@in_loop
async def test_no_password_goes_out_in_clear_where_tls_is_required(desk: Desk) -> None:
    async with FakeImap() as server:
        context = client_context("require", None)
        with pytest.raises(MailboxError) as found:
            await connect(Server("127.0.0.1", server.port, False, "require", context))
        assert found.value.stage == "tls"
        assert not any(b"AUTHENTICATE" in line for line in server.said)


@in_loop
async def test_what_is_slipped_in_before_the_handshake_is_not_believed(desk: Desk) -> None:
    script: dict[str, bytes | str | None] = {"STARTTLS": b"TAG OK\r\n* CAPABILITY AUTH=PLAIN\r\n"}
    async with FakeImap(caps="IMAP4rev1 STARTTLS", script=script) as server:
        context = client_context("may", None)
        with pytest.raises(MailboxError) as found:
            await connect(Server("127.0.0.1", server.port, False, "may", context), 2)
        assert found.value.stage in ("tls", "timeout", "lost")


# Which folders


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([("\\Sent", "Gesendet"), ("", "Sent"), ("", "INBOX")], ["Gesendet", "INBOX"]),
        ([("", "Sent Items"), ("", "Sent stuff"), ("\\Noselect", "INBOX")], ["Sent Items"]),
        ([("", "&kAFP4W4IMH8-"), ("\\Junk", "INBOX")], ["送信済み"]),
        ([("\\Trash", "Sent"), ("\\Drafts", "D"), ("", "Archive")], []),
        ([("", "Projects"), ("", "INBOX.Sent")], ["Projects", "INBOX.Sent"]),
    ],
)
def test_the_folders_that_are_looked_into(listed: list[tuple[str, str]], found: list[str]) -> None:
    folders = [Folder(tuple(a.encode().split()), name.encode()) for a, name in listed]
    wanted = ["inbox", "sent", "projects"]
    assert [name for _, name, _ in chosen(folders, wanted)] == found


def test_uids_go_out_in_small_ranges_newest_first() -> None:
    assert list(chunks(UidSet.parse("1:3,7,1001:1401"))) == [
        "1202:1401", "1002:1201", "1001,7,1:3"
    ]  # fmt: skip
    many = list(chunks(UidSet.parse(",".join(map(str, range(1, 2_001, 2))))))
    assert [len(UidSet.parse(uids)) for uids in many] == [200] * 5


@pytest.mark.slow
@in_loop
async def test_two_hundred_thousand_messages_are_a_few_ranges_and_the_loop_goes_on(
    desk: Desk,
) -> None:
    """Also at a server without ESEARCH, whose answer is one line of more than a megabyte."""
    uids = UidSet.parse("1:99999,200001:300001")
    listed = " ".join(str(uid) for low, high in uids.ranges() for uid in range(low, high + 1))
    answer = b"* SEARCH " + listed.encode() + b"\r\nTAG OK\r\n"
    async with FakeImap(caps="IMAP4rev1", script={"UID SEARCH": answer}) as server:
        client = await connect(desk.plan(server).server)
        await client.login(password())
        await client.examine(b"INBOX")
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        found = await client.search("1-Jan-2030")
        task.cancel()
        client.close()
    assert str(found) == str(uids)
    assert turns > 40
