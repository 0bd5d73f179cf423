"""The companions of one door: who has one, from the first session of a user to the last (edge).

    seat = companions.join("alice@example.com", credentials, busy=..., active=...)
    seat.leave()      # the session is over

One companion for each user however many sessions there are; it belongs to nobody's session. Users
whom `capture.never` names have none. Every login leaves a note for the worker (who enrolls), with
credentials or without, once a process or as long as the worker has not answered.
Limits: COMPANIONS at a time in a process; later users go without one until somebody leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from crmstore.mailplace import login_name
from proxy import maillog
from proxy.imap.companion import LINGER, Companion, Figures, Plan
from proxy.imap.login import Credentials
from proxy.imap.notes import Login

__all__ = ["Companions", "Seat"]

COMPANIONS: Final = 2_000
TOLD: Final = 20_000
#: Seconds without a companion after its login was refused: a server that takes a user's login from
#: their program and not from us (a second factor, a policy) must not count us as a guesser.
REFUSED: Final = 3_600.0
#: Seconds that a timer may ring too early.
SOON: Final = 0.01


class Seat:
    """A session's part in its user's companion."""

    __slots__ = ("_owner", "active", "busy", "user")

    def __init__(
        self,
        owner: Companions,
        user: str,
        busy: Callable[[], bool],
        active: Callable[[], float],
    ) -> None:
        self._owner = owner
        self.user = user
        self.busy = busy
        self.active = active

    def leave(self) -> None:
        """The session has ended."""
        self._owner.leave(self)


class _Desk:
    """A user's sessions and their companion, which may begin later."""

    __slots__ = ("client", "companion", "credentials", "ending", "seats", "task")

    def __init__(self, credentials: Credentials, client: tuple[str, int], seats: set[Seat]) -> None:
        self.credentials: Credentials | None = credentials
        """For a companion that is to begin; once it is there it has them."""
        self.client = client
        self.companion: Companion | None = None
        self.task: asyncio.Task[None] | None = None
        self.seats = seats
        self.ending: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        return self.task is not None and self.task.done()


