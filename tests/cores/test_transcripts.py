"""Every written conversation (tests/transcripts), whole, octet by octet and at random cuts."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transcripts.runner import FOLDER, Cut, Play, Script

FILES = sorted(FOLDER.glob("*.imap"))


def whole(text: bytes) -> Iterator[bytes]:
    yield text


def single(text: bytes) -> Iterator[bytes]:
    for at in range(len(text)):
        yield text[at : at + 1]


def at_random(seed: int) -> Cut:
    luck = random.Random(seed)

    def cut(text: bytes) -> Iterator[bytes]:
        while text:
            at = luck.randint(1, 12)
            yield text[:at]
            text = text[at:]

    return cut


def play(path: Path, cut: Cut) -> None:
    script = Script.read(path)
    play = Play(script)
    play.run(cut)
    assert play.to_server == script.said("C:")
    assert play.to_client == script.said("S:", "c:")
    secrets = [line for line in script.expected if line.startswith("credentials ")]
    results = [r for r in play.results if secrets or not r.startswith("credentials ")]
    assert sorted(results) == sorted(script.expected)
    assert not any(sink.open for sink in play.sinks)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("cut", [whole, single], ids=["whole", "single"])
def test_a_conversation(path: Path, cut: Cut) -> None:
    play(path, cut)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_conversation_at_random_cuts(path: Path) -> None:
    for seed in range(20):
        play(path, at_random(seed))


def test_there_are_conversations() -> None:
    assert len(FILES) > 15
