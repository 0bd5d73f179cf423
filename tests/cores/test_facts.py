"""What is read out of a message: samples as they really come, and those made to hurt."""

import base64
import json
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmstore.facts import Facts, date_of, read
from tests.cores.test_charsets import VENDOR, jis
from tests.cores.test_mimetree import BOMBS
from tests.corpus import mails


def mail(*lines: str | bytes, body: bytes = b"") -> bytes:
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return b"\r\n".join(raw) + b"\r\n\r\n" + body


def test_an_ordinary_message() -> None:
    facts = read(
        mail(
            "From: =?UTF-8?B?5bGx55Sw?= <Yamada@example.com>",
            "To: Bob <bob@x.example>, carol@x.example",
            "Cc: bob@x.example",
            "Subject: =?UTF-8?B?6KaL56mN44KK?=",
            "Date: Sun, 22 Nov 2026 09:40:01 +0900",
            "Message-ID: <1@example.com>",
            "Content-Type: text/plain; charset=utf-8",
            body="お世話に\r\n\r\n  なっております。".encode(),
        )
    )
    assert facts == Facts(
        subject="見積り",
        message_id="<1@example.com>",
        date=1795308001,
        date_header="Sun, 22 Nov 2026 09:40:01 +0900",
        people=[
            ("from", "yamada@example.com", "山田"),
            ("to", "bob@x.example", "Bob"),
            ("to", "carol@x.example", ""),
            ("cc", "bob@x.example", ""),
        ],
        preview="お世話に なっております。",
        key=facts.key,  # test_identity.py
    )


def test_raw_headers_are_in_the_charset_of_the_first_text() -> None:
    body = b"--b\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nx\r\n--b--\r\n"
    subject, name = "Счёт на оплату".encode("koi8-r"), "Иван".encode("koi8-r")
    facts = read(
        mail(
            b"From: " + name + b" <ivan@x.example>",
            b"Subject: " + subject,
            'Content-Type: multipart/mixed; boundary="b"',
            body=body,
        )
    )
    assert (facts.subject, facts.people[0][2]) == ("Счёт на оплату", "Иван")


def test_a_japanese_phone_of_the_old_days() -> None:
    facts = read(
        mail(
            b"From: " + jis("髙橋") + b" <a..b.@docomo.ne.jp>",
            b"Subject: " + f"{VENDOR}".encode("cp932"),
            "Content-Type: text/plain; charset=iso-2022-jp",
            body=b"\x1b(I6E\x1b(B " + jis("①です"),
        )
    )
    assert facts.subject == VENDOR
    assert facts.people == [("from", "a..b.@docomo.ne.jp", "髙橋")]
    assert facts.preview == "ｶﾅ ①です"


def attachment(*headers: str, body: str = "QUJD") -> Facts:
    return read(
        mail(
            "Content-Type: multipart/mixed; boundary=b",
            body=b"--b\r\n\r\nhello\r\n--b\r\n"
            + mail(*headers, "Content-Transfer-Encoding: base64", body=body.encode())
            + b"\r\n--b--\r\n",
        )
    )


JIS_NAME = base64.b64encode(jis("見積") + b".pdf").decode()
NAMES = [
    "Content-Disposition: attachment; filename*=UTF-8''%E8%A6%8B%E7%A9%8D.pdf",
    "Content-Disposition: attachment;\r\n filename*0*=UTF-8''%E8%A6%8B;"
    "\r\n filename*1*=%E7%A9%8D.pdf",
    'Content-Disposition: attachment; filename="=?UTF-8?B?6KaL56mNLnBkZg==?="',
    f'Content-Type: application/pdf; name="=?ISO-2022-JP?B?{JIS_NAME}?="',
    "Content-Disposition: inline; filename=見積.pdf",
    'Content-Disposition: attachment; filename="..%2F..%2F見積.pdf"',
    'Content-Disposition: attachment; filename="C:\\\\temp\\\\見積.pdf"',
]


@pytest.mark.parametrize("header", NAMES)
def test_names_of_attachments(header: str) -> None:
    kind = [] if header.startswith("Content-Type") else ["Content-Type: application/pdf"]
    assert [item.name for item in attachment(*kind, header).attachments] == ["見積.pdf"]


