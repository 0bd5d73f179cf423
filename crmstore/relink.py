"""Links to mail that came before, and links that are hidden: in steps that nobody waits for.

What a record gains (its first addresses, a new one, a main contact) is linked with the mail that
came before; what it loses stays linked, or is hidden ([capture].address_change = "hide"); an
address that becomes ours keys nothing any more, and its links are hidden. The newest mail is done
at once, inside the caller's transaction; what is more than a step becomes a row in `relinks`, and
run() (a command) or step() (the worker) goes on with it, STEP messages a transaction. So an
address with 50,000 mails never holds up ingest, a crash forgets nothing, and doing a step twice
changes nothing.

Hidden is a state, not a condition of queries: a page reads only `hidden = 0`, along its index. A
link is never deleted for being hidden, so it comes back as it was. Unlinked is only what a person
says was never the record's: mail outside of the time that is given for an address.
A keeper of `relinks`, `remembered` and of the `hidden` columns.
Cites: features.md A10 to A12, B2; beyond.md 6, 17; SCHEMA.md "Hidden".
"""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, literal, select, update

from crmstore import filing, relinkstep, schema
from crmstore.agreed import hides, ours, recall
from crmstore.linker import several
from crmstore.personal import Wanted
from crmstore.relinkstep import END, Job
from crmstore.store import Store, StoreUnavailable

__all__ = [
    "STEP",
    "agree",
    "file",
    "hide_owner",
    "hides",
    "late",
    "late_until",
    "ours",
    "run",
    "seen_again",
    "settle",
    "settle_address",
    "settle_again",
    "show_owner",
    "step",
    "unfile",
    "unlink",
]

STEP = 1_000
ALONE = 20  # addresses whose mail is looked at one by one; for more it is all of the user's

held = schema.record_addresses.c
messages = schema.messages.c
remembered = schema.remembered.c
relinks = schema.relinks


# What callers ask for, inside of their transaction


def late(
    connection: Connection,
    record: int,
    wanted: Iterable[str],
    contact: int = 0,
    *,
    at_once: int | None = None,
) -> int:
    """Link the mail that these addresses took part in before now; returns how many links were
    made so far.

    With `contact`, the record is one that this contact is the main one of. Addresses that are
    ours, or that the record (the contact) has not now, link nothing.
    """
    made = 0
    for chunk in several(wanted):
        rows = connection.execute(
            select(held.address, held.mail_from_us).where(
                held.record_id == (contact or record),
                held.address.in_(chunk),
                held.until_us.is_(None),
            )
        ).all()
        mine = ours(connection, [row.address for row in rows])
        for address, since in rows:
            if address not in mine:
                job = Job("link", address, record, contact, from_us=since)
                made += _begin(connection, job, at_once)
    return made


def late_until(connection: Connection, record: int, address: str, since: int, until: int) -> int:
    """Link the mail of an address that the record had in this time and has not now."""
    if ours(connection, [address]):
        return 0
    return _begin(connection, Job("link", address, record, from_us=since, until_us=until))


def unlink(
    connection: Connection, record: int, address: str, *, before: int = 0, since: int | None = None
) -> None:
    """Take back the links of this address to mail from before `before` (else: from `since` on):
    a person said that the address was not the record's then."""
    start, end = (0, before) if since is None else (since, None)
    _begin(connection, Job("unlink", address, record, from_us=start, until_us=end))


def settle(connection: Connection, pairs: Iterable[tuple[int, str]]) -> None:
    """Look again whether these records show the mail of these addresses."""
    for record, address in pairs:
        _begin(connection, Job("settle", address, record))


def settle_again(connection: Connection, record: int, addresses: Iterable[str]) -> None:
    """A record has these addresses; where somebody had one before, its mail may be hidden."""
    if not hides(connection):
        return
    for chunk in several(addresses):
        before = connection.execute(
            select(held.address)
            .where(held.address.in_(chunk), held.until_us.is_not(None))
            .distinct()
        )
        settle(connection, [(record, address) for address in before.scalars().all()])


def settle_address(connection: Connection, addresses: Iterable[str]) -> None:
    """The same, for every record that has or had one of these addresses."""
    for chunk in several(addresses):
        rows = connection.execute(
            select(held.record_id, held.address).where(held.address.in_(chunk)).distinct()
        )
        settle(connection, [(row.record_id, row.address) for row in rows.all()])
        for user, rules in filing.rules_of(connection, onto=True).items():
            for address in chunk:
                if rules.filed([address], [address], ()):
                    _begin(connection, Job("file", address, user_id=user))


def hide_owner(connection: Connection, user: int, addresses: Iterable[str]) -> None:
    """A user has these addresses no longer; their mail is hidden where the policy says so."""
    for address in addresses:
        _begin(connection, Job("hide", address, user_id=user))


