"""What goes on to which hop, to the letter, and what cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp import onward
from proxy.smtp.capabilities import Capabilities
from proxy.smtp.onward import NEEDS_8BITMIME, NEEDS_SMTPUTF8, NOT_AN_ADDRESS, Octets
from proxy.smtp.replies import Reply

NOTHING = Capabilities()
ALL = Capabilities({"SIZE": "", "8BITMIME": "", "SMTPUTF8": "", "DSN": "", "PIPELINING": ""})
PARAMS = ["SIZE=7", "body=8bitMIME", "SMTPUTF8", "RET=HDRS", "ENVID=Q+3Dx", "AUTH=<>", "HOLDFOR=9"]


def test_parameters_go_on_to_the_letter_where_they_are_offered() -> None:
    assert onward.mail_line(ALL, "a@b", PARAMS, 99) == (
        b"MAIL FROM:<a@b> SIZE=99 body=8bitMIME SMTPUTF8 RET=HDRS ENVID=Q+3Dx\r\n"
    )
    assert onward.mail_line(NOTHING, "", PARAMS, 99) == b"MAIL FROM:<>\r\n"
    dsn = ["NOTIFY=SUCCESS,FAILURE", "orcpt=rfc822;B@Y", "XYZ=1"]
    assert onward.rcpt_line(ALL, "b@y", dsn) == (
        b"RCPT TO:<b@y> NOTIFY=SUCCESS,FAILURE orcpt=rfc822;B@Y\r\n"
    )
    assert onward.rcpt_line(NOTHING, "b@y", dsn) == b"RCPT TO:<b@y>\r\n"
    assert onward.rcpt_line(ALL, "宛先@例え.jp", []) == "RCPT TO:<宛先@例え.jp>\r\n".encode()


def test_no_line_is_forged_by_what_lies_in_the_queue() -> None:
    forged = "a@b>\r\nRCPT TO:<victim@c"
    assert onward.obstacle(ALL, None, forged) == NOT_AN_ADDRESS
    assert onward.rcpt_obstacle(ALL, forged) == onward.rcpt_obstacle(ALL, "") == NOT_AN_ADDRESS
    line = onward.mail_line(ALL, "a@b", ["ENVID=x\r\nDATA"], 1)
    assert line == b"MAIL FROM:<a@b> SIZE=1\r\n"


@pytest.mark.parametrize(
    ("caps", "octets", "sender", "found"),
    [
        (NOTHING, Octets(False, False), "a@b", None),
        (NOTHING, Octets(False, True), "a@b", NEEDS_8BITMIME),
        (ALL, None, "宛@b", None),
        (NOTHING, Octets(False, False), "宛@b", NEEDS_SMTPUTF8),
        (NOTHING, Octets(True, True), "a@b", NEEDS_SMTPUTF8),
        (Capabilities({"8BITMIME": ""}), Octets(False, True), "a@b", None),
        (Capabilities({"8BITMIME": ""}), Octets(True, True), "a@b", NEEDS_SMTPUTF8),
    ],
)
def test_obstacles(
    caps: Capabilities, octets: Octets | None, sender: str, found: Reply | None
) -> None:
    assert onward.obstacle(caps, octets, sender) == found


def test_a_recipient_beyond_ascii() -> None:
    assert onward.rcpt_obstacle(NOTHING, "宛@b") == NEEDS_SMTPUTF8
    assert onward.rcpt_obstacle(ALL, "宛@b") is None
    assert onward.rcpt_obstacle(NOTHING, "a@b") is None


def test_when_the_octets_matter() -> None:
    eight = Capabilities({"8BITMIME": ""})
    assert onward.must_scan(NOTHING, [])
    assert not onward.must_scan(eight, ["BODY=8BITMIME"])
    assert onward.must_scan(eight, ["smtputf8"])
    assert not onward.must_scan(ALL, PARAMS)


@pytest.mark.parametrize(
    ("message", "octets"),
    [
        (b"", (False, False)),
        (b"Subject: x\r\n\r\nhello\r\n", (False, False)),
        (b"Subject: x\r\n\r\n\xe3\x81\x82\r\n", (False, True)),
        (b"Subject: \xe3\x81\x82\r\n\r\nhello\r\n", (True, True)),
        (b"\r\n\xff", (False, True)),
        (b"Subject: x\r\n\xff", (True, True)),
        (b"a: b\r\n\r\n\r\n\r\n\xff", (False, True)),
    ],
)
def test_scan_at_any_cut(message: bytes, octets: tuple[bool, bool]) -> None:
    assert onward.scan([message]) == octets
    for cut in range(len(message) + 1):
        assert onward.scan([message[:cut], message[cut:]]) == octets
    assert onward.scan(message[i : i + 1] for i in range(len(message))) == octets


@given(st.lists(st.binary(max_size=9)))
def test_scan_sees_what_is_there(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    head = whole if whole[:2] != b"\r\n" else b""
    head = head.partition(b"\r\n\r\n")[0]
    assert onward.scan(pieces) == (not head.isascii(), not whole.isascii())
