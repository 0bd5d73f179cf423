"""The small HTTP server: right answers, and nothing that a client does wrong costs much."""

import asyncio
import json

import pytest

from proxy import httpd


async def ask(port: int, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    try:
        return await reader.read()
    finally:
        writer.close()


def run(port: int, check) -> None:
    async def main() -> None:
        def broken() -> httpd.Answer:
            raise ValueError("canary-hunter2")

        server = httpd.HttpServer({"/ok": lambda: httpd.as_json(200, {"a": 1}), "/broken": broken})
        await server.start("127.0.0.1", port)
        try:
            await check(port)
        finally:
            await server.close()

    asyncio.run(main())


def test_get_and_head(free_port: int) -> None:
    async def check(port: int) -> None:
        got = await ask(port, b"GET /ok?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and json.loads(body) == {"a": 1}
        got = await ask(port, b"HEAD /ok HTTP/1.0\r\n\r\n")
        assert got.endswith(b"\r\n\r\n") and b"Content-Length: 9\r\n" in got

    run(free_port, check)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /nothing HTTP/1.1", b"404"),
        (b"POST /ok HTTP/1.1", b"405"),
        (b"GET /broken HTTP/1.1", b"500"),
        (b"EHLO there", b"400"),
        (b"\xff\xfe", b"400"),
    ],
)
def test_refusals(free_port: int, request_line: bytes, status: bytes) -> None:
    async def check(port: int) -> None:
        got = await ask(port, request_line + b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 " + status)
        assert b"canary" not in got

    run(free_port, check)


def test_a_head_without_end_is_dropped(free_port: int) -> None:
    async def check(port: int) -> None:
        with pytest.raises(ConnectionError):
            assert await ask(port, b"GET /ok HTTP/1.1\r\n" + b"A: b\r\n" * 20_000) == b""
            raise ConnectionError  # closed without a word is as good as reset

    run(free_port, check)


def test_slow_clients_are_bounded_and_let_go(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpd, "TIMEOUT", 1.0)
    monkeypatch.setattr(httpd, "CONNECTIONS", 3)

    async def check(port: int) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        with pytest.raises(ConnectionError):
            if await ask(port, b"GET /ok HTTP/1.1\r\n\r\n") == b"":
                raise ConnectionError
        for reader, _ in idle:  # closed by the server after its time-out
            with pytest.raises(ConnectionError):
                if await asyncio.wait_for(reader.read(), 30) == b"":
                    raise ConnectionError
        assert b"200 OK" in await ask(port, b"GET /ok HTTP/1.1\r\n\r\n")

    run(free_port, check)