class Companions:
    """All of them. Lives in the loop."""

    def __init__(
        self,
        plan: Plan | None,
        tell: Callable[[Login], object],
        *,
        excluded: Callable[[str], object | None] = lambda user: None,
    ) -> None:
        """`plan` is None where capture.companion is off; `tell` leaves a note in the background."""
        self.figures = Figures()
        self._loop = asyncio.get_running_loop()
        self._plan = plan
        self._tell = tell
        self._excluded = excluded
        self._desks: dict[str, _Desk] = {}
        self._told: OrderedDict[str, bool] = OrderedDict()  # whether the worker has answered
        self._refused: OrderedDict[str, float] = OrderedDict()  # until when nobody tries again
        self._looked: OrderedDict[str, float] = OrderedDict()  # when users were looked after last
        self._later: dict[str, float] = {}  # whose companion begins then: desks without one
        self._timer: asyncio.TimerHandle | None = None  # for the first of them

    def join(
        self,
        login: str,
        credentials: Credentials | None,
        *,
        busy: Callable[[], bool] = lambda: False,
        active: Callable[[], float] = lambda: 0.0,
        client: tuple[str, int] = ("", 0),
    ) -> Seat | None:
        """A user has logged in from this address; None: there is no companion for them.

        `busy` says whether this session waits for an answer, `active` when it has said or heard
        something last.
        """
        user = login_name(login)
        if not user:
            return None
        self._note(user)
        plan = self._plan
        if plan is None or credentials is None or self._excluded(user) is not None:
            return None
        now = self._loop.time()
        if self._refused and now < self._refused.get(user, 0.0):
            return None
        desk = self._desks.get(user)
        if desk is None or desk.over:
            if desk is None and len(self._desks) >= COMPANIONS:
                return None
            seats = desk.seats if desk is not None else set()
            begin = self._looked.get(user, 0.0)
            desk = self._desks[user] = _Desk(credentials, client, seats)
            if begin > now:  # this user was looked after a moment ago
                self._begin_later(user, begin)
            else:
                self._begin(user, desk)
        elif desk.companion is None:
            desk.credentials = credentials  # the fresher, with a token that lives longer
        else:
            desk.companion.credentials = credentials
            desk.companion.nudged.set()
        if desk.ending is not None:
            desk.ending.cancel()
            desk.ending = None
        seat = Seat(self, user, busy, active)
        desk.seats.add(seat)
        return seat

    def _note(self, user: str) -> None:
        """The worker hears of a login once a process, and until it has answered."""
        told = self._told.get(user)
        if told or (told is False and self._answered(user)):
            return
        self._told[user] = False
        if len(self._told) > TOLD:
            self._told.popitem(last=False)
        self._tell(Login(user, time.time_ns() // 1000))

    def _answered(self, user: str) -> bool:
        answered = self._plan is None or self._plan.roster(user) is not None
        self._told[user] = answered
        return answered

    def _begin_later(self, user: str, due: float) -> None:
        """At this time, if anybody is there then. One timer for all: most such users are gone
        again before it rings, as phones are."""
        self._later[user] = due
        timer = self._timer
        if timer is None or due < timer.when():
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(due, self._begin_due)

    def _begin_due(self) -> None:
        self._timer = None
        now = self._loop.time() + SOON
        for user in [user for user, due in self._later.items() if due <= now]:
            del self._later[user]
            self._begin(user, self._desks[user])
        if self._later:
            due = min(self._later.values())
            self._timer = self._loop.call_at(due, self._begin_due)

    def _begin(self, user: str, desk: _Desk) -> None:
        assert self._plan is not None
        desk.companion = Companion(
            self._plan,
            user,
            desk.credentials,
            lambda: self._busy(user),
            self.figures,
            lambda: self._active(user),
            desk.client,
        )
        desk.credentials = None
        desk.task = self._loop.create_task(self._run(desk.companion))

    async def _run(self, companion: Companion) -> None:
        try:
            await companion.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a fault of ours must end no door
            maillog.companion_fault(companion.user, error)
        finally:
            companion.credentials = None
            if companion.last_look:
                _keep(self._looked, companion.user, companion.last_look + companion.plan.min_gap)
            if companion.refused:
                _keep(self._refused, companion.user, companion.last_look + REFUSED)

    def _busy(self, user: str) -> bool:
        desk = self._desks.get(user)
        return desk is not None and any(seat.busy() for seat in desk.seats)

    def _active(self, user: str) -> float:
        desk = self._desks.get(user)
        return max((seat.active() for seat in desk.seats), default=0.0) if desk is not None else 0.0

    def leave(self, seat: Seat) -> None:
        desk = self._desks.get(seat.user)
        if desk is None or seat not in desk.seats:
            return
        desk.seats.discard(seat)
        if desk.seats:
            return
        if desk.companion is not None:
            desk.companion.forget()
        if desk.task is None or desk.companion is None or desk.over or not desk.companion.looking:
            self._end(seat.user)
        else:
            desk.task.add_done_callback(lambda _: self._gone(seat.user, desk))
            desk.ending = self._loop.call_later(LINGER, self._end, seat.user)

    def _gone(self, user: str, desk: _Desk) -> None:
        if self._desks.get(user) is desk and not desk.seats:
            self._end(user)

    def _end(self, user: str) -> None:
        desk = self._desks.pop(user, None)
        if desk is not None:
            if desk.ending is not None:
                desk.ending.cancel()
            self._later.pop(user, None)
            desk.credentials = None
            if desk.task is not None:
                desk.task.cancel()

    async def close(self) -> None:
        """The door ends."""
        tasks = [desk.task for desk in self._desks.values() if desk.task is not None]
        for user in list(self._desks):
            self._end(user)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*tasks, return_exceptions=True)


def _keep(times: OrderedDict[str, float], user: str, until: float) -> None:
    """The latest TOLD users are remembered."""
    times[user] = until
    times.move_to_end(user)
    if len(times) > TOLD:
        times.popitem(last=False)
