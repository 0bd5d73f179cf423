"""A mail server for practice: stock aiosmtpd on loopback, which keeps what it gets in memory.

`mailweir try` and tests put it behind the relay. What arrives for a user also lies in their
mailbox, if there are mailboxes (practiceboxes.py). It checks AUTH (PLAIN, LOGIN) against the users
it was made with, refuses recipients whose local part starts with "nobody", and keeps a ledger of
what arrived, byte for byte. `stop()` and `start()` make the next hop go away and come back.
Limits: loopback, no TLS, everything in memory: at most `KEEP` messages.
"""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from proxy.practiceboxes import Mailboxes

KEEP = 1000
MAX_SIZE = 50 * 2**20


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as the practice server took it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    user: str | None = None


class PracticeServer:
    """`start()`, `stop()`, as often as wanted, always on the same port."""

    def __init__(
        self, host: str, port: int, users: Mapping[str, str], mailboxes: Mailboxes | None = None
    ) -> None:
        self.host = host
        self.port = port
        self.arrived: deque[Arrived] = deque(maxlen=KEEP)
        self._users = {name.encode(): password.encode() for name, password in users.items()}
        self._mailboxes = mailboxes
        self._controller: Controller | None = None
        # aiosmtpd warns of its own old names, and would do so in the middle of our output.
        logging.getLogger("mail").addHandler(logging.NullHandler())
        logging.getLogger("mail").propagate = False

    def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        self._controller = Controller(
            self,
            hostname=self.host,
            port=self.port,
            ready_timeout=10,
            ident="practice server",
            enable_SMTPUTF8=True,
            data_size_limit=MAX_SIZE,
            authenticator=self._authenticate,
            auth_require_tls=False,  # loopback only
        )
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    # What aiosmtpd asks (its documented handler hooks)

    async def handle_RCPT(
        self, _s: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.lower().startswith("nobody"):
            return f"550 5.1.1 <{address}>: no such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _s: SMTP, session: Session, envelope: Envelope) -> str:
        content: Any = envelope.original_content
        login: Any = session.auth_data
        mail = Arrived(
            sender=(envelope.mail_from or "").removeprefix("<>"),
            recipients=tuple(envelope.rcpt_tos),
            content=bytes(content or b""),
            user=login.login.decode() if isinstance(login, LoginPassword) else None,
        )
        self.arrived.append(mail)
        if self._mailboxes is not None:
            now = datetime.now().astimezone()
            self._mailboxes.deliver(mail.sender, mail.recipients, mail.content, now)
        return f"250 2.0.0 Ok: kept as number {len(self.arrived)}"

    def _authenticate(
        self, _s: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        good = (
            isinstance(data, LoginPassword)
            and data.login in self._users
            and self._users[data.login] == data.password
        )
        return AuthResult(success=good, handled=False, auth_data=data if good else None)
