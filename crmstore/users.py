"""Our people: logins, their addresses, whether their mail is taken into the CRM.

A keeper. Promises: an address belongs to one user at most; whoever is made a user (or gains an
address) finds the mail that was seen for that address before on their timeline; disabling stops
the capture of a user's mail, not the mail; a first login enrolls whom nobody has added. Every
change is seen by ingest in its next batch.
An address that leaves is remembered; its mail stays with the user, or is hidden until the address
comes back ([capture].address_change). An address that becomes a user's keys no record any more:
the mail that it had brought to records is hidden there (relink.py).
Cites: features.md A12, A15, A20; contract.md `mailweir user`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, exists, insert, select, update

from crmstore import addresses, relink, schema
from crmstore.bulk import insert_rows
from crmstore.charsets import clean
from crmstore.linker import several
from crmstore.store import Store, counter, micros, next_ids

__all__ = [
    "Conflict", "NoSuchUser", "User", "add", "by_logins", "change", "enroll", "find", "get",
    "listing", "set_enabled", "version",
]  # fmt: skip


class Conflict(Exception):
    """Somebody else has this login or address; the text says who."""


class NoSuchUser(LookupError):
    """There is no user of this login or address."""


@dataclass(frozen=True, slots=True)
class User:
    """One of ours. `warnings` come with a change: what was done although it is odd. `enrolled` is
    when a first login made this user, None if an administrator did."""

    id: int
    login: str
    name: str
    addresses: tuple[str, ...]
    enabled: bool
    created: float
    enrolled: float | None = None
    formerly: tuple[str, ...] = ()  # addresses that were theirs
    warnings: tuple[str, ...] = field(default=(), compare=False)


def add(store: Store, login: str, *, name: str = "", emails: Sequence[str] = ()) -> User:
    """A new user. `emails` default to the login, if that is an address."""
    login = _login(login)
    wanted = addresses.keys(emails) or addresses.keys([login] if addresses.key(login) else [])
    with store.writing() as connection:
        if connection.execute(select(users.id).where(users.login == login)).first():
            raise Conflict(f"login {login} exists")
        _free(connection, [*wanted, login], 0)
        id_ = next_ids(connection, "users", 1)[0]
        connection.execute(
            insert(schema.users).values(
                id=id_, login=login, name=clean(name)[:200], enabled=1, created_us=micros()
            )
        )
        warnings = _give(connection, id_, login, wanted, 0)
        _changed(connection)
        user = _load(connection, [id_], warnings)[0]
    relink.run(store)
    return user


def enroll(store: Store, logins: Mapping[str, int]) -> list[User]:
    """Users for those of these addresses that are nobody's yet: (address -> when they logged in,
    in microseconds). Returns the new ones; who is there already, disabled or not, stays as they
    are."""
    wanted = {address: at for login, at in logins.items() if (address := addresses.key(login))}
    if not wanted:
        return []
    with store.writing() as connection:
        taken = set(
            connection.execute(
                select(names.address)
                .where(names.address.in_(wanted))
                .union(select(users.login).where(users.login.in_(wanted)))
            ).scalars()
        )
        fresh = [address for address in wanted if address not in taken]
        if not fresh:
            return []
        ids = next_ids(connection, "users", len(fresh))
        for id_, address in zip(ids, fresh, strict=True):
            connection.execute(
                insert(schema.users).values(
                    id=id_,
                    login=address,
                    name="",
                    enabled=1,
                    created_us=micros(),
                    enrolled_us=wanted[address],
                )
            )
            _give(connection, id_, address, [address], 0)
        _changed(connection)
        return _load(connection, list(ids))


def get(store: Store, who: str) -> User:
    """By login or by one of the addresses."""
    with store.reading() as connection:
        return _load(connection, [find(connection, who)])[0]


def by_logins(store: Store, logins: Iterable[str]) -> dict[str, User | None]:
    """Who each of these is, by login or by one of their addresses; None for nobody of ours."""
    wanted = list(dict.fromkeys(logins))
    ids: dict[str, int] = {}
    found: dict[int, User] = {}
    with store.reading() as connection:
        for chunk in several(wanted):
            rows = connection.execute(
                select(names.address, names.user_id)
                .where(names.address.in_(chunk))
                .union_all(select(users.login, users.id).where(users.login.in_(chunk)))
            )
            ids.update((name, id_) for name, id_ in rows)
        for part in several(dict.fromkeys(ids.values())):
            found.update((user.id, user) for user in _load(connection, part))
    return {login: found.get(ids[login]) if login in ids else None for login in wanted}


def version(store: Store) -> int:
    """A number that grows with every change of users and their addresses."""
    with store.reading() as connection:
        return counter(connection, "people")


def listing(store: Store, *, limit: int = 1_000, after: str = "") -> list[User]:
    """All users by login; pages by the last login."""
    with store.reading() as connection:
        ids = connection.execute(
            select(users.id).where(users.login > after).order_by(users.login).limit(limit)
        ).scalars()
        return _load(connection, ids.all())


def change(
    store: Store,
    who: str,
    *,
    name: str | None = None,
    add_emails: Sequence[str] = (),
    remove_emails: Sequence[str] = (),
) -> User:
    """Another name, more addresses, fewer addresses. Mail that was seen stays where it is."""
    with store.writing() as connection:
        id_ = find(connection, who)
        user = _load(connection, [id_])[0]
        if name is not None:
            connection.execute(
                update(schema.users).where(users.id == id_).values(name=clean(name)[:200])
            )
        gone = addresses.keys(remove_emails)
        if missing := set(gone) - set(user.addresses):
            raise Conflict(f"{user.login} has no address {', '.join(sorted(missing))}")
        if gone:
            _take(connection, id_, gone)
        wanted = [a for a in addresses.keys(add_emails) if a not in user.addresses]
        _free(connection, wanted, id_)
        warnings = _give(connection, id_, user.login, wanted, len(user.addresses))
        _changed(connection)
        user = _load(connection, [id_], warnings)[0]
    relink.run(store)
    return user


def set_enabled(store: Store, who: str, enabled: bool, *, drop_rules: bool = False) -> User:
    """Whether this user's mail is taken into the CRM from now on. Their own rules stay, for the day
    on which they are enabled again, unless they are dropped with it (and what these have put onto
    records goes from there)."""
    with store.writing() as connection:
        id_ = find(connection, who)
        connection.execute(update(schema.users).where(users.id == id_).values(enabled=int(enabled)))
        if drop_rules:
            rules = schema.capture_rules
            mine = rules.c.user_id == id_
            onto = select(rules.c.record_id).where(mine, rules.c.record_id.is_not(None))
            records = connection.execute(onto.distinct()).scalars().all()
            connection.execute(delete(rules).where(mine))
            relink.unfile(connection, id_, records)
        _changed(connection)
        user = _load(connection, [id_])[0]
    if drop_rules:
        relink.run(store)
    return user


users = schema.users.c
names = schema.user_addresses.c


def _login(login: str) -> str:
    text = login.strip().lower()
    if not text or len(text) > addresses.MAX_ADDRESS or clean(text) != text or " " in text:
        raise ValueError(f"{login[:100]!r} is no login: allowed is one word, like an address")
    return addresses.key(text) or text


def find(connection: Connection, who: str) -> int:
    """The id of whom a login or an address names; NoSuchUser."""
    text = who.strip().lower()
    id_ = connection.execute(
        select(users.id).where(users.login.in_({text, addresses.key(text)}))
    ).scalar()
    if id_ is None:
        id_ = connection.execute(
            select(names.user_id).where(names.address == addresses.key(text))
        ).scalar()
    if id_ is None:
        raise NoSuchUser(f"no user {who[:100]!r}")
    return int(id_)


def _free(connection: Connection, wanted: Sequence[str], id_: int) -> None:
    """Conflict if one of these is somebody's address or login already."""
    taken = connection.execute(
        select(names.address, users.login)
        .join(schema.users, users.id == names.user_id)
        .where(names.address.in_(wanted), names.user_id != id_)
        .union(select(users.login, users.login).where(users.login.in_(wanted), users.id != id_))
    ).first()
    if taken is not None:
        raise Conflict(f"{taken[0]} belongs to {taken[1]}")


