"""Addresses that people type: refused with a reason, taken with a note, guessed at."""

import subprocess
import sys

import pytest

from crmstore.typed import AddressRefused, check

TAKEN = {
    "bob@example.com": ("bob@example.com", "", "", ""),
    "Bob <Bob@Example.com>": ("bob@example.com", "Bob", "", ""),
    "a..b.@docomo.ne.jp": ("a..b.@docomo.ne.jp", "", "its dots", ""),
    ".x@ezweb.ne.jp": (".x@ezweb.ne.jp", "", "its dots", ""),
    "bob@gmial.com": ("bob@gmial.com", "", "", "bob@gmail.com"),
    "bob@yaho.co.jp": ("bob@yaho.co.jp", "", "", "bob@yahoo.co.jp"),
    "bob@例え.jp": ("bob@xn--r8jz45g.jp", "", "", ""),
    "bob@xn--80ak6aa92e.com": ("bob@xn--80ak6aa92e.com", "", "", ""),
    "山田@example.jp": ("山田@example.jp", "", "", ""),
}


@pytest.mark.parametrize(("text", "meant"), TAKEN.items())
def test_taken(text: str, meant: tuple[str, str, str, str]) -> None:
    found = check(text)
    address, name, note, guess = meant
    assert (found.address, found.name, found.meant) == (address, name, guess)
    assert note in found.note and bool(note) == bool(found.note)


REFUSED = {
    "bob": 'there is no "@"',
    "@example.com": 'nothing before the "@"',
    "bob@": 'nothing behind the "@"',
    "": 'there is no "@"',
    "bob@localhost": "localhost is no mail domain",
    "bob@ex_ample.com": "is no mail domain",
    "bob@-x.example": "is no mail domain",
    "bob@192.0.2.1": "is no mail domain",
    "a@x.example, b@x.example": "one address at a time",
    "bob smith@": 'nothing behind the "@"',
    '"a b"@x.example': "there is a space in it",
}


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_refused(text: str, why: str) -> None:
    with pytest.raises(AddressRefused, match=why):
        check(text)


def test_the_validator_is_loaded_late_and_in_silence() -> None:
    program = (
        "import sys\n"
        "from crmstore.typed import check\n"
        "assert 'flanker' not in sys.modules\n"
        "check('bob@example.com')\n"
        "assert 'flanker' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", program], capture_output=True, check=True
    )
    assert done.stderr == b"" and done.stdout == b""
