"""Copies of one message have one key, and other messages have others: the cases as a table."""

import base64
import quopri
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.facts import read
from crmstore.identity import (
    SAME_WITHIN,
    Hint,
    choose,
    field_cut,
    id_hash,
    judge,
    print_of,
    prints_of,
)

TEXT = "Guten Tag,\r\n\r\nanbei das Angebot für März.  \r\n-- \r\nAnna\r\n\r\n"
HEAD = (
    "From: Anna <anna@ours.example>\r\nTo: Bob <bob@x.example>, c@x.example\r\n"
    "Cc: d@x.example\r\nSubject: Angebot f=?utf-8?q?=C3=BCr?= Bob\r\n"
    "Message-ID: <1@ours.example>\r\nDate: Sun, 22 Nov 2026 09:40:01 +0900\r\n"
)
TYPE = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
MAIL = (HEAD + TYPE + "Content-Transfer-Encoding: 8bit\r\n\r\n" + TEXT).encode()


def carried(encoding: str, content: bytes) -> bytes:
    """MAIL's body as a hop sends it on."""
    head = HEAD + TYPE + f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + content


def parts(*contents: bytes, boundary: bytes = b"zz") -> bytes:
    head = HEAD.encode() + b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n"
    body = b"".join(b"--" + boundary + b"\r\n" + content + b"\r\n" for content in contents)
    return head + body + b"--" + boundary + b"--\r\n"


PLAIN = b"Content-Type: text/plain\r\n\r\nHello\r\n"
FILE = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK"
OTHER_FILE = FILE.replace(b"JVBERi0xLjQK", b"JVBERi0xLjUK")
INNER = b"From: e@x.example\r\nSubject: inner\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n"
NESTED = b"Content-Type: message/rfc822\r\n\r\n" + INNER
EIGHT = "Grüße".encode()

Change = Callable[[bytes], bytes]


def before(line: str) -> Change:
    return lambda mail: line.encode() + b"\r\n" + mail


def swap(old: str, new: str) -> Change:
    def change(mail: bytes) -> bytes:
        assert old.encode() in mail
        return mail.replace(old.encode(), new.encode())

    return change


