"""A door's companions: who has one, from the first session of a user to the last."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy import maillog
from proxy.imap import companion as module
from proxy.imap.companions import Companions
from tests.paths.fakeimap import Box, FakeImap
from tests.paths.test_companion import (
    ALICE,
    MAIL,
    Desk,
    companion,
    for_a_while,
    in_loop,
    password,
    until,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def door(desk: Desk, server: FakeImap | None, **more: Any) -> Companions:
    plan = desk.plan(server) if server is not None else None
    return Companions(plan, desk.logins.append, **more)


@in_loop
async def test_one_for_a_user_until_the_last_session_ends(desk: Desk) -> None:
    async with FakeImap({"INBOX": Box({1: MAIL})}) as server:
        companions = door(desk, server)
        first = companions.join(ALICE, password())
        second = companions.join(ALICE.upper(), password())
        assert first is not None and second is not None
        await until(lambda: desk.taken)
        assert server.largest == 1
        first.leave()
        server.boxes["INBOX"].mail[2] = MAIL
        await until(lambda: len(desk.taken) == 2)
        held = companions._desks[ALICE].companion
        assert held is not None
        second.leave()
        second.leave()
        assert held.credentials is None
        await until(lambda: not companions._desks)
        await companions.close()
    assert [note.login for note in desk.logins] == [ALICE]


@in_loop
async def test_a_round_goes_on_for_a_while_when_the_user_has_gone(desk: Desk) -> None:
    """Phones are there for a moment: the connection stays, the credentials go."""
    async with FakeImap({"INBOX": Box(dict.fromkeys(range(1, 9), MAIL))}) as server:
        companions = door(desk, server)
        seat = companions.join(ALICE, password())
        assert seat is not None
        await until(lambda: desk.taken)
        one = companions._desks[ALICE].companion
        assert one is not None
        seat.leave()
        assert one.credentials is None
        await until(lambda: len(desk.taken) == 8)
        await until(lambda: not companions._desks)
        assert server.logins == 1


@in_loop
async def test_who_has_no_companion_is_noted_all_the_same(desk: Desk) -> None:
    async with FakeImap() as server:
        companions = door(desk, server, excluded=lambda user: user == "hr@example.com" or None)
        assert companions.join("hr@example.com", password()) is None
        assert companions.join("scram@example.com", None) is None
        assert companions.join("", password()) is None
        assert door(desk, None).join(ALICE, password()) is None
        assert [note.login for note in desk.logins] == [
            "hr@example.com", "scram@example.com", ALICE
        ]  # fmt: skip
        desk.entry = None
        companions.join("scram@example.com", None)
        assert len(desk.logins) == 4, "the worker has not answered: told again"
        assert server.said == []


@in_loop
async def test_after_a_refused_login_there_is_none_for_a_while(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeImap() as server:
        companions = door(desk, server)
        assert companions.join(ALICE, password("wrong")) is not None
        task = companions._desks[ALICE].task
        assert task is not None
        await asyncio.wait_for(task, 60)
        assert companions.join(ALICE, password()) is None
        assert server.logins == 1
        await companions.close()
        server.script["AUTHENTICATE"] = b"TAG NO [LIMIT] too many connections\r\n"
        monkeypatch.setattr(module, "RETRY_FIRST", 0.01)
        one = companion(desk.plan(server))
        await for_a_while(one, lambda: one.figures.failed >= 3)
        assert not one.refused


@in_loop
async def test_who_comes_back_soon_gets_one_when_it_is_time(desk: Desk) -> None:
    """Everybody in their order, and nobody who has left again."""
    async with FakeImap() as server:
        companions = door(desk, server)
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = {"third@y.example": 0.3, "first@y.example": 0.1, "second@y.example": 0.2}
        companions._looked.update({user: now + wait for user, wait in due.items()})
        begun: list[tuple[str, float]] = []
        begin = companions._begin

        def begins(user: str, desk: Any) -> None:
            begun.append((user, loop.time()))
            begin(user, desk)

        companions._begin = begins  # type: ignore[method-assign]
        seats = {user: companions.join(user, password()) for user in due}
        assert not begun
        gone = seats["second@y.example"]
        assert gone is not None
        gone.leave()
        await until(lambda: len(begun) == 2)
        assert [user for user, _ in begun] == ["first@y.example", "third@y.example"]
        for user, at in begun:
            assert at > now + due[user] - 0.02
        await companions.close()


@in_loop
async def test_a_fault_of_ours_ends_no_door(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with FakeImap() as server:
        monkeypatch.setattr(module, "chosen", lambda *_: 1 / 0)
        companions = door(desk, server)
        assert companions.join(ALICE, password()) is not None
        task = companions._desks[ALICE].task
        assert task is not None
        await asyncio.wait_for(task, 60)
        again = companions.join(ALICE, password())
        assert again is not None and companions._desks[ALICE].task is not task
        await companions.close()
    assert maillog.flush(5)
    said = capfd.readouterr().err
    assert "companion.fault" in said and "ZeroDivisionError" in said
