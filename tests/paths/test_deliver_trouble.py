"""The queue runner among dead hosts, slow hosts, a store that is away, and a signal to stop."""

import asyncio
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from crmstore.store import StoreUnavailable
from proxy.smtp import deliver
from proxy.smtp.hoperrors import HopUnavailable
from proxy.smtp.replies import Reply
from proxy.smtp.resolve import HopAddress
from tests.certs import certificate_for
from tests.faultsink import HANG, FaultSink, Say
from tests.paths.hops import run_on, until
from tests.paths.queued import Appliance


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "POLL", 0.05)


class Routes:
    """Domains to ports of this machine; counts how often it was asked."""

    def __init__(self, **ports: int) -> None:
        self.ports = ports
        self.asked: list[str] = []

    async def hosts(self, domain: str) -> list[HopAddress]:
        self.asked.append(domain)
        port = self.ports.get(domain.partition(".")[0])
        if port is None:
            raise HopUnavailable(Reply.of(451, "4.4.3", "no answer"), stage="resolve")
        return [HopAddress(domain, "127.0.0.1", port)]


@pytest.mark.slow
def test_a_dead_destination_is_tried_once_a_wait_and_not_once_a_message(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path, route="mx")
    routes = Routes()
    runner = appliance.runner(routes=routes)
    idents = appliance.put_many([[f"u{n}@dead.example"] for n in range(30)])

    def tried(times: int) -> bool:
        return all(appliance.message(ident).attempts >= times for ident in idents)

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(runner.run(stop))
        for tries in (1, 2, 3):
            await until(partial(tried, tries))
            assert len(routes.asked) == tries
            holds = {appliance.message(i).next for i in idents}
            assert len(holds) == 1, "they wait for the destination, not each for itself"
            appliance.now = holds.pop() + 1
        stop.set()
        await task

    run_on("uvloop", main())
    assert {tuple(appliance.replies(i)) for i in idents} == {("451 4.4.3 no answer",)}


def test_a_hop_that_comes_back_gets_its_mail_soon(tmp_path: Path) -> None:
    """However long the one route has been away, it is looked at every five minutes."""
    sink = FaultSink()
    sink.start()
    sink.stop()
    appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}", retry_max="1h")
    runner = appliance.runner()
    ident = appliance.put(["b@x.example"])

    def tried(times: int) -> bool:
        return appliance.message(ident).attempts >= times

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(runner.run(stop))
        for tries in range(1, 12):
            await until(partial(tried, tries))
            wait = appliance.message(ident).next - appliance.now
            assert wait <= 300
            appliance.now += wait + 1
        sink.start()
        await until(lambda: appliance.states(ident)[0] == "delivered")
        stop.set()
        await task

    run_on("uvloop", main())
    sink.stop()


def test_what_was_delivered_is_recorded_while_another_domain_is_slow(tmp_path: Path) -> None:
    """A crash in the meantime must not deliver it twice."""
    appliance = Appliance(tmp_path, route="mx")
    with FaultSink(mail=HANG) as tar, FaultSink(rcpt={"no@": "550 5.1.1 no"}) as good:
        ident = appliance.put(["a@good.example", "b@tar.example", "no@good.example"])
        routes = Routes(tar=tar.port, good=good.port)

        async def main() -> None:
            task = asyncio.create_task(appliance.runner(routes=routes).run(asyncio.Event()))
            await until(lambda: "delivered" in appliance.states(ident))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        run_on("uvloop", main())
        assert appliance.states(ident) == ["sending", "delivered", "queued", "failed"]
        tar.answer(mail="250 2.1.0 fine")
        appliance.now += deliver.LEASE + 1
        run_on("uvloop", appliance.attempt(ident, routes=routes))
        assert appliance.states(ident) == ["failed", "delivered", "delivered", "failed"]
        assert [r.attempts for r in appliance.message(ident).recipients] == [1, 1, 1]
        assert len(good.messages) == 1


def test_a_missing_file_of_certificates_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "MAX_PAUSE", 0.1)
    ca = tmp_path / "ca.pem"
    with FaultSink(tls="starttls") as sink:
        appliance = Appliance(
            tmp_path, route=f"smtp://127.0.0.1:{sink.port}", tls="verify", ca=str(ca)
        )
        ident = appliance.put(["b@x.example"])

        async def main() -> None:
            asyncio.get_running_loop().call_later(
                0.3, lambda: ca.write_bytes(certificate_for().ca.read_bytes())
            )
            await appliance.attempt(ident)

        run_on("uvloop", main())
        assert appliance.states(ident)[0] == "delivered" and sink.connections[0].tls


@pytest.mark.slow
def test_a_slow_destination_holds_only_its_own_mail(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path, route="mx")
    with FaultSink(mail=HANG) as tar, FaultSink() as good:
        stuck = appliance.put_many([[f"u{n}@tar.example"] for n in range(300)])
        ident = appliance.put(["b@good.example"])
        runner = appliance.runner(routes=Routes(tar=tar.port, good=good.port))

        async def main() -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(runner.run(stop))
            await until(lambda: appliance.states(ident)[0] == "delivered")
            assert len(tar.connections) <= deliver.MAX_PER_DESTINATION
            stop.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        run_on("uvloop", main())
        assert not any(appliance.states(i)[0] == "delivered" for i in stuck)


