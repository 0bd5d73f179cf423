"""One tag for all commands means the same as a tag for each: the same is captured and known."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.imap.turns import Turns
from tests.transcripts.runner import Play, Script

BOXES = st.sampled_from(["INBOX", "Sent", "Archive"])
VALIDITY = {"INBOX": 5, "Sent": 9, "Archive": 7}
#: What is asked, of which mailbox, and whether the server says OK.
COMMANDS = st.lists(
    st.tuples(st.sampled_from(["SELECT", "APPEND", "FETCH", "COPY", "NOOP"]), BOXES, st.booleans()),
    max_size=12,
)


def conversation(
    commands: list[tuple[str, str, bool]], one_tag: bool
) -> tuple[list[bytes], list[bytes]]:
    """What the client and the server say, a command and an answer each."""
    asked, said, inside = [], [], "INBOX"
    for number, (verb, box, ok) in enumerate(commands):
        tag = "x" if one_tag else f"t{number}"
        words, told = verb, ""
        done = f"{tag} OK done" if ok else f"{tag} NO not now"
        if verb == "SELECT":
            words, inside = f"SELECT {box}", box if ok else ""
            told = f"* OK [UIDVALIDITY {VALIDITY[box]}] x\r\n"
        elif verb == "APPEND":
            words = f"APPEND {box} (\\Seen) {{2+}}\r\n{number:02}"
            if ok:
                done = f"{tag} OK [APPENDUID {VALIDITY[box]} {100 + number}] done"
        elif verb == "FETCH":
            words = f"UID FETCH {number + 1} BODY[]"
            if ok and inside:
                told = f"* 1 FETCH (UID {number + 1} BODY[] {{2}}\r\n{number:02})\r\n"
        elif verb == "COPY":
            words = f"UID COPY 1:12 {box}"
            if ok:
                done = f"{tag} OK [COPYUID {VALIDITY[box]} 1:12 {200 + number}:{211 + number}] done"
        asked.append(f"{tag} {words}\r\n".encode())
        said.append(f"{told}{done}\r\n".encode())
    return asked, said


def played(commands: list[tuple[str, str, bool]], ahead: list[int], one_tag: bool) -> Play:
    """`ahead`: how many commands the client has sent beyond those that are answered."""
    play = Play(Script())
    play.feed("server", b"* OK ready\r\n")
    play.feed("client", b"in LOGIN alice secret\r\n")
    play.feed("server", b"in OK in\r\n")
    play.feed("client", b"s SELECT INBOX\r\n")
    play.feed("server", b"* OK [UIDVALIDITY 5] x\r\ns OK in\r\n")
    asked, said = conversation(commands, one_tag)
    sent = 0
    for answered, answer in enumerate(said):
        while sent < len(asked) and sent <= answered + ahead[answered]:
            play.feed("client", asked[sent])
            sent += 1
        play.feed("server", answer)
    play.dialogue.lost()
    return play


@given(COMMANDS, st.lists(st.integers(0, 5), min_size=12, max_size=12))
def test_one_tag_for_all_is_as_good_as_one_for_each(
    commands: list[tuple[str, str, bool]], ahead: list[int]
) -> None:
    each, one = played(commands, ahead, False), played(commands, ahead, True)
    assert one.results == each.results
    assert one.known == each.known
    assert not one.dialogue.raw


def test_names_are_given_back_in_order() -> None:
    turns = Turns()
    first, second, other = turns.named(b"x"), turns.named(b"x"), turns.named(b"y")
    assert len({first, second, other}) == 3 and all(b" " in one for one in (first, second, other))
    assert [turns.next(b"x"), turns.next(b"x"), turns.next(b"x")] == [first, second, None]
    assert [turns.next(b"y"), turns.next(b"y")] == [other, None]
