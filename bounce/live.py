"""What a next hop's reply says of a recipient, for the queue and the timeline (core).

The one place where live replies are judged: reply.py says class and category, suppression.py
whether it counts against the recipient.
"""

from functools import lru_cache
from typing import Final

from bounce.reply import classify, read_reply
from bounce.suppression import counts
from crmstore.meaning import Meaning

__all__ = ["OURS", "said"]

#: The stage of what we said ourselves: it is told, and counts against nobody.
OURS: Final = "ours"


@lru_cache(maxsize=1024)  # a hop that is away says the same of everybody
def said(text: str, stage: str, *, final_hop: bool, remote: str = "") -> Meaning:
    """Of a reply as rows and journals have it: code, perhaps an enhanced code, words.

    `stage`: connect, domain (what its domain's DNS says), mail, rcpt, data, final, or OURS.
    """
    code, enhanced = read_reply(text[:60])
    where = "rcpt" if stage == "domain" else stage
    found = classify(code, enhanced, text[4:] if code else text, "" if stage == OURS else where)
    final = final_hop or stage == "domain"
    counted = stage != OURS and counts(found.category, "live", where, final_hop=final, evidence="")
    return Meaning(found.klass == "hard", found.category, enhanced, remote, counted, final_hop)
