"""load() looks at the files that the settings name: certificates, keys, password files."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.load import ConfigError, load
from proxy import selfsigned

NOW = datetime.now(UTC)
TEXT = """
[node]
hostname = "mail.example.com"
domains = ["example.com"]
[[smtp]]
name = "mx"
listen = "0.0.0.0:25"
role = "inbound"
next_hop = "smtp://127.0.0.1:10025"
tls = "starttls"
cert = "cert.pem"
key = "key.pem"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    cert, key = selfsigned.make("mail.example.com", NOW)
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    file = tmp_path / "mailweir.toml"
    file.write_text(TEXT)
    return file


def refused(file: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_loads_from_any_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert load(file).smtp[0].cert == file.with_name("cert.pem")


@pytest.mark.parametrize(
    ("name", "content", "key", "said"),
    [
        ("cert.pem", None, "smtp[0].cert", "No such file"),
        ("key.pem", None, "smtp[0].key", "No such file"),
        ("cert.pem", b"nonsense", "smtp[0].cert", "PEM file with a certificate"),
        ("key.pem", b"nonsense", "smtp[0].key", "unencrypted private key"),
        (
            "key.pem",
            selfsigned.make("mail.example.com", NOW)[1],
            "smtp[0].key",
            "the private key of the certificate",
        ),
        (
            "cert.pem",
            selfsigned.make("mail.example.com", NOW - timedelta(days=30), days=1)[0],
            "smtp[0].cert",
            "this one ended on",
        ),
    ],
)
def test_certificates_that_cannot_work(
    file: Path, name: str, content: bytes | None, key: str, said: str
) -> None:
    if content is None:
        file.with_name(name).unlink()
    else:
        file.with_name(name).write_bytes(content)
    error = refused(file)
    assert error.key == key
    assert said in error.allowed


def test_an_encrypted_key_is_refused_and_nobody_is_asked(file: Path) -> None:
    key = file.with_name("key.pem")
    encrypted = file.with_name("encrypted.pem")
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", encrypted],
        check=True,
        capture_output=True,
    )
    encrypted.rename(key)
    assert "unencrypted private key" in refused(file).allowed


def test_password_file(file: Path) -> None:
    outbound = '[outbound]\nroute="smtps://h.example.com"\nuser="u"\npassword_file="secret"\n'
    file.write_text(TEXT + outbound)
    assert refused(file).key == "outbound.password_file"
    secret = file.with_name("secret")
    secret.write_bytes(b"\nhunter2\n")
    assert "first line" in refused(file).allowed
    secret.write_bytes(b"hunter2 \r\nmore\n")
    password = load(file).outbound.password
    assert password is not None and password.reveal() == "hunter2 "
    assert "hunter2" not in repr(load(file))


def test_authorities(file: Path) -> None:
    file.write_text(TEXT + 'next_hop_tls = "verify"\nnext_hop_ca = "ca.pem"\n')
    assert refused(file).key == "smtp[0].next_hop_ca"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"\xff", "UTF-8"), (b"#" * 2**20 + b"\n", "1 MiB")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    assert said in refused(file).allowed


def test_deep_nesting_is_an_answer_too(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("x = " + "[" * 100_000)
    assert "TOML" in str(refused(file))


def test_key_file_of_the_bucket(file: Path) -> None:
    file.write_text(TEXT + '[store]\nblobs = "s3://mail"\nblobs_credentials_file = "bucket.key"\n')
    assert refused(file).key == "store.blobs_credentials_file"
    key = file.with_name("bucket.key")
    for wrong in (b"", b"hunter2\n", b":hunter2\n", b"id:\n", b"id:hunter2\xff\n", "鍵:x".encode()):
        key.write_bytes(wrong)
        error = refused(file)
        assert "ACCESS_KEY_ID:SECRET_ACCESS_KEY" in error.allowed and "hunter2" not in str(error)
    key.write_bytes(b"AKID:hunter2/with:colon \r\nmore\n")
    access = load(file).store.blobs_credentials
    assert access is not None
    assert (access.id, access.secret.reveal()) == ("AKID", "hunter2/with:colon")
    assert "hunter2" not in repr(access) + repr(load(file))
