"""A very small HTTP/1.1 server for probes and Prometheus: GET and HEAD of fixed routes.

Promises: bounded in everything (connections, head size, time), one request a connection, no
request body is read, no header but the request line decides anything. A slow or hostile client
costs one of `CONNECTIONS` places for at most `TIMEOUT` seconds. Routes are functions without
arguments that run in a thread; one that fails is a 500 without words.
Limits: no TLS, no authentication: [http].listen stays on loopback or behind a proxy of yours.
Not the console: that is a later issue and another server.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from proxy import maillog

CONNECTIONS = 64
TIMEOUT = 5.0
HEAD_LIMIT = 8192


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route gives."""

    status: int
    content_type: str
    body: bytes


def as_json(status: int, document: object) -> Answer:
    return Answer(status, "application/json", json.dumps(document).encode() + b"\n")


Routes = Mapping[str, Callable[[], Answer]]


class HttpServer:
    """`await start(host, port)`, `await close()`."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError."""
        self._server = await asyncio.start_server(
            self._serve, host, port, limit=HEAD_LIMIT, reuse_address=True
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            async with asyncio.timeout(TIMEOUT):
                request = await self._request(reader)
                if request is not None:
                    writer.write(await self._answer(*request))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # the client is gone or too slow; nothing is owed to it
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader) -> tuple[str, str] | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return "", ""
        return words[0].decode("latin-1"), words[1].split(b"?", 1)[0].decode("latin-1")

    async def _answer(self, method: str, path: str) -> bytes:
        if not method:
            answer = as_json(400, {"error": "not HTTP/1.1"})
        elif method not in ("GET", "HEAD"):
            answer = as_json(405, {"error": "GET and HEAD only"})
        elif (route := self._routes.get(path)) is None:
            answer = as_json(404, {"error": "no such path", "paths": sorted(self._routes)})
        else:
            try:
                answer = await asyncio.to_thread(route)
            except Exception as error:  # whatever a route does wrong, the probe gets an answer
                maillog.http_fault(path, error)
                answer = as_json(500, {"error": "internal"})
        head = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n"
            + ("Allow: GET, HEAD\r\n" if answer.status == 405 else "")
            + "\r\n"
        ).encode("ascii")
        return head if method == "HEAD" else head + answer.body