def show_owner(connection: Connection, user: int, addresses: Iterable[str]) -> None:
    """A user has these addresses (again); the mail that waited under them is theirs."""
    for address in addresses:
        _begin(connection, Job("show", address, user_id=user))
    if filing.rules_of(connection, user, onto=True):
        _note(connection, Job("file", "", user_id=user))


def file(connection: Connection, user: int, rules: Iterable[Wanted]) -> None:
    """A user has these new rules: the mail that they concern is to be attached. It is only noted
    here, for run() or the worker."""
    new = [rule for rule in rules if rule.record is not None]
    exact = {rule.pattern for rule in new if rule.field != "folder" and "*" not in rule.pattern}
    alone = len(exact) <= ALONE and all(rule.pattern in exact for rule in new)
    for address in sorted(exact) if alone else [""]:
        _note(connection, Job("file", address, user_id=user))


def unfile(connection: Connection, user: int, records: Iterable[int]) -> None:
    """A user has lost rules onto these records: what no other rule puts there is to be taken back.
    It is only noted here."""
    for record in records:
        _note(connection, Job("file", "", record, user_id=user))


def seen_again(connection: Connection, ids: Iterable[int]) -> None:
    """These messages have just got a sighting: whichever was hidden for having none is not."""
    for chunk in several(ids):
        back = connection.execute(
            select(messages.id).where(messages.id.in_(chunk), messages.hidden == 1)
        )
        relinkstep.show(connection, back.scalars().all())


# Going on


def step(store: Store) -> tuple[int, bool]:
    """One step of the oldest job, in a transaction of its own: (links made, is there more)."""
    with store.reading() as connection:  # the usual answer, without the lock
        if connection.execute(select(relinks.c.id).limit(1)).first() is None:
            return 0, False
    with store.writing() as connection:
        row = connection.execute(
            select(relinks).order_by(relinks.c.id).limit(1).with_for_update(skip_locked=True)
        ).one_or_none()
        if row is None:
            return 0, False
        values = dict(row._mapping)
        id_ = values.pop("id")
        made, rest = relinkstep.step(connection, Job(**values), STEP)
        if rest is None:
            connection.execute(delete(relinks).where(relinks.c.id == id_))
        else:
            place = {"when_us": rest.when_us, "message_id": rest.message_id}
            connection.execute(update(relinks).where(relinks.c.id == id_).values(**place))
    return made, True


def run(store: Store) -> int:
    """Every job to its end, a transaction for each step; returns how many links were made.

    What a busy store has no time for is left to the worker.
    """
    made, more = 0, True
    while more:
        try:
            more_made, more = step(store)
        except StoreUnavailable:
            break
        made += more_made
    return made


def agree(store: Store, domains: Iterable[str], address_change: str) -> None:
    """Tell the store which domains are ours and what happens to mail of former addresses.

    Cheap when nothing changed. A domain that became ours (or ceased to be), another policy:
    the links that it concerns are looked at again.
    """
    wanted = {
        "address_change": address_change,
        "domains": " ".join(sorted(domain.lower() for domain in domains)),
    }
    with store.reading() as connection:
        if recall(connection) == wanted:
            return
    with store.writing() as connection:
        known = recall(connection)
        connection.execute(delete(schema.remembered).where(remembered.name.in_(wanted)))
        connection.execute(
            insert(schema.remembered), [{"name": n, "value": v} for n, v in wanted.items()]
        )
        changed = set(known.get("domains", "").split()) ^ set(wanted["domains"].split())
        which: list[ColumnElement[bool]] = [
            held.address.endswith(f"@{domain}", autoescape=True) for domain in sorted(changed)
        ]
        if changed:
            for user in filing.rules_of(connection, onto=True):
                _note(connection, Job("file", "", user_id=user))
        if known.get("address_change", "keep") != address_change:
            which.append(held.until_us.is_not(None))
            former = schema.former_addresses.c
            what = "hide" if address_change == "hide" else "show"
            _note_all(connection, what, select(former.address, former.user_id), "user_id")
        for condition in which:
            rows = select(held.address, held.record_id).where(condition).distinct()
            _note_all(connection, "settle", rows, "record_id")


def _note_all(connection: Connection, what: str, rows: Select[tuple[str, int]], key: str) -> None:
    """A job for each (address, id) of a query."""
    found = rows.subquery()
    address, id_ = found.columns
    values = {
        relinks.c.what: literal(what),
        relinks.c.address: address,
        relinks.c[key]: id_,
        relinks.c.contact_id: literal(0),
        relinks.c.from_us: literal(0),
        relinks.c.when_us: literal(END),
        relinks.c.message_id: literal(END),
    }
    connection.execute(insert(relinks).from_select(list(values), select(*values.values())))


def _begin(connection: Connection, job: Job, at_once: int | None = None) -> int:
    made, rest = relinkstep.step(connection, job, at_once or STEP)
    if rest is not None:
        _note(connection, rest)
    return made


def _note(connection: Connection, job: Job) -> None:
    connection.execute(insert(relinks).values(**asdict(job)))
