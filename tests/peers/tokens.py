"""The identity provider's side of XOAUTH2 and OAUTHBEARER: whose is this access token?"""

import http.server
import json
import threading
import urllib.parse
from typing import Self


class TokenServer:
    """Answers /tokeninfo?access_token=T with {"user": ...}, or 401 for a token it does not know."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self.tokens = tokens  # token -> user; may change while running
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                token = query.get("access_token", [""])[0]
                outer.asked.append(token)
                user = outer.tokens.get(token)
                answer = {"user": user, "active": "true"} if user else {"error": "invalid_token"}
                body = json.dumps(answer).encode()
                self.send_response(200 if user else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass  # `asked` is the log

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