def test_attachments_are_counted_with_size_and_kind() -> None:
    facts = attachment("Content-Type: image/png", "Content-ID: <1>")
    assert facts.preview == "hello"
    (item,) = facts.attachments
    assert (item.name, item.type, item.bytes, item.inline) == (
        "attachment-2.png",
        "image/png",
        3,
        True,
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 57, 1000, 100_000])
def test_the_size_of_base64_is_that_of_its_content(size: int) -> None:
    body = base64.encodebytes(b"x" * size).replace(b"\n", b"\r\n").decode()
    assert attachment("Content-Type: application/zip", body=body).attachments[0].bytes == size


def test_html_alone_gives_a_preview_without_its_machinery() -> None:
    page = "<html><head><style>p {}</style></head><!-- no --><p>Hello <b>B&amp;B</b></p><script>x"
    facts = read(mail("Content-Type: text/html; charset=utf-8", body=page.encode()))
    assert facts.preview == "Hello B&B"


def test_plain_text_is_preferred_to_html_and_neither_is_an_attachment() -> None:
    facts = read(
        mail(
            "Content-Type: multipart/alternative; boundary=b",
            body=b"--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--b\r\n\r\nplain\r\n--b--\r\n",
        )
    )
    assert facts.preview == "plain" and facts.attachments == []


@pytest.mark.parametrize(
    ("encoding", "body", "preview"),
    [
        ("quoted-printable", b"=E8=A6=8B=\r\n=E7=A9=8D", "見積"),
        ("QUOTED-PRINTABLE", b"=E8=A6=8B", "見"),
        ("base64", b"6KaL\r\n56mN", "見積"),
        ("base64", b"6KaL!56mN=", "見積"),
        ("8bit", "見積".encode(), "見積"),
        ("x-unknown", b"as it is", "as it is"),
    ],
)
def test_transfer_encodings(encoding: str, body: bytes, preview: str) -> None:
    head = mail(f"Content-Transfer-Encoding: {encoding}", "Content-Type: text/plain; charset=utf-8")
    assert read(head + body).preview == preview


def test_the_first_of_two_counts_and_is_flagged() -> None:
    facts = read(mail("From: a@x.example", "From: b@x.example", "Subject: one", "Subject: two"))
    assert facts.subject == "one" and facts.people == [("from", "a@x.example", "")]
    assert {"duplicate_from", "duplicate_subject"} <= set(facts.flags)


def test_several_authors() -> None:
    assert "duplicate_from" in read(mail("From: a@x.example", "From: b@x.example")).flags
    assert "several_from" in read(mail("From: a@x.example, b@x.example")).flags


@pytest.mark.parametrize(
    "message_id", ["<1@x>", "1@x", "<<1@x>>", "<>", "no at", "<a b@x>", "x" * 20_000, ""]
)
def test_message_ids_of_any_shape_stay_as_they_are(message_id: str) -> None:
    assert read(mail(f"Message-ID: {message_id}")).message_id == message_id


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Sun, 22 Nov 2026 00:40:01 +0000", 1795308001),
        ("22 Nov 2026 00:40 GMT", 1795308000),
        ("yesterday", None),
        ("Sun, 22 Nov 99999 00:40:01 +0000", None),
        ("Sun, 99 Nov 2026 99:99:99 +9999", None),
        ("1 Jan 1970 00:00:00 +0000", None),
        ("", None),
        ("1" * 10_000, None),
    ],
)
def test_dates(header: str, seconds: int | None) -> None:
    assert read(mail(f"Date: {header}")).date == seconds


