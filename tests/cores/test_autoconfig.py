"""What mail programs are told: only what is so, only for us, and nothing that anybody slips in."""

import time
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import ConfigError, parse
from config.settings import Settings
from proxy import autoconfig
from proxy.autoconfig import Refused, Service, services, wanted

NODE = '[node]\nhostname = "mail.example.com"\ndomains = ["example.com", "例え.jp"]\n'
IMAPS = Service("imaps", "mail.example.com", 993)
SENDS = Service("submission", "mail.example.com", 587)
ASKED = (
    '<?xml version="1.0" encoding="utf-8"?>\n<Autodiscover xmlns="http://schemas.microsoft.com/'
    'exchange/autodiscover/outlook/requestschema/2006"><Request>\n<EMailAddress>{address}'
    "</EMailAddress>\n<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/"
    "outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>"
)


def settings(text: str, tmp_path: Path) -> Settings:
    return parse(NODE + text, base=tmp_path)


def imap(name: str, port: int, tls: str = "none", more: str = "", host: str = "0.0.0.0") -> str:
    if tls != "none":
        more = f'{more}\ncert = "c.pem"\nkey = "k.pem"'
    return (
        f'[[imap]]\nname = "{name}"\nlisten = "{host}:{port}"\nupstream = "imap://127.0.0.1:10143"\n'
        f'tls = "{tls}"\n{more}\n'
    )


def smtp(name: str, port: int, more: str = "", role: str = "submission") -> str:
    return (
        f'[[smtp]]\nname = "{name}"\nlisten = "0.0.0.0:{port}"\nrole = "{role}"\n'
        f'next_hop = "smtp://127.0.0.1:10587"\n{more}\n'
    )


def unread(text: str) -> Settings:
    """Settings whose certificates need not be there."""
    return Settings.model_validate(tomllib.loads(NODE + text), context={"base": "/etc/mailweir"})


TLS = 'tls = "implicit"\ncert = "c.pem"\nkey = "k.pem"\nauth = "next_hop"'


def test_what_the_listeners_say_with_the_best_first() -> None:
    text = (
        imap("imap", 143, "starttls") + imap("imaps", 993, "implicit")
        + smtp("sub", 587, TLS.replace("implicit", "starttls")) + smtp("subs", 465, TLS)
        + smtp("mx", 25, role="inbound")
    )  # fmt: skip
    assert [(one.kind, one.host, one.port) for one in services(unread(text))] == [
        ("imaps", "mail.example.com", 993),
        ("imap", "mail.example.com", 143),
        ("submissions", "mail.example.com", 465),
        ("submission", "mail.example.com", 587),
    ]


