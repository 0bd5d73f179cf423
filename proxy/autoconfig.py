"""Mail programs find us by themselves: Thunderbird's autoconfig, Outlook's autodiscover. A core.

`services` says what our listeners are to mail programs; DNS records (quickstart, check) and both
documents come from it. Promises: nothing is told but host names, ports, the kind of TLS and how to
log in: the same for every address of a domain, so nobody learns who is a user; only for
node.domains; never a service without TLS. Of a POST nothing is read but the address and the name
of the wanted answer, each by a bounded pattern; what declares entities or a document type is
refused, and no XML parser ever sees it. All that goes out is escaped.
Limits: passwords over TLS. OAuth2 is not announced: what a program needs for it (issuer, its own
registration there) is known to its maker, by the names of large providers, and not to us.
Cites: Mozilla's "Autoconfiguration: ConfigFileFormat" 1.1; MS-OXDSCLI (POX, "email"); RFC 6186;
RFC 8314 (TLS from the first octet goes first).
"""

import codecs
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from config.settings import ImapListener, Settings, SmtpListener
from config.targets import parse_domain

__all__ = [
    "Refused", "Service", "autodiscover", "client_config", "domain_of", "our_domain", "services",
    "unknown", "wanted", "whole",
]  # fmt: skip

Kind = Literal["imap", "imaps", "submission", "submissions"]  # the names of RFC 6186 and RFC 8314

MAX_ADDRESS = 254  # RFC 5321 4.5.3.1.3
# What a POST may be: a few short elements. No "<!" at all: no document type, no entity, no CDATA.
_ADDRESS = re.compile(
    r"<(?:[A-Za-z_][\w.-]{0,30}:)?EMailAddress\s{0,20}>\s{0,200}([^\s<>&]{3,254})\s{0,200}</",
    re.ASCII,
)
_SCHEMA = re.compile(
    r"<(?:[A-Za-z_][\w.-]{0,30}:)?AcceptableResponseSchema\s{0,20}>\s{0,200}([^\s<>&]{1,200})",
    re.ASCII,
)
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_AUTODISCOVER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Refused(ValueError):
    """A POST that is not what a mail program asks with."""


@dataclass(frozen=True, slots=True)
class Service:
    """One port that mail programs may use. Kinds with an "s" speak TLS from the first octet."""

    kind: Kind
    host: str
    port: int

    @property
    def implicit(self) -> bool:
        return self.kind in ("imaps", "submissions")

    @property
    def reads(self) -> bool:
        """IMAP; else SMTP."""
        return self.kind in ("imap", "imaps")


def services(settings: Settings) -> list[Service]:
    """What mail programs may use, the best first; the same service once. Of a listener on
    loopback, without TLS or without logins nothing is told unless its `public` says where."""
    found = [
        *(_service(imap, settings.node.hostname) for imap in settings.imap),
        *(
            _service(smtp, settings.node.hostname)
            for smtp in settings.smtp
            if smtp.role == "submission" and smtp.auth != "none"
        ),
    ]
    order = ("imaps", "imap", "submissions", "submission")
    told = dict.fromkeys(service for service in found if service is not None)
    return sorted(told, key=lambda service: order.index(service.kind))


def whole(told: Sequence[Service]) -> bool:
    """Is there a place to read, and one to send? Half of it is of no use to a mail program."""
    return {service.reads for service in told} == {True, False}


def our_domain(name: str, settings: Settings) -> str:
    """The one of our domains that this is, or ""; a name in Unicode meets its A-label."""
    try:
        domain = parse_domain(name)
    except ValueError:
        return ""
    return domain if domain in settings.node.domains else ""


def domain_of(address: str, host: str, settings: Settings) -> str:
    """Of whom autoconfig is asked: by the address, else by the host that was asked, else, where
    there is one domain only, that; "" if none of them is ours."""
    if address:
        if len(address) > MAX_ADDRESS:
            return ""
        return our_domain(address.rpartition("@")[2], settings)
    named = our_domain(host.removeprefix("autoconfig."), settings)
    domains = settings.node.domains
    return named or (domains[0] if len(domains) == 1 else "")


