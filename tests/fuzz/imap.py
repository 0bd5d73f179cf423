"""Throws broken conversations at the IMAP dialogue: `python -m tests.fuzz.imap --seconds 1800`.

The written conversations (tests/transcripts) are taken as they are and damaged: octets flipped,
lost, repeated, lines exchanged, literals announced with other sizes, whole pieces of other
conversations put in; then they are cut anywhere. Whatever comes: no exception, not an octet lost or
added except where something is changed on purpose, and nothing kept without bound.

A failure prints its seed; `--seed N --rounds 1` repeats it.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Iterator

from tests.transcripts.runner import FOLDER, Play, Script

#: Where one of these stands, octets may be changed on purpose.
CHANGED = re.compile(
    rb"CAPABILITY|REFERRAL|COMPRESS|UNAUTHENTICATE|URLAUTH|URLFETCH|RESETKEY|RLIST|RLSUB|STARTTLS"
    rb"|AUTHENTICATE|LOGIN|APPEND|REPLACE",
    re.IGNORECASE,
)
NASTY = [
    b"{5}\r\n", b"{0}\r\n", b"{99999999999999999999}\r\n", b"~{3+}\r\n", b"\n", b"\r", b"\r\n",
    b'"', b"\\", b"(", b")", b"* ", b"+ ", b"+\r\n", b"a OK x\r\n", b"DONE\r\n", b"\0", b"&AAAA-",
    b"* 1 FETCH (BODY[] {7}\r\n", b" UID 4294967296 ", b"BODY[]<0> {2}\r\n", b"(" * 3000,
    b"* OK [APPENDUID 1 1:4294967295]\r\n", b"* OK [COPYUID 1 1:9999999 1:9999999] x\r\n",
    b"x" * 70_000, b"\xff\xfe",
]  # fmt: skip
SCRIPTS = [Script.read(path) for path in sorted(FOLDER.glob("*.imap"))]


def damage(text: bytes, luck: random.Random) -> bytes:
    """One text, a little wrong."""
    data = bytearray(text)
    for _ in range(luck.choice((0, 0, 1, 1, 2, 5))):
        at = luck.randint(0, len(data))
        match luck.randint(0, 5):
            case 0 if data:
                data[min(at, len(data) - 1)] = luck.randrange(256)
            case 1:
                del data[at : at + luck.randint(1, 6)]
            case 2:
                data[at:at] = luck.choice(NASTY)
            case 3:
                data[at:at] = data[: luck.randint(0, 40)]
            case 4:
                data[:] = re.sub(rb"\{\d+", b"{%d" % luck.choice((0, 1, 3, 50)), bytes(data))
            case _:
                pass
    return bytes(data)


def cuts(text: bytes, luck: random.Random) -> Iterator[bytes]:
    most = luck.choice((1, 7, 100, 100_000)) if len(text) < 5000 else 100_000
    while text:
        at = luck.randint(1, most)
        yield text[:at]
        text = text[at:]


def once(seed: int) -> None:
    """One conversation. AssertionError, or whatever the code raises, is a finding."""
    luck = random.Random(seed)
    script = luck.choice(SCRIPTS)
    steps = [(mark, damage(text, luck)) for mark, text in script.steps if mark[0] in "CS"]
    if luck.random() < 0.3:
        other = luck.choice(SCRIPTS).steps
        at = luck.randint(0, len(steps))
        steps[at:at] = [(mark, text) for mark, text in luck.sample(other, min(5, len(other)))]
    play = Play(script)
    said = {"client": b"", "server": b""}
    for mark, text in steps:
        if mark[0] == "c":
            continue
        side = "client" if mark[0] == "C" else "server"
        for piece in cuts(text, luck):
            if not play.dialogue.ended:
                said[side] += piece
                play.feed(side, piece)
    kept, dialogue = play.kept, play.dialogue
    assert len(kept["server"]) <= dialogue.server.longest
    # (What is kept when a session ends goes with it.)
    held = dialogue.client.hold or dialogue.ended
    assert held or len(kept["client"]) <= dialogue.client.longest
    assert len(dialogue.pending) < 1000
    if not dialogue.ended and not CHANGED.search(said["server"]) and not refusals(play):
        assert play.to_client + kept["server"] == said["server"], "towards the client"
    if not dialogue.ended and not refusals(play):
        assert play.to_server + kept["client"] == said["client"], "towards the server"
    dialogue.lost()
    assert not any(sink.open for sink in play.sinks), "a capture is left open"


def refusals(play: Play) -> bool:
    """Has the dialogue answered something itself, or begun TLS?"""
    return bool(play.refused or play.dialogue.say or "starttls" in play.results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 40) if given.seed is None else given.seed
    end, done = time.monotonic() + given.seconds, 0
    while time.monotonic() < end and (not given.rounds or done < given.rounds):
        try:
            once(seed + done)
        except BaseException:
            print(f"seed {seed + done}")
            raise
        done += 1
    print(f"{done} conversations, no fault; first seed {seed}")


if __name__ == "__main__":
    main()
