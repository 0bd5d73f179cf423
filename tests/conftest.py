"""What every test may use: a port that is free, and the rule for peers that are not installed.

A test that needs a real server asks for its fixture (tests/peers/), which calls `need`: a missing
program skips the test on a developer's machine and fails it under CI=true, so that a green run
there never means "not tried".
"""

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
