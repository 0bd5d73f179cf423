"""How a next hop fails: two exceptions, each with the words that explain it.

`HopUnavailable`: no connection came about. `HopLost`: a connection that stood is gone.

Temporary unless proven permanent: a 5xx in a greeting, at EHLO or at the service account's AUTH
refuses *us* (an address list, a wrong password, a host being rebuilt), it says nothing about this
message or its recipient. So `reply` is then a 451 of ours that quotes those words, and the client
keeps its mail. Only the DNS can prove, before a connection stands, that a domain takes no mail
(NXDOMAIN, a null MX, ourselves as the best MX): these are `permanent`.
"""

from __future__ import annotations

from proxy.smtp.replies import Reply


class HopUnavailable(Exception):
    """There is no usable connection to the next hop; `reply` may be passed on to a client."""

    def __init__(
        self,
        reply: Reply,
        *,
        permanent: bool = False,
        stage: str,
        words: Reply | None = None,
        detail: str = "",
    ) -> None:
        """`words`: what the hop said, to the letter; `detail`: for the log only."""
        self.reply = reply
        self.permanent = permanent
        self.stage = stage
        self.words = words
        self.detail = detail
        super().__init__(f"{stage}: {detail or reply.text}")

    @classmethod
    def said(cls, words: Reply, stage: str) -> HopUnavailable:
        """The hop refused: a 4xx goes on in its own words, anything else within a 451 of ours.

        421 becomes 451: it is the hop that goes away, not we (RFC 5321 section 3.8).
        """
        if words.temporary:
            reply = Reply(451, words.lines) if words.code == 421 else words
            return cls(reply, stage=stage, words=words)
        reply = Reply.of(451, "4.4.0", f"next hop said at {stage}: {words.text}"[:400])
        return cls(reply, stage=stage, words=words)


class HopLost(Exception):
    """The connection is gone: closed, reset, timed out, or the hop lost the thread.

    `reply` is for the client. `words` is what the hop said unasked just before, or its 421, if
    there was one: often it tells the reason.
    """

    def __init__(self, reason: str, *, words: Reply | None = None) -> None:
        super().__init__(reason)
        self.words = words
        self.reply = Reply.of(451, "4.4.2", f"next hop: {reason}")