@given(
    st.sampled_from(["", "Mon, ", "Fri,", "fri, "]),
    st.integers(0, 33),
    st.sampled_from(["Jan", "Feb", "Jun", "Dec", "dec", "Foo"]),
    st.sampled_from(["1970", "1969", "2026", "2024", "0026", "26", "9999", "20261"]),
    st.tuples(st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)),
    st.sampled_from(["+0900", "-0330", "+0000", "-0000", "+2359", "+2400", "+0060", "GMT", ""]),
    st.sampled_from(["", " (JST)"]),
)
@example("Thu, ", 29, "Feb", "2024", (23, 59, 59), "-0330", "")
def test_a_usual_date_is_what_the_standard_library_makes_of_it(
    day: str, number: int, month: str, year: str, clock: tuple[int, int, int], zone: str, more: str
) -> None:
    hour, minute, second = clock
    text = f"{day}{number:02} {month} {year} {hour:02}:{minute:02}:{second:02} {zone}{more}"
    try:
        found = parsedate_to_datetime(text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        told: float | None = aware.timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        told = None
    assert date_of(text) == (int(told) if told is not None and told > 0 else None)


def test_encoded_line_ends_make_no_header() -> None:
    facts = read(
        mail("Subject: =?utf-8?Q?a=0D=0AX-Evil:_1=00?=", "From: =?utf-8?Q?=0D=0Ax?= <a@b>")
    )
    assert facts.subject == "a  X-Evil: 1"
    assert "\r" not in json.dumps(facts.pack(), ensure_ascii=False)


def test_packing_is_lossless() -> None:
    facts = attachment("Content-Type: image/png")
    facts.people = [("to", "a@b.example", "A")]
    packed = json.loads(json.dumps(facts.pack()))
    again = Facts.unpack(packed, facts.document, facts.tokens)
    assert (again.document, again.tokens) == (facts.document, facts.tokens)
    again.people = [tuple(p) for p in again.people]  # type: ignore[misc]
    assert again == facts


@settings(deadline=None)
@given(st.binary(max_size=2_000))
def test_nothing_raises(data: bytes) -> None:
    json.dumps(read(data).pack()).encode()


LINES = st.sampled_from(
    b"""From: a@b|To: =?utf-8?Q?=00?= <c@d>|Subject: =?iso-2022-jp?B?GyRC|Date: Sun, 1|--b|--b--|
Content-Type: multipart/mixed; boundary=b|Content-Type: text/html; charset=punycode||<<<>>&#0;|
Content-Disposition: attachment; filename*0*=x'';filename*1=..|Content-Transfer-Encoding: base64
""".replace(b"\n", b"").split(b"|")
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=40))
def test_nothing_raises_on_pieces_of_mail(lines: list[bytes]) -> None:
    json.dumps(read(b"\r\n".join(lines)).pack()).encode()


HURTS = {
    "a name of 500 kB in base64": b"Subject: =?utf-8?B?" + b"QUJD" * 125_000 + b"?=\r\n\r\n",
    "encoded words without end": b"Subject: " + b"=?utf-8?q?" * 9_000 + b"\r\n\r\n",
    "an address of parentheses": b"To: " + b"(" * 60_000 + b"\r\n\r\n",
    "an address of quotes": b"To: " + b'"\\' * 30_000 + b"\r\n\r\n",
    "groups in groups": b"To: " + b"a:" * 30_000 + b"\r\n\r\n",
    "20,000 recipients": b"To: " + b"a@b.example,\r\n " * 20_000 + b"\r\n\r\n",
    "a thousand headers in no charset": b"To: \xff\x81\xfd\xa0 <a@b.example>\r\n" * 1_000 + b"\r\n",
    "encoded words in no charset": b"Subject: " + b"=?x?q?=FF=81?= " * 4_000 + b"\r\n\r\n",
    "a million tags": b"Content-Type: text/html\r\n\r\n" + b"<p>" * 1_000_000,
    "tags that never end": b"Content-Type: text/html\r\n\r\n" + b"<" * 3_000_000,
    "styles that never end": b"Content-Type: text/html\r\n\r\n" + b"<style>" * 400_000,
    "entities": b"Content-Type: text/html\r\n\r\n" + b"&amp" * 700_000,
    "base64 of 40 MB": mail("Content-Type: image/png", "Content-Transfer-Encoding: base64")
    + (b"QUJD" * 18 + b"\r\n") * 550_000,
    "quoted-printable of 10 MB": mail("Content-Transfer-Encoding: quoted-printable")
    + b"=41" * 3_500_000,
    "Japanese of 5 MB": mail("Content-Type: text/plain; charset=iso-2022-jp")
    + b"\x1b$B"
    + b"-!" * 2_500_000,
    **{name: data for name, (data, _) in BOMBS.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize("data", HURTS.values(), ids=HURTS.keys())
def test_what_is_made_to_hurt_costs_little(data: bytes) -> None:
    begun = time.process_time()
    facts = read(data)
    assert time.process_time() - begun < 5  # what is not linear takes minutes
    assert len(json.dumps(facts.pack())) < 400_000


@pytest.mark.slow
def test_the_collection_is_read_without_a_fault() -> None:
    worst = ("", 0.0)
    for name, data in mails():
        begun = time.process_time()
        json.dumps(read(data).pack(), ensure_ascii=False).encode()
        worst = max(worst, (name, time.process_time() - begun), key=lambda pair: pair[1])
    assert worst[1] < 1, worst
