"""The shared collection of real and hard mail, if it lies beside this checkout."""

from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "corpus"


@cache
def mails() -> list[tuple[str, bytes]]:
    """(name, bytes) of every message; skips the test where there is no collection."""
    files = sorted(path for path in FOLDER.glob("*/mail/**/*") if path.is_file())
    if not files:
        pytest.skip(f"no mail in {FOLDER.name} beside the checkout")
    return [(str(path.relative_to(FOLDER)), path.read_bytes()) for path in files]
