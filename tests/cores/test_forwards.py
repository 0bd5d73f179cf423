"""Mail forwarded as text: what mail programs write over it, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.answers import is_forward
from crmstore.facts import read
from crmstore.forwards import writer

BOB = "bob@x.example"
FORMS = {
    "Gmail": """fyi

---------- Forwarded message ---------
From: Bob Baker <bob@x.example>
Date: Mon, 23 Nov 2026 at 09:00
Subject: Offer
To: <alice@ours.example>

text""",
    "Gmail in Japanese": """---------- Forwarded message ---------
差出人: Bob <bob@x.example>
日付: 2026年11月23日(月) 9:00
件名: 見積
To: <alice@ours.example>
""",
    "Gmail, marks of emphasis": """---------- Forwarded message ---------
*From:* *Bob Baker* <bob@x.example>
*Date:* Mon, 23 Nov
*Subject:* Offer
""",
    "Outlook": """________________________________
From: Bob Baker <bob@x.example>
Sent: Monday, November 23, 2026 9:00 AM
To: Alice <alice@ours.example>
Subject: Offer
""",
    "Outlook in text": """-----Original Message-----
From: Bob Baker [mailto:bob@x.example]
Sent: Monday, November 23, 2026 9:00 AM
To: Alice
Subject: Offer
""",
    "Outlook in Japanese": """差出人: 馬場 <bob@x.example>
送信日時: 2026年11月23日 9:00
宛先: Alice
件名: 見積
""",
    "full width": "差出人：馬場 ＜bob@x.example＞ <bob@x.example>\n日時：2026/11/23\n件名：見積\n",
    "Outlook in German": """Von: Bob Baker <bob@x.example>
Gesendet: Montag, 23. November 2026 09:00
An: Alice
Betreff: Angebot
""",
    "French, with a space": """De : Bob Baker <bob@x.example>
Envoyé : lundi 23 novembre 2026 09:00
À : Alice
Objet : Offre
""",
    "Thunderbird: the subject first": """-------- Forwarded Message --------
Subject: \tOffer
Date: \tMon, 23 Nov 2026 09:00:00 +0900
From: \tBob Baker <bob@x.example>
To: \talice@ours.example
""",
    "Apple Mail, quoted": """Begin forwarded message:

> From: Bob Baker <bob@x.example>
> Subject: Offer
> Date: 23 November 2026 at 09:00:00 JST
> To: alice@ours.example
""",
    "the nearest of two": """From: Bob <bob@x.example>
Sent: now
Subject: Fwd: x

> From: Carol <carol@y.example>
> Date: before
> Subject: x
""",
}
NONE = {
    "no block": "From: bob@x.example\nis what he wrote",
    "one line more is not enough": "From: bob@x.example\nTo: me\n",
    "too far away": "From: bob@x.example\n" + "\n" * 8 + "Date: x\nSubject: y\n",
    "no address": "From: Bob Baker\nDate: x\nSubject: y\n",
    "another field": "Reply-To: bob@x.example\nDate: x\nSubject: y\n",
    "nothing": "",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    found = writer(FORMS[form])
    assert found is not None
    assert found[1] == BOB


@pytest.mark.parametrize("form", NONE)
def test_what_is_no_forward(form: str) -> None:
    assert writer(NONE[form]) is None


@given(st.text(st.sampled_from("From: b@x.example\n\t>*Date：件名"), max_size=400) | st.text())
def test_nothing_raises(text: str) -> None:
    found = writer(text)
    assert found is None or "@" in found[1]


@pytest.mark.parametrize(
    ("subject", "forward"),
    [
        ("Fwd: Offer", True),
        ("ＦＷ：見積", True),
        ("WG: Angebot", True),
        ("転送: 見積", True),
        ("Offer (fwd)", True),
        ("Re: Fwd: Offer", False),
        ("Offer", False),
        ("", False),
    ],
)
def test_a_subject_says_so(subject: str, forward: bool) -> None:
    assert is_forward(subject) is forward


@pytest.mark.parametrize(
    ("subject", "type_", "text"),
    [
        ("Fwd: Offer", "plain", FORMS["Gmail"]),
        (
            "FW: Offer",
            "html",
            "<div>fyi</div><hr><div><b>From:</b> Bob &lt;bob@x.example&gt;<br><b>Sent:</b> now<br>"
            "<b>Subject:</b> Offer</div><p>text</p>",
        ),
    ],
)
def test_in_a_mail(subject: str, type_: str, text: str) -> None:
    head = f"Subject: {subject}\r\nContent-Type: text/{type_}; charset=utf-8\r\n\r\n"
    found = [p for p in read((head + text).encode()).people if p[0] == "forward-text"]
    assert [address for _, address, _ in found] == [BOB]
    answer = head.replace("Subject: F", "Subject: Re: F")
    assert not read((answer + text).encode()).people
