"""The mailbox part of `mailweir try`: Alice's mail program, through the IMAP listener.

Two mails lie in her mailbox that never passed Mailweir: one in a folder of hers, which she reads,
and one in INBOX, of which her program fetches the header only, as of everything else there.
"""

import imaplib
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any

from proxy.practiceboxes import Kept
from proxy.trialmail import ALICE, PASSWORD, Sample, agenda, minutes
from proxy.trialstage import HOST, Stage
from proxy.trialtalk import Step, client_context

FOLDER = "Projects"
_HEADERS = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE MESSAGE-ID)])"


class MailProgram:
    """One session; it stays logged in until the `with` block ends."""

    def __init__(self, stage: Stage, now: datetime) -> None:
        self._boxes = stage.mailboxes
        self._now = now
        self._read, unread = minutes(now), agenda(now)
        self.lay_there = (self._read, unread)
        """What lies in the mailbox without having passed."""
        self._boxes.create(ALICE, FOLDER)
        self._boxes.put(ALICE, FOLDER, self._read.content, now)
        self._boxes.put(ALICE, "INBOX", unread.content, now)
        self._client = imaplib.IMAP4(HOST, stage.ports["imap"], timeout=30)
        self._context = client_context(stage)

    def __enter__(self) -> "MailProgram":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self._client.logout()
        except (imaplib.IMAP4.error, OSError):
            self._client.shutdown()

    def read(self, sent: Sample | None) -> Iterator[Step]:
        """Log in, file what was sent, read one mail whole and the others' headers."""
        steps = {"password": self._login, "read": self._whole, "headers": self._headers}
        if sent is not None:
            steps["filed"] = lambda: self._file(sent)
        for name, step in steps.items():
            try:
                good, words = step()
            except (imaplib.IMAP4.error, OSError) as error:
                good, words = False, str(error)
            yield Step(f"trial.imap_{name}", good, words)

    def unread(self) -> list[str]:
        """Message-IDs of what lies unread in INBOX, as the practice server has it."""
        with self._boxes.lock:
            mails = self._boxes.of(ALICE)["INBOX"].mails
            return [_message_id(mail) for mail in mails if "\\Seen" not in mail.flags]

    def _login(self) -> tuple[bool, str]:
        self._client.starttls(self._context)
        try:
            self._client.login(ALICE, f"not-{PASSWORD}")
        except imaplib.IMAP4.error as error:
            refused = _text(list(error.args))
        else:
            return False, "a wrong password was taken"
        self._client.login(ALICE, PASSWORD)
        return "AUTHENTICATIONFAILED" in refused, refused

    def _file(self, sent: Sample) -> tuple[bool, str]:
        when = imaplib.Time2Internaldate(self._now)
        code, words = self._client.append("Sent", "(\\Seen)", when, sent.content)
        copies = [mail.content for mail in self._boxes.of(ALICE)["Sent"].mails]
        return code == "OK" and copies == [sent.content], _text(words)

    def _whole(self) -> tuple[bool, str]:
        self._client.select(FOLDER)
        _, found = self._client.fetch("1", "(UID BODY[])")
        octets = next((one[1] for one in found if isinstance(one, tuple)), b"")
        same = octets == self._read.content
        return same, f"{len(octets)} octets"

    def _headers(self) -> tuple[bool, str]:
        self._client.select("INBOX")
        _, found = self._client.fetch("1:*", _HEADERS)
        count = sum(isinstance(one, tuple) for one in found)
        return count == len(self.unread()) > 0, f"{count} headers"


def _message_id(mail: Kept) -> str:
    head = mail.content.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"message-id:"):
            return line.partition(b":")[2].decode("ascii", "replace").strip(" <>")
    return ""


def _text(words: list[Any]) -> str:
    return b" ".join(word for word in words if isinstance(word, bytes)).decode("utf-8", "replace")
