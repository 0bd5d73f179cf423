"""quickstart: what it writes works as it is, and nothing that was there is lost."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.load import load
from proxy import selfsigned
from proxy.autoconfig import services
from proxy.clientpages import client_pages
from proxy.quickstart import QuickstartError, as_text, local_timezone, quickstart
from proxy.texts import Language

NOW = datetime.now(UTC)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_what_is_written_loads(tmp_path: Path, lang: Language) -> None:
    done = quickstart("Example.com", tmp_path / "new", lang=lang)
    settings = load(done.config)
    assert settings.node.hostname == "mail.example.com"
    assert settings.node.domains == ("example.com",)
    assert [(s.name, s.listen.port, s.role, s.tls, s.auth) for s in settings.smtp] == [
        ("mx", 25, "inbound", "starttls", "none"),
        ("submission", 587, "submission", "starttls", "next_hop"),
        ("submissions", 465, "submission", "implicit", "next_hop"),
    ]
    assert [
        (i.name, i.listen.port, i.tls, i.upstream.port, i.upstream_client) for i in settings.imap
    ] == [("imap", 143, "starttls", 10143, "id"), ("imaps", 993, "implicit", 10143, "id")]
    assert settings.smtp[0].recipient_domains == ("example.com",)
    assert not any(s.trusted for s in settings.smtp)
    assert settings.data_dir == tmp_path / "new" / "data"
    assert set(done.written) == {
        tmp_path / "new" / name
        for name in ("mailweir.toml", "mailweir.service", "cert.pem", "key.pem")
    }


@pytest.mark.parametrize(
    ("link", "named", "zone"),
    [
        ("/usr/share/zoneinfo/Asia/Tokyo", "Europe/Paris", "Asia/Tokyo"),
        ("/somewhere/localtime", "Europe/Paris", "Europe/Paris"),
        ("/usr/share/zoneinfo/../../etc/passwd", "../x", "UTC"),
        (None, "Asia/Tokyo", "Asia/Tokyo"),
        (None, "Tokyo", "UTC"),
        (None, None, "UTC"),
    ],
)
def test_times_are_those_of_this_machine(
    tmp_path: Path, link: str | None, named: str | None, zone: str
) -> None:
    (tmp_path / "etc").mkdir()
    if link is not None:
        (tmp_path / "etc/localtime").symlink_to(link)
    if named is not None:
        (tmp_path / "etc/timezone").write_text(f"{named}\n")
    assert local_timezone(tmp_path) == zone
    assert load(quickstart("example.com", tmp_path / "q").config).node.timezone == local_timezone()


def test_the_key_is_for_nobody_else(tmp_path: Path) -> None:
    quickstart("example.com", tmp_path)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_the_answer_says_what_the_configuration_says(tmp_path: Path) -> None:
    text = as_text(quickstart("example.com", tmp_path, address="192.0.2.7"), "en")
    for next_hop in ("127.0.0.1:10025", "127.0.0.1:10587", "127.0.0.1:10026"):
        assert f"{next_hop} inet" in text
        assert next_hop in (tmp_path / "mailweir.toml").read_text()
    assert "IN A    192.0.2.7" in text
    assert "IN MX   10 mail.example.com." in text
    assert str(tmp_path / "mailweir.service") in text


def test_the_inbound_port_of_postfix_trusts_nobody(tmp_path: Path) -> None:
    text = as_text(quickstart("example.com", tmp_path), "en")
    inbound = text.split("127.0.0.1:10025 inet")[1].split("127.0.0.1:10587")[0]
    assert "-o mynetworks=\n" in inbound
    assert "-o smtpd_relay_restrictions=reject_unauth_destination\n" in inbound


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    config = tmp_path / "mailweir.toml"
    config.write_text("mine")
    with pytest.raises(QuickstartError, match=r"mailweir\.toml: exists already; .*--force"):
        quickstart("example.com", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mailweir.toml"]
    assert config.read_text() == "mine"
    quickstart("example.com", tmp_path, force=True)
    assert load(config).node.domains == ("example.com",)


def test_a_dangling_link_counts_as_something_there(tmp_path: Path) -> None:
    (tmp_path / "mailweir.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(QuickstartError, match="exists already"):
        quickstart("example.com", tmp_path)


def test_a_pair_that_is_there_is_used_even_with_force(tmp_path: Path) -> None:
    cert, key = selfsigned.make("mx.example.com", NOW)
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    done = quickstart("example.com", tmp_path, force=True)
    assert set(done.kept) == {tmp_path / "cert.pem", tmp_path / "key.pem"}
    assert (tmp_path / "key.pem").read_bytes() == key
    assert all(section.code for section in done.sections)  # no word on a self-signed one


def test_a_pair_of_our_own(tmp_path: Path) -> None:
    cert, key = selfsigned.make("mx.example.com", NOW)
    (tmp_path / "c").write_bytes(cert)
    (tmp_path / "k").write_bytes(key)
    done = quickstart(
        "example.com", tmp_path / "d", hostname="mx.example.com",
        cert=tmp_path / "c", key=tmp_path / "k",
    )  # fmt: skip
    assert load(done.config).smtp[0].cert == tmp_path / "c"
    assert not (tmp_path / "d" / "key.pem").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"domain": "example"}, "DOMAIN"),
        ({"domain": "exa mple.com"}, "DOMAIN"),
        ({"domain": 'a"\n[x].com'}, "DOMAIN"),
        ({"domain": ""}, "DOMAIN"),
        ({"address": "mail.example.com"}, "--address"),
        ({"hostname": "mail"}, "--hostname"),
        ({"cert": Path("c.pem")}, "--cert"),
        ({"cert": Path("none.pem"), "key": Path("none.key")}, "none.pem"),
        ({"data_dir": Path("a\nb")}, "control characters"),
    ],
)
def test_refused_in_one_line_with_nothing_written(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    arguments = {"domain": "example.com", **given}
    with pytest.raises(QuickstartError) as caught:
        quickstart(folder=tmp_path / "new", **arguments)
    assert said in str(caught.value) and "allowed" in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_half_a_pair_or_an_old_one_is_refused(tmp_path: Path) -> None:
    cert, key = selfsigned.make("mail.example.com", NOW - timedelta(days=30), days=1)
    (tmp_path / "cert.pem").write_bytes(cert)
    with pytest.raises(QuickstartError, match=r"key\.pem"):
        quickstart("example.com", tmp_path)
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(QuickstartError, match="expired"):
        quickstart("example.com", tmp_path)


def test_a_domain_in_japanese(tmp_path: Path) -> None:
    done = quickstart("例え.jp", tmp_path)
    assert load(done.config).node.domains == ("xn--r8jz45g.jp",)


def test_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    folder = tmp_path / "a \"b\" %n 'c' 日本"
    done = quickstart("example.com", folder)
    assert load(done.config).data_dir == folder / "data"
    unit = (folder / "mailweir.service").read_text()
    assert "%%n" in unit
    assert tomllib.loads(done.config.read_text())["smtp"][0]["cert"] == str(folder / "cert.pem")


def test_etc_keeps_its_mail_elsewhere(tmp_path: Path) -> None:
    from proxy.quickstart import _names

    names = _names("example.com", Path("/etc/mailweir"), None, None, None, None, None)
    assert names.data_dir == Path("/var/lib/mailweir")


def test_records_and_pages_for_mail_programs_are_those_of_the_configuration(tmp_path: Path) -> None:
    done = quickstart("example.com", tmp_path)
    text = as_text(done, "en")
    told = services(load(done.config))
    assert len(told) == 4
    for service in told:
        srv = rf"_{service.kind}\._tcp\.example\.com\. +IN SRV +0 1 {service.port} {service.host}\."
        assert re.search(srv, text)
    assert f"proxy_pass http://{load(done.config).http.listen};" in text
    paths = re.search(r"location ~\* (\S+) \{", text)
    assert paths is not None
    published = re.compile(paths[1], re.I)
    assert all(published.match(path) for path in client_pages(load(done.config)))
    assert not any(published.match(path) for path in ("/metrics", "/healthz", "/readyz", "/"))
