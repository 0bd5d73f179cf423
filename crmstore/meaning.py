"""What a reply of a mail server says of one recipient, as a value (a core).

Made by bounce/live.py in the words of taxonomy.md; the queue stores it beside the words themselves.
"""

from dataclasses import dataclass

__all__ = ["Meaning"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """`category` "" = nothing bad was said. `remote`: the server's name."""

    hard: bool = False
    category: str = ""
    status: str = ""
    remote: str = ""
    counts: bool = False  # it may bring the recipient onto the suppression list
    final_hop: bool = False  # said by the recipient's own server, not by a relay of ours
    passed_on: bool = False  # that server reports to the sender by itself (it offers DSN)
