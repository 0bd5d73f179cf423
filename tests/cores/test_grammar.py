"""The grammar of MAIL, RCPT and HELO: what is taken is kept to the letter, the rest refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.smtp.grammar import (
    Mailbox,
    PathArgument,
    Refused,
    decode_line,
    hides_a_route,
    parse_helo,
    parse_mail,
    parse_mailbox,
    parse_rcpt,
)

LABEL = "a" * 63
LONG = ".".join([LABEL] * 3) + "." + "b" * 61  # 253 octets


def code(function: object, *arguments: object) -> int:
    """The code that it is refused with; 0 when it is taken."""
    try:
        function(*arguments)  # type: ignore[operator]
    except Refused as refused:
        return refused.reply.code
    return 0


@pytest.mark.parametrize(
    "address",
    [
        "b@y.example",
        "b.c+tag@y.example",
        "a..b.@docomo.ne.jp",  # old Japanese carrier addresses
        ".b@docomo.ne.jp",
        "b@localhost",
        "b@under_score.example",
        "b@xn--wgv71a.example",
        "!#$%&'*+-/=?^_`{|}~@y.example",
        '"b c"@y.example',
        '"b\\"c"@y.example',
        '"@"@y.example',
        '""@y.example',
        "b@[192.0.2.1]",
        "b@[IPv6:2001:db8::1]",
        "日本@y.example",
        "b@日本.example",
        "prvs=" + "x" * 80 + "@y.example",  # signed return paths are longer than 64
        "B@Y.Example",
        "b@1.example",
        f"b@{LONG}",
    ],
)
def test_addresses_that_are_taken_to_the_letter(address: str) -> None:
    taken = parse_rcpt(f"TO:<{address}>", smtputf8=True).mailbox
    assert taken.text == address
    assert (taken.local, taken.domain) == (
        address.rpartition("@")[0],
        address.rpartition("@")[2].lower(),
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("b", 501),
        ("b@", 501),
        ("@y.example", 550),
        ("@a.example:b@y.example", 550),  # source routes
        ("@a.example,@c.example:b@y.example", 550),
        ("b@y..example", 501),
        ("b@.example", 501),
        ("b@y.example.", 501),
        ("b@-y.example", 501),
        ("b@y-.example", 501),
        ("b c@y.example", 501),
        ("b @y.example", 501),
        ("b@y .example", 501),
        ('"b@y.example', 501),
        ('b"c"@y.example', 501),
        ('"b"c@y.example', 501),
        ('"b\\é"@y.example', 501),
        ("b@c@y.example", 501),
        ("b@[192.0.2]", 501),
        ("b@[y.example]", 501),
        ("b@[192.0.2.1", 501),
        ("b@y.example]", 501),
        ("b:c@y.example", 501),
        ("b,c@y.example", 501),
        ("b(c)@y.example", 501),
        ("b\\c@y.example", 501),
        ("<b@y.example>", 501),
        (f"b@{LABEL}a.example", 501),
        (f"b@{LONG}.toolong", 501),
        ("b@" + ".".join(["x" * 59] * 5), 501),  # a domain of 300 octets
        ("b" * 520 + "@y.example", 501),
        ("", 501),
        ("<>", 501),
        ("b@y.example\u0085", 501),
        ("b@y.exa\u2028mple", 501),
        ("b\u009bc@y.example", 501),  # a C1 control: the 8-bit ESC [
        ("b@\u00a0.example", 501),
        ("b\u3000c@y.example", 501),
    ],
)
def test_addresses_that_are_refused(address: str, why: int) -> None:
    assert code(parse_rcpt, f"TO:<{address}>", True) == why


@pytest.mark.parametrize("octet", [b"\x00", b"\r", b"\t", b"\x1b", b"\x7f", b"\n"])
@pytest.mark.parametrize("line", [b'RCPT TO:<"b%sDATA"@y>', b"RCPT TO:<b%s@y>", b"NOOP %s"])
def test_no_control_character_gets_into_a_command(octet: bytes, line: bytes) -> None:
    """Row 16: aiosmtpd made `b\\rDATA@y` of `"b\\rDATA"@y`, and smtplib `bDATA@y` of that."""
    assert code(decode_line, line % octet) == 500


def test_latin_1_is_refused_as_bad_utf_8() -> None:
    assert code(decode_line, b"MAIL FROM:<caf\xe9@x.example>") == 500
    assert code(decode_line, b"MAIL FROM:<\xed\xa0\x80@x.example>") == 500, "a lone surrogate"
    assert decode_line("MAIL FROM:<café@x.example>".encode()) == "MAIL FROM:<café@x.example>"


@pytest.mark.parametrize(
    ("argument", "params"),
    [
        ("FROM:<>", ()),
        ("from:<a@x.example>", ()),
        ("FROM: <a@x.example>", ()),
        ("FROM:<a@x.example> ", ()),
        ("FROM:<a@x.example> SIZE=100", ("SIZE=100",)),
        ("FROM:<a@x.example>  SIZE=100   BODY=8BITMIME", ("SIZE=100", "BODY=8BITMIME")),
        ("FROM:<a@x.example> size=1 body=7bit", ("size=1", "body=7bit")),
        ("FROM:<a@x.example> RET=HDRS ENVID=Q+3Dx", ("RET=HDRS", "ENVID=Q+3Dx")),
        ("FROM:<a@x.example> ENVID=MixedCase", ("ENVID=MixedCase",)),
        ("FROM:<a@x.example> AUTH=<>", ("AUTH=<>",)),
        ("FROM:<a@x.example> AUTH=a+40x.example", ("AUTH=a+40x.example",)),
        ("FROM:<日@x.example> SMTPUTF8", ("SMTPUTF8",)),
    ],
)
def test_mail_parameters_are_kept_to_the_letter(argument: str, params: tuple[str, ...]) -> None:
    assert parse_mail(argument).params == params


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("FROM:a@x.example", 501),
        ("FROM:<a@x.example", 501),
        ("FROM:a@x.example>", 501),
        ("FROM<a@x.example>", 501),
        ("TO:<a@x.example>", 501),
        ("FROM:<a@x.example>SIZE=1", 501),
        ("FROM:<a@x.example> SIZE=1 SIZE=2", 501),
        ("FROM:<a@x.example> SIZE=1 size=1", 501),
        ("FROM:<a@x.example> SIZE=-1", 501),
        ("FROM:<a@x.example> SIZE=", 501),
        ("FROM:<a@x.example> SIZE", 501),
        ("FROM:<a@x.example> SIZE=٣", 501),
        ("FROM:<a@x.example> SIZE=999999999999999999999", 501),
        ("FROM:<a@x.example> BODY=BINARYMIME", 501),
        ("FROM:<a@x.example> BODY=", 501),
        ("FROM:<a@x.example> RET=ALL", 501),
        ("FROM:<a@x.example> ENVID=a=b", 501),
        ("FROM:<a@x.example> ENVID=a+3d", 501),  # hexchar is upper case
        ("FROM:<a@x.example> ENVID=" + "x" * 101, 501),
        ("FROM:<a@x.example> SMTPUTF8=1", 501),
        ("FROM:<a@x.example> AUTH=", 501),
        ("FROM:<a@x.example> REQUIRETLS", 555),
        ("FROM:<a@x.example> HOLDFOR=60", 555),
        ("FROM:<a@x.example> NOTIFY=NEVER", 555),
        ("FROM:<a@x.example> XYZZY", 555),
        ("FROM:<a@x.example> =x", 501),
        ("FROM:<a@x.example> " + " ".join(f"A{n}=1" for n in range(9)), 555),
        ("FROM:<a@x.example> ENVID=" + "x" * 1000, 555),
        ("FROM:<日@x.example>", 553),
        ("FROM:<a@日.example>", 553),
        # The wire has one word here; another reader may see two.
        ("FROM:<a@x.example> ENVID=x\u3000RET=FULL", 501),
        ("FROM:<a@x.example> SIZE=1\u00a0BODY=8BITMIME", 501),
        ("FROM:<a@x.example> SIZE=1\u2028BODY=8BITMIME", 501),
    ],
)
def test_mail_that_is_refused(argument: str, why: int) -> None:
    assert code(parse_mail, argument) == why


@pytest.mark.parametrize(
    "params",
    [
        ("NOTIFY=NEVER",),
        ("NOTIFY=SUCCESS,FAILURE,DELAY",),
        ("notify=failure",),
        ("NOTIFY=NEVER", "ORCPT=rfc822;B@Y"),
        ("ORCPT=rfc822;Bob+2BX@y.example",),
        ("ORCPT=utf-8;日本@y.example",),
    ],
)
def test_rcpt_parameters_are_kept_to_the_letter(params: tuple[str, ...]) -> None:
    assert parse_rcpt("TO:<b@y.example> " + " ".join(params)).params == params


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ("NOTIFY=", 501),
        ("NOTIFY", 501),
        ("NOTIFY=NEVER,FAILURE", 501),
        ("NOTIFY=ALWAYS", 501),
        ("NOTIFY=NEVER NOTIFY=NEVER", 501),
        ("ORCPT=rfc822", 501),
        ("ORCPT=;b@y", 501),
        ("ORCPT=rfc822;", 501),
        ("ORCPT=rfc822;" + "x" * 501, 501),
        ("SIZE=1", 555),
        ("X=1", 555),
    ],
)
def test_rcpt_parameters_that_are_refused(params: str, why: int) -> None:
    assert code(parse_rcpt, f"TO:<b@y.example> {params}") == why


def test_the_null_path_is_a_sender_and_no_recipient() -> None:
    """Row 15: aiosmtpd's null sender is the string `<>`."""
    assert parse_mail("FROM:<>").mailbox == Mailbox("", "", "")
    assert code(parse_rcpt, "TO:<>") == 501


