"""The small HTTP server: right answers, and nothing that a client does wrong costs much."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from proxy import httpd


async def ask(port: int, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    try:
        return await reader.read()
    finally:
        writer.close()


def run(port: int, check: Callable[[int], Awaitable[None]]) -> None:
    async def main() -> None:
        def broken() -> httpd.Answer:
            raise ValueError("canary-hunter2")

        def told(request: httpd.Request) -> httpd.Answer:
            body = request.body.decode("latin-1")
            return httpd.as_json(200, [request.path, request.host, dict(request.query), body])

        server = httpd.HttpServer(
            {"/ok": lambda: httpd.as_json(200, {"a": 1}), "/broken": broken},
            {"/page": httpd.Page(("GET",), told), "/form": httpd.Page(("POST",), told)},
        )
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


def test_a_page_gets_query_and_host(free_port: int) -> None:
    asked = {
        b"GET /page?a=b%40c&d=%3C HTTP/1.1\r\nHost: Mail.Example.com:80": (
            ["/page", "mail.example.com", {"a": "b@c", "d": "<"}, ""]
        ),
        # RFC 9112 3.2.2: a server takes the absolute form, and its host counts
        b"GET http://other.example/Page?a=1 HTTP/1.1\r\nHost: x": (
            ["/Page", "other.example", {"a": "1"}, ""]
        ),
        b"GET /page?a=%ff&b=1 HTTP/1.1\r\nHost: x": ["/page", "x", {}, ""],
        b"GET /page?" + b"a=1&" * 50 + b" HTTP/1.1\r\nHost: x": ["/page", "x", {}, ""],
        b"GET /page HTTP/1.0": ["/page", "", {}, ""],
    }

    async def check(port: int) -> None:
        for head, wanted in asked.items():
            got = await ask(port, head + b"\r\n\r\n")
            assert json.loads(got.partition(b"\r\n\r\n")[2]) == wanted

    run(free_port, check)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /form HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"200"),
        (b"POST /form HTTP/1.1\r\ncontent-length: 16385\r\n\r\n", b"413"),
        (b"POST /form HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"413"),
        (b"POST /form HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", b"400"),
        (b"POST /form HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST /form HTTP/1.1\r\n\r\n", b"411"),
        (b"GET /form HTTP/1.1\r\n\r\n", b"405"),
        (b"POST /page HTTP/1.1\r\nContent-Length: 1\r\n\r\na", b"405"),
        (b"PUT /form HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"405"),
    ],
)
def test_bodies_are_bounded(free_port: int, raw: bytes, status: bytes) -> None:
    async def check(port: int) -> None:
        got = await ask(port, raw)
        assert got.startswith(b"HTTP/1.1 " + status)
        if status == b"200":
            assert json.loads(got.partition(b"\r\n\r\n")[2])[3] == "abc"

    run(free_port, check)


def test_a_body_is_waited_for_and_asked_for(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /form HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await reader.read()).endswith(b'"ab"]\n')
        writer.close()
        monkeypatch.setattr(httpd, "TIMEOUT", 0.3)
        with pytest.raises(ConnectionError):  # the rest never comes
            if await ask(port, b"POST /form HTTP/1.1\r\nContent-Length: 9\r\n\r\nab") == b"":
                raise ConnectionError

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
