"""What a message says, part by part: samples as they really come, and those made to hurt."""

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore import bodytext, document, htmltext, rtf, unpack
from crmstore.facts import Facts, read
from tests.cores import winmail
from tests.cores.test_charsets import VENDOR, jis


def part(kind: str, body: str | bytes, *headers: str) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    return "\r\n".join([f"Content-Type: {kind}", *headers, "", ""]).encode() + raw


def multi(kind: str, *parts: bytes, boundary: str = "b") -> bytes:
    head = f"Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n".encode()
    mark = f"\r\n--{boundary}".encode()
    return head + b"".join(mark + b"\r\n" + one for one in parts) + mark + b"--\r\n"


def said(raw: bytes) -> str:
    """The text that is searched, of one message."""
    return fields(read(raw))[document.BODY]


def fields(facts: Facts) -> list[str]:
    return document.unpacked(facts.document).split("\0")


PLAIN, HTML = part("text/plain", "plain words"), part("text/html", "<p>markup words")
PDF = part("application/pdf", "%PDF", "Content-Disposition: attachment; filename=a.pdf")


def unsaid(raw: bytes) -> bytes:
    """Without the parameter that tells what delimits its parts."""
    return raw.replace(b"; boundary=b", b"", 1)


PARTS = {
    "plain alone": (PLAIN, "plain words"),
    "HTML alone": (HTML, "markup words"),
    "plain of two alternatives": (multi("alternative", PLAIN, HTML), "plain words"),
    "whatever their order": (multi("alternative", HTML, PLAIN), "plain words"),
    "HTML beside an empty plain": (
        multi("alternative", part("text/plain", " \r\n"), HTML),
        "markup words",
    ),
    "HTML beside a plain that says so": (
        multi("alternative", part("text/plain", "Your reader shows no HTML."), HTML),
        "markup words",
    ),
    "but that, if the HTML is empty": (
        multi("alternative", part("text/plain", "See the HTML"), part("text/html", "<p></p>")),
        "See the HTML",
    ),
    "parts that nobody told apart": (
        unsaid(multi("mixed", PLAIN, HTML)),
        "plain words\nmarkup words",
    ),
    "of those, too, the plain one": (unsaid(multi("alternative", HTML, PLAIN)), "plain words"),
    "and what stands in front of them": (
        unsaid(multi("mixed", b"\r\nbare", HTML)).replace(b"\r\n--", b"Hi,\r\n-- \r\nAnn\r\n--", 1),
        "bare\nmarkup words\nHi,\n-- \nAnn",
    ),
    "another boundary than it says": (
        multi("mixed", PLAIN, HTML).replace(b"boundary=b", b"boundary=c"),
        "plain words\nmarkup words",
    ),
    "in a part": (
        multi("mixed", unsaid(multi("mixed", HTML, PDF)), PLAIN, boundary="c"),
        "markup words\nplain words",
    ),
    "what only looks like a delimiter": (
        part("multipart/mixed", "--\r\nContent-Type: x\r\n-- b\r\nContent-Type: x\r\n--b\r\nmore"),
        "--\nContent-Type: x\n-- b\nContent-Type: x\n--b\nmore",
    ),
    "text beside an attachment": (multi("mixed", PLAIN, PDF), "plain words"),
    "text behind an attachment": (multi("mixed", PDF, PLAIN), "plain words"),
    "inline texts are all text": (
        multi("mixed", PLAIN, part("text/plain", "footer", "Content-Disposition: inline")),
        "plain words\nfooter",
    ),
    "two texts that are no alternatives": (
        multi("mixed", PLAIN, HTML),
        "plain words\nmarkup words",
    ),
    "alternatives with pictures": (
        multi("alternative", PLAIN, multi("related", HTML, PDF, boundary="c")),
        "plain words",
    ),
    "a text as a file comes last": (
        multi("mixed", part("text/plain; name=log.txt", "log"), HTML),
        "markup words\nlog",
    ),
    "flowed lines": (
        part("text/plain; format=flowed", "one \r\ntwo\r\n> q \r\n> r\r\n-- \r\nme"),
        "one two\n> q r\n-- \nme",
    ),
    "flowed Japanese": (
        part("text/plain; charset=utf-8; format=flowed; delsp=yes", "お世 \r\n話に"),
        "お世話に",
    ),
    "UTF-7": (part("text/plain; charset=utf-7", "見積".encode("utf-7")), "見積"),
    "cp932 that says UTF-8": (part("text/plain; charset=utf-8", VENDOR.encode("cp932")), VENDOR),
    "UTF-8 that says cp932": (part("text/plain; charset=shift_jis", "見積り".encode()), "見積り"),
    "EUC-JP": (part("text/plain; charset=euc-jp", "見積り".encode("euc-jp")), "見積り"),
    "EUC-JP that says nothing": (
        part("text/plain", "お見積りをお願いします。".encode("euc-jp")),
        "お見積りをお願いします。",
    ),
    "ISO-2022-JP, vendor rows, kana": (
        part("text/plain; charset=iso-2022-jp", jis("①㈱髙") + b"\x1b(I6E\x1b(B"),
        "①㈱髙ｶﾅ",
    ),
    "a charset nobody knows": (part("text/plain; charset=x-foo", "見積り".encode()), "見積り"),
    "the charset of the page itself": (
        part("text/html", b'<meta charset="euc-jp"><p>' + "見積".encode("euc-jp")),
        "見積",
    ),
    "a calendar": (
        part(
            "text/calendar",
            "BEGIN:VCALENDAR\r\nSUMMARY;LANGUAGE=ja:定例\r\n 会議\r\nLOCATION:Room 5\\, Tokyo\r\n"
            "ATTENDEE;CN=\"Bob Smith\":mailto:bob@x.example\r\nUID:123\r\nEND:VCALENDAR",
        ),
        '定例会議\nRoom 5, Tokyo\n"Bob Smith" mailto:bob@x.example',
    ),
    "a card": (
        multi(
            "mixed",
            PLAIN,
            part("application/octet-stream; name=a.vcf", "FN:Ken Sato\r\nTEL:03-1\r\nREV:1\r\n"),
        ),
        "plain words\nKen Sato\n03-1",
    ),
    "a message in a message": (
        multi(
            "mixed",
            PLAIN,
            part(
                "message/rfc822",
                b"Subject: =?utf-8?B?6KaL56mN?=\r\nFrom: x@y.example\r\n" + PLAIN,
            ),
        ),
        "plain words\n見積\nx@y.example\nplain words",
    ),
    "PGP inline": (
        part("text/plain", "look:\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n"),
        "look:",
    ),
    "uuencode": (
        part("text/plain", "see\r\nbegin 644 a.txt\r\n#0V%T\r\n#0V%T\r\n`\r\nend\r\nbye"),
        "see\na.txt\nend\nbye",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_what_is_said(name: str) -> None:
    raw, text = PARTS[name]
    assert said(raw) == text


def test_a_multipart_that_nobody_told_apart() -> None:
    """Its files are found by name. What it is known by is all of it as one text, as it was before
    its parts were looked for: who saw it then, and sees it again, has one message."""
    files = part("text/html", "<p>words"), PDF, tnef(winmail.file("b.txt", b"B"))
    raw = unsaid(multi("mixed", *files))
    found = read(raw)
    assert fields(found)[document.BODY] == found.preview == "words"
    names = fields(found)[document.NAMES]
    assert all(name in names for name in ("a.pdf", "winmail.dat", "b.txt"))
    assert found.attachments == [] and "no_parts" in found.flags
    assert found.key == read(raw.replace(b"multipart/mixed", b"text/plain", 1)).key
    inner, plain = (
        multi("mixed", raw.replace(b"multipart/mixed", kind, 1), boundary="c")
        for kind in (b"multipart/mixed", b"text/plain")
    )
    assert read(inner).key == read(plain).key


def test_names_of_files_inside_a_message_inside_are_found() -> None:
    inner = b"Subject: in\r\n" + multi("mixed", PLAIN, PDF, boundary="c")
    facts = read(multi("mixed", PLAIN, part("message/rfc822; name=in.eml", inner)))
    assert [item.name for item in facts.attachments] == ["in.eml"]
    assert fields(facts)[document.NAMES] == "in.eml \x01 a.pdf"


def test_what_is_encrypted_is_flagged_and_opaque() -> None:
    pgp = multi("encrypted", part("application/pgp-encrypted", "Version: 1"), PDF)
    smime = part("application/pkcs7-mime; name=smime.p7m", "MII")
    for raw in (pgp, smime, PARTS["PGP inline"][0]):
        assert "encrypted" in read(raw).flags
    assert "encrypted" not in read(multi("signed", PLAIN, PDF)).flags


@pytest.mark.parametrize(
    ("body", "preview"),
    [
        ("> quoted\n\nmy words\n> more", "my words"),
        ("reply\n\n-----Original Message-----\nFrom: x", "reply"),
        ("返信です。\n\n差出人: 山田 <y@x.example>\n件名: Re", "返信です。"),
        ("Thanks!\n\nOn Sun, 22 Nov 2026 at 09:00, Bob <b@x.example> wrote:\n> hi", "Thanks!"),
        ("了解\n2026年11月22日(日) 9:00 山田 <y@x.example>:\n> 件", "了解"),
        ("> only quoted", "> only quoted"),
        ("=====\nNews\n=====\nOne\n-- \nme", "News One"),
        ("From: me to you", "From: me to you"),
    ],
)
def test_a_preview_is_the_writers_own_words(body: str, preview: str) -> None:
    assert bodytext.preview(body) == preview


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>a<p>b<br>c<div>d</div>e", "a\nb\nc\nd\ne"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
        ("<head><title>t</title><style>p{}</style></head><header>h</header>x", "h\nx"),
        ('<a title="x > y">k</a> 3 &lt; 5 &amp;c 2 < 3', "k 3 < 5 &c 2 < 3"),
        ("<script>var a='</p>'</script><!-- <p>no -->yes<style>b{", "yes"),
        ("&nbsp;&zwnj;&#8203;pre&shy;header&#847;&zwnj;&nbsp;", "pre header"),
        (
            "<img src=http://x.example/p.gif alt='Our logo'><img alt=''>in<b>li</b>ne",
            "Our logo inline",
        ),
        ("<svg><text>no</text></svg>yes &unknown; &#0;&#xD800;", "yes &unknown; \ufffd\ufffd"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("no markup at all", "no markup at all"),
    ],
)
def test_html(markup: str, text: str) -> None:
    assert htmltext.visible(markup) == text


@given(st.text(alphabet="<>\"'=/!-&; \nabimgtdp", max_size=300))
def test_html_of_anything(markup: str) -> None:
    assert isinstance(htmltext.visible(markup), str)


# winmail.dat


def tnef(*attributes: bytes) -> bytes:
    body = base64.encodebytes(winmail.stream(*attributes))
    return part("application/ms-tnef; name=winmail.dat", body, "Content-Transfer-Encoding: base64")


def test_winmail_is_its_body_and_its_files() -> None:
    files = winmail.file("見積書.pdf", b"%PDF"), winmail.file("long name.xlsx", b"12345")
    raw = multi("mixed", PLAIN, tnef(winmail.body("in winmail"), *files))
    facts = read(raw)
    assert [(item.name, item.bytes) for item in facts.attachments] == [
        ("見積書.pdf", 4),
        ("long name.xlsx", 5),
    ]
    assert said(raw) == "plain words"
    assert said(tnef(winmail.body("in winmail"))) == "in winmail"
    assert said(tnef(winmail.rtf(rb"{\rtf1\ansi\ansicpg932 \'8c\'a9\'90\'cf\par x}"))) == "見積\nx"
    assert said(tnef(winmail.html(b"<p>hello<p>you"))) == "hello\nyou"
    assert facts.flags == []


def test_files_come_out_by_their_number() -> None:
    first, second = winmail.file("a.pdf", b"%PDF"), winmail.file("b.txt", b"B")
    encoded = part("image/png; name=c.png", "QUJD", "Content-Transfer-Encoding: base64")
    raw = multi("mixed", PLAIN, PDF, tnef(winmail.body("x"), first, second), encoded)
    names = [item.name for item in read(raw).attachments]
    assert names == ["a.pdf", "a.pdf", "b.txt", "c.png"]
    assert [unpack.file(raw, n) for n in range(5)] == [b"%PDF", b"%PDF", b"B", b"ABC", None]


def test_a_damaged_winmail_keeps_what_was_read() -> None:
    whole = winmail.stream(winmail.body("text"), winmail.file("a.pdf", b"x" * 100))
    for cut in range(len(whole)):
        facts = read(part("application/ms-tnef", whole[:cut]))
        assert len(facts.attachments) <= 1
    assert "tnef_unreadable" in read(part("application/ms-tnef", whole[:-120])).flags
    assert "text" in said(part("application/ms-tnef", whole[:-120]))
    kept = read(multi("mixed", PLAIN, part("application/octet-stream; name=winmail.dat", "no")))
    assert [item.name for item in kept.attachments] == ["winmail.dat"]


@given(st.binary(max_size=300))
def test_winmail_of_anything(data: bytes) -> None:
    read(part("application/ms-tnef", winmail.stream() + data))
    read(part("application/ms-tnef", winmail.stream(winmail.rtf(data))))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"{\rtf1\ansi{\fonttbl{\f0\fcharset128 MS;}{\f1 A;}}\f0 \'83A\'83\'43\f1 \'e9}", "アイé"),
        (rb"{\rtf1\ansi\uc1 \u35211?\u-9678 ?\u55357?\u56832?!}", "見\ufffd😀!"),
        (rb"{\rtf1{\*\generator x;}{\pict 00ff}a\tab b\line c\{\}\\}", "a\tb\nc{}\\"),
        (
            rb"{\rtf1\fromhtml1{\*\htmltag64 <p>}one\htmlrtf {hid}\par\htmlrtf0 two"
            rb"{\*\htmltag <br>}three}",
            "onetwo\nthree",
        ),
        (b"not rtf", ""),
    ],
)
def test_rtf(source: bytes, text: str) -> None:
    assert rtf.text(source) == text