class Locked:
    """A queue whose store is locked for the first calls of each kind."""

    def __init__(self, queue: Any, times: int) -> None:
        self._queue = queue
        self._left = {"claim": times, "settle_many": times}

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            if self._left.get(name, 0):
                self._left[name] -= 1
                raise StoreUnavailable("database is locked")
            return getattr(self._queue, name)(*args)

        return call


def test_a_locked_store_ends_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with FaultSink() as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        ident = appliance.put(["b@x.example"])
        locked = Locked(appliance.queue, 2)
        runner = deliver.QueueRunner(
            appliance.settings,
            locked,  # type: ignore[arg-type]
            appliance.archive,
            clock=lambda: appliance.now,
        )

        async def main() -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(runner.run(stop))
            await until(lambda: appliance.states(ident)[0] == "delivered")
            stop.set()
            await task

        run_on("uvloop", main())
        assert len(sink.messages) == 1


@pytest.mark.slow
def test_a_lease_is_kept_while_a_message_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "LEASE", 1.5)
    with FaultSink(dot=Say("250 2.0.0 Ok", after=2.5)) as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        ident = appliance.put(["b@x.example"])
        run_on("uvloop", appliance.attempt(ident, clock=time.time))
        assert appliance.states(ident)[0] == "delivered" and len(sink.messages) == 1


def test_a_lease_that_was_lost_is_not_settled(tmp_path: Path) -> None:
    def loses(_: bytes) -> str:
        """While the hop thinks."""
        with appliance.store.writing() as connection:
            connection.execute(text("UPDATE queue_messages SET lease = 'another'"))
        return "554 5.6.0 no"

    with FaultSink(dot=loses) as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        ident = appliance.put(["b@x.example"])

        async def main() -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(appliance.runner().run(stop))
            await until(lambda: sink.messages and sink.messages[0].replies)
            stop.set()  # and it settles what it has
            await task

        run_on("uvloop", main())
        assert appliance.states(ident) == ["sending", "queued"]


def test_stop_begins_nothing_and_gives_back_what_was_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "GRACE", 0.3)
    with FaultSink(mail=HANG) as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        idents = appliance.put_many([["b@x.example"]] * 10)

        async def main() -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(appliance.runner().run(stop))
            await until(lambda: len(sink.connections) == deliver.MAX_PER_DESTINATION)
            stop.set()
            await task

        run_on("uvloop", main())
        messages = [appliance.message(i) for i in idents]
        assert {m.state for m in messages} == {"queued"}
        assert sum(m.attempts for m in messages) == deliver.MAX_PER_DESTINATION
        assert all(m.next < appliance.now + 1 for m in messages), "due at once for who comes next"
    with FaultSink(port=sink.port) as sink:
        run_on("uvloop", appliance.attempt(*idents))
        assert {appliance.states(i)[0] for i in idents} == {"delivered"}


def test_a_fault_of_ours_in_one_message_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultSink() as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}")
        bad, good = appliance.put(["b@x.example"], b"bad\r\n"), appliance.put(["b@x.example"])
        digest = appliance.message(bad).sha256
        stream = appliance.archive.stream

        def faulty(sha256: str, chunk: int = 1) -> Any:
            if sha256 == digest:
                raise RuntimeError("a fault of ours")
            return stream(sha256, chunk)

        monkeypatch.setattr(appliance.archive, "stream", faulty)
        run_on("uvloop", appliance.attempt(bad, good))
        assert appliance.states(bad)[0] == "queued"
        assert appliance.replies(bad) == ["451 4.3.0 a fault of ours, see the log"]
        assert appliance.states(good)[0] == "delivered"


@pytest.mark.slow
def test_random_trouble_loses_and_invents_nothing(tmp_path: Path) -> None:
    """Every recipient ends delivered or failed, and was delivered if and only if it says so."""
    rng = random.Random(11)
    faults = ["450 4.2.0 later", "550 5.1.1 no", "250 2.1.5 yes", "250 2.1.5 yes"]

    def rcpt(line: bytes) -> str:
        return rng.choice(faults)

    with FaultSink(rcpt=rcpt) as sink:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{sink.port}", retry_first="1s")
        idents = appliance.put_many(
            [[f"m{n}r{r}@x.example" for r in range(rng.randrange(1, 4))] for n in range(40)]
        )

        async def main() -> None:
            waiting = list(idents)
            while waiting:
                await appliance.attempt(*waiting)
                appliance.now += 4000
                waiting = [i for i in waiting if appliance.states(i)[0] == "queued"]

        run_on("uvloop", main())
        taken = [address for message in sink.messages for address in message.recipients]
        said = [
            r.address
            for i in idents
            for r in appliance.message(i).recipients
            if r.state == "delivered"
        ]
        assert sorted(taken) == sorted(said)
