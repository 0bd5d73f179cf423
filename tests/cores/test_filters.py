"""Filters as rules: only what a rule can say, never more than the filter meant."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.targets import parse_pattern
from crmstore.imports import gmailfilters, sieve
from crmstore.imports.filters import MAX_FILTERS, Filter, NotOne, Onto, decide, patterns
from crmstore.imports.rows import Unreadable
from crmstore.personal import wanted

OWN = {"alice@ours.example"}
Rules = list[tuple[str, str]]


def feed(*entries: dict[str, str], head: str = "<?xml version='1.0' encoding='UTF-8'?>") -> bytes:
    """As Gmail writes it."""
    text = "".join(
        "<entry><category term='filter'></category><title>Mail Filter</title><content></content>"
        + "".join(f"<apps:property name='{n}' value='{v}'/>" for n, v in entry.items())
        + "<apps:property name='sizeOperator' value='s_sl'/>"
        "<apps:property name='sizeUnit' value='s_smb'/></entry>"
        for entry in entries
    )
    return (
        f"{head}<feed xmlns='http://www.w3.org/2005/Atom' "
        f"xmlns:apps='http://schemas.google.com/apps/2006'><title>Mail Filters</title>{text}</feed>"
    ).encode()


def taken(filters: list[Filter], *folders: str) -> tuple[list[Rules], list[tuple[int, str]]]:
    """The rules of those that are taken; place and reason of those that are not."""
    made = decide(filters, folders, OWN)
    rules: list[Rules] = [
        [(rule.field, rule.pattern) for rule in one.rules] for one in made if not one.why
    ]
    return rules, [(one.place, one.why) for one in made if one.why]


def gmail(entry: dict[str, str], *folders: str) -> tuple[list[Rules], list[tuple[int, str]]]:
    return taken(gmailfilters.read(feed(entry)), *folders)


def script(text: str, *folders: str) -> tuple[list[Rules], list[tuple[int, str]]]:
    return taken(sieve.read(text), *folders)


class TestGmail:
    @pytest.mark.parametrize(
        ("asked", "rules"),
        [
            ({"from": "News@X.example"}, [("from", "news@x.example")]),
            ({"to": "list@x.example"}, [("to", "list@x.example")]),
            ({"from": "@x.example"}, [("from", "*@x.example")]),
            ({"from": "*@x.example"}, [("from", "*@x.example")]),
            ({"from": "x.example"}, [("from", "*@x.example"), ("from", "*@*.x.example")]),
            (
                {"from": "a@x.example OR b@x.example"},
                [("from", "a@x.example"), ("from", "b@x.example")],
            ),
            ({"from": "(a@x.example|b@y.example)"},
             [("from", "a@x.example"), ("from", "b@y.example")]),
            ({"from": "{a@x.example b@y.example}"},
             [("from", "a@x.example"), ("from", "b@y.example")]),
            ({"hasTheWord": "from:(a@x.example)"}, [("from", "a@x.example")]),
            ({"hasTheWord": "to:a@x.example"}, [("to", "a@x.example")]),
            ({"from": "&quot;a@x.example&quot;", "shouldStar": "true"}, [("from", "a@x.example")]),
        ],
    )  # fmt: skip
    def test_taken(self, asked: dict[str, str], rules: Rules) -> None:
        assert gmail({**asked, "shouldTrash": "true"}) == ([rules], [])

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            ({"subject": "offer"}, "condition"),
            ({"from": "a@x.example", "subject": "offer"}, "both"),
            ({"from": "a@x.example", "to": "b@x.example"}, "both"),
            ({"from": "a@x.example", "hasAttachment": "true"}, "both"),
            ({"from": "a@x.example", "size": "5"}, "both"),
            ({"from": "a@x.example", "doesNotHaveTheWord": "urgent"}, "both"),
            ({"from": "a@x.example", "unheardOf": "1"}, "both"),
            ({"from": "-a@x.example"}, "negated"),
            ({"from": "Amazon"}, "pattern"),
            ({"from": "a@x.example b@x.example"}, "pattern"),
            ({"from": "a@x.example OR (b@x.example c)"}, "pattern"),
            ({"from": "*@*"}, "pattern"),
            ({"hasTheWord": "urgent from:a@x.example"}, "condition"),
            ({"from": "alice@ours.example"}, "own"),
            ({"to": "ours.example"}, "own"),
            ({}, "everything"),
        ],
    )
    def test_not_taken(self, asked: dict[str, str], why: str) -> None:
        assert gmail({**asked, "shouldTrash": "true"}) == ([], [(1, why)])

    def test_filed_mail_is_left_out_where_its_folder_is_named(self) -> None:
        entry = {"from": "a@x.example", "label": "Private"}
        assert gmail(entry) == ([], [(1, "folder")])
        assert gmail(entry, "Work", "Private") == ([[("from", "a@x.example")]], [])
        assert gmail({"from": "a@x.example", "shouldStar": "true"}) == ([], [(1, "action")])
        assert gmail({"from": "a@x.example", "shouldTrash": "false"}) == ([], [(1, "action")])

    @pytest.mark.parametrize(
        "octets",
        [
            b"",
            b"<feed",
            b"<html><body/></html>",
            feed(head='<!DOCTYPE feed [<!ENTITY a "ha">]>'),
            feed(head='<!DOCTYPE feed SYSTEM "file:///etc/passwd">'),
            feed({"from": "&a;"}),
            b"<a>" * 100,
            b"<?xml version='1.0' encoding='x-nobody'?><feed/>",
            feed(*[{}] * (MAX_FILTERS + 1)),
            feed({"from": "a"})[:-20],
        ],
    )
    def test_what_is_no_list_of_filters(self, octets: bytes) -> None:
        with pytest.raises(Unreadable):
            gmailfilters.read(octets)


class TestSieve:
    @pytest.mark.parametrize(
        ("test", "rules"),
        [
            ('address :is "from" "News@X.example"', [("from", "news@x.example")]),
            ('address "From" ["a@x.example", "b@x.example"]',
             [("from", "a@x.example"), ("from", "b@x.example")]),
            ('address :domain :is ["to", "cc"] "x.example"',
             [("to", "*@x.example")]),
            ('address :domain :matches "from" "*.x.example"', [("from", "*@*.x.example")]),
            ('header :contains "from" "@x.example"', [("from", "*@x.example")]),
            ('header :contains "from" "x.example"',
             [("from", "*@x.example"), ("from", "*@*.x.example")]),
            ('header :matches "from" "*@x.example"', [("from", "*@x.example")]),
            ('envelope :all :is "to" "a@x.example"', [("to", "a@x.example")]),
            ('header :comparator "i;ascii-casemap" :contains "from" "a@x.example"',
             [("from", "a@x.example")]),
            ('anyof (address "from" "a@x.example", address "to" "b@x.example")',
             [("from", "a@x.example"), ("to", "b@x.example")]),
            ('allof (address "from" "a@x.example")', [("from", "a@x.example")]),
        ],
    )  # fmt: skip
    def test_taken(self, test: str, rules: Rules) -> None:
        assert script(f'require ["fileinto"];\nif {test} {{ discard; stop; }}') == ([rules], [])

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('if header :contains "subject" "offer" { discard; }', "condition"),
            ('if size :over 1M { discard; }', "condition"),
            ("if true { discard; }", "condition"),
            ('if address :comparator "i;octet" "from" "a@x.example" { discard; }', "condition"),
            ('if not address "from" "a@x.example" { discard; }', "negated"),
            ('if allof (address "from" "a@x.example", true) { discard; }', "both"),
            ('if address :localpart "from" "a" { discard; }', "condition"),
            ('if address :regex "from" ".*" { discard; }', "condition"),
            ('if header :contains "from" "newsletter" { discard; }', "pattern"),
            ('if header :matches "from" "*" { discard; }', "pattern"),
            ('if header :matches "from" "?@x.example" { discard; }', "pattern"),
            ('if address :is "from" "*@x.example" { discard; }', "pattern"),
            ('if address :is "from" "x.example" { discard; }', "pattern"),
            ('if address "from" "a@x.example" { if true { discard; } }', "nested"),
            ('if address "from" "a@x.example" { keep; }', "action"),
            ('if address "from" "a@x.example" { redirect "b@x.example"; }', "action"),
            ('if address "from" "a@x.example" { fileinto "Work"; }', "folder"),
            ('if address "to" "alice@ours.example" { discard; }', "own"),
            ("discard;", "action"),
        ],
    )  # fmt: skip
    def test_not_taken(self, text: str, why: str) -> None:
        assert script(text) == ([], [(1, why)])

    def test_folders(self) -> None:
        text = 'if address "from" "a@x.example" { fileinto :copy "%s"; }'
        assert script(text % "INBOX.Private", "Private")[0] != []
        for trash in ("Trash", "INBOX.Trash", "Junk", "INBOX/Deleted Items"):
            assert script(text % trash)[0] != [], trash
        assert script(text % "Trash of mine")[1] == [(1, "folder")]

    def test_what_an_earlier_filter_may_keep_is_not_left_out(self) -> None:
        first = 'if address "from" "boss@x.example" { keep; stop; }\n'
        overlap = 'if address :domain "from" "x.example" { discard; }'
        apart = 'if address :domain "from" "y.example" { discard; }'
        assert script(first + overlap) == ([], [(1, "action"), (2, "order")])
        assert script(first + apart)[0] == [[("from", "*@y.example")]]
        # Mail may have both recipients.
        other = first.replace("from", "to") + 'if address "to" "b@y.example" { discard; }'
        assert script(other)[1] == [(1, "action"), (2, "order")]
        # What was left out by the first need not be kept from the second.
        assert script(first.replace("keep", "discard") + overlap)[1] == []
        assert script("stop;\n" + apart)[1] == [(1, "action"), (2, "order")]
        chain = first + 'elsif address "from" "a@y.example" { discard; } else { stop; }\n'
        assert script(chain + apart)[1] == [(1, "action"), (2, "chain"), (2, "chain"), (3, "order")]

    def test_onto_records(self) -> None:
        """Whose folder was named with a record."""
        both = Onto([("Clients/Acme", 5), ("Clients/Acme", 6), ("Old", 7)],
                    {"Club": ("nobody", "Club"), "Wide": ("several", "Wide: 1, 2")},
                    {"to@ours.example": "ours", "*@never.example": "never"})  # fmt: skip
        one = 'if address "%s" "%s" { fileinto "%s"; }'
        domain = 'if address :domain "from" "%s" { fileinto "%s"; }'
        for text, rules in (
            (one % ("from", "a@x.example", "Clients/Acme"),
             [("a@x.example", 5), ("a@x.example", 6)]),
            (one % ("from", "a@x.example", "INBOX.Old"), [("a@x.example", 7)]),
            (domain % ("x.example", "Old"), [("*@x.example", 7)]),
            (one % ("from", "a@x.example", "Private"), [("a@x.example", None)]),
            # to throw it away, or to leave it out, is the stronger word
            (one.replace(";", '; fileinto "Trash";') % ("from", "a@x.example", "Old"),
             [("a@x.example", None)]),
            (one.replace(";", '; fileinto "Private";') % ("from", "a@x.example", "Old"),
             [("a@x.example", None)]),
            # one folder that is clear is enough
            (one.replace(";", '; fileinto "Club";') % ("from", "a@x.example", "Old"),
             [("a@x.example", 7)]),
            # of what is the user's own nothing is left out by this
            (domain % ("ours.example", "Old"), [("*@ours.example", 7)]),
        ):  # fmt: skip
            (found,) = decide(sieve.read(text), ["Private"], OWN, both)
            assert ([(r.pattern, r.record) for r in found.rules], found.why) == (rules, ""), text
        for text, why in (
            (one % ("from", "a@x.example", "Club"), ("nobody", "Club")),
            (one % ("from", "a@x.example", "Wide"), ("several", "Wide: 1, 2")),
            (one % ("from", "a@x.example", "Else"), ("folder", "Else")),
            (one % ("to", "to@ours.example", "Old"), ("ours", "to@ours.example")),
            (domain % ("never.example", "Old"), ("never", "*@never.example")),
            ('if true { fileinto "Old"; }', ("condition", "true")),
            ('if header "subject" "Acme" { fileinto "Old"; }', ("condition", "subject")),
        ):
            (found,) = decide(sieve.read(text), ["Private"], OWN, both)
            assert (found.rules, (found.why, found.value)) == ((), why), text

    def test_what_a_filter_onto_a_record_keeps_from_a_later_one(self) -> None:
        """Such mail never reaches the second filter, so it must not be left out."""
        first = 'if address :domain "from" "x.example" { fileinto "Old"; stop; }\n'
        for second in ("a@x.example", "a@y.example"):
            text = first + f'if address "from" "{second}" {{ discard; }}'
            made = decide(sieve.read(text), [], OWN, Onto([("Old", 7)]))
            why = "order" if second == "a@x.example" else ""
            assert [one.why for one in made] == ["", why]

    def test_comments_strings_and_multi_line_texts(self) -> None:
        text = (
            '# rule:[news]\n/* "if" */ require "reject";\nif address "from" "a\\@x.example" {\n'
            'reject text: # why\nno "more"; of }\n..this\n.\n; }\n'
        )
        assert script(text) == ([[("from", "a@x.example")]], [])

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("if", 1),
            ('\nif address "from" "a@x.example" { discard;', 2),
            ('if address "from" "a@x.example" discard;', 1),
            ("}", 1),
            ('\n\n"unclosed', 3),
            ("/* unclosed", 1),
            ("if a(b(", 1),
            ('if address ["a" "b"] { }', 1),
            ('if address ["a"', 1),
            ("x $ y;", 1),
        ],
    )
    def test_what_is_no_script(self, text: str, line: int) -> None:
        with pytest.raises(Unreadable) as caught:
            sieve.read(text)
        assert (caught.value.code, caught.value.values) == ("sieve", {"line": line})

    @pytest.mark.parametrize(
        "text",
        ["if not " * 5_000, "{" * 5_000, "if a{" * 5_000, "if a(" * 5_000, "text:\n" * 100_000,
         '"' + "\\" * 500_001, "/*" * 200_000, "[" * 100_000],
    )  # fmt: skip
    def test_deep_and_long_ones_are_refused(self, text: str) -> None:
        with pytest.raises(Unreadable):
            sieve.read(text)

    def test_too_many(self) -> None:
        with pytest.raises(Unreadable) as caught:
            sieve.read("if true { keep; }\n" * (MAX_FILTERS + 2))
        assert caught.value.code == "many"

    @given(
        st.lists(
            st.sampled_from(
                'if elsif not anyof address header :is :contains [ ] ( ) { } , ; "from"'
                ' "a@x.example" discard stop 5K'.split()
            ),
            max_size=40,
        )
    )
    def test_any_words_are_filters_or_unreadable(self, words: list[str]) -> None:
        try:
            found = sieve.read(" ".join(words))
        except Unreadable:
            return
        decide(found, ["Private"], OWN)


# A rule never leaves out more than the condition that it was made of.

names = st.sampled_from(["x.example", "a.x.example", "fox.example", "x.example.org", "example"])
locals_ = st.sampled_from(["a", "news", "a-news", "b"])


@given(locals_, names, st.sampled_from([":is", ":contains", ":matches"]), locals_, names)
def test_no_wider_than_the_sieve_test(
    local: str, name: str, kind: str, written: str, where: str
) -> None:
    plain = f"{written}@{where}"
    stars = (f"*@{where}", f"*{where}", f"{written}*@{where}", f"*@*.{where}")
    for value in (plain, f"@{where}", where, *stars, f"<{plain}>", f" {plain}"):
        text = f'if address {kind} "from" "{value}" {{ discard; }}'
        (rules, _) = script(text)
        address = f"{local}@{name}"
        meant = {
            ":is": address == value,
            ":contains": value in address,
            ":matches": fnmatchcase(address, value),
        }[kind]
        hit = any(parse_pattern(pattern).matches(address) for one in rules for _, pattern in one)
        assert meant or not hit, (value, address)


@given(st.text(max_size=40))
def test_a_word_is_a_pattern_or_none(word: str) -> None:
    try:
        found = patterns(word)
    except NotOne:
        return
    for pattern in found:
        assert wanted("from", pattern).pattern == pattern
        assert not re.fullmatch(r"[*@.]*", pattern)
