"""Checks of the next hops and of the way out: greet them as a door would, and say what it means.

Uses the same client as the doors (proxy/smtp/nexthop.py), so that what works here works there.
Asks for two recipients and takes both back with RSET: no mail is sent. One is postmaster@ our
domain, which must exist (RFC 5321 4.5.1); the other is outside, and a server behind an inbound
listener should refuse it, because it trusts our address.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from config.settings import HopTarget, Outbound, Settings, SmtpListener
from proxy.checks import Note, fail, ok, warn
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.hopconn import HopConnection
from proxy.smtp.hoperrors import HopLost, HopUnavailable
from proxy.smtp.nexthop import NextHop
from proxy.smtp.replies import Reply
from proxy.smtp.resolve import is_own_address
from proxy.smtp.sasl import Account

CONNECT_SECONDS = 10.0
REPLY_SECONDS = 20.0

# What a hop may lack, and what that costs; each has a text. (ENHANCEDSTATUSCODES costs nothing.)
_WORTH_A_WORD = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN")
_STAGES = {"tls": "hop.tls", "starttls": "hop.tls", "auth": "hop.auth", "resolve": "hop.resolve"}
# RFC 6761 section 6.4: nobody can ever own a name under .invalid.
OUTSIDE = "mailweir-check@relay-test.invalid"


@dataclass(frozen=True, slots=True)
class _Hop:
    """One server to greet, and what it is used for; `listener` is None for [outbound]."""

    about: str
    target: HopTarget
    tls: str
    ca: Path | None
    listener: SmtpListener | None
    account: Callable[[], Account] | None = None


async def hop_notes(settings: Settings) -> AsyncIterator[Note]:
    for hop in _hops(settings):
        if hop.target.kind == "mx":
            yield ok("hop.mx", hop.about)
            continue
        try:
            async with asyncio.timeout(6 * REPLY_SECONDS):
                for note in await _visit(hop, settings):
                    yield note
        except TimeoutError:
            yield fail("hop.away", hop.about, hop=str(hop.target), reason="time-out")


def _hops(settings: Settings) -> list[_Hop]:
    hops = [
        _Hop(entry.name, entry.next_hop, entry.next_hop_tls, entry.next_hop_ca, entry)
        for entry in settings.smtp
    ]
    # without a submission listener nothing is ever queued
    if any(entry.role == "submission" for entry in settings.smtp):
        way = settings.outbound
        account = partial(_account, way) if way.user else None
        hops.append(_Hop("outbound", way.route, way.tls, way.ca, None, account))
    return hops


def _account(way: Outbound) -> Account:
    password = way.password
    assert password is not None, "rules.py: user and password_file come together"
    return Account(way.user, password)


async def _visit(hop: _Hop, settings: Settings) -> list[Note]:
    try:
        server = NextHop(
            hop.target,
            helo=settings.node.hostname,
            tls=hop.tls,
            ca=hop.ca,
            connect_timeout=CONNECT_SECONDS,
            reply_timeout=REPLY_SECONDS,
            account=hop.account,
            tell=hop.listener.next_hop_client if hop.listener else "none",
        )
    except (OSError, ssl.SSLError) as error:
        return [fail("hop.authorities", hop.about, reason=str(error))]
    try:
        conn = await server.connect(fresh=True)
    except HopUnavailable as error:
        said = error.words.text if error.words else error.detail or error.reply.text
        return [
            fail(
                _STAGES.get(error.stage.lower(), "hop.away"),
                hop.about,
                hop=str(hop.target),
                reason=said,
            )
        ]
    try:
        notes = [_offer(hop, conn), *_lacks(hop, conn.caps), *_secrecy(hop, conn)]
        notes += [note async for note in _recipients(hop, conn, settings)]
    except HopLost as error:
        notes = [fail("hop.away", hop.about, hop=str(hop.target), reason=str(error))]
    finally:
        conn.close()
        server.close()
    return notes


def _offer(hop: _Hop, conn: HopConnection) -> Note:
    offered = " ".join(sorted(conn.caps.keywords)) or "-"
    return ok("hop.greeted", hop.about, hop=str(hop.target), offered=offered, tls=conn.tls or "-")


def _lacks(hop: _Hop, caps: Capabilities) -> list[Note]:
    notes = [
        warn(f"hop.no_{keyword.lower()}", hop.about)
        for keyword in _WORTH_A_WORD
        if not caps.has(keyword)
    ]
    largest = hop.listener.max_size if hop.listener else None
    if caps.size and largest is not None and caps.size < largest:
        values: dict[str, object] = {"size": caps.size / 2**20, "wanted": largest / 2**20}
        notes.append(warn("hop.size", hop.about, **values))
    offered = caps.keywords.get("XCLIENT", "").upper().split()
    if hop.listener and hop.listener.next_hop_client == "xclient" and "ADDR" not in offered:
        notes.append(warn("hop.no_xclient", hop.about))
    if hop.listener and hop.listener.auth == "next_hop":
        if caps.auth:
            notes.append(ok("hop.auth_offered", hop.about, mechanisms=" ".join(caps.auth)))
        else:
            notes.append(fail("hop.no_auth", hop.about))
    return notes


def _secrecy(hop: _Hop, conn: HopConnection) -> list[Note]:
    """Only what leaves this machine needs TLS."""
    if conn.tls or hop.target.unix_path or is_own_address(conn.peer[0]):
        return []
    if conn.caps.has("STARTTLS"):
        return [warn("hop.starttls_failed", hop.about)]
    return [warn("hop.clear", hop.about)]


async def _recipients(hop: _Hop, conn: HopConnection, settings: Settings) -> AsyncIterator[Note]:
    listener = hop.listener
    if listener is None or listener.role == "submission":
        return  # there AUTH comes before MAIL, and it is not ours to give
    reply = await _ask(conn, b"MAIL FROM:<>\r\n")
    if not reply.positive:
        yield warn("hop.no_mail", hop.about, reply=reply.text)
        return
    for domain in (listener.recipient_domains or settings.node.domains)[:20]:
        reply = await _ask(conn, f"RCPT TO:<postmaster@{domain}>\r\n".encode("ascii"))
        if reply.positive:
            yield ok("hop.takes", hop.about, domain=domain)
        else:
            yield warn("hop.takes_not", hop.about, domain=domain, reply=reply.text)
    reply = await _ask(conn, f"RCPT TO:<{OUTSIDE}>\r\n".encode("ascii"))
    if reply.positive:
        yield warn("hop.relays", hop.about, hop=str(hop.target))
    await _ask(conn, b"RSET\r\n")


async def _ask(conn: HopConnection, line: bytes) -> Reply:
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def lost(error: Exception | None) -> None:
        if not answer.done():
            answer.set_exception(error or HopLost("closed"))

    def replied(reply: Reply) -> None:
        if not answer.done():
            answer.set_result(reply)

    conn.on_lost = lost
    conn.command(line, replied)
    try:
        return await answer
    finally:
        conn.on_lost = None
