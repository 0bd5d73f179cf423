"""Real mail programs sync a mailbox both ways, directly and through the whole appliance.

What is at the client and at the server must be the same after every sync, flags and all, and every
message that passed stands in the store once. 20,000 messages: bench/imap_programs.py.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faultsink import FaultSink
from tests.peers.dovecot import Dovecot
from tests.peers.mailboxes import Plan, Seen, fill, play
from tests.peers.programs import Account, Mbsync, Neomutt, Offlineimap, Program
from tests.peers.thunderbird import Thunderbird
from tests.peers.whole import Whole

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(240)]

PLAN = Plan(200)
#: Thunderbird is large: it is not asked for, but used where it is.
PROGRAMS = [
    Mbsync,
    Offlineimap,
    Neomutt,
    pytest.param(
        Thunderbird,
        marks=pytest.mark.skipif(not shutil.which("thunderbird"), reason="no Thunderbird here"),
    ),
]


def users_of(program: type[Program]) -> tuple[str, str]:
    """For the direct way, and for that through us: names of one length, so that sizes are equal."""
    return f"d-{program.name}@example.com", f"t-{program.name}@example.com"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    names = [*users_of(Mbsync), *users_of(Offlineimap), *users_of(Neomutt), *users_of(Thunderbird)]
    with Dovecot(users=dict.fromkeys(names, "secret"), relay_to=1) as server:
        for name in names:
            fill(server, name, PLAN)
        yield server


@pytest.fixture(scope="module")
def whole(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with FaultSink() as sink:
        made = Whole(
            tmp_path_factory.mktemp("whole"),
            imap=f"imap://127.0.0.1:{dovecot.imap_port}",
            inbound=f"smtp://127.0.0.1:{sink.port}",
            submission=f"smtp://127.0.0.1:{dovecot.submission_port}",
        )
        made.start()
        yield made
        made.stop()


@pytest.mark.parametrize("made", PROGRAMS, ids=lambda made: made.name)
def test_a_mail_program_syncs_both_ways_and_notices_nothing(
    made: type[Program], dovecot: Dovecot, whole: Whole, tmp_path: Path
) -> None:
    def way(user: str, port: int) -> Seen:
        with made(Account(tmp_path / user[0], port, user)) as program:
            return play(program, dovecot, user, PLAN)

    direct_user, user = users_of(made)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(way, direct_user, dovecot.imap_port)
        through = way(user, whole.ports["imap"])
        direct = other.result()
    assert through.client == direct.client
    assert through.server == direct.server
    assert len(through.client[0]) == PLAN.count + PLAN.sent
    stored = whole.wait_for({subject: set() for subject in PLAN.subjects}, user=user)
    assert set(stored) == PLAN.subjects


def test_the_account_of_all_of_them(whole: Whole) -> None:
    """Behind the sessions above: nothing is missing, nothing stands in between."""
    assert whole.audited()["captured"] > PLAN.count
