"""Search: what is found by what, on both engines by the same table; pages; hostile questions."""

import random

import pytest
from sqlalchemy import select, update

from crmstore import schema, searchindex
from crmstore.search import Refused, Wanted
from crmstore.store import Store
from tests.cores.test_tokens import naive
from tests.keepers.shelf import Shelf, mail


@pytest.fixture
def shelf(store: Store, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Its index has everything after a few messages: some wait, some are in segments, some of
    these are joined."""
    levels(monkeypatch, seal=4, join=3)
    return Shelf(store)


def levels(monkeypatch: pytest.MonkeyPatch, *, seal: int, join: int) -> None:
    for name, value in {"SEAL": seal, "JOIN": join, "JOINED": 2_000}.items():
        monkeypatch.setattr(searchindex, name, value)


# text, what finds it, what does not; '…' is a phrase
CASES = [
    (
        "お世話になっております",
        "お世話 世話 お世 世 なって ます す お世話になっております",
        "お話 世る 話世",
    ),
    ("お世\r\n話になり\r\n\r\n  ます", "お世話 なります", "世に"),
    ("山田　太郎 様", "山田太郎 山田 太郎 田太 '山田 太郎' '太郎 様'", "太山 郎田 '太郎 山田'"),
    ("ﾔﾏﾀﾞ ｻｰﾊﾞｰ", "ヤマダ サーバー ｻｰﾊﾞｰ ﾔﾏﾀﾞ ー バ", "ヤマタ サーハー"),
    ("サーバーの件", "サーバー サーバ ーバ の件", "サバ サバー"),
    ("佐々木様 学問のすゝめ", "佐々木 々木 々 すゝめ ゝ", "佐木 佐佐木"),
    ("コカ・コーラ ", "コカコーラ コカ・コーラ コーラ", "コカ・コラ"),
    ("髙橋と﨑山", "高橋 髙橋 崎山 﨑山", "橋高"),
    ("①㈱Ａ社　ＡＢＣ１２３", "abc123 ABC123 A社 株 1", "abc bc123"),
    (
        "株式会社ABCの見積No.42",
        "株式会社ABC '株式会社 abc' 見積no.42 42 abcの見積",
        "会社ab 見積42 4",
    ),
    (
        "The quick-brown Fox's 20,000 boxes",
        "the FOX quick-brown 'brown fox' 20,000 BOXES",
        "box own 'quick fox'",
    ),
    ("Straße CAFÉ ΣΊΣΥΦΟΣ", "strasse STRASSE straße café σίσυφος", "cafe stra"),
    ("안녕하세요 반갑습니다", "안녕 하세요 반갑 '안녕하세요 반갑' 녕", "요안"),
    ("เรียนคุณสมชาย", "คุณ สมชาย", "ชายสม"),
    (
        "write to yamada@example.com today",
        "yamada@example.com yamada example.com example",
        "yama @exam ple",
    ),
    ("call 03-1234-5678 now", "03-1234-5678 1234 '1234 5678' 1234-5678", "123 034"),
    ("a " * 300 + "the cat", "'the cat' cat 'a a a'", "'cat the'"),
    ("w" * 200 + " end", "w" * 200 + " end", "w" * 199 + " " + "w" * 64),
    ("漢a漢b字", "漢 字 漢a a漢 漢a漢b字 'b 字'", "漢字 漢b字漢"),
    ("x_y.pdf and C++", "x_y x y.pdf c++ c", "xy"),
    ("𠮷野家 𩸽", "吉野家 𠮷野 𩸽", "野吉"),
]


def words(line: str) -> list[str]:
    """Words of a line; in '…' they are one phrase, with the quotes that search knows."""
    found, rest = [], line
    while rest.strip():
        rest = rest.strip()
        if rest.startswith("'"):
            phrase, _, rest = rest[1:].partition("'")
            found.append(f'"{phrase}"')
        else:
            word, _, rest = rest.partition(" ")
            found.append(word)
    return found


def test_what_finds_what(shelf: Shelf) -> None:
    for number, (text, *_) in enumerate(CASES):
        subject = " ".join(text.split())
        shelf.put(mail(subject, "") if number % 2 else mail("", text))
    wrong = []
    for id_, (text, hits, misses) in enumerate(CASES, 1):
        wrong += [(text, word) for word in words(hits) if id_ not in shelf.find(word, limit=99)]
        wrong += [(text, word) for word in words(misses) if id_ in shelf.find(word, limit=99)]
    assert wrong == []


def test_all_words_must_be_there_and_none_with_a_minus(shelf: Shelf) -> None:
    shelf.put(
        mail("見積", "第一 alpha beta"), mail("見積", "第二 alpha"), mail("請求", "beta 第三")
    )
    assert shelf.find("見積 alpha") == [2, 1]
    assert shelf.find("見積 beta") == [1]
    assert shelf.find("alpha -beta") == [2]
    assert shelf.find('見積 -"alpha beta"') == [2]
    assert shelf.find("beta -積") == [3]
    assert shelf.find("alpha - beta") == [1]
    assert shelf.find("「第一」") == [1]
    assert shelf.find('"第一') == [1]


def test_nothing_is_found_across_fields(shelf: Shelf) -> None:
    shelf.put(mail("見", "積"), mail("one", "two"))
    assert shelf.find("見積") == [] and shelf.find('"one two"') == []
    assert shelf.find("one two") == [2]


def test_people_and_files_but_no_bcc(shelf: Shelf) -> None:
    raw = (
        "From: =?UTF-8?B?5bGx55Sw?= <yamada@example.com>\r\nTo: Bob Smith <bob@x.example>\r\n"
        "Cc: carol@x.example\r\nBcc: secret@hidden.example\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        "Content-Type: application/pdf; name*=UTF-8''%E8%A6%8B%E7%A9%8D%E6%9B%B8_v2.pdf\r\n"
        "\r\nx\r\n--b--\r\n"
    )
    shelf.put(raw.encode())
    for word in ("山田", "yamada", "Bob", '"bob smith"', "carol@x.example", "見積書", "v2.pdf"):
        assert shelf.find(word) == [1], word
    assert shelf.find("secret") == [] == shelf.find("hidden.example")
    assert shelf.find("hello", Wanted(file="見積")) == [1]
    assert shelf.find("hello", Wanted(file="山田")) == []
    assert shelf.find("hello", Wanted(files=True)) == [1]
    assert shelf.find("hello", Wanted(address="Carol@X.example")) == [1]
    assert shelf.find("hello", Wanted(address="nobody@x.example")) == []
    assert (
        shelf.find("hello", Wanted(thread=0)) == [1] and shelf.find("hello", Wanted(thread=9)) == []
    )


def test_pages_newest_first_over_all_levels(shelf: Shelf) -> None:
    ids = []
    for n in range(12):
        skip = 40_000 if n % 3 == 0 else 0
        ids += shelf.put(mail("見積 the offer", f"number{n % 2}"), when_us=n * 10**6, skip=skip)
    for text in ("見積", "the", '"the offer"', "見"):
        assert shelf.all(text) == ids[::-1]
    assert shelf.all("number1 offer", limit=2) == ids[1::2][::-1]
    assert shelf.find("見積", Wanted(first_us=3 * 10**6, until_us=6 * 10**6)) == ids[3:6][::-1]
    with pytest.raises(ValueError, match="before"):
        shelf.find("x", before="1; DROP")


def test_a_page_ends_when_time_is_up_and_the_next_goes_on(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels(monkeypatch, seal=1, join=16)
    ids = [shelf.put(mail("needle" if n in (0, 9) else "hay"), skip=40_000)[0] for n in range(10)]
    ticks = iter(range(1_000))
    page = shelf.page("needle", budget=0.5, clock=lambda: float(next(ticks)))
    assert [row["id"] for row in page.rows] == [ids[9]] and not page.whole
    found: list[int] = []
    while page.next:
        page = shelf.page("needle", before=page.next, budget=0.5, clock=lambda: float(next(ticks)))
        found += [row["id"] for row in page.rows]
    assert found == [ids[0]] and page.whole


HOSTILE = [
    *('"', "'", "' OR 1=1--", '";DROP TABLE messages;--', "a AND", "NEAR(a b)", "tokens:x", "^x"),
    *("a*", "* OR *", "x:*", "'x':*A", "!x", "(((", "a\0b", "\0", "\ud800 x", "%", "_", "\\"),
    *("\\'x", "x\x01y", "- -", "--x", "-", "あ" * 900, '"' * 999, "{tokens} : x", "x & !y | z"),
    *("<->", "\u202e x", "🙂", "﷽" * 50, "NULL", "x' | 'y", 'x" OR "y'),
]


def test_hostile_questions_are_text_or_refused(shelf: Shelf) -> None:
    shelf.put(mail("x a b tokens near", "y z or and not drop table messages 1"))
    for text in HOSTILE:
        try:
            page = shelf.page(text)
        except Refused as refused:
            assert str(refused)
        else:
            assert page.next is None and len(page.rows) <= 1, text


def test_what_is_no_question_is_refused(shelf: Shelf) -> None:
    many = " ".join(map(str, range(100)))
    refusals = {"": "nothing", "!!! …": "nothing", "-only": "nothing", "x" * 100_000: "long"}
    for text, code in {**refusals, many: "terms"}.items():
        with pytest.raises(Refused) as refused:
            shelf.find(text)
        assert refused.value.code == code


def test_a_text_of_everything_fits_the_index(shelf: Shelf) -> None:
    """Every bigram different, and words of four octets a letter: more than an engine takes."""
    han = "".join(chr(0x4E00 + n * 7 % 20_000) + chr(0x20000 + n % 40_000) for n in range(60_000))
    words = " ".join(chr(0x10400 + n % 40) * (n % 70 + 1) + str(n) for n in range(20_000))
    shelf.put(mail("monster", han), mail("monster", words))
    assert shelf.find("monster") == [2, 1]


def test_snippets_show_the_hit(shelf: Shelf) -> None:
    shelf.put(mail("s", "前置き。" * 50 + "ここに ﾐﾂﾓﾘ があります。" + "後書き。" * 50))
    (row,) = shelf.page("ミツモリ").rows
    assert [row["snippet"][start:end] for start, end in row["highlights"]] == ["ﾐﾂﾓﾘ"]
    (row,) = shelf.page("s").rows
    assert row["highlights"] == [] and row["snippet"].startswith("前置き。")


def test_days_narrow_what_is_looked_at(shelf: Shelf) -> None:
    """Even where mail came in out of order, and where a span of ids has a gap."""
    old = shelf.put(mail("offer 1"), when_us=10**12)
    new = shelf.put(mail("offer 2"), when_us=5 * 10**12, skip=3_000)
    late = shelf.put(mail("offer 3"), when_us=2 * 10**12)
    day = 10**11
    assert shelf.find("offer", Wanted(first_us=10**12, until_us=10**12 + day)) == old
    assert shelf.find("offer", Wanted(until_us=2 * 10**12 + day)) == late + old
    assert shelf.find("offer", Wanted(first_us=2 * 10**12 + day)) == new
    assert shelf.find("offer", Wanted(first_us=9 * 10**12)) == []


def test_any_question_is_answered_as_by_reading_everything(shelf: Shelf) -> None:
    """Random texts and questions of few characters, against a naive reading of all texts."""
    chance = random.Random(5)
    alphabet = [
        "ab",
        "a",
        "1",
        " ",
        " ",
        "\n",
        "・",
        "漢",
        "字",
        "々",
        "かな",
        "カ",
        "ｶﾅ",
        "ー",
        "髙",
        "Ａ",
    ]

    def some(most: int) -> str:
        return "".join(chance.choices(alphabet, k=chance.randrange(1, most)))

    bodies = [some(25) for _ in range(60)]
    ids = shelf.put(*[mail("", body) for body in bodies])
    for _ in range(150):
        asked = [some(5).replace("\n", " ").strip() for _ in range(chance.choice((1, 1, 2)))]
        needles = [needle for word in asked if (needle := needle_of(word))]
        unwanted = needle_of(not_ := some(4).replace("\n", " ").strip())
        if not needles:
            continue
        question = " ".join(f'"{word}"' for word in asked) + f' -"{not_}"'
        naively = [
            id_
            for id_, body in zip(ids, bodies, strict=True)
            if all(needle in naive(body) for needle in needles)
            and not (unwanted and unwanted in naive(body))
        ]
        assert shelf.find(question, limit=100) == naively[::-1], question


def needle_of(text: str) -> str:
    """A naive reading of a term: the ends of its words are ends, those of Japanese are not."""
    words = naive(text).strip()
    before = " " if words[:1].isascii() else ""
    return f"{before}{words}{' ' if words[-1:].isascii() else ''}" if words else ""


def test_each_message_is_in_one_place_of_the_index(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the sizes of the batches: pending, in a new segment, in a joined one."""
    levels(monkeypatch, seal=7, join=3)
    chance = random.Random(3)
    ids: list[int] = []
    most = 0  # that waited
    for _ in range(40):
        some = chance.choice((1, 1, 2, 3, 8))
        ids += shelf.put(*[mail("the", f"n{len(ids) + n}") for n in range(some)])
        waiting, segments = index_of(shelf.store)
        most = max(most, len(waiting))
        ends = [end for first, last in segments for end in (first, last)]
        assert ends == sorted(ends) and (not waiting or not ends or ends[-1] < waiting[0])
    assert most == 6 and len(segments) > 2 and max(b - a for a, b in segments) > 14
    assert shelf.all("the", limit=5) == ids[::-1]
    assert [shelf.find(f"n{n}") for n in range(len(ids))] == [[id_] for id_ in ids]
    assert shelf.find("the -n99", limit=100) == [i for i in ids[::-1] if i != ids[99]][:100]


def index_of(store: Store) -> tuple[list[int], list[tuple[int, int]]]:
    """The messages that wait, and the segments."""
    pending, segments = schema.search_pending.c, schema.search_segments.c
    with store.reading() as connection:
        waiting = connection.execute(select(pending.message_id).order_by(pending.message_id))
        found = select(segments.first_id, segments.last_id).order_by(segments.first_id)
        return list(waiting.scalars()), [(a, b) for a, b in connection.execute(found)]


@pytest.mark.parametrize("join", [16, 2])
def test_a_damaged_block_hides_nothing(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, join: int
) -> None:
    """The texts are read instead, and it is told; joining goes on beside it."""
    levels(monkeypatch, seal=2, join=join)
    shelf.put(mail("offer alpha"), mail("offer beta"))
    blocks = schema.search_blocks
    with shelf.store.writing() as connection:
        connection.execute(update(blocks).values(octets=b"mwb1 and what is no block"))
    shelf.put(mail("offer alpha"), mail("offer gamma"), mail("offer alpha"))
    page = shelf.page("alpha")
    assert [row["id"] for row in page.rows] == [5, 3, 1] and page.damaged == 1
    assert shelf.find("offer -beta") == [5, 4, 3, 1] and shelf.find('"offer beta"') == [2]