# What happens to a mail on its way -> the same message?
SAME: dict[str, Change] = {
    "Received on top": before("Received: from a by b; Sun, 22 Nov 2026 09:40:02 +0900"),
    "a DKIM signature on top": before("DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc"),
    "headers of a scanner": before("X-Spam-Status: No, score=-1\r\nAuthentication-Results: x"),
    "Return-Path and Delivered-To": before("Return-Path: <a@x>\r\nDelivered-To: bob@x.example"),
    "its Bcc was still there": before("Bcc: secret@x.example"),
    "the order of headers": lambda m: (
        b"".join(sorted(m.split(b"MIME", 1)[0].splitlines(True), reverse=True))
        + b"MIME"
        + m.split(b"MIME", 1)[1]
    ),
    "a folded Subject": swap("Subject: Angebot f", "Subject: Angebot\r\n f"),
    "a Subject encoded otherwise": swap("f=?utf-8?q?=C3=BCr?=", "=?utf-8?b?ZsO8cg==?="),
    "a folded To": swap("example>, c@", "example>,\r\n\tc@"),
    "the order of addressees": swap(
        "Bob <bob@x.example>, c@x.example", "c@x.example, bob@x.example"
    ),
    "the case of an address": swap("bob@x.example", "Bob@X.Example"),
    "another display name": swap("Anna <", '"Anna A." <'),
    "no Message-ID": swap("Message-ID: <1@ours.example>\r\n", ""),
    "no Date": swap("Date: Sun, 22 Nov 2026 09:40:01 +0900\r\n", ""),
    "as quoted-printable": lambda _: carried(
        "quoted-printable", quopri.encodestring(TEXT.encode().replace(b"\r\n", b"\n"))
    ),
    "as base64": lambda _: carried("base64", base64.encodebytes(TEXT.encode())),
    "as base64, line ends of Unix": lambda _: carried(
        "Base64", base64.encodebytes(TEXT.encode().replace(b"\r\n", b"\n"))
    ),
    "bare line feeds": lambda m: m.replace(b"\r\n", b"\n"),
    "no blanks at the end of a line": swap("März.  ", "März."),
    "an empty line more at the end": lambda m: m + b"\r\n",
    "no line end at the end": lambda m: m.rstrip(),
}
OTHER: dict[str, Change] = {
    "a word changed": swap("Angebot für März", "Angebot für April"),
    "a blank inside of a line": swap("das Angebot", "das  Angebot"),
    "a footer of a list": lambda m: m + b"-- \r\nlist@x.example\r\n",
    "another Subject": swap("Angebot f", "Re: Angebot f"),
    "another From": swap("anna@ours.example", "mallory@x.example"),
    "an addressee more": swap("c@x.example", "c@x.example, e@x.example"),
    "To and Cc are one": swap("Cc: d@x.example\r\n", ""),
    "another type": swap("text/plain", "text/html"),
    "no body": lambda m: m[: m.index(b"\r\n\r\n") + 4],
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_message(case: str) -> None:
    changed = SAME[case](MAIL)
    assert changed != MAIL
    assert read(changed).key == read(MAIL).key


@pytest.mark.parametrize("case", OTHER)
def test_another_message(case: str) -> None:
    assert read(OTHER[case](MAIL)).key != read(MAIL).key


def cut_by_postfix(body: bytes) -> bytes:
    """As smtp_line_length_limit has it, seen at a real one: 998 octets each, the space included."""
    lines = []
    for line in body.split(b"\r\n"):
        while len(line) > 998:
            lines.append(line[:998])
            line = b" " + line[998:]
        lines.append(line)
    return b"\r\n".join(lines)


@pytest.mark.parametrize("length", [998, 999, 1_995, 1_996, 1_997, 5_000, 1_200_000])
@pytest.mark.parametrize("pattern", [b"x", "行".encode(), b"word ", b" "])
def test_lines_that_postfix_cuts(length: int, pattern: bytes) -> None:
    line = (pattern * length)[:length]
    body = b"short\r\n indented\r\n" + line + b"\r\n" + line[:-1] + b"x\r\n behind it\r\n"
    keys = {read(carried("8bit", sent)).key for sent in (body, cut_by_postfix(body))}
    assert len(keys) == 1
    assert read(carried("8bit", body.replace(b"short", b"other"))).key not in keys


LONG_FIELDS = {
    "Subject": ["x" * 1_500, " ".join(["word"] * 300), "見積り" * 200, "=?utf-8?q?=C3=BC?= " * 90],
    "From": ["A" * 1_200 + " <anna@ours.example>"],
    "To": [", ".join(f"Person {n} <person{n}@company{n}.example>" for n in range(60))],
    "Cc": [",\r\n ".join([f"c{n}@x.example, " * 80 + "d@x.example" for n in range(9)])],
}


@pytest.mark.parametrize("name", LONG_FIELDS)
def test_fields_that_postfix_cuts(name: str) -> None:
    """Where it cuts stands a blank, in the midst of a word, a character or an address."""
    for value in LONG_FIELDS[name]:
        rest = "".join(line for line in HEAD.splitlines(True) if not line.startswith(name))
        mail, other = (
            f"{name}: {value}{more}\r\n{rest}{TYPE}\r\nHi".encode()
            for more in ("", ", e@y.example")
        )
        inside, other_inside = (
            parts(PLAIN, b"Content-Type: message/rfc822\r\n\r\n" + one) for one in (mail, other)
        )
        for one, another in ((mail, other), (inside, other_inside)):
            cut = cut_by_postfix(one)
            assert cut != one and read(cut).key == read(one).key
            assert read(one.replace(b"\r\n", b"\n")).key == read(one).key
            assert read(another).key != read(one).key


def test_a_field_that_no_hop_cuts_stays_as_it_is() -> None:
    """So no message without a long line has another key than it had."""
    for length in (0, 5, 900, 989, 990):  # with "Subject:" as many as a line may have
        value = b"x" * length
        assert field_cut(b"subject", value) is value
        assert field_cut(b"subject", value + b"\r") == value + b"\r"
        folded = b"\r\n ".join([value] * 9)
        assert field_cut(b"subject", folded) is folded
    assert field_cut(b"subject", b"x" * 991) == b"x" * 990 + b"\r\n x"


def test_where_a_field_ends_counts() -> None:
    one = b"Subject: offer\r\nFrom: a@x.example\r\n\r\nhello\r\n"
    two = b"Subject: offera@x.example\r\n\r\nhello\r\n"
    assert read(one).key != read(two).key


PARTS: dict[str, tuple[bytes, bytes, bool]] = {
    "another boundary": (parts(PLAIN, FILE), parts(PLAIN, FILE, boundary=b"yy"), True),
    "another attachment": (parts(PLAIN, FILE), parts(PLAIN, OTHER_FILE), False),
    "an attachment less": (parts(PLAIN, FILE), parts(PLAIN), False),
    "the attachment twice": (parts(PLAIN, FILE), parts(PLAIN, FILE, FILE), False),
    "the attachment wrapped": (
        parts(PLAIN, FILE),
        parts(PLAIN, FILE.replace(b"JVBE", b"JV\r\nBE")),
        True,
    ),
    "blanks in an attachment that is no text": (
        parts(b"Content-Type: image/x\r\n\r\na \nb"),
        parts(b"Content-Type: image/x\r\n\r\na\nb"),
        False,
    ),
    "a mail inside, carried otherwise": (
        parts(PLAIN, NESTED % (b"8bit", EIGHT)),
        parts(PLAIN, NESTED % (b"base64", base64.b64encode(EIGHT))),
        True,
    ),
    "a mail inside, changed": (
        parts(PLAIN, NESTED % (b"8bit", EIGHT)),
        parts(PLAIN, NESTED % (b"8bit", b"Gruss")),
        False,
    ),
    "a mail inside, of somebody else": (
        parts(PLAIN, NESTED % (b"8bit", EIGHT)),
        parts(PLAIN, NESTED.replace(b"e@x", b"f@x") % (b"8bit", EIGHT)),
        False,
    ),
    "behind the last part that is looked at": (
        parts(*[PLAIN] * 1001, b"\r\none"),
        parts(*[PLAIN] * 1001, b"\r\ntwo"),
        False,
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts(case: str) -> None:
    one, two, same = PARTS[case]
    assert (read(one).key == read(two).key) is same


FIELDS = st.tuples(
    st.sampled_from(["Received", "DKIM-Signature", "X-Spam", "Return-Path", "Comments", "x"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40),
)


@given(st.lists(FIELDS, max_size=4))
def test_no_trace_header_makes_another_message(fields: Sequence[tuple[str, str]]) -> None:
    trace = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    assert read(trace + MAIL).key == read(MAIL).key


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=300))
def test_a_transfer_encoding_never_makes_another_message(text: str) -> None:
    body = text.encode()
    qp = quopri.encodestring(body.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    keys = {
        read(carried("8bit", body)).key,
        read(carried("quoted-printable", qp)).key,
        read(carried("base64", base64.encodebytes(body))).key,
    }
    assert len(keys) == 1


@given(st.binary(max_size=400))
def test_any_bytes_have_a_key_of_fixed_length(data: bytes) -> None:
    assert len(read(data).key) == 32


# Message-IDs: what is one, and what they decide

IDS: dict[str, tuple[str, str, bool]] = {
    "brackets lost": ("<a@x>", "a@x", True),
    "a bracket doubled": ("<a@x>", "<a@x>>", True),
    "folded by a gateway": ("<abc@x>", "<ab\t c@x>", True),
    "20,000 octets, differing at the end": (f"<{'a' * 20_000}1@x>", f"<{'a' * 20_000}2@x>", False),
    "another": ("<a@x>", "<b@x>", False),
    "another case": ("<a@x>", "<A@x>", False),
    "malformed": ("no id at all", "noidatall", True),
}


@pytest.mark.parametrize("case", IDS)
def test_message_ids(case: str) -> None:
    one, two, same = IDS[case]
    assert (id_hash(one) == id_hash(two)) is same
    assert 0 < id_hash(one) < 1 << 63


@pytest.mark.parametrize("empty", ["", "<>", " < > ", "<<>>"])
def test_no_message_id(empty: str) -> None:
    assert id_hash(empty) == 0


DAY = SAME_WITHIN
# (Message-ID, Date, seen) of two copies of the same content -> the same message?
HINTS: dict[str, tuple[Hint, Hint, bool]] = {
    "both ids equal": (Hint(7, 5, 0), Hint(7, 9, 99 * DAY), True),
    "both ids differ": (Hint(7, 5, 0), Hint(8, 5, 0), False),
    "an id missing, dates equal": (Hint(7, 5, 0), Hint(0, 5, 99 * DAY), True),
    "an id missing, dates differ": (Hint(7, 5, 0), Hint(0, 6, 0), False),
    "no ids, dates equal": (Hint(0, 5, 0), Hint(0, 5, 99 * DAY), True),
    "no ids, dates differ": (Hint(0, 5, 0), Hint(0, 6, 0), False),
    "nothing told, within a day": (Hint(0, None, 0), Hint(0, None, DAY), True),
    "nothing told, later": (Hint(0, None, 0), Hint(0, None, DAY + 1), False),
    "a gateway gave both": (Hint(0, None, 0), Hint(7, 5, 60), True),
    "... the day after": (Hint(0, None, DAY - 10), Hint(7, 5, DAY + 10), True),
    "... the day before": (Hint(0, None, DAY + 10), Hint(7, 5, DAY - 10), True),
    "a gateway gave an id": (Hint(0, None, 0), Hint(7, None, 60), True),
}


@pytest.mark.parametrize("case", HINTS)
def test_judging(case: str) -> None:
    one, two, same = HINTS[case]
    for known, new in ((one, two), (two, one)):
        decision = judge(known, new)
        assert decision.same is same
        assert decision.evidence
        if same and new.tells_all:
            assert known.place in new.places()  # so it is found


def test_the_strongest_evidence_wins_then_the_oldest() -> None:
    known = [Hint(0, 5, 0), Hint(0, 5, 0), Hint(7, 5, 0)]
    assert choose(known, Hint(7, 5, 0))[0] == 2
    assert choose(known, Hint(0, 5, 0))[0] == 0
    assert choose(known, Hint(9, 6, 0)) == (None, judge(known[2], Hint(9, 6, 0)))
    assert choose([], Hint(9, 6, 0))[0] is None


@given(st.integers(0, (1 << 63) - 1), st.none() | st.integers(1, 1 << 38), st.integers(0, 1 << 33))
def test_a_hint_is_kept_by_its_place(id_: int, date: int | None, seen: int) -> None:
    hint = Hint(id_, date, seen)
    assert Hint.stored(hint.place, date, seen) == hint
    low, high = prints_of("0f" * 16)
    assert low <= print_of("0f" * 16, hint.place) <= high < 1 << 63
