"""`mailweir try`: the appliance on a stage, a real conversation, and whether it kept its promises.

Promises: the answer is "yes" only if every step went as designed, every accepted mail is in the
store with the bytes it was sent with and on the records it belongs to, and the audit has no gap.
"""

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crmstore import message, records, timeline, users
from crmstore.archive import Archive, open_archive
from crmstore.store import Store, open_store
from proxy.audit import AuditReport, reconcile
from proxy.texts import Language
from proxy.trialmail import HANAKO, JORDAN, USERS, Sample
from proxy.trialmailbox import MailProgram
from proxy.trialshow import Screen
from proxy.trialstage import Stage
from proxy.trialtalk import Step, Talk, converse

CAPTURE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the trial found."""

    steps: tuple[Step, ...]
    rows: list[dict[str, Any]]
    audit: AuditReport

    @property
    def good(self) -> bool:
        return all(step.good for step in self.steps) and self.audit.ok


def trial(folder: Path | None, base: int | None, once: bool, as_json: bool, lang: Language) -> bool:
    """Run it; True if all went well. Raises CannotStart."""
    # `kill` must clear up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen(lang, quiet=as_json)
    screen.say("trial.starting")
    with Stage(folder, base) as stage:
        screen.say("trial.listening", **stage.ports)
        store, archive = open_store(stage.settings), open_archive(stage.settings)
        outcome = _play(stage, store, archive, screen)
        if as_json:
            screen.document(_document(stage, outcome))
        else:
            _tell(store, outcome, screen, stage)
        try:
            if not once:
                _stay(stage, store, screen)
        except KeyboardInterrupt:
            screen.end()
        finally:
            store.close()
        return outcome.good


def _play(stage: Stage, store: Store, archive: Archive, screen: Screen) -> Outcome:
    domains = stage.settings.node.domains
    for login, name in USERS.items():
        if login not in {user.login for user in users.listing(store)}:
            users.add(store, login, name=name)
    if not records.listing(store):
        contact = records.add(store, "contact", "田中花子", emails=[HANAKO], domains=domains)
        records.add(store, "deal", "Acme 2027", main_contact=contact.id)
    screen.say("trial.conversation")
    now = datetime.now(UTC)
    talk = converse(stage, now, screen.step)
    steps = list(talk.steps)

    def judge(step: Step) -> None:
        steps.append(step)
        screen.step(step)

    with MailProgram(stage, now) as program:
        for step in program.read(talk.accepted[0] if talk.accepted else None):
            judge(step)
        judge(_companion(store, program))
    judge(_once(store, talk))
    judge(_late(store, talk, domains))
    judge(_bounced(store, talk))
    judge(_captured(store, archive, [*talk.accepted, *program.lay_there]))
    report = reconcile(store, archive, stage.settings.journal_dir)
    screen.audit(report)
    rows = timeline.page(store, limit=100).rows
    return Outcome(tuple(steps), rows, report)


def _companion(store: Store, program: MailProgram) -> Step:
    """What was read by its headers only is there all the same, and still unread."""
    wanted = set(program.unread())
    give_up = time.monotonic() + CAPTURE_SECONDS
    while True:
        found = {key for key, row in _rows(store).items() if "companion" in row["source"]}
        if wanted <= found:
            break
        if time.monotonic() > give_up:
            return Step("trial.companion", False, f"not fetched: {sorted(wanted - found)}")
        time.sleep(0.1)
    still = set(program.unread())
    return Step("trial.companion", bool(wanted) and still == wanted, f"{len(wanted)} mails")


def _once(store: Store, talk: Talk) -> Step:
    """Sent, and filed in Sent: one row with both sources."""
    filed = talk.accepted[0].message_id if talk.accepted else ""
    give_up = time.monotonic() + CAPTURE_SECONDS
    while time.monotonic() < give_up:
        rows = timeline.page(store, limit=100).rows
        seen = [row["source"] for row in rows if (row["message_id"] or "").strip("<>") == filed]
        if len(seen) == 1 and set(seen[0]) == {"submission", "imap_append"}:
            return Step("trial.once", True, ", ".join(seen[0]))
        time.sleep(0.1)
    return Step("trial.once", False, str(seen))


def _late(store: Store, talk: Talk, domains: Iterable[str]) -> Step:
    """Jordan becomes a lead only when the mail is there already."""
    if not _wait(store, [one.message_id for one in talk.accepted]):
        return Step("trial.late", False, "not everything came into the store")
    if records.listing(store, kind="lead"):
        return Step("trial.late", True, "since an earlier trial in this folder")
    lead = records.add(store, "lead", "Jordan Lee", emails=[JORDAN], domains=domains)
    return Step("trial.late", lead.linked == 1, f"{lead.linked} linked")


def _bounced(store: Store, talk: Talk) -> Step:
    """The report hangs on the mail that it is about, and its status says so."""
    about = talk.accepted[-1].message_id if talk.accepted else ""
    give_up = time.monotonic() + CAPTURE_SECONDS
    while (status := _rows(store).get(about, {}).get("status")) != "soft_bounce":
        if time.monotonic() > give_up:
            break
        time.sleep(0.1)
    return Step("trial.bounced", status == "soft_bounce", str(status))


def _wait(store: Store, message_ids: list[str]) -> bool:
    give_up = time.monotonic() + CAPTURE_SECONDS
    while True:
        there = set(_rows(store))
        if there.issuperset(message_ids):
            return True
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)


def _rows(store: Store) -> dict[str, dict[str, Any]]:
    """What is in the store, by Message-ID without its brackets."""
    rows = timeline.page(store, limit=100).rows
    return {(row["message_id"] or "").strip("<>"): row for row in rows}


def _captured(store: Store, archive: Archive, samples: Sequence[Sample]) -> Step:
    """Every mail: there, with its bytes, on the records of its outsiders."""
    rows = _rows(store)
    for sample in samples:
        row = rows.get(sample.message_id)
        if row is None:
            return Step("trial.captured", False, f"{sample.message_id} is missing")
        if sample.content not in _copies(store, archive, row["id"]):
            return Step("trial.captured", False, f"{sample.message_id} has other bytes")
        kinds = {record["kind"] for record in row["records"]}
        if not kinds.issuperset(_expected(sample)):
            return Step("trial.captured", False, f"{sample.message_id} is on {sorted(kinds)}")
    return Step("trial.captured", bool(samples), f"{len(samples)} mails")


def _copies(store: Store, archive: Archive, id_: int) -> Iterator[bytes]:
    """The bytes of each sighting: what lies in a mailbox has the lines of its delivery on top."""
    for sighting in message.email(store, id_)["sightings"]:
        yield b"".join(message.raw(store, archive, id_, capture_id=sighting["capture_id"]))


def _expected(sample: Sample) -> set[str]:
    if HANAKO in (sample.sender, *sample.recipients):
        return {"contact", "deal"}
    return {"lead"}


def _tell(store: Store, outcome: Outcome, screen: Screen, stage: Stage) -> None:
    for record in records.listing(store):
        rows = timeline.page(store, record=record.id, limit=100).rows
        screen.timeline(record.name, record.kind, rows)
    if outcome.good:
        screen.say("trial.good")
    else:
        screen.say("trial.bad", log=str(stage.log))
        screen.excerpt(stage.log)


def _stay(stage: Stage, store: Store, screen: Screen) -> None:
    """Until Ctrl-C: show what is captured."""
    # Before the invitation: whoever takes it up at once is shown, too.
    seen = {row["id"] for row in timeline.page(store, limit=100).rows}
    screen.invite(stage)
    while stage.running():
        time.sleep(1.0)
        for row in reversed(timeline.page(store, limit=100).rows):
            if row["id"] not in seen:
                seen.add(row["id"])
                screen.new(row)
    screen.say("trial.died", words=stage.last_words())


def _document(stage: Stage, outcome: Outcome) -> dict[str, Any]:
    return {
        "ok": outcome.good,
        "ports": stage.ports,
        "config": str(stage.config),
        "log": str(stage.log),
        "steps": [
            {"name": step.name.removeprefix("trial."), "ok": step.good, "words": step.words}
            for step in outcome.steps
        ],
        "timeline": outcome.rows,
        "audit": {"ok": outcome.audit.ok, **asdict(outcome.audit)},
    }