def test_postmaster_alone_needs_no_domain() -> None:
    assert parse_rcpt("TO:<PostMaster>").mailbox == Mailbox("PostMaster", "PostMaster", "")
    assert code(parse_rcpt, "TO:<webmaster>") == 501
    assert code(parse_mail, "FROM:<postmaster>") == 501


def test_params_are_found_by_keyword_in_any_case() -> None:
    mail = parse_mail("FROM:<a@x.example> size=5 SMTPUTF8")
    assert (mail.param("SIZE"), mail.param("SMTPUTF8"), mail.param("RET")) == ("5", "", None)


@pytest.mark.parametrize(
    ("address", "hides"),
    [
        ("b%y@us.example", True),
        ("y!b@us.example", True),
        ('"b@y"@us.example', True),
        ('"b\\@y"@us.example', True),
        ('"b\\y"@us.example', True),
        ("b+y@us.example", False),
        ('"b y"@us.example', False),
    ],
)
def test_addresses_that_old_servers_relay_onward(address: str, hides: bool) -> None:
    assert hides_a_route(parse_mailbox(address)) is hides


@pytest.mark.parametrize("name", ["laptop", "[192.0.2.1]", "a_b.example", "x" * 255, " host "])
def test_helo_names_that_are_taken(name: str) -> None:
    assert parse_helo(name) == name.strip()


