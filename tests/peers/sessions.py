"""What the scripted clients of test_imap_servers.py say, session by session (talk.py says how).

Each session begins with a mailbox of its own that is empty. A server that does not know a thing
says so, and that must come through as well.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.peers.talk import IfAsked, Other, Scram, Step, Wait

MESSAGE: Final = (
    b"From: a@x.example\r\nTo: b@y.example\r\nSubject: one\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8K\r\n--b--\r\n"
)
N: Final = len(MESSAGE)
#: A message in a message, 8-bit text, a header that goes on, and lines that look like answers.
NESTED: Final = (
    "From: =?utf-8?B?6Z2S5pyo?= <aoki@x.example>\r\nTo: b@y.example,\r\n c@y.example\r\n"
    'Subject: =?utf-8?B?6KaL56mN?= "{7}"\r\nDate: Sun, 22 Nov 2026 09:00:00 +0900\r\n'
    "Message-ID: <nested@x.example>\r\nIn-Reply-To: <one@x.example>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=o\r\n\r\nb OK FETCH done {5}\r\n--o\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "見積書をお送りします。\r\n* 99 EXISTS\r\n)\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
    "From: d@x.example\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nplain\r\n--i\r\n"
    "Content-Type: text/html\r\n\r\n<p>html</p>\r\n--i--\r\n--o--\r\n"
).encode()
BIG: Final = b"Subject: big\r\n\r\n" + b"0123456789abcdef * OK {5}\r\n" * 40_000
LOGIN: Final = b"a LOGIN %u secret"


def numbered(n: int, more: bytes = b"") -> bytes:
    return (
        b"From: p%d@x.example\r\nTo: b@y.example\r\nSubject: %s\r\nMessage-ID: <%d@x.example>\r\n"
        b"Date: Sun, %d Nov 2026 09:00:00 +0000\r\n%s\r\nbody %d\r\n"
    ) % (n, b"Re: odd" if n % 2 else b"even", n, n + 1, more, n)


def filed(tag: bytes, *messages: bytes, mailbox: bytes = b"INBOX") -> bytes:
    """One APPEND that files them all and waits for nothing."""
    return tag + b" APPEND " + mailbox + b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in messages)


SESSIONS: Final[Mapping[str, Sequence[Step]]] = {
    "before the login": [
        b'a ID ("name" "test")', b"b CAPABILITY", b"c NOOP", b"d SELECT INBOX", b"e XYZZY",
    ],
    "wrong passwords": [b"a LOGIN %u wrong", b'b LOGIN "%u" "secret"', b"c NOOP"],
    "login with literals": [b"a LOGIN {13+}\r\n%u {6+}\r\nsecret", b"b NOOP"],
    "login with waiting literals": [b"a LOGIN {13}", b"%u {6}", b"secret", b"b NOOP"],
    "authenticate": [b"a AUTHENTICATE PLAIN", b"*", b"b AUTHENTICATE PLAIN %p", b"c NOOP"],
    "pipelined": [b"a LOGIN %u secret\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT"],
    "bare LF": [b"a LOGIN %u secret\nb NOOP\nc STATUS INBOX (MESSAGES)"],
    "folders": [
        LOGIN, b"b NAMESPACE", b'c LIST "" "*"', b"d CREATE Work",
        b'e CREATE "&ZeVnLIqe-"', b'f CREATE "{50}"', b'g LIST "" "*" RETURN (STATUS (MESSAGES))',
        b'h LIST (SUBSCRIBED) "" "*"', b"i SUBSCRIBE Work", b'j LSUB "" "*"', b"k RENAME Work W2",
        b"l DELETE W2", b'm STATUS "{50}" (MESSAGES SIZE)', b"n DELETE Nowhere",
    ],
    "append": [
        LOGIN,
        b"b APPEND INBOX (\\Seen $Key) \"22-Nov-2026 09:00:00 +0900\" {%d}" % N, MESSAGE,
        b"c APPEND INBOX {%d+}\r\n" % N + MESSAGE,
        b"d APPEND INBOX {8+}\r\nS: abc\r\n {8+}\r\nS: def\r\n (\\Flagged) {8+}\r\nS: ghi\r\n",
        b"e APPEND INBOX ~{4+}\r\na\x00bc", b"f APPEND Nowhere {8+}\r\nS: abc\r\n",
        b"g APPEND Nowhere {30}", b"h NOOP", b"i APPEND INBOX {0+}\r\n",
        b"j APPEND INBOX CATENATE (TEXT {3+}\r\nabc TEXT {3+}\r\ndef)",
        b"k SELECT INBOX", b"l UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)",
    ],
    "fetch": [
        LOGIN, b"b APPEND INBOX {%d+}\r\n" % N + MESSAGE, b"c SELECT INBOX",
        b"d FETCH 1 (UID BODY.PEEK[])", b"e FETCH 1 RFC822", b"f FETCH 1 (BODY[] FLAGS)",
        b"g UID FETCH 1:* (BODYSTRUCTURE ENVELOPE)", b"h FETCH 1 BODY[]<0.20>",
        b"i FETCH 1 (BODY[HEADER.FIELDS (FROM SUBJECT)] BODY[1] BODY[2.MIME])",
        b"j FETCH 1 BINARY[2]", b"k FETCH 1 BINARY.SIZE[2]", b"l FETCH 1 (PREVIEW SAVEDATE)",
        b"m FETCH 1 BODY[]<500000.10>", b"n FETCH 99 BODY[]", b"o FETCH 1 NONSENSE",
        b"p STORE 1 +FLAGS (\\Deleted)", b"q EXPUNGE", b"r FETCH 1 BODY[]",
    ],
    "search": [
        LOGIN, b"b APPEND INBOX {%d+}\r\n" % N + MESSAGE, b"c SELECT INBOX",
        b"d SEARCH ALL", b"e UID SEARCH RETURN (MIN MAX COUNT) ALL", b'f SEARCH SUBJECT "{20}"',
        b"g SEARCH SUBJECT {3+}\r\none", b"h SEARCH SUBJECT {3}", b"one",
        b"i SORT (SUBJECT) UTF-8 ALL",
        b"j THREAD REFERENCES UTF-8 ALL", b"k SEARCH RETURN (SAVE) ALL", b"l FETCH $ FLAGS",
        b"m SEARCH OLDER 10",
        b"n UID SEARCH UID " + b",".join(b"%d" % n for n in range(1, 9000, 2)),
    ],
    "condstore and qresync": [
        LOGIN, b"b ENABLE QRESYNC CONDSTORE",
        b"c APPEND INBOX {8+}\r\nS: abc\r\n {8+}\r\nS: def\r\n {8+}\r\nS: ghi\r\n",
        b"d SELECT INBOX", b"e UID STORE 1 (UNCHANGEDSINCE 99999) +FLAGS (\\Seen)",
        b"f UID STORE 2 +FLAGS (\\Deleted)", b"g UID EXPUNGE 2",
        b"h UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", b"i UNSELECT",
        b"j SELECT INBOX (QRESYNC (1 1))", b"k UID FETCH 1:* (UID BODY[])",
    ],
    "copy and move": [
        LOGIN, b"b APPEND INBOX {8+}\r\nS: abc\r\n {8+}\r\nS: def\r\n", b"c CREATE Work",
        b"d SELECT INBOX", b"e UID COPY 1 Work", b"f UID MOVE 1:2 Work", b"g COPY 1 Nowhere",
        b"h SELECT Work", b"i UID FETCH 1:* (UID BODY.PEEK[])", b"j MOVE 1 INBOX", b"k CLOSE",
        b"l STATUS INBOX (MESSAGES UIDNEXT)",
    ],
    "idle and notify": [
        LOGIN, b"b SELECT INBOX", b"c IDLE", b"DONE\r\nd NOOP",
        b"e NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))",
        b"f APPEND INBOX {8+}\r\nS: abc\r\n", b"g NOTIFY NONE", b"h IDLE\r\nDONE\r\ni NOOP",
    ],
    "nonsense": [
        LOGIN, b"b", b"c FETCH", b"d SELECT", b'e SELECT "', b"f LOGIN a b",
        b"g AUTHENTICATE PLAIN", b"h UID", b"i UID XYZZY 1", b"j NOOP extra",
        b"k SELECT {3+}\r\nabc",
    ],
    "plain in the first line": [
        b"a AUTHENTICATE PLAIN AHdyb25nAHdyb25n", b"b AUTHENTICATE PLAIN %p", b"c SELECT INBOX",
    ],
    "the login in base64": [
        b"a AUTHENTICATE LOGIN", b"d3Jvbmc=", b"d3Jvbmc=", b"b AUTHENTICATE LOGIN", b"*",
        b"c NOOP", b"d LOGIN %u secret", b"e NOOP",
    ],
    "scram": [Scram(b"a", b"wrong"), Scram(b"b"), b"c NOOP", b"d SELECT INBOX"],
    "a token": [
        # user=%u auth=Bearer stolen: the reason comes as a challenge, which an empty line ends
        b"a AUTHENTICATE XOAUTH2 dXNlcj1hbGljZUB5LmV4YW1wbGUBYXV0aD1CZWFyZXIgc3RvbGVuAQE=",
        IfAsked(b""), b"b AUTHENTICATE OAUTHBEARER", IfAsked(b"*"), b"c LOGIN %u secret", b"d NOOP",
    ],
    "wrong passwords in every form": [
        b"a LOGIN {13+}\r\n%u {5+}\r\nwrong", b"b LOGIN %u {5}", b"wrong",
        b'c LOGIN "%u" "wr\\"ong"', b"d LOGIN nobody@y.example secret", b'e LOGIN "" ""',
        b"f AUTHENTICATE PLAIN =", b"g NOOP",
    ],
    "pipelined behind the login": [
        LOGIN + b"\r\n" + filed(b"b", MESSAGE, NESTED) + b"\r\nc SELECT INBOX\r\n"
        b"d FETCH 1:2 BODY.PEEK[]\r\ne STORE 1 +FLAGS (\\Flagged)\r\nf CREATE Work\r\n"
        b"g UID COPY 1:* Work\r\nh SELECT Work\r\ni UID FETCH 1:* (UID FLAGS BODY[])\r\n"
        b"j UNSELECT\r\nk STATUS INBOX (MESSAGES UNSEEN)",
    ],
    "the end, pipelined": [LOGIN, b"b SELECT INBOX\r\nc LOGOUT\r\nd NOOP"],
    "who is who": [
        LOGIN, b'b ID ("name" "test" "version" NIL)', b"c ID NIL", b"d CAPABILITY", b"e ENABLE",
        b"f ENABLE CONDSTORE", b"g ENABLE NONSENSE UTF8=ACCEPT IMAP4rev2", b"h LANGUAGE ja",
    ],
    "utf8": [
        LOGIN, b"b ENABLE UTF8=ACCEPT", 'c CREATE "見積"'.encode(), b'd LIST "" "*"',
        "e SELECT 見積".encode(), b"f APPEND INBOX UTF8 (~{5+}\r\nS: x\r\n)", b"g NOOP",
        'h SEARCH CHARSET UTF-8 SUBJECT "見積"'.encode(), b'i SEARCH CHARSET KOI-X SUBJECT "x"',
    ],
    "literals, waited for and not": [
        LOGIN, b"b CREATE {4}", b"Work", b"c CREATE {5+}\r\nPlay ",
        b"d STATUS {4+}\r\nWork (MESSAGES)", b"e APPEND {4}", b"Work {8}", b"S: abc\r\n",
        b"f APPEND {4+}\r\nWork (\\Seen) {8+}\r\nS: def\r\n", b"g APPEND {7}", b"Nowhere {3}",
        b"h NOOP", b"i LIST {0+}\r\n {1+}\r\n*", b"j SELECT {4}", b"Work",
        b"k SEARCH OR SUBJECT {1}", b"X FROM {1}", b"Y", b"l FETCH 1:2 BODY[]",
        b"m NOOP {3+}\r\nabc", b"n APPEND Work {5003+}\r\nS: " + b"x" * 4998 + b"\r\n",
        b"o APPEND Work {0}", IfAsked(b""),
    ],
    "large messages": [
        LOGIN, b"b APPEND INBOX {%d}" % len(BIG), BIG, filed(b"c", BIG, MESSAGE, BIG),
        b"d SELECT INBOX", b"e UID FETCH 1:* (BODY.PEEK[] RFC822.SIZE)",
        b"f FETCH 1 BODY[]<5.100000>", b"g FETCH 1 BODY[TEXT]",
        b"h FETCH 2:3 (RFC822.HEADER)\r\ni FETCH 1 RFC822.TEXT\r\nj NOOP",
    ],
    "too much for the quota": [
        LOGIN, b"b GETQUOTAROOT INBOX", b'c GETQUOTA "User quota"', b"d GETQUOTA INBOX",
        b"e APPEND INBOX {5000000}", IfAsked(b"S: %4999997d" % 1), b"f NOOP", filed(b"g", BIG, BIG),
        filed(b"h", BIG, BIG), filed(b"i", BIG), b"j NOOP", b"k STATUS INBOX (MESSAGES)",
        b"l GETQUOTAROOT INBOX", b"m SETQUOTA INBOX (STORAGE 1)",
    ],
    "binary": [
        LOGIN, b"b APPEND INBOX (\\Seen) ~{%d}" % N, MESSAGE, b"c SELECT INBOX",
        b"d FETCH 1 (BINARY.PEEK[2] UID)", b"e FETCH 1 BINARY.SIZE[1]", b"f FETCH 1 BINARY[1]<0.3>",
        b"g FETCH 1 BINARY[]", b"h FETCH 1 BINARY[9]",
        b"i APPEND INBOX ~{12+}\r\nS: x\r\n\r\na\x00bc", b"j FETCH 2 BODY[]", b"k FETCH 1 BODY[]",
    ],
    "catenate": [
        LOGIN, filed(b"b", MESSAGE), b"c SELECT INBOX",
        b'd APPEND INBOX CATENATE (URL "/INBOX/;UID=1/;SECTION=HEADER" TEXT {6+}\r\nbody\r\n)',
        b'e APPEND INBOX CATENATE (TEXT {14}', b"Subject: x\r\n\r\n TEXT {3}", b"abc)",
        b'f APPEND INBOX CATENATE (URL "/INBOX/;UID=99")', b"g APPEND INBOX CATENATE ()",
        b"h FETCH 1:* BODY.PEEK[]",
    ],
    "several at once": [
        LOGIN, b'b APPEND INBOX (\\Seen) "22-Nov-2026 09:00:00 +0900" {8}',
        b"S: abc\r\n (\\Draft) {8}", b"S: def\r\n {8}", b"S: ghi\r\n", b"c APPEND INBOX {8}",
        b"S: abc\r\n (\\Nonsense) {8}", b"d NOOP",
        filed(b"e", b"S: abc\r\n", b"S: def\r\n", mailbox=b"Nowhere"), b"f SELECT INBOX",
        b"g FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])",
        b"h APPEND INBOX {8+}\r\nS: abc\r\n nonsense", b"i APPEND INBOX {8}", b"S: abc\r\n {8}",
        b"S: def\r\n", b"j SEARCH ALL",
    ],
    "moved": [
        LOGIN, filed(b"b", *map(numbered, range(6))), b"c CREATE Work", b"d SELECT INBOX",
        b"e FETCH 1:* (UID BODY.PEEK[])", b"f MOVE 2,4 Work", b"g UID MOVE 1,6 Work",
        b"h UID MOVE 99 Work", b"i MOVE 1 Nowhere", b"j MOVE 1:* INBOX", b"k SEARCH ALL",
        b"l SELECT Work", b"m UID FETCH 1:* (UID FLAGS BODY.PEEK[])", b"n EXAMINE Work",
        b"o MOVE 1 INBOX", b"p COPY 1:* INBOX",
    ],
    "esearch": [
        LOGIN, filed(b"b", *map(numbered, range(5))), b"c SELECT INBOX", b"d SEARCH RETURN () ODD",
        b"e SEARCH RETURN () SUBJECT odd", b"f UID SEARCH RETURN (ALL COUNT) NOT SUBJECT odd",
        b"g SEARCH RETURN (MIN) UNSEEN", b"h UID SEARCH RETURN (SAVE MIN MAX) FROM p",
        b"i UID FETCH $ (FLAGS)", b"j UID STORE $ +FLAGS (\\Seen)",
        b"k SEARCH RETURN (PARTIAL 1:2) ALL", b"l SEARCH RETURN (COUNT) SENTSINCE 3-Nov-2026",
        b"m SEARCH RETURN (UPDATE) ALL", b"n SORT RETURN (COUNT MAX) (REVERSE DATE) UTF-8 ALL",
        b"o ESEARCH IN (personal) ALL", b"p SEARCH MODSEQ 1",
        b"q SEARCH LARGER 10 SMALLER 100000 KEYWORD x UNKEYWORD y",
    ],
    "sorted and threaded": [
        LOGIN,
        filed(
            b"b", numbered(0), numbered(3, b"References: <0@x.example>\r\n"),
            numbered(2, b"In-Reply-To: <3@x.example>\r\n"), NESTED, numbered(9),
        ),
        b"c SELECT INBOX", b"d SORT (DATE) UTF-8 ALL",
        b"e UID SORT (REVERSE SUBJECT ARRIVAL) US-ASCII 1:4",
        b"f SORT (FROM TO CC SIZE) UTF-8 UNSEEN", b"g SORT (DISPLAYFROM) UTF-8 ALL",
        b"h THREAD REFERENCES UTF-8 ALL", b"i UID THREAD ORDEREDSUBJECT UTF-8 ALL",
        b"j THREAD REFS UTF-8 ALL", b"k SORT (NONSENSE) UTF-8 ALL", b"l SORT () UTF-8 ALL",
    ],
    "lists": [
        LOGIN, b"b CREATE Work/a", b"c CREATE Work.b", b"d SUBSCRIBE Work", b"e SUBSCRIBE Gone",
        b'f LIST "" ""', b'g LIST "" %', b'h LIST "Work" "%"', b'i LIST "" ("INBOX" "W*" "%")',
        b'j LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN)',
        b'k LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"',
        b'l LIST (REMOTE) "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT))',
        b'm LIST (NONSENSE) "" "*"', b'n LSUB "" "%"', b'o XLIST "" "*"',
        b'p LIST "" "*" RETURN (MYRIGHTS)',
    ],
    "special uses": [
        LOGIN, b'b LIST (SPECIAL-USE) "" "*"', b'c LIST "" "*" RETURN (SPECIAL-USE)',
        b"d CREATE Old (USE (\\Archive))", b"e CREATE Bad (USE (\\Nonsense))", b'f LIST "" "O%"',
        filed(b"g", MESSAGE, mailbox=b"Sent"), filed(b"h", MESSAGE, mailbox=b"Drafts"),
        filed(b"i", MESSAGE, mailbox=b"Junk"), b"j SELECT Junk", b"k FETCH 1 BODY[]",
        b"l MOVE 1 Trash", b"m SELECT Sent", b"n FETCH 1 BODY[]",
    ],
    "whose mailboxes": [
        LOGIN, b"b NAMESPACE", b"c MYRIGHTS INBOX", b"d GETACL INBOX", b"e LISTRIGHTS INBOX other",
        b"f SETACL INBOX other lr", b"g GETACL INBOX", b"h DELETEACL INBOX other", b"i CREATE Work",
        b"j SETACL Work %u lrs", b"k MYRIGHTS Work", filed(b"l", b"S: abc\r\n", mailbox=b"Work"),
        b"m GETACL Nowhere", b'n LIST "" "user/%"', b"o SELECT user/other",
    ],
    "metadata": [
        LOGIN, b'b SETMETADATA INBOX (/private/comment "odd \\"words\\" {3}")',
        b"c SETMETADATA INBOX (/private/comment {13}", b"A OK FETCH\r\n{ )",
        b"d GETMETADATA INBOX /private/comment", b"e GETMETADATA (DEPTH infinity) INBOX (/private)",
        b"f GETMETADATA (MAXSIZE 2) INBOX /private/comment", b'g GETMETADATA "" /shared/admin',
        b"h SETMETADATA INBOX (/private/comment NIL)", b"i GETMETADATA INBOX /private/comment",
        b'j GETANNOTATION INBOX "/comment" "value.priv"', b"k GETMETADATA Nowhere /private/comment",
    ],
    "opened and left": [
        LOGIN, filed(b"b", b"S: abc\r\n", b"S: def\r\n"), b"c EXAMINE INBOX",
        b"d STORE 1 +FLAGS (\\Deleted)", b"e FETCH 1 BODY[]", b"f UNSELECT", b"g UNSELECT",
        b"h CLOSE", b"i SELECT INBOX", b"j FETCH 1:2 FLAGS", b"k STORE 1 +FLAGS.SILENT (\\Deleted)",
        b"l SELECT INBOX", b"m CLOSE", b"n SELECT INBOX", b"o STORE 1 FLAGS (\\Deleted)",
        b"p UNSELECT", b"q SELECT INBOX", b"r SELECT Nowhere", b"s FETCH 1 FLAGS", b"t CHECK",
        b"u EXPUNGE", b"v SELECT INBOX (CONDSTORE)",
    ],
    "what is seen and recent": [
        LOGIN, filed(b"b", b"S: abc\r\n", b"S: def\r\n", b"S: ghi\r\n"),
        b"c STATUS INBOX (RECENT UNSEEN MESSAGES)", b"d SELECT INBOX", b"e FETCH 1:* FLAGS",
        b"f FETCH 1 BODY.PEEK[]", b"g FETCH 1 FLAGS", b"h FETCH 2 BODY[]", b"i FETCH 3 RFC822",
        b"j FETCH 1:* FLAGS", b"k SEARCH RECENT", b"l SELECT INBOX", b"m FETCH 1:* FLAGS",
        b"n SEARCH NEW", b"o STATUS INBOX (RECENT UNSEEN)",
    ],
    "flags": [
        LOGIN, filed(b"b", *map(numbered, range(4))), b"c SELECT INBOX",
        b"d STORE 1:3 +FLAGS ($Forwarded Work \\Answered)", b"e STORE 2 -FLAGS.SILENT (Work)",
        b"f UID STORE 1:* FLAGS ()", b"g STORE 1 +FLAGS (\\Recent)",
        b"h STORE 1 +FLAGS (\\Nonsense)", b'i STORE 1 +FLAGS ("quoted")',
        b"j STORE 9 +FLAGS (\\Seen)", b"k STORE 1 +FLAGS \\Seen", b"l UID FETCH 1:* FLAGS",
        b"m STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS (x)", b"n FETCH 1:* (MODSEQ)",
    ],
    "sections": [
        LOGIN, filed(b"b", NESTED, MESSAGE), b"c SELECT INBOX", b"d FETCH 1 (BODY BODYSTRUCTURE)",
        b"e FETCH 1 ENVELOPE", b"f FETCH 1 (BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[2.MIME])",
        b"g FETCH 1 (BODY[2.HEADER] BODY[2.TEXT] BODY[2.1] BODY[2.2.MIME] BODY[2.2]<3.4>)",
        b"h FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT TO)]", b"i FETCH 1:2 ALL",
        b"j FETCH 1:2 FULL", b"k FETCH 1:2 FAST",
        b"l FETCH 1 (BODY.PEEK[7] BODY.PEEK[TEXT]<0.5> RFC822.TEXT)",
        b'm FETCH 1 BODY.PEEK[HEADER.FIELDS ("SUBJECT" {2+}\r\nTO)]',
        b"n FETCH 1:2 (RFC822 BODY[])", b"o FETCH 1 (BODY[]<0> UID)",
        b"p FETCH 1 BODY[]<0.99999999>", b"q FETCH 1 (EMAILID THREADID)",
        b"r FETCH 1 (PREVIEW (LAZY))", b"s FETCH 1 (ANNOTATION (/comment value))",
    ],
    "what lies in the body": [
        LOGIN,
        filed(b"b", b"b OK x\r\n* 9 FETCH (BODY[] {9}\r\n", b"* BYE gone\r\n+ go on\r\n", b"{5}"),
        b"c SELECT INBOX", b"d FETCH 1:* BODY[]", b"e FETCH 1:* (BODY.PEEK[TEXT] UID)", b"f NOOP",
    ],
    "odd quoting": [
        LOGIN, b'b CREATE "a\\"b"', b'c CREATE "back\\\\slash"', b'd CREATE "two  spaces "',
        b"e CREATE a]b", b"f CREATE {7+}\r\na\x01b%*()", b'g CREATE ""', b"h CREATE {3+}\r\nA\r\n",
        b'i LIST "" "*"', b'j SELECT "a\\"b"', b'k SEARCH SUBJECT "\\\\" BODY "\\"{3}"',
        b'l SEARCH SUBJECT "open', b'm SEARCH TEXT ""', b"n NOOP ", b"o  NOOP", b"p noop",
        b"q uId sEaRcH aLl", b'r SELECT inBOX', b'"s" NOOP\r\nt(x NOOP\r\ns NOOP',
        b"t SEARCH HEADER X-A {0+}\r\n NOT DELETED",
    ],
    "japanese names": [
        LOGIN, b'b CREATE "&ZeVnLIqe-"', b"c CREATE &kAFP4W4IMH8-",
        b'd CREATE "&ZeVnLIqe-/&i4t6TQ-"', b'e LIST "" "&*"', b"f SUBSCRIBE &kAFP4W4IMH8-",
        b'g LSUB "" "*"', filed(b"h", MESSAGE, mailbox=b"&kAFP4W4IMH8-"), b"i SELECT &kAFP4W4IMH8-",
        b"j FETCH 1 BODY[]", b"k UID COPY 1 &ZeVnLIqe-",
        b'l RENAME &kAFP4W4IMH8- "&U9dP4W4IMH8- 2026"', b'm STATUS "&U9dP4W4IMH8- 2026" (MESSAGES)',
        b"n CREATE &A", b"o CREATE &-&-x", b'p CREATE "&AGE-"', b"q SELECT {10+}\r\n&ZeVnLIqe-",
        b"r UID FETCH 1 BODY.PEEK[]", b"s DELETE &ZeVnLIqe-",
    ],
    "folders in folders": [
        LOGIN, b"b CREATE a/b/c", b"c CREATE a.b.d", b'd LIST "" "*"', b"e DELETE a",
        b"f RENAME a/b z", b'g LIST "" "%/%"', b"h CREATE INBOX", b"i DELETE INBOX",
        filed(b"j", b"S: abc\r\n"), b"k CREATE x/", b"l CREATE %s" % (b"l" * 300),
        b"m UNSUBSCRIBE z", b'n LIST "" "*"',
    ],
    "status": [
        LOGIN, filed(b"b", b"S: abc\r\n", MESSAGE),
        b"c STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)", b"d STATUS INBOX (SIZE)",
        b"e STATUS INBOX (HIGHESTMODSEQ)", b"f STATUS INBOX (DELETED)",
        b"g STATUS INBOX (MAILBOXID)", b"h STATUS INBOX (NONSENSE)", b"i STATUS INBOX ()",
        b"j STATUS INBOX", b"k SELECT INBOX", b"l STATUS INBOX (MESSAGES)",
        b"m STATUS Nowhere (MESSAGES)", b'n LIST "" INBOX RETURN (STATUS (SIZE UNSEEN))',
    ],
    "qresync": [
        LOGIN, b"b ENABLE QRESYNC", filed(b"c", *map(numbered, range(6))), b"d SELECT INBOX",
        b"e UID STORE 2,4 +FLAGS (\\Deleted)", b"f UID EXPUNGE 2:4", b"g UNSELECT",
        b"h SELECT INBOX (QRESYNC (%v 1 1:6))", b"i UID STORE 1 +FLAGS (\\Seen)", b"j UNSELECT",
        b"k SELECT INBOX (QRESYNC (%v %m 1:6 (1:3 1:3)))",
        b"l UID FETCH 1:* (FLAGS) (CHANGEDSINCE %m)",
        b"m UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)",
        b"n UID STORE 6 (UNCHANGEDSINCE %m) FLAGS (x)", b"o SELECT INBOX (QRESYNC (1 1))",
        b"p SELECT INBOX (QRESYNC (0 0))", b"q UID MOVE 5 Trash",
    ],
    "another client, while idle": [
        LOGIN, filed(b"b", numbered(1)), b"c SELECT INBOX", b"d IDLE",
        Other(filed(b"b", numbered(2))), Wait(b"2 EXISTS"), b"DONE", b"e UID FETCH 2 BODY[]",
        b"f IDLE", Other(b"c SELECT INBOX"), Other(b"d STORE 1 +FLAGS (\\Flagged)"),
        Wait(b"* 1 FETCH"), Other(b"e STORE 1 +FLAGS.SILENT (\\Deleted)"), Wait(b"* 1 FETCH"),
        Other(b"f EXPUNGE"), Wait(b"* 1 EXPUNGE"), b"DONE\r\ng NOOP", b"h FETCH 1 (UID FLAGS)",
    ],
    "another client, between commands": [
        LOGIN, filed(b"b", *map(numbered, range(4))), b"c SELECT INBOX", Other(b"b SELECT INBOX"),
        Other(b"c STORE 2 +FLAGS (\\Deleted)"), b"d NOOP", Other(b"d EXPUNGE"),
        b"e FETCH 1:* (UID BODY.PEEK[])", b"f NOOP", b"g FETCH 1:* (UID BODY.PEEK[])",
        Other(filed(b"e", numbered(7))), b"h CHECK", b"i NOOP", b"j UID FETCH 5 BODY[]",
    ],
    "notified of other folders": [
        LOGIN, b"b CREATE Work", b"c SELECT INBOX",
        b"d NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[]) MessageExpunge))"
        b" (personal (MessageNew))",
        Other(filed(b"b", numbered(1), mailbox=b"Work")), Wait(b"* STATUS Work (MESSAGES 1"),
        Other(filed(b"c", numbered(2))),
        b"e NOOP", b"f NOTIFY NONE", b"g NOOP",
    ],
    "what nobody knows": [
        b"a AUTHENTICATE", b"b LOGIN", b"c LOGIN %u secret", b"d AUTHENTICATE PLAIN %p",
        b"e LOGIN %u secret", b"f XAPPLEPUSHSERVICE x", b"g GETJMAPACCESS", b"h UIDBATCHES 10",
        b"i REPLACE 1 INBOX {8+}\r\nS: ABC\r\n", b"j CONVERT 1 x", b"k ESEARCH IN (personal) ALL",
    ],
    "long lines": [
        LOGIN, filed(b"b", b"S: abc\r\n"), b"c SELECT INBOX",
        b"d UID FETCH " + b",".join(b"%d" % n for n in range(1, 12_000, 2)) + b" (FLAGS)",
        b'e SEARCH SUBJECT "' + b"x" * 20_000 + b'"', b"f NOOP", b"g XYZZY " + b"y" * 30_000,
        b"h UID SEARCH UID " + b",".join(b"%d" % n for n in range(1, 30_000, 3)), b"i NOOP",
    ],
}  # fmt: skip