def test_a_listener_behind_something_else_is_told_by_its_public_name_or_not_at_all() -> None:
    assert services(unread(imap("a", 143, "starttls", host="127.0.0.1"))) == []
    assert services(unread(imap("a", 143))) == []  # no TLS: nobody is sent there
    text = imap("a", 1143, "none", 'public = "imaps://IMAP.Example.com"', host="127.0.0.1")
    assert services(unread(text)) == [Service("imaps", "imap.example.com", 993)]
    assert services(unread(imap("a", 993, "implicit", 'public = "none"'))) == []
    two = imap("a", 993, "implicit") + imap(
        "b", 994, "implicit", 'public = "imaps://mail.example.com"'
    )
    assert services(unread(two)) == [IMAPS]
    trusted = 'trusted = ["10.0.0.0/8"]\ntls = "starttls"\ncert = "c.pem"\nkey = "k.pem"'
    assert services(unread(smtp("a", 587, trusted))) == []  # nobody logs in there


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (imap("a", 143, more='public = "smtp://mail.example.com"'), "imap[0].public"),
        (imap("a", 143, more='public = "imaps://192.0.2.1:993"'), "imap[0].public"),
        (imap("a", 143, more='public = "imaps://u:p@mail.example.com"'), "imap[0].public"),
        (imap("a", 143, more='public = "imaps://mail.example.com:0"'), "imap[0].public"),
        (imap("a", 143, more='public = "imaps://a.example.com/<x>"'), "imap[0].public"),
        (smtp("a", 25, 'public = "smtps://mail.example.com"', "inbound"), "smtp[0].public"),
        (
            smtp("a", 25, 'trusted = ["10.0.0.0/8"]\npublic = "smtps://mail.example.com"'),
            "smtp[0].public",
        ),
    ],
)
def test_a_public_name_that_cannot_be(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(text, tmp_path)
    assert any(key in line and "allowed" in line for line in caught.value.lines())


def test_only_for_domains_of_ours() -> None:
    ours = unread("")
    assert autoconfig.domain_of("Alice@Example.COM", "", ours) == "example.com"
    assert autoconfig.domain_of("a@例え.jp", "", ours) == "xn--r8jz45g.jp"
    assert autoconfig.domain_of("", "autoconfig.example.com", ours) == "example.com"
    assert autoconfig.domain_of("", "example.com", ours) == "example.com"
    for address, host in [
        ("alice@elsewhere.example", "autoconfig.example.com"),  # the address counts
        ("", "autoconfig.elsewhere.example"),
        ("", "localhost"),  # which of two?
        ("", ""),
        ("a@b@example.com/../x", ""),
        ("x" * 400 + "@example.com", ""),
        ("@", ""),
    ]:
        assert autoconfig.domain_of(address, host, ours) == "", (address, host)
    one = Settings.model_validate(
        {"node": {"hostname": "m.example.com", "domains": ["example.com"]}}
    )
    assert autoconfig.domain_of("", "localhost", one) == "example.com"


def test_thunderbirds_document() -> None:
    document = autoconfig.client_config("example.com", [IMAPS, SENDS], "address")
    assert document is not None
    root = ElementTree.fromstring(document)
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    provider = root.find("emailProvider")
    assert provider is not None and provider.get("id") == "example.com"
    assert provider.findtext("domain") == "example.com"
    told = [(s.tag, s.get("type"), *(child.text for child in s)) for s in provider if len(s)]
    user = "%EMAILADDRESS%"
    assert told == [
        ("incomingServer", "imap", IMAPS.host, "993", "SSL", "password-cleartext", user),
        ("outgoingServer", "smtp", SENDS.host, "587", "STARTTLS", "password-cleartext", user),
    ]
    assert b"%EMAILLOCALPART%" in (
        autoconfig.client_config("example.com", [IMAPS, SENDS], "local_part") or b""
    )


def test_outlooks_document() -> None:
    starttls = Service("imap", "mail.example.com", 143)
    document = autoconfig.autodiscover("o'b@example.com", [IMAPS, starttls, SENDS], "address")
    assert document is not None
    there = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
    root = ElementTree.fromstring(document)
    found = [
        {child.tag.removeprefix(there): child.text for child in protocol}
        for protocol in root.iter(f"{there}Protocol")
    ]
    common = {
        "Server": "mail.example.com", "LoginName": "o'b@example.com", "DomainRequired": "off",
        "SPA": "off", "SSL": "on", "AuthRequired": "on",
    }  # fmt: skip
    assert found == [
        {"Type": "IMAP", "Port": "993", "Encryption": "SSL", **common},
        {"Type": "SMTP", "Port": "587", "Encryption": "TLS", "UsePOPAuth": "on", **common},
    ]
    local = autoconfig.autodiscover("o'b@example.com", [IMAPS, SENDS], "local_part") or b""
    assert b"<LoginName>o&#x27;b</LoginName>" in local


def test_half_an_answer_is_none() -> None:
    assert autoconfig.client_config("example.com", [IMAPS], "address") is None
    assert autoconfig.autodiscover("a@example.com", [SENDS], "address") is None


def test_the_address_that_is_asked_for() -> None:
    assert wanted(ASKED.format(address=" alice@example.com\n").encode()) == "alice@example.com"
    assert (
        wanted(b"\xef\xbb\xbf" + ASKED.format(address="a@example.com").encode()) == "a@example.com"
    )
    assert wanted(b"\xff\xfe" + ASKED.format(address="a@b.jp").encode("utf-16-le")) == "a@b.jp"
    assert wanted(b"<x:EMailAddress >a@b.jp</x:EMailAddress>") == "a@b.jp"


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"EMailAddress=a@example.com",
        ASKED.format(address="").encode(),
        ASKED.format(address="a@example.com&x;").encode(),
        ASKED.format(address="a@example.com\x01").encode(),
        ASKED.format(address="<b/>a@example.com").encode(),
        ASKED.format(address="x" * 300 + "@example.com").encode(),
        ASKED.format(address="a@example.com").encode("utf-16-le"),
        ASKED.format(address="a@example.com")
        .replace("outlook/responseschema", "mobilesync")
        .encode(),
        f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]>{ASKED.format(address="&a8;")}'.encode(),
        f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{ASKED.format(address="a@example.com")}'.encode(),
        ASKED.format(address="<![CDATA[a@example.com]]>").encode(),
        b"<EMailAddress>\xff@example.com</EMailAddress>",
    ],
)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        wanted(body)


@pytest.mark.parametrize(
    "piece", [b"<", b"<a:", b"<EMailAddress>", b"<EMailAddress> ", b"<EMailAddress>aaa ", b" " * 99]
)
def test_no_body_is_dear(piece: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(Refused):
        wanted(piece * (16_384 // len(piece)))
    assert time.process_time() - begun < 2  # quadratic reading of this would take minutes


@given(st.text(max_size=60), st.sampled_from(["address", "local_part"]))
def test_whatever_the_address_the_document_is_one(name: str, login: str) -> None:
    try:
        address = wanted(
            ASKED.replace("{address}", f"{name}@example.com").encode("utf-8", "replace")
        )
    except Refused:
        return
    document = autoconfig.autodiscover(address, [IMAPS, SENDS], login)
    assert document is not None
    root = ElementTree.fromstring(document)
    assert len(list(root.iter())) == 28
