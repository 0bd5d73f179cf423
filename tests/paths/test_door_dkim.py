"""A DKIM-signed message still verifies behind a door: the bytes are not ours.

Signed and verified by dkimpy with a key made here; the public key comes from a dictionary, not
from the DNS. The door adds its `Received:` line on top and doubles dots on the wire, no more.
"""

from __future__ import annotations

import base64
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.faultsink import FaultSink
from tests.paths.doors import DoorProcess

MESSAGE = (
    "From: 田中 <tanaka@signer.example>\r\n"
    "To: b@y.example\r\n"
    "Subject: =?ISO-2022-JP?B?GyRCOCtAUT1xGyhC?=\r\n"
    "Message-ID: <signed@signer.example>\r\n"
    "Date: Sun, 22 Nov 2026 12:00:00 +0900\r\n"
    "\r\n"
    ".a line that begins with a dot\r\n"
    "trailing blanks  \t\r\n" + "long line " * 300 + "\r\n..\r\n\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.slow
@pytest.mark.parametrize("canonical", [b"simple", b"relaxed"])
def test_a_signed_message_still_verifies(
    tmp_path: Path, key: rsa.RSAPrivateKey, canonical: bytes
) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def dns(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.signer.example."
        return record

    signature = dkim.sign(
        MESSAGE, b"s1", b"signer.example", private, canonicalize=(canonical, canonical)
    )
    signed = signature + MESSAGE
    with FaultSink() as sink, DoorProcess(tmp_path, sink) as door, door.greeted() as client:
        assert client.message("tanaka@signer.example", ["b@y.example"], signed).startswith("250 ")
        (message,) = sink.wait_for_messages(1)
    assert message.body.startswith(b"Received: from ") and message.body.endswith(signed)
    assert dkim.verify(message.body, dnsfunc=dns)
    # The test can fail: one octet changed in the body is seen.
    assert not dkim.verify(message.body.replace(b"trailing", b"Trailing"), dnsfunc=dns)
