"""What a batch of captures says about mail that we sent: written down with it (a keeper's helper).

Called by the intake inside of its transaction, so it is done exactly once for each capture:
- of a submission: whom the next hop refused, live; whom it took; the Message-ID, for later reports;
- of mail that came in and is a report: matched to what we sent by the ladder (matcher.py), each
  recipient by itself; what matches nothing changes nothing and is counted as forged.
Promises: never raises for what mail says; a report that comes twice (through the MX and seen in a
mailbox) counts once; our own reports, which come back here to their senders, say nothing new.
Limits: at most MAX_RECIPIENTS of one report, MAX_WINDOW look-ups for the last rung; of reports that
fit nothing yet the last MAX_EARLY are tried again for ten minutes (in memory, a restart forgets).
Cites: taxonomy.md; MATCHING.md; threats.md "forged DSN", "DSN bomb".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bounce import matcher, suppression
from bounce.compose import is_ours
from bounce.live import said
from bounce.matcher import Match
from bounce.report import Recipient, Report
from bounce.suppression import clears
from bounce.verp import ReturnPaths, span_of
from crmstore import addresses, outcomes, suppressions
from crmstore.batch import Decided, Pending
from crmstore.outcomes import Outcome, Sent, Transaction

__all__ = ["Figures", "Processor", "is_report"]

MAX_RECIPIENTS: Final = 1_000
MAX_WINDOW: Final = 20
MAX_EARLY: Final = 200
EARLY_US: Final = 600_000_000
_OPT_OUT: Final = frozenset({"", "abuse", "opt-out", "opt-out-list", "fbl-list-unsubscribe"})


class Bounce(NamedTuple):
    """One recipient that was not reached, for log and metrics."""

    capture_id: str
    address: str
    klass: str
    category: str
    source: str
    evidence: str
    words: str


@dataclass(slots=True)
class Figures:
    """What one transaction did."""

    bounces: list[Bounce] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)  # capture id, result
    suppressed: list[str] = field(default_factory=list)


def is_report(packed: Mapping[str, Any] | None) -> bool:
    """Does this (Facts.report) tell what became of mail? Such a message keys no record."""
    return packed is not None and packed.get("kind") in matcher.TOLD


class Processor:
    """One a worker. `last` is what the transaction before did."""

    def __init__(
        self,
        *,
        hostname: str,
        domains: Sequence[str],
        patience: tuple[int, float],
        final_hops: Iterable[str],
        paths: Callable[[], ReturnPaths | None] = lambda: None,
    ) -> None:
        """`final_hops`: listeners whose next hop is each recipient's own server."""
        self._hostname = hostname.lower()
        self._ours = (self._hostname, *(domain.lower() for domain in domains))
        self._patience = patience
        self._final = frozenset(final_hops)
        self._paths = paths
        self.last = Figures()
        self._kept: list[tuple[Pending, Report]] = []
        self._early: list[tuple[Pending, Report]] = []

    def __call__(self, connection: Transaction, decided: Sequence[Decided]) -> None:
        """Inside of the intake's transaction."""
        figures = self.last = Figures()
        early: list[tuple[Pending, Report]] = []
        newest = max((item.message.at_us for item in decided), default=0)
        self._early = [one for one in self._kept if newest - one[0].at_us < EARLY_US]
        self._sent(connection, [d for d in decided if d.message.header.get("role") == "submission"])
        for item in decided:
            facts = item.facts
            if (
                facts is None
                or not is_report(facts.report)
                or item.verdict.get("outcome") == "refused"
            ):
                continue
            report = matcher.unpack(facts.report or {})
            if is_ours(facts.message_id, self._hostname):
                result = "own"  # the queue has written down what it says
            else:
                result = self._report(connection, item.message, report)
            figures.reports.append((item.message.capture_id, result))
            if result == "forged" and report.kind == "bounce":
                early.append((item.message, report))
        # Doors are read one after the other: the mail that a report is about may be in the store a
        # batch later than the report, when there is much to catch up.
        for message, report in self._early:
            result = self._report(connection, message, report)
            if result == "forged":
                early.append((message, report))
            else:
                figures.reports.append((message.capture_id, result))
        self._kept = early[:MAX_EARLY]

    # Mail that goes out

    def _sent(self, connection: Transaction, decided: Sequence[Decided]) -> None:
        found: list[tuple[Outcome, bool]] = []
        good: dict[bool, set[str]] = {True: set(), False: set()}
        known: list[tuple[str, str]] = []
        for item in decided:
            header, ident = item.message.header, item.message.capture_id
            final = str(header.get("listener", "")) in self._final
            for address, words, stage in _refusals(header, item.verdict):
                meaning = said(words, stage, final_hop=final)
                outcome = Outcome(
                    ident, address, "hard" if meaning.hard else "soft", meaning.category,
                    meaning.status, words, "live", stage, None, item.message.at_us,
                )  # fmt: skip
                found.append((outcome, meaning.counts))
            good[final].update(_taken(item.verdict))
            if item.facts is not None and item.verdict.get("outcome") != "refused":
                known.append((item.facts.message_id, ident))
        outcomes.know_ids(connection, known)
        for final, taken in good.items():
            everything = clears("live", "dsn", final_hop=final)
            suppressions.succeeded(connection, taken, everything=everything)
        self._record(connection, found)

    def _record(self, connection: Transaction, found: Sequence[tuple[Outcome, bool]]) -> int:
        """Write it down; what counts may suppress. Returns how many were new."""
        if not found:
            return 0
        counted = {one[:3] for one, counts in found if counts}
        new = outcomes.record(connection, [one for one, _ in found])
        for one in new:
            if one.state not in ("hard", "soft"):
                continue
            self.last.bounces.append(
                Bounce(
                    one.capture_id,
                    one.address,
                    one.state,
                    one.category,
                    one.source,
                    one.evidence,
                    one.words,
                )
            )
            if one[:3] in counted and suppressions.bounced(connection, one, self._patience):
                self.last.suppressed.append(one.address)
        return len(new)

    # Reports that come in

    def _report(self, connection: Transaction, message: Pending, report: Report) -> str:
        """ "matched", "repeated" or "forged"."""
        report = _bounded(report)
        rungs = self._candidates(connection, message, report)
        came_signed = bool(rungs["verp"])
        unsigned = () if came_signed else self._signed(rungs)
        matches, rest = matcher.decide(report, rungs, unsigned=unsigned)
        if report.kind == "bounce":
            matches += self._window(connection, message, report, rest)
        if not matches:
            return "forged"
        found = [
            made for match in matches if (made := self._outcome(message, report, match)) is not None
        ]
        for match in matches:
            if report.kind == "delivered" and match.certain:
                suppressions.succeeded(connection, [match.address], everything=True)
            if report.kind == "feedback" and match.certain:
                self._opted_out(connection, message, report, match)
        return "matched" if self._record(connection, found) or not found else "repeated"

    def _candidates(
        self, connection: Transaction, message: Pending, report: Report
    ) -> dict[str, list[Sent]]:
        verp: list[Sent] = []
        notes = message.header.get("notes")
        for note in notes.values() if isinstance(notes, dict) else ():
            mark = note.get("return_path") if isinstance(note, dict) else None
            if isinstance(mark, str) and len(mark) == 16:
                verp += outcomes.by_time(connection, *span_of(mark))
        envid = report.envelope_id.strip()
        return {
            "verp": verp,
            "envid": outcomes.by_capture(connection, [envid]) if len(envid) == 26 else [],
            "message_id": outcomes.by_message_id(connection, report.original_message_id),
        }

    def _signed(self, rungs: Mapping[str, Sequence[Sent]]) -> list[str]:
        """Candidates that went out with a signed return path."""
        paths = self._paths()
        if paths is None:
            return []
        return [
            sent.capture_id
            for found in rungs.values()
            for sent in found
            if paths.sign(sent.sender, sent.capture_id) is not None
        ]

    def _window(
        self, connection: Transaction, message: Pending, report: Report, rest: Sequence[Recipient]
    ) -> list[Match]:
        """The last rung: the newest mail to that address from whom the report came to."""
        header = message.header
        came_to = {
            addresses.key(str(r.get("address", "")))
            for r in header.get("recipients", ())
            if isinstance(r, dict)
        }
        since = message.at_us - int(matcher.WINDOW * 1e6)
        matches: list[Match] = []
        for recipient in rest[:MAX_WINDOW]:
            for address in matcher.names(recipient):
                if not matcher.hosts_fit(report, recipient, address, self._ours):
                    continue
                sent = [
                    one
                    for one in outcomes.by_recipient(connection, address, since)
                    if one.sender in came_to and one.at_us <= message.at_us
                ]
                if sent:
                    matches.append(Match(recipient, sent[0].capture_id, address, "window", False))
                    break
        return matches

    def _outcome(
        self, message: Pending, report: Report, match: Match
    ) -> tuple[Outcome, bool] | None:
        told = match.recipient
        category = told.category
        if report.kind == "feedback":
            state, category = "delivered", "feedback"
        elif told.klass is not None:
            state = told.klass
        elif told.action == "delivered":
            state = "delivered"
        elif told.action in ("relayed", "expanded"):
            state = "relayed"
        elif told.action == "delayed":
            state = "delayed"
        else:
            return None
        counts = match.certain and suppression.counts(
            category, "dsn", "", final_hop=False, evidence=match.evidence
        )
        words = told.diagnostic or told.status
        outcome = Outcome(
            match.capture_id, match.address, state, category, told.status, words, "dsn",
            match.evidence, message.capture_id, message.at_us,
        )  # fmt: skip
        return outcome, counts

    def _opted_out(
        self, connection: Transaction, message: Pending, report: Report, match: Match
    ) -> None:
        """A complaint, or a word that they want no more: the mail did arrive."""
        if report.feedback_type.lower() not in _OPT_OUT:
            return
        words = f"{report.feedback_type or 'complaint'} (feedback report)"
        one = Outcome(
            match.capture_id, match.address, "hard", "unsubscribed", "5.7.1", words, "dsn",
            match.evidence, message.capture_id, message.at_us,
        )  # fmt: skip
        if suppressions.bounced(connection, one, self._patience):
            self.last.suppressed.append(one.address)


def _bounded(report: Report) -> Report:
    if len(report.recipients) <= MAX_RECIPIENTS:
        return report
    return Report(
        report.kind,
        report.recipients[:MAX_RECIPIENTS],
        report.original_message_id,
        envelope_id=report.envelope_id,
        reporting_mta=report.reporting_mta,
        feedback_type=report.feedback_type,
    )


def _refusals(header: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(address, words, stage) of recipients that the next hop refused while the client waited."""
    found: list[tuple[str, str, str]] = []
    for rows, stage in ((header.get("turned_away"), "rcpt"), (verdict.get("recipients"), "final")):
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict) or (stage == "final" and row.get("outcome") != "refused"):
                continue
            address = addresses.key(str(row.get("address", "")))
            words = str(row.get("reply") or "")
            if address and words:
                found.append((address, words, stage))
    return found


def _taken(verdict: Mapping[str, Any]) -> list[str]:
    return [
        address
        for row in verdict.get("recipients", ())
        if isinstance(row, dict)
        and row.get("outcome") == "accepted"
        and (address := addresses.key(str(row.get("address", ""))))
    ]
