"""What replies mean: words before digits, 4xx before permanence, and never a wrong class for the
recipient's address because of our own."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounce.phrases import Phrases, fold, prepare
from bounce.reply import ORDER, WEAK, Classified, classify, read_reply
from bounce.report import CATEGORIES, HARD, SOFT, class_of
from bounce.status import enhanced_in, meaning
from bounce.words import STRONG
from bounce.words import WEAK as WEAK_WORDS

FOLDER = Path(__file__).resolve().parents[1] / "bounces"


def category(code: int, enhanced: str, text: str, stage: str = "rcpt") -> str:
    return classify(code, enhanced, text, stage).category


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (550, "5.1.1", "5.1.1 User unknown", "invalid_address"),
        (550, "", "no such user here", "invalid_address"),
        (553, "5.1.2", "Host unknown", "invalid_address"),
        (550, "5.1.10", "Recipient not found by SMTP address lookup", "invalid_address"),
        (550, "5.4.1", "Recipient address rejected: Access denied", "invalid_address"),
        (556, "5.1.10", "example.net does not accept mail: null MX", "invalid_address"),
        (450, "4.1.1", "User unknown in virtual alias table", "invalid_address"),
        (550, "", "<a@b.example>: Recipient address rejected.", "invalid_address"),
        (550, "5.2.1", "The email account that you tried to reach is disabled", "inactive_mailbox"),
        (554, "", "This account has been suspended", "inactive_mailbox"),
        (550, "5.7.1", "Relaying denied", "policy_block"),
        (554, "5.7.1", "Service unavailable; client host blocked using zen", "policy_block"),
        (550, "5.7.26", "Unauthenticated email is not accepted: DMARC", "policy_block"),
        (550, "5.1.8", "Sender address rejected: Domain not found", "policy_block"),
        (550, "", "Access denied", "policy_block"),
        (550, "5.7.1", "Message content rejected", "content_block"),
        (554, "", "Your message looks like spam", "content_block"),
        (552, "5.7.0", "A virus was found in the attachment", "content_block"),
        (552, "5.2.2", "Over quota", "mailbox_full"),
        (550, "", "mailbox full", "mailbox_full"),
        (452, "4.2.2", "The recipient's inbox is out of storage space", "mailbox_full"),
        (552, "5.3.4", "Message size exceeds fixed limit", "message_too_large"),
        (552, "", "", "message_too_large"),
        (550, "5.1.1", "recipient is rate limited", "throttled"),
        (421, "4.7.0", "Too many connections from your host", "throttled"),
        (450, "4.2.0", "Greylisted, please retry in 5 minutes", "deferred"),
        (450, "4.7.1", "Client host rejected: listed by a block list", "deferred"),
        (451, "4.7.1", "Message looks like spam, try later", "deferred"),
        (421, "", "Service not available", "server_unavailable"),
        (0, "4.4.1", "connect to mx.example.net: Connection timed out", "server_unavailable"),
        (0, "5.4.4", "Name service error: Host not found, try again", "server_unavailable"),
        (554, "4.4.7", "Message expired", "server_unavailable"),
        (0, "5.4.6", "mail loops back to myself", "server_unavailable"),
        (550, "", "Requested action not taken", "undetermined"),
        (504, "", "Command parameter not implemented", "undetermined"),
        (550, "5.0.0", "", "undetermined"),
    ],
)
def test_replies(code: int, enhanced: str, text: str, expected: str) -> None:
    assert category(code, enhanced, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Das Postfach des Empfängers ist voll", "mailbox_full"),
        ("Empfänger unbekannt", "invalid_address"),
        ("La boîte aux lettres est pleine", "mailbox_full"),
        ("Adresse destinataire inconnue", "invalid_address"),
        ("El buzón está lleno", "mailbox_full"),
        ("destinatario desconocido", "invalid_address"),
        ("La casella di posta è piena", "mailbox_full"),
        ("usuário inexistente", "invalid_address"),
        ("почтовый ящик переполнен", "mailbox_full"),
        ("такого пользователя нет", "invalid_address"),
        ("メールボックスの容量を超えています", "mailbox_full"),
        ("宛先のメールアドレスは存在しません", "invalid_address"),
        ("受信者のメールボックスがい\n っぱいです", "mailbox_full"),
        ("収容サーバに接続できませんでした", "server_unavailable"),
        ("收件人邮箱空间不足", "mailbox_full"),
        ("用户不存在", "invalid_address"),
        ("존재하지 않는 사용자", "invalid_address"),
        ("메일함 용량 초과", "mailbox_full"),
    ],
)
def test_replies_in_other_languages(text: str, expected: str) -> None:
    assert category(550, "5.0.0", text) == expected


def replies_of(name: str) -> list[str]:
    return (FOLDER / name).read_text("utf-8").splitlines()


@pytest.mark.parametrize("klass", ["hard", "soft"])
def test_how_servers_of_many_kinds_put_it(klass: str) -> None:
    wrong = []
    for text in replies_of(f"replies-{klass}.txt"):
        code, enhanced = read_reply(text)
        found = classify(code, enhanced, text, "")
        if found.klass != klass:
            wrong.append(f"{text}: {found.category} by {found.rule}")
    assert wrong == []


def test_a_block_is_hard_only_when_it_is_permanent() -> None:
    for text in ("blocked by our block list", "looks like spam", "SPF check failed"):
        assert classify(554, "5.7.1", text, "rcpt").klass == "hard"
        assert classify(451, "4.7.1", text, "rcpt").klass == "soft"


def test_before_the_recipient_is_told_a_refusal_is_about_us() -> None:
    assert category(554, "", "no", "connect") == "policy_block"
    assert category(550, "", "no", "mail") == "policy_block"
    assert category(550, "", "no", "rcpt") == "undetermined"


def test_a_success_has_no_class() -> None:
    assert classify(250, "2.1.5", "ok", "rcpt") == Classified(None, "delivered", "code:250")


def test_people_and_hosts_are_no_reason() -> None:
    assert category(550, "", "<mailbox.full@example.net> user unknown") == "invalid_address"
    assert category(550, "", "spam@example.net over quota") == "mailbox_full"


def test_every_rule_has_words_and_a_category() -> None:
    assert {rule for rule, _, _ in ORDER} == set(STRONG)
    assert {rule for rule, _, _ in WEAK} == set(WEAK_WORDS)
    for _, permanent, temporary in (*ORDER, *WEAK):
        assert {permanent, temporary} <= HARD | SOFT


@pytest.mark.parametrize("rule", sorted(STRONG))
def test_every_phrase_finds_itself(rule: str) -> None:
    table = Phrases({rule: STRONG[rule]})
    for phrase in filter(None, (one.strip() for one in STRONG[rule].split(";"))):
        text = prepare("... " + phrase.replace("|", "").replace(" .. ", " and so on ") + ".")
        assert table.rules(text) == {rule}, phrase


def test_the_form_of_phrases() -> None:
    table = Phrases({"a": "over quota; block", "b": "spam|", "c": "mailbox .. full|"})
    assert table.rules(prepare("Over-Quota")) == {"a"}
    assert table.rules(prepare("it was blocked")) == {"a"}
    assert table.rules(prepare("unblock")) == set()
    assert table.rules(prepare("spam.")) == {"b"}
    assert table.rules(prepare("spamming")) == set()
    assert table.rules(prepare("mailbox of client is full")) == {"c"}
    assert table.rules(prepare("mailbox was successfully")) == set()
    assert table.rules(prepare("mailbox " + "x " * 100 + "full")) == set()
    assert fold("Não é ｆｕｌｌ!") == " nao e full "


def test_statuses() -> None:
    assert enhanced_in("550 5.1.1 no") == "5.1.1"
    assert enhanced_in("host 10.5.1.1 said 5.0.0, then #5.2.2") == "5.2.2"
    assert enhanced_in("version 15.20.1.1, 2026.3.3") == ""
    assert meaning("5.2.2").category == "mailbox_full"
    assert meaning("5.77.1").category == "undetermined"
    assert meaning("nonsense").category == "undetermined"


def test_codes_in_words() -> None:
    assert read_reply("said: 550 5.1.1 no (in reply to RCPT TO)") == (550, "5.1.1")
    assert read_reply("220-mx 421 4.2.1 later") == (421, "4.2.1")
    assert read_reply("from 198.51.100.450 in 24 hours") == (0, "")


@given(
    st.integers(),
    st.text(max_size=20),
    st.text(max_size=300),
    st.sampled_from(["connect", "mail", "rcpt", "data", "final", "", "x"]),
)
def test_anything_is_classified(code: int, enhanced: str, text: str, stage: str) -> None:
    found = classify(code, enhanced, text, stage)
    assert found.category in CATEGORIES
    assert found.klass == class_of(found.category)


@pytest.mark.parametrize(
    "piece", ["a", "a@", "@a", " ", "user ", "mailbox not ", "5.1.", "55", "\u3042", "=?", "-", "1"]
)
def test_the_cost_of_a_reply_is_linear(piece: str) -> None:
    start = time.process_time()
    for _ in range(3):
        text = piece * (100_000 // len(piece))
        classify(550, "", text, "rcpt")
        read_reply(text)
    assert time.process_time() - start < 0.5