def _take(connection: Connection, id_: int, gone: Sequence[str]) -> None:
    """These addresses are this user's no longer; a record that has them may show their mail."""
    former = schema.former_addresses
    connection.execute(delete(schema.user_addresses).where(names.address.in_(gone)))
    connection.execute(delete(former).where(former.c.user_id == id_, former.c.address.in_(gone)))
    until = micros()
    connection.execute(
        insert(former), [{"user_id": id_, "address": a, "until_us": until} for a in gone]
    )
    relink.hide_owner(connection, id_, gone)
    relink.settle_address(connection, gone)


def _give(
    connection: Connection, id_: int, login: str, wanted: Sequence[str], start: int
) -> tuple[str, ...]:
    """These addresses are this user's: mail seen for them is theirs, records lose them."""
    rows = [(address, id_, start + n) for n, address in enumerate(wanted)]
    insert_rows(connection, schema.user_addresses, ("address", "user_id", "position"), rows)
    seen, other = schema.sightings, schema.sightings.alias()
    for owner in dict.fromkeys([*wanted, login]):
        # One capture is one sighting for a user, however many of their addresses it went to.
        twice = exists().where(other.c.capture_id == seen.c.capture_id, other.c.owner == login)
        mine = seen.c.owner == owner
        if owner != login:
            connection.execute(update(seen).where(mine, ~twice).values(owner=login, user_id=id_))
        connection.execute(update(seen).where(mine).values(user_id=id_))
    former = schema.former_addresses
    connection.execute(delete(former).where(former.c.user_id == id_, former.c.address.in_(wanted)))
    relink.show_owner(connection, id_, wanted)
    relink.settle_address(connection, wanted)
    held = schema.record_addresses.c
    clash = connection.execute(
        select(held.address, held.record_id)
        .where(held.address.in_([*wanted, login]), held.until_us.is_(None))
        .order_by(held.record_id)
        .limit(20)
    )
    return tuple(
        f"{address} is also on record {record}: it is ours now, and keys no record any more"
        for address, record in clash
    )


def _changed(connection: Connection) -> None:
    next_ids(connection, "people", 1)


def _load(connection: Connection, ids: Sequence[int], warnings: tuple[str, ...] = ()) -> list[User]:
    mine: dict[int, list[str]] = {}
    for address, id_ in connection.execute(
        select(names.address, names.user_id)
        .where(names.user_id.in_(ids))
        .order_by(names.user_id, names.position)
    ):
        mine.setdefault(id_, []).append(address)
    former = schema.former_addresses.c
    before: dict[int, list[str]] = {}
    for address, id_ in connection.execute(
        select(former.address, former.user_id)
        .where(former.user_id.in_(ids))
        .order_by(former.user_id, former.until_us, former.address)
    ):
        before.setdefault(id_, []).append(address)
    rows = connection.execute(select(schema.users).where(users.id.in_(ids)).order_by(users.login))
    return [
        User(
            row.id,
            row.login,
            row.name,
            tuple(mine.get(row.id, ())),
            bool(row.enabled),
            row.created_us / 1e6,
            None if row.enrolled_us is None else row.enrolled_us / 1e6,
            tuple(before.get(row.id, ())),
            warnings,
        )
        for row in rows
    ]