HURTS = {
    "lines like delimiters": part("multipart/mixed", "--" + "a " * 35 + " \n--" * 100_000),
    "many parts without parts": multi(
        "mixed",
        *[part("multipart/mixed", b"--\r\n--c\r\nContent-Type: text/x\r\n\r\n" * 9)] * 1_000,
    )
    + b"x" * 30_000_000,
    "60,000 nested elements": part("text/html", "<div>" * 60_000 + "x"),
    "quotes that never end": part("text/html", "<a '" * 150_000),
    "pictures without end": part("text/html", "<img alt=" * 100_000),
    "messages in messages": part("message/rfc822", part("message/rfc822", PLAIN)) * 10_000,
    "a thousand messages": multi("mixed", *[part("message/rfc822", PLAIN)] * 1_000),
    "a nest that is decoded at each level": part("message/rfc822", b"\r\n" * 2_000_000),
    "attributes": part("application/ms-tnef", winmail.stream(*[winmail.body("")] * 400_000)),
    "properties": part("application/ms-tnef", winmail.stream(winmail.many(200_000))),
    "files": part("application/ms-tnef", winmail.stream(*[winmail.file("a", b"")] * 20_000)),
    "RTF that repeats": part("application/ms-tnef", winmail.stream(winmail.bomb())),
    "begin": part("text/plain", "begin 644 x\n" * 20_000),
    "a calendar": part("text/calendar", "ATTENDEE;CN=" + ";x=" * 80_000 + "\nSUMMARY:" * 20_000),
    "rulers": part("text/plain", "-" * 200_000 + "\n" + "on " * 60_000 + "wrote"),
    "kana": part("text/plain; charset=utf-8", "ｶﾞ" * 80_000),
    "ligatures": part("text/plain; charset=utf-8", "\ufdfa" * 80_000),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", HURTS)
def test_what_is_made_to_hurt_costs_less_than_a_second(name: str) -> None:
    begun = time.process_time()
    facts = read(HURTS[name])
    assert time.process_time() - begun < 1
    assert len(json.dumps(facts.pack())) < 4_000_000