def client_config(domain: str, told: Sequence[Service], login: str) -> bytes | None:
    """Thunderbird's document for a domain of ours; None if there is no place to read, or to send.
    `login`: [http].autoconfig_login."""
    if not whole(told):
        return None
    user = "%EMAILADDRESS%" if login == "address" else "%EMAILLOCALPART%"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<clientConfig version="1.1">',
        f'  <emailProvider id="{escape(domain)}">',
        f"    <domain>{escape(domain)}</domain>",
        f"    <displayName>{escape(domain)}</displayName>",
        f"    <displayShortName>{escape(domain)}</displayShortName>",
    ]
    for service in told:
        tag, kind = ("incomingServer", "imap") if service.reads else ("outgoingServer", "smtp")
        lines += [
            f'    <{tag} type="{kind}">',
            f"      <hostname>{escape(service.host)}</hostname>",
            f"      <port>{service.port}</port>",
            f"      <socketType>{'SSL' if service.implicit else 'STARTTLS'}</socketType>",
            "      <authentication>password-cleartext</authentication>",  # inside of TLS
            f"      <username>{user}</username>",
            f"    </{tag}>",
        ]
    return _document([*lines, "  </emailProvider>", "</clientConfig>"])


def wanted(body: bytes) -> str:
    """The address that a POST asks for; raises Refused."""
    text = _text(body)
    if "<!" in text:
        raise Refused("no declarations, no entities")
    found = _ADDRESS.search(text)
    if found is None:
        raise Refused("an EMailAddress is needed")
    if not found[1].isprintable():
        raise Refused("an EMailAddress is needed")
    schema = _SCHEMA.search(text)
    if schema is not None and schema[1].lower() != _OUTLOOK:
        raise Refused("only the answer for mail programs (outlook/responseschema/2006a) is here")
    return found[1]


def autodiscover(address: str, told: Sequence[Service], login: str) -> bytes | None:
    """Outlook's document for an address in one of our domains, with the best way of each kind;
    None if there is no place to read, or to send."""
    if not whole(told):
        return None
    name = address if login == "address" else address.rpartition("@")[0]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<Autodiscover xmlns="{_AUTODISCOVER}">',
        f'  <Response xmlns="{_OUTLOOK}">',
        f"    <User><DisplayName>{escape(address)}</DisplayName></User>",
        "    <Account>",
        "      <AccountType>email</AccountType>",
        "      <Action>settings</Action>",
    ]
    for reads in (True, False):
        service = next(one for one in told if one.reads is reads)
        lines += [
            "      <Protocol>",
            f"        <Type>{'IMAP' if reads else 'SMTP'}</Type>",
            f"        <Server>{escape(service.host)}</Server>",
            f"        <Port>{service.port}</Port>",
            f"        <LoginName>{escape(name)}</LoginName>",
            "        <DomainRequired>off</DomainRequired>",
            "        <SPA>off</SPA>",
            "        <SSL>on</SSL>",
            f"        <Encryption>{'SSL' if service.implicit else 'TLS'}</Encryption>",
            "        <AuthRequired>on</AuthRequired>",
            *([] if reads else ["        <UsePOPAuth>on</UsePOPAuth>"]),  # the same login
            "      </Protocol>",
        ]
    return _document([*lines, "    </Account>", "  </Response>", "</Autodiscover>"])


def unknown(code: int, words: str) -> bytes:
    """Outlook's document for "no": 500 an address that is not ours, 600 a request that is none.
    Nothing of the request stands in it."""
    return _document(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            f'<Autodiscover xmlns="{_AUTODISCOVER}">',
            "  <Response>",
            '    <Error Time="00:00:00.0000000" Id="0">',
            f"      <ErrorCode>{code}</ErrorCode>",
            f"      <Message>{escape(words)}</Message>",
            "      <DebugData />",
            "    </Error>",
            "  </Response>",
            "</Autodiscover>",
        ]
    )


def _service(listener: SmtpListener | ImapListener, hostname: str) -> Service | None:
    reads = isinstance(listener, ImapListener)
    if listener.public is not None:
        if listener.public.kind == "none":
            return None
        implicit = listener.public.kind in ("imaps", "smtps")
        host, port = listener.public.host, listener.public.port
    else:
        if listener.tls == "none" or ipaddress.ip_address(listener.listen.host).is_loopback:
            return None
        implicit = listener.tls == "implicit"
        host, port = hostname, listener.listen.port
    if reads:
        return Service("imaps" if implicit else "imap", host, port)
    return Service("submissions" if implicit else "submission", host, port)


def _text(body: bytes) -> str:
    """By its byte order mark, else UTF-8: what mail programs send."""
    encoding, start = next(
        ((name, len(bom)) for bom, name in _BOMS if body.startswith(bom)), ("utf-8", 0)
    )
    try:
        return body[start:].decode(encoding)
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None


def _document(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
