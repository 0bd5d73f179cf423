"""Timelines against a model: mail at any times over years, records, addresses, rules and users that
come and go; after each step every page, walked to its end, is what the tables say that are read
whole and looked at row by row."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Row, Table, select

from crmstore import (
    capturerules,
    outcomes,
    recordremove,
    records,
    recordview,
    relink,
    schema,
    search,
    seasons,
    sharing,
    timeline,
    usage,
    users,
)
from crmstore.personal import wanted
from tests.paths.office import Door, Office, prepared

ALICE, CAROL = "alice@ours.example", "carol@ours.example"
SECOND = "second@ours.example"  # alice's other address, which comes and goes
OURS = [ALICE, CAROL, SECOND]
OUTSIDE = ["bob@x.example", "eve@x.example", "dan@y.example"]
BORDER = 198 << schema.SEASON  # in 2025: the first moment of a season
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MANY = 6  # records

TIMES = st.one_of(
    st.builds(
        lambda n, beside: ((198 - n) << schema.SEASON) + beside,
        st.integers(-4, 36),
        st.sampled_from((-1, 0, 1)),
    ),
    st.sampled_from((0, 1, BORDER, BORDER, BORDER - 1, 253_402_300_799_000_000)),  # year 9999
    st.integers(BORDER - 10 * 365 * 86_400_000_000, BORDER + 86_400_000_000),
)  # fmt: skip
MAIL = st.tuples(
    TIMES,
    st.sampled_from(OUTSIDE + OURS),
    st.lists(st.sampled_from(OUTSIDE + OURS), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(OUTSIDE), max_size=1),  # Bcc
)
ADDRESSES = st.lists(st.sampled_from(OUTSIDE), max_size=2, unique=True)
PLACE = st.integers(0, MANY - 1)


class Tables:
    """Everything, read whole."""

    def __init__(self, office: Office) -> None:
        with office.store.reading() as connection:

            def rows(table: Table) -> list[Row[Any]]:
                return list(connection.execute(select(table)).all())

            self.messages = {row.id: row for row in rows(schema.messages)}
            self.participants, self.links = rows(schema.participants), rows(schema.links)
            self.held, self.records = rows(schema.record_addresses), rows(schema.records)
            self.seen: dict[int, list[Row[Any]]] = defaultdict(list)
            for row in rows(schema.sightings):
                self.seen[row.message_id].append(row)
            self.viewers = {who: sharing.viewer_of(connection, who) for who in (None, ALICE, CAROL)}

    def page(
        self,
        *,
        viewer: str | None = None,
        record: int | None = None,
        address: str | None = None,
        user: str | None = None,
    ) -> list[int]:
        """Ids, the newest first."""
        who = self.viewers[viewer]
        found = {id_ for id_, message in self.messages.items() if not message.hidden}
        if who is not None:
            found &= {id_ for id_, some in self.seen.items() if who.sightings(some)}
        if user is not None:
            found &= {
                id_
                for id_, some in self.seen.items()
                if any(
                    s.owner == user and not s.hidden for s in (who.sightings(some) if who else some)
                )
            }
        for given, rows in (
            (record, [row for row in self.links if row.record_id == record and not row.hidden]),
            (address, [row for row in self.participants if row.address == address]),
        ):
            if given is not None:
                found &= {
                    row.message_id
                    for row in rows
                    if who is None or who.people([row], self.seen[row.message_id])
                }
        return sorted(found, key=lambda id_: (self.messages[id_].when_us, id_), reverse=True)


def walked(office: Office, limit: int, **filters: Any) -> list[int]:
    found: list[int] = []
    before: str | None = None
    while True:
        page = timeline.page(office.store, limit=limit, before=before, **filters)
        assert len(page.rows) == limit or page.next is None
        found += [row["id"] for row in page.rows]
        if page.next is None:
            return found
        before = page.next


class Timelines(RuleBasedStateMachine):
    url = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(prefix="timelines-")
        self.office = prepared(Path(self.folder.name), self.url, people)
        self.doors: dict[str, Door] = {}
        self.number = 0
        self.tables = Tables(self.office)

    def teardown(self) -> None:
        self.office.close()
        self.office.store.close()
        self.folder.cleanup()

    def some(self, place: int) -> int:
        """A record that is there."""
        return self.ids[place % len(self.ids)]

    @property
    def ids(self) -> list[int]:
        return sorted(row.id for row in self.tables.records)

    # What happens

    @rule(some=st.lists(MAIL, min_size=1, max_size=6))
    def mail(self, some: list[Any]) -> None:
        for when, sender, to, blind in some:
            self.number += 1
            header = f"From: {sender}\r\nTo: {', '.join(to)}\r\nSubject: mail {self.number}\r\n"
            time = (EPOCH + timedelta(microseconds=when)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            how: dict[str, Any] = {
                "sender": sender,
                "to": [*to, *blind],
                "time": time.rjust(27, "0"),
            }
            if sender in OURS:
                how["auth"] = ALICE if sender == SECOND else sender
            kind = "sub" if sender in OURS else "mx"
            role = "submission" if sender in OURS else "inbound"
            if kind not in self.doors:
                self.doors[kind] = self.office.door(f"{kind}-0", role)
            self.doors[kind].mail(header.encode() + b"\r\nword\r\n", **how)
        self.office.take()

    @precondition(lambda self: len(self.tables.records) < MANY)
    @rule(emails=ADDRESSES)
    def record(self, emails: list[str]) -> None:
        records.add(self.office.store, "contact", "Somebody", emails=emails)

    @precondition(lambda self: self.tables.records)
    @rule(place=PLACE, address=st.sampled_from(OUTSIDE), when=st.none() | TIMES)
    def address(self, place: int, address: str, when: int | None) -> None:
        """One that it has is the record's from then on; a new one too."""
        since = None if when is None else when / 1e6
        with office_time():
            records.change(self.office.store, self.some(place), add_emails=[address], since=since)

    @precondition(lambda self: self.tables.records)
    @rule(place=PLACE, when=st.none() | TIMES)
    def address_leaves(self, place: int, when: int | None) -> None:
        record = self.some(place)
        held = recordview.show(self.office.store, record).addresses
        with office_time():
            until = None if when is None else when / 1e6
            records.change(self.office.store, record, remove_emails=held[:1], until=until)

    @precondition(lambda self: self.tables.records)
    @rule(place=PLACE)
    def record_goes(self, place: int) -> None:
        recordremove.remove(self.office.store, self.some(place))

    @rule()
    def user_loses_an_address(self) -> None:
        if SECOND in users.get(self.office.store, ALICE).addresses:
            users.change(self.office.store, ALICE, remove_emails=[SECOND])
        else:
            users.change(self.office.store, ALICE, add_emails=[SECOND])

    @rule(hides=st.booleans())
    def policy(self, hides: bool) -> None:
        relink.agree(self.office.store, ["ours.example"], "hide" if hides else "keep")

    @precondition(lambda self: self.tables.records)
    @rule(place=PLACE, who=st.sampled_from((ALICE, CAROL)), pattern=st.sampled_from(OUTSIDE))
    def rule_of_a_user(self, place: int, who: str, pattern: str) -> None:
        asked = [(wanted("from", pattern, self.some(place)), "")]
        capturerules.add(self.office.store, who, asked)

    @rule()
    def rule_goes(self) -> None:
        kept = capturerules.listing(self.office.store)
        capturerules.remove(self.office.store, [one.id for one in kept[:1]])

    # What has to be true

    @invariant()
    def everything_is_true(self) -> None:
        relink.run(self.office.store)
        self.tables = Tables(self.office)
        self.pages_are_what_the_tables_say()
        self.records_tell_of_all_of_it()
        self.bounces_find_what_was_sent()
        self.linked_is_all_that_a_record_has()

    def pages_are_what_the_tables_say(self) -> None:
        for number, filters in enumerate(self.filters()):
            expected = self.tables.page(**filters)
            limit = (1, 2, 3, 7)[(number + self.number) % 4] if len(expected) < 9 else 50
            assert walked(self.office, limit, **filters) == expected, filters

    def filters(self) -> Iterator[dict[str, Any]]:
        keys = [{"record": id_} for id_ in self.ids] + [{"address": a} for a in (*OUTSIDE, ALICE)]
        for key in [*keys, {"user": ALICE}, {"user": CAROL}]:
            yield key
            yield {**key, "viewer": (ALICE, CAROL)[(self.number + len(keys)) % 2]}
        yield {"address": OUTSIDE[0], "user": ALICE}

    def records_tell_of_all_of_it(self) -> None:
        shown = {one.id: one for one in recordview.listing(self.office.store)}
        assert sorted(shown) == self.ids
        for id_, one in shown.items():
            links = [row for row in self.tables.links if row.record_id == id_ and not row.hidden]
            theirs = [self.tables.messages[m] for m in {row.message_id for row in links}]
            assert one.emails == len(theirs)
            last = max((message.when_us for message in theirs), default=None)
            assert one.last_email == (None if last is None else last / 1e6)
            assert usage.of_record(self.office.store, id_) == sum(each.bytes for each in theirs)
            found = search.search(self.office.store, "word", search.Wanted(record=id_), limit=50)
            assert [row["id"] for row in found.rows] == sorted(
                (each.id for each in theirs if not each.hidden), reverse=True
            )

    def bounces_find_what_was_sent(self) -> None:
        with self.office.store.reading() as connection:
            for address in OUTSIDE:
                found = outcomes.by_recipient(connection, address, BORDER)
                expected = {s.capture_id for person in self.tables.participants
                            if person.address == address and person.when_us >= BORDER
                            for s in self.tables.seen[person.message_id]
                            if s.direction == "sent"}  # fmt: skip
                assert {one.capture_id for one in found} == {
                    one.capture_id
                    for one in outcomes.by_capture(connection, sorted(expected))
                    if address in one.recipients
                }

    def linked_is_all_that_a_record_has(self) -> None:
        """The mail of its current addresses, since they were its; links repeat the mail's time."""
        tables = self.tables
        linked = {(row.record_id, row.message_id, row.role, row.address) for row in tables.links}
        for one in tables.held:
            if one.until_us is None:
                assert linked >= {
                    (one.record_id, person.message_id, person.role, person.address)
                    for person in tables.participants
                    if person.address == one.address and person.when_us >= one.mail_from_us
                }
        for row in (*tables.links, *tables.participants):
            assert row.when_us == tables.messages[row.message_id].when_us
        assert {row.record_id for row in tables.links} <= set(self.ids)


def people(made: Office) -> None:
    made.user(ALICE, ALICE, SECOND)
    made.user(CAROL)
    relink.agree(made.store, ["ours.example"], "keep")


@contextmanager
def office_time() -> Iterator[None]:
    """Times that are to come, or that end before they begin, are refused."""
    try:
        yield
    except ValueError as error:
        assert "time" in str(error)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that little mail is much: jobs of several steps, pages read season by season."""
    monkeypatch.setattr(relink, "STEP", 3)
    monkeypatch.setattr(seasons, "FEW", 4)


def test_timelines() -> None:
    most = min(settings().max_examples // 5, 24)
    run_state_machine_as_test(
        Timelines, settings=settings(max_examples=most, stateful_step_count=10)
    )


@pytest.mark.peers
def test_timelines_on_postgresql(postgres: Any) -> None:
    class OnPostgres(Timelines):
        def __init__(self) -> None:
            self.url = postgres.database()
            super().__init__()

        def teardown(self) -> None:
            super().teardown()
            postgres.drop(self.url)

    run_state_machine_as_test(OnPostgres, settings=settings(max_examples=3, stateful_step_count=10))
