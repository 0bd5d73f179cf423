"""The conversation of `mailweir try`: real SMTP through the relay, each step judged.

A step is what a mail program did and what it saw; `good` says whether it was what the design
promises. A step that goes wrong never stops the others: the answer is the whole list.
"""

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from proxy.trialmail import ALICE, NOBODY, PASSWORD, Sample, answer, full, quote, reminder, welcome
from proxy.trialstage import HOST, Stage

DELIVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the name of its text, how it went, the last words of the relay."""

    name: str
    good: bool
    words: str


@dataclass(frozen=True, slots=True)
class Talk:
    """The steps, and the mails that were accepted and so must be captured. The last of them is the
    one that a report came back for."""

    steps: tuple[Step, ...]
    accepted: tuple[Sample, ...]


def converse(stage: Stage, now: datetime, say: Callable[[Step], None]) -> Talk:
    """The whole conversation, in order."""
    steps: list[Step] = []
    accepted: list[Sample] = []

    def done(step: Step, sample: Sample | None = None) -> None:
        steps.append(step)
        if step.good and sample is not None:
            accepted.append(sample)
        say(step)

    first = quote(now)
    with _login(stage) as alice:
        done(_sent("trial.quote", alice, first), first)
    done(_untouched(stage, first))
    with _client(stage, "mx") as outside:
        reply = answer(now, first)
        done(_sent("trial.answer", outside, reply), reply)
    with _client(stage, "mx") as stranger:
        stranger.mail("stranger@elsewhere.example")
        code, words = stranger.rcpt("third@party.example")
        done(Step("trial.relay", code == 550, _text(code, words)))
    with _login(stage) as alice:
        hello = welcome(now)
        done(_sent("trial.welcome", alice, hello, refused=NOBODY), hello)
    with _client(stage, "submission", tls=True) as liar:
        done(_wrong_password(liar))
    with _login(stage) as alice:
        stage.practice.stop()
        try:
            late = reminder(now)
            done(_sent("trial.down", alice, late), late)
        finally:
            stage.practice.start()
    done(_delivered(stage, late))
    with _client(stage, "mx") as theirs:
        done(_sent("trial.report", theirs, full(now, late)))
    with _login(stage) as alice:
        done(_refused_again(alice))
    return Talk(tuple(steps), tuple(accepted))


def _sent(name: str, client: smtplib.SMTP, mail: Sample, refused: str = "") -> Step:
    """MAIL, RCPT each, DATA; `refused` is the one recipient that must not be taken."""
    try:
        code, words = client.mail(mail.sender)
        last = _text(code, words)
        for recipient in mail.recipients:
            code, words = client.rcpt(recipient)
            if (code == 250) != (recipient != refused):
                return Step(name, False, f"{recipient}: {_text(code, words)}")
            if code != 250:
                last = _text(code, words)
        code, words = client.data(mail.content)
        last = last if refused else _text(code, words)
        return Step(name, code == 250, last if code == 250 else _text(code, words))
    except (smtplib.SMTPException, OSError) as error:
        return Step(name, False, str(error))


def _refused_again(client: smtplib.SMTP) -> Step:
    """An address that does not exist is known a moment later, before a mail is written to it."""
    give_up = time.monotonic() + DELIVERY_SECONDS
    client.mail(ALICE)
    while True:
        code, words = client.rcpt(NOBODY)
        told = _text(code, words)
        if "is refused since" in told or time.monotonic() > give_up:
            return Step("trial.suppressed", code == 550 and "force+" in told, told)
        time.sleep(0.2)


def _wrong_password(client: smtplib.SMTP) -> Step:
    try:
        client.login(ALICE, f"not-{PASSWORD}")
    except smtplib.SMTPAuthenticationError as error:
        return Step("trial.password", True, _text(error.smtp_code, error.smtp_error))
    return Step("trial.password", False, "it was taken")


def _untouched(stage: Stage, mail: Sample) -> Step:
    """What the mail server has = one header field (Received, folded) + what was sent."""
    arrived = _find(stage, mail)
    if arrived is None:
        return Step("trial.bytes", False, "it did not arrive")
    added = arrived[: len(arrived) - len(mail.content)]
    fields = [line for line in added.split(b"\r\n") if line and not line[:1].isspace()]
    good = arrived.endswith(mail.content) and len(fields) == 1
    return Step("trial.bytes", good and added.startswith(b"Received: "), f"{len(arrived)} octets")


def _delivered(stage: Stage, mail: Sample) -> Step:
    begun = time.monotonic()
    while (arrived := _find(stage, mail)) is None:
        if time.monotonic() - begun > DELIVERY_SECONDS:
            return Step("trial.back", False, f"nothing came in {DELIVERY_SECONDS:.0f} s")
        time.sleep(0.1)
    waited = time.monotonic() - begun
    return Step("trial.back", arrived.endswith(mail.content), f"after {waited:.1f} s")


def _find(stage: Stage, mail: Sample) -> bytes | None:
    mark = f"<{mail.message_id}>".encode()
    head = b"Message-ID: " + mark
    return next((one.content for one in list(stage.practice.arrived) if head in one.content), None)


@contextmanager
def _client(stage: Stage, listener: str, tls: bool = False) -> Iterator[smtplib.SMTP]:
    client = smtplib.SMTP(HOST, stage.ports[listener], "client.example", timeout=30)
    try:
        client.ehlo()
        if tls:
            client.starttls(context=client_context(stage))
            client.ehlo()
        yield client
    finally:
        try:
            client.quit()
        except (smtplib.SMTPException, OSError):
            client.close()


def client_context(stage: Stage) -> ssl.SSLContext:
    """Our own certificate, made a moment ago and kept in this folder: it is the authority."""
    context = ssl.create_default_context(cafile=str(stage.folder / "cert.pem"))
    context.check_hostname = False  # it names relay.example.com, and we call 127.0.0.1
    return context


@contextmanager
def _login(stage: Stage) -> Iterator[smtplib.SMTP]:
    with _client(stage, "submission", tls=True) as client:
        client.login(ALICE, PASSWORD)
        yield client


def _text(code: int, words: bytes | str) -> str:
    text = words if isinstance(words, str) else words.decode("utf-8", "replace")
    return f"{code} {' / '.join(text.splitlines())}"