@pytest.mark.parametrize(
    "name", ["", " ", "two words", "x" * 256, "a\u2028b", "a\u202eb", "\u0085"]
)
def test_helo_names_that_are_refused(name: str) -> None:
    assert code(parse_helo, name) == 501


@given(st.binary(max_size=600))
def test_any_octets_are_taken_or_refused_and_never_fault(raw: bytes) -> None:
    for function in (parse_mail, parse_rcpt, parse_helo):
        try:
            text = decode_line(raw)
            taken = function(text)
        except Refused as refused:
            assert 500 <= refused.reply.code < 560
            continue
        if isinstance(taken, PathArgument):
            assert taken.mailbox.text in text


PIECES = st.sampled_from(
    r'< > @ a b.c " \ [ ] 192.0.2.1 : FROM: TO: é SIZE=1 BODY=8BITMIME'.split(" ")
    + "ORCPT=rfc822;x \u3000 \u0085 % ! SMTPUTF8 = +".split(" ")
    + [" "]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_what_is_taken_stands_in_the_line_to_the_letter(text: str) -> None:
    for function in (parse_mail, lambda line: parse_rcpt(line, True)):
        try:
            taken = function(text)
        except Refused:
            continue
        line = f"<{taken.mailbox.text}>" + "".join(" " + param for param in taken.params)
        # All the words, nothing but the words, and only spaces between them.
        assert line.split(" ") == [w for w in text.partition(":")[2].split(" ") if w] or '"' in text


def test_a_hostile_line_costs_no_time() -> None:
    """2,048 octets are the longest line; no pattern may go through them twice per octet."""
    for piece in ('"', '"\\', "\\", "<", "a@", '""', " A=", "[::", "." * 8, "a."):
        code(parse_rcpt, "TO:<" + piece * (2040 // len(piece)))
        code(parse_rcpt, "TO:<" + piece * (2040 // len(piece)) + ">")
        code(parse_mail, "FROM:<>" + piece * (2040 // len(piece)) + "\u0085")
