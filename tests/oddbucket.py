"""A server that speaks just enough S3, for what the real one of the tests will not do.

    with OddBucket(create_only="ignored") as odd:     # overwrites; "refused": says 501
        odd.endpoint                                  # https with OddBucket(tls=context)
        odd.clock_ahead = 300.0                       # its clock, seconds before ours
        odd.answers = [503, "SlowDown", 403]          # for the next requests, before it behaves
        odd.objects, odd.requests                     # key -> content; "PUT key"

It looks at no signature. Keys are below any bucket; nothing goes up in parts.
"""

import re
import ssl
import threading
import time
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

WORDS = {
    "NoSuchKey": 404,
    "NoSuchBucket": 404,
    "PreconditionFailed": 412,
    "NotImplemented": 501,
    "SlowDown": 503,
    "AccessDenied": 403,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
}


class OddBucket:
    def __init__(
        self,
        create_only: Literal["honoured", "ignored", "refused"] = "honoured",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.create_only = create_only
        self.clock_ahead = 0.0
        self.answers: list[int | str] = []
        self.more = ""  # what stands in every refusal beside code and message
        self.deletes = True
        self.changes = False  # gives back something else
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.endpoint = f"{scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(odd: OddBucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def log_message(self, *_: object) -> None:
            pass

        def scripted(self) -> bool:
            """Read the request; True if the script has answered it."""
            length = int(self.headers.get("Content-Length", 0))
            self.content = self.rfile.read(length)
            self.key = self.path.partition("?")[0].lstrip("/").partition("/")[2]
            with odd.lock:
                odd.requests.append(f"{self.command} {self.key}")
                answer = odd.answers.pop(0) if odd.answers else None
            if answer is None:
                return False
            self.refuse(answer)
            return True

        def refuse(self, answer: int | str) -> None:
            if isinstance(answer, int):
                self.say(answer, b"<html>no</html>")
                return
            body = f"<Error><Code>{answer}</Code><Message>in words</Message>{odd.more}</Error>"
            self.say(WORDS[answer], body.encode())

        def say(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_PUT(self) -> None:
            if self.scripted():
                return
            conditional = self.headers.get("If-None-Match") == "*"
            if conditional and odd.create_only == "refused":
                self.refuse("NotImplemented")
            elif conditional and odd.create_only == "honoured" and self.key in odd.objects:
                self.refuse("PreconditionFailed")
            else:
                odd.objects[self.key] = self.content
                self.say(200, ETag=_tag(self.content))

        def do_GET(self) -> None:
            if self.scripted():
                return
            if self.key not in odd.objects:
                self.refuse("NoSuchKey")
                return
            content = odd.objects[self.key] + (b"!" if odd.changes else b"")
            common = {
                "ETag": _tag(content),
                "Last_Modified": formatdate(time.time() + odd.clock_ahead, usegmt=True),
            }
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if asked is None or self.command == "HEAD":
                self.say(200, content, **common)
                return
            first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
            where = f"bytes {first}-{last}/{len(content)}"
            self.say(206, content[first : last + 1], Content_Range=where, **common)

        do_HEAD = do_GET

        def do_POST(self) -> None:  # DeleteObjects: 200, and what became of each
            if self.scripted():
                return
            done = []
            for key in re.findall(r"<Key>([^<]+)</Key>", self.content.decode()):
                if odd.deletes:
                    odd.objects.pop(key, None)
                    done.append(f"<Deleted><Key>{key}</Key></Deleted>")
                else:
                    words = "<Code>AccessDenied</Code><Message>in words</Message>"
                    done.append(f"<Error><Key>{key}</Key>{words}</Error>")
            self.say(200, f"<DeleteResult>{''.join(done)}</DeleteResult>".encode())

    return Handler


def _tag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'
