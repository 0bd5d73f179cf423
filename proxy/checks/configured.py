"""Checks of the settings themselves: what is allowed, but seldom meant; certificates; limits.

Reads certificate files and file modes; opens no socket.
"""

import ipaddress
import resource
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from config.certs import read_certificate
from config.settings import ListenAddress, Settings, SmtpListener
from proxy.autoconfig import services, whole
from proxy.checks import Note, fail, ok, warn

# Renewal usually begins 30 days before the end; two weeks before, it has failed several times.
WARN_DAYS = 14


def settings_notes(settings: Settings) -> Iterator[Note]:
    """Values that are allowed, and still worth a word."""
    listeners = settings.listeners
    if not listeners:
        yield fail("config.no_listener")
    else:
        yield ok("config.loaded", count=len(listeners))
    for listener in settings.smtp:
        yield from _listener(listener)
    if settings.outbound.route.kind == "mx":
        for listener in settings.smtp:
            if listener.role == "submission" and listener.next_hop.kind != "mx":
                yield warn("config.route_mx", listener.name, hop=str(listener.next_hop))
    if not _local(settings.http.listen):
        yield warn("config.http_open", str(settings.http.listen))
    if settings.capture.mode == "observe":
        yield warn("config.observe")
    if settings.capture.users == "listed":
        patterns = ", ".join(map(str, settings.capture.listed)) or "-"
        yield warn("config.listed", patterns=patterns)
    for imap in settings.imap:
        if not _local(imap.listen):
            if imap.auth_plain_without_tls:
                yield warn("config.clear_passwords", imap.name)
            elif imap.tls == "none":
                yield warn("config.no_tls", imap.name)
    keys = [listener.key for listener in listeners]
    secrets = (settings.outbound.password_file, settings.store.blobs_credentials_file)
    for path in dict.fromkeys([*keys, *secrets]):
        if path:
            yield from _mode(path)


def _listener(listener: SmtpListener) -> Iterator[Note]:
    if not _local(listener.listen):
        if listener.auth == "next_hop" and listener.auth_plain_without_tls:
            yield warn("config.clear_passwords", listener.name)
        elif listener.auth == "next_hop" and listener.tls == "none":
            yield warn("config.no_tls_no_auth", listener.name)
        elif listener.tls == "none":
            yield warn("config.no_tls", listener.name)


def told_notes(settings: Settings) -> Iterator[Note]:
    """What mail programs that set themselves up are told."""
    told = services(settings)
    if not settings.http.autoconfig:
        return
    if whole(told):
        places = ", ".join(f"{one.kind}://{one.host}:{one.port}" for one in told)
        yield ok("config.told", places=places)
    else:
        yield ok("config.not_told")


def certificate_notes(settings: Settings, now: datetime) -> Iterator[Note]:
    """Each certificate once: dates, names, chain."""
    seen: set[Path] = set()
    for listener in settings.listeners:
        if listener.cert and listener.cert not in seen:
            seen.add(listener.cert)
            yield from _certificate(listener.cert, settings.node.hostname, now)


def _certificate(path: Path, hostname: str, now: datetime) -> Iterator[Note]:
    about = str(path)
    try:
        certificate = read_certificate(path)
    except ValueError as error:
        yield fail("cert.unreadable", about, reason=str(error))
        return
    days = (certificate.not_after - now).days
    date = f"{certificate.not_after:%Y-%m-%d}"
    if certificate.not_after < now:
        yield fail("cert.expired", about, date=date)
    elif certificate.not_before > now:
        yield fail("cert.early", about, date=f"{certificate.not_before:%Y-%m-%d %H:%M}")
    elif days < WARN_DAYS:
        yield warn("cert.soon", about, days=days, date=date)
    else:
        yield ok("cert.valid", about, days=days, date=date)
    if not certificate.covers(hostname):
        names = ", ".join(certificate.names[:10]) or "-"
        yield warn("cert.name", about, hostname=hostname, names=names)
    if certificate.self_signed:
        yield warn("cert.self_signed", about)
    elif not certificate.chain_ordered:
        yield warn("cert.order", about)
    elif certificate.chain_length == 1:
        yield warn("cert.alone", about)


def limit_notes(settings: Settings) -> Iterator[Note]:
    """Each connection takes a descriptor, and another one to the next hop."""
    most_imap = max((listener.max_connections for listener in settings.imap), default=0)
    wanted = 2 * max(settings.limits.connections, most_imap) + 100
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        yield warn("limits.files", most=most, wanted=wanted)
    else:
        yield ok("limits.enough", wanted=wanted)


def _mode(path: Path) -> Iterator[Note]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # load() has said so
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield warn("file.open", str(path), mode=f"{stat.S_IMODE(mode):04o}")


def _local(listen: ListenAddress) -> bool:
    return ipaddress.ip_address(listen.host).is_loopback
