"""AUTH of the service account, to the letter."""

import base64

import pytest

from config.secret import Secret
from proxy.smtp.replies import Reply
from proxy.smtp.sasl import Account, ClientAuth, NoMechanism

ACCOUNT = Account("crm@example.com", Secret("鍵 s3cret"))
ASK = Reply(334, (b"VXNlcm5hbWU6",))


def test_plain_is_one_line() -> None:
    auth = ClientAuth(ACCOUNT, ("LOGIN", "PLAIN"))
    verb, mechanism, response = auth.first().split(b" ")
    assert (verb, mechanism) == (b"AUTH", b"PLAIN")
    assert base64.b64decode(response) == "\0crm@example.com\0鍵 s3cret".encode()
    assert auth.next(ASK) == b"*"  # asked for more: cancelled, not answered at random


def test_login_is_asked_twice() -> None:
    auth = ClientAuth(ACCOUNT, ("CRAM-MD5", "LOGIN"))
    assert auth.first() == b"AUTH LOGIN"
    assert base64.b64decode(auth.next(ASK)) == b"crm@example.com"
    assert base64.b64decode(auth.next(ASK)) == "鍵 s3cret".encode()
    assert auth.next(ASK) == b"*"


def test_no_mechanism_that_we_know() -> None:
    with pytest.raises(NoMechanism, match="CRAM-MD5"):
        ClientAuth(ACCOUNT, ("CRAM-MD5",))


def test_the_password_does_not_show() -> None:
    assert "s3cret" not in repr(ACCOUNT)
    assert "s3cret" not in repr(ClientAuth(ACCOUNT, ("PLAIN",)))
