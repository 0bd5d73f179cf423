"""A very small HTTP/1.1 server: GET and HEAD of fixed routes, and a few pages for mail programs.

Promises: bounded in everything (connections, size of head and body, time), one request a
connection. A route is a function without arguments, for which no header and no body is looked
at; a `Page` gets its query, the host that was asked for and, if it takes POST, at most BODY_LIMIT
octets. Both run in a thread; one that fails is a 500 without words. A slow or hostile client
costs one of `CONNECTIONS` places for at most `TIMEOUT` seconds.
Limits: no TLS, no authentication: [http].listen stays on loopback or behind a proxy of yours. No
chunked bodies. Not the console: that is a later issue and another server.
Cites: RFC 9112 (absolute form 3.2.2, length 6.3), RFC 9110 10.1.1 (100-continue).
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import parse_qsl

from proxy import maillog

CONNECTIONS = 64
TIMEOUT = 5.0
HEAD_LIMIT = 8192
BODY_LIMIT = 16384
QUERY_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route gives."""

    status: int
    content_type: str
    body: bytes


def as_json(status: int, document: object) -> Answer:
    return Answer(status, "application/json", json.dumps(document).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Request:
    """What a page may go by. All of it is what a stranger wrote."""

    method: str
    path: str
    host: str = ""  # lower case, without a port
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Page:
    """A route that looks at its request. HEAD comes with GET."""

    methods: Sequence[str]
    answer: Callable[[Request], Answer]


Routes = Mapping[str, Callable[[], Answer]]
Pages = Mapping[str, Page]


class _Refused(Exception):
    """The request is not one of ours; the answer says why."""

    def __init__(self, status: int, why: str, allow: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.allow = allow


class HttpServer:
    """`await start(host, port)`, `await close()`. The paths of pages are in lower case, and match
    in any (Outlook writes /Autodiscover/Autodiscover.xml)."""

    def __init__(self, routes: Routes, pages: Pages | None = None) -> None:
        self._routes = routes
        self._pages = pages or {}
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
                head = await _read_head(reader)
                if head is not None:
                    writer.write(await self._answer(head, reader, writer))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is gone or too slow; nothing is owed to it
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        method, allow = "", ""
        try:
            method, path, request = _request_line(head)
            page = self._pages.get(path.lower())
            route = self._routes.get(path)
            if page is None and method not in ("GET", "HEAD"):
                raise _Refused(405, "GET and HEAD only", "GET, HEAD")
            if page is not None:
                answer = await self._page(page, request, head, reader, writer)
            elif route is not None:
                answer = await _run(path, route)
            else:
                paths = sorted([*self._routes, *self._pages])
                answer = as_json(404, {"error": "no such path", "paths": paths})
        except _Refused as refused:
            answer, allow = as_json(refused.status, {"error": str(refused)}), refused.allow
        lines = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n"
            + (f"Allow: {allow}\r\n" if allow else "")
            + "\r\n"
        ).encode("ascii")
        return lines if method == "HEAD" else lines + answer.body

    async def _page(
        self,
        page: Page,
        request: Request,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Answer:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in page.methods:
            allow = ", ".join([*page.methods, *(["HEAD"] if "GET" in page.methods else [])])
            raise _Refused(405, f"{allow} only", allow)
        if method == "POST":
            body = await _read_body(_headers(head), reader, writer)
            request = replace(request, body=body)
        return await _run(request.path, lambda: page.answer(request))


async def _run(path: str, route: Callable[[], Answer]) -> Answer:
    try:
        return await asyncio.to_thread(route)
    except Exception as error:  # whatever a route does wrong, the client gets an answer
        maillog.http_fault(path, error)
        return as_json(500, {"error": "internal"})


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


async def _read_body(
    headers: Mapping[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bytes:
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not length:
        raise _Refused(411, "a Content-Length is needed")
    if not (length.isascii() and length.isdigit()):
        raise _Refused(400, "Content-Length is no number")
    if len(length) > 9 or int(length) > BODY_LIMIT:
        raise _Refused(413, f"at most {BODY_LIMIT} octets")
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await reader.readexactly(int(length))


def _request_line(head: bytes) -> tuple[str, str, Request]:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused(400, "not HTTP/1.1")
    method, target, _ = words
    host = _headers(head).get("host", "")
    if target.lower().startswith(("http://", "https://")):  # as a proxy is asked
        host, slash, rest = target.partition("://")[2].partition("/")
        target = slash + rest
    path, _, query = target.partition("?")
    try:
        fields = dict(parse_qsl(query, max_num_fields=QUERY_FIELDS, errors="strict"))
    except ValueError:
        fields = {}
    host = host.rpartition("@")[2].partition(":")[0].strip().rstrip(".").lower()
    return method, path, Request(method, path, host, fields)


def _headers(head: bytes) -> dict[str, str]:
    """The last of each name; their lines are bounded by the size of the head."""
    found: dict[str, str] = {}
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            found[name.lower()] = value.strip()
    return found
