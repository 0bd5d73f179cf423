"""Checks of the DNS (only with --online): can others find us, and believe that it is us?

Asks the system's resolver about our own names, nobody else's: the host name and its way back
(PTR), and for each domain MX, SPF (RFC 7208), DMARC (RFC 7489) and the services for mail programs
(RFC 6186, RFC 8314). SPF is read, not evaluated.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Protocol

import dns.exception
import dns.resolver
import dns.reversename

from config.settings import Settings
from proxy.autoconfig import Service, services
from proxy.checks import Note, fail, ok, warn

LIFETIME = 5.0
MAX_DOMAINS = 50


class Unsure(Exception):
    """The DNS gave no answer, which says nothing about the name."""


class Lookup(Protocol):
    """How names are asked for; a test puts a dictionary here."""

    def __call__(self, name: str, kind: str) -> Sequence[str]:
        """The records as text, none if there are none; raises Unsure."""


def system_lookup() -> Lookup:
    """The resolver of /etc/resolv.conf. Raises Unsure if there is none."""
    try:
        resolver = dns.resolver.Resolver()
    except (dns.exception.DNSException, OSError) as error:
        raise Unsure(str(error)) from error

    def look_up(name: str, kind: str) -> Sequence[str]:
        try:
            answer = resolver.resolve(name, kind, search=False, lifetime=LIFETIME)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise Unsure(f"{type(error).__name__}: {error}") from error
        if kind == "TXT":
            return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
        return [record.to_text() for record in answer]

    return look_up


def dns_notes(settings: Settings, look_up: Lookup | None = None) -> Iterator[Note]:
    try:
        look_up = look_up or system_lookup()
        yield from _host(settings.node.hostname, look_up)
        told = services(settings)
        for domain in settings.node.domains[:MAX_DOMAINS]:
            yield from _mx(domain, settings.node.hostname, look_up)
            yield from _spf(domain, look_up)
            yield from _dmarc(domain, look_up)
            for service in told:
                yield from _service(domain, service, told, look_up)
    except Unsure as error:
        # one failure is enough: the others would each wait for the same silence
        yield warn("dns.silent", reason=str(error))


def _host(hostname: str, look_up: Lookup) -> Iterator[Note]:
    addresses = [*look_up(hostname, "A"), *look_up(hostname, "AAAA")]
    if not addresses:
        yield fail("dns.no_address", hostname)
        return
    yield ok("dns.address", hostname, addresses=", ".join(addresses))
    for address in addresses:
        if not ipaddress.ip_address(address).is_global:
            yield warn("dns.private", hostname, address=address)
            continue
        pointer = dns.reversename.from_address(address).to_text()
        names = [name.rstrip(".").lower() for name in look_up(pointer, "PTR")]
        if hostname in names:
            yield ok("dns.ptr", address, hostname=hostname)
        else:
            found = ", ".join(names) or "-"
            yield warn("dns.no_ptr", address, hostname=hostname, names=found)


def _mx(domain: str, hostname: str, look_up: Lookup) -> Iterator[Note]:
    hosts = [record.split(" ")[-1].rstrip(".").lower() for record in look_up(domain, "MX")]
    if not hosts:
        yield warn("dns.no_mx", domain, hostname=hostname)
    elif hosts == [""]:
        yield fail("dns.null_mx", domain)
    elif hostname in hosts:
        yield ok("dns.mx", domain, hostname=hostname)
        if others := [host for host in hosts if host != hostname]:
            yield warn("dns.other_mx", domain, others=", ".join(others))
    else:
        yield warn("dns.mx_elsewhere", domain, hostname=hostname, hosts=", ".join(hosts))


def _spf(domain: str, look_up: Lookup) -> Iterator[Note]:
    texts = [text for text in look_up(domain, "TXT") if text.lower().split(" ")[0] == "v=spf1"]
    if not texts:
        yield warn("dns.no_spf", domain)
    elif len(texts) > 1:
        yield fail("dns.two_spf", domain, count=len(texts))  # RFC 7208 section 4.5: permerror
    elif {"+all", "all"} & set(texts[0].lower().split()):
        yield fail("dns.open_spf", domain, record=texts[0])
    else:
        yield ok("dns.spf", domain, record=texts[0])


def _dmarc(domain: str, look_up: Lookup) -> Iterator[Note]:
    texts = look_up(f"_dmarc.{domain}", "TXT")
    found = [text for text in texts if text.lower().startswith("v=dmarc1")]
    if found:
        yield ok("dns.dmarc", domain, record=found[0])
    else:
        yield warn("dns.no_dmarc", domain)


def _service(
    domain: str, service: Service, told: Sequence[Service], look_up: Lookup
) -> Iterator[Note]:
    """One SRV record; a name that says "." is a service that there is not (RFC 6186 3.4)."""
    name = f"_{service.kind}._tcp.{domain}"
    found = {record.rstrip(".").lower() for record in look_up(name, "SRV")}
    places = {" ".join(record.split(" ")[2:]) for record in found}
    ours = {f"{one.port} {one.host}" for one in told if one.kind == service.kind}
    wanted = f"{service.port} {service.host}"
    if wanted in places:
        yield ok("dns.srv", name, place=wanted)
    elif places - ours:
        elsewhere = ", ".join(sorted(place or "." for place in places - ours))
        yield warn("dns.srv_elsewhere", name, place=wanted, found=elsewhere)
    else:
        yield warn("dns.no_srv", name, place=wanted)
