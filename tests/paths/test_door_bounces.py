"""A door process with its list and its keys: suppressed recipients, signed paths, files that go."""

import os
from pathlib import Path

from bounce import keyfile, suppressfile
from bounce.suppression import Suppressed
from bounce.verp import ReturnPaths, mark_of
from tests.faultsink import FaultSink
from tests.paths.doors import DoorProcess, until

DEAD = Suppressed("invalid_address", "5.1.1", "550 5.1.1 User unknown", 1_777_800_000.0)
TRUSTED = 'trusted = ["127.0.0.0/8"]'


def test_the_list_is_seen_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    with (
        FaultSink() as sink,
        DoorProcess(tmp_path, sink, role="submission", listener=TRUSTED) as door,
    ):
        path = door.data / "run" / suppressfile.NAME

        def answer() -> str:
            with door.greeted() as client:
                client.ask("MAIL FROM:<a@y.example>")
                return client.ask("RCPT TO:<dead@x.example>")

        assert answer().startswith("250 ")
        suppressfile.publish(path, [("dead@x.example", DEAD)])
        until(lambda: answer().startswith("550"), "the door has read the list")
        assert "force+dead@x.example" in answer()
        os.truncate(path, 30)  # a torn file refuses nobody
        until(lambda: answer().startswith("250 "), "the door has let go of the list")


def test_a_signed_path_goes_out_and_comes_back_to_the_sender(tmp_path: Path) -> None:
    bounce = '[bounce]\nreturn_path_domain = "b.example"\n'
    keys = tmp_path / "keys"
    keyfile.keep(keys, 1_790_000_000.0)
    paths = ReturnPaths("b.example", ["y.example"], keyfile.read(keys))
    with FaultSink() as sink:
        inbound = 'recipient_domains = ["y.example"]\n' + TRUSTED
        with DoorProcess(
            tmp_path / "in", sink, listener=inbound, more=bounce + f'key_file = "{keys}"\n'
        ) as door:
            ident = "01M80V10CP14237TJNH7S9ZK45"
            signed = paths.sign("alice@y.example", ident)
            with door.greeted() as client:
                said = client.message("", [signed or ""], b"Subject: Undelivered\r\n\r\nx\r\n")
                assert said.startswith("250 "), said
                forged = (signed or "").replace("=alice", "=eve")
                client.ask("MAIL FROM:<>")
                assert client.ask(f"RCPT TO:<{forged}>").startswith("550 5.1.1 ")
            (message,) = sink.messages
            assert message.recipients == ["alice@y.example"]
            (record,) = door.messages()
            assert record["notes"]["alice@y.example"]["return_path"] == mark_of(ident)
