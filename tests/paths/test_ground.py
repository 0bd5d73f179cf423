"""What must hold before the first process starts, where the tests of `run` cannot make it fail."""

import errno
import os
from pathlib import Path

import pytest

from config.load import load
from proxy import ground

CONFIG = """
[node]
hostname = "mail.example.com"
domains = ["example.com"]
data_dir = "{data}"

[[smtp]]
name = "mx"
listen = "127.0.0.1:25"
role = "inbound"
next_hop = "smtp://127.0.0.1:10025"
"""


def test_a_port_of_the_system_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mailweir.toml"
    path.write_text(CONFIG.format(data=tmp_path / "data"))
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(ground, "_bind_error", lambda address: denied)
    with pytest.raises(ground.CannotStart, match=r"smtp\[0\].listen.*CAP_NET_BIND_SERVICE"):
        ground.check_ports(load(path))
