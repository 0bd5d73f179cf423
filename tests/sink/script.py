"""What a FaultSink can be told to answer, and how a script is followed."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

STAGES = frozenset(
    "connect ehlo starttls auth mail rcpt data content bdat dot rset noop vrfy xclient quit".split()
)


class Fault(enum.Enum):
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


class Fine(enum.Enum):
    OK = "ok"


CLOSE, RESET, HANG, OK = Fault.CLOSE, Fault.RESET, Fault.HANG, Fine.OK


@dataclass(frozen=True)
class Say:
    """Words with manners: when they come, how fast, and what follows. Bytes go to the letter."""

    text: str | bytes
    after: float = 0.0
    gap: float = 0.0
    then: Fault | None = None

    def wire(self) -> bytes:
        if isinstance(self.text, bytes):
            return self.text
        code, lines = self.text[:3], self.text.split("\n")
        lines = [line if line.startswith(code) else f"{code} {line}" for line in lines]
        lines = [f"{code}-{line[4:]}" for line in lines[:-1]] + lines[-1:]
        return "".join(f"{line}\r\n" for line in lines).encode()


@dataclass(frozen=True)
class At:
    """While the message comes: do this once so many octets of it are here."""

    octets: int
    do: Fault | Say


Action: TypeAlias = Say | Fault | At | Fine
Answer: TypeAlias = (
    str | bytes | Action | Sequence["Answer"] | Mapping[str, "Answer"] | Callable[[bytes], "Answer"]
)
Exchange: TypeAlias = str | Sequence[str]
LOGIN_STEPS = ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 welcome")


def compile_answer(answer: Answer) -> Callable[[bytes], Action]:
    """The answer as a function of the command line; sequences remember where they are."""
    if isinstance(answer, str | bytes):
        said = Say(answer)
        return lambda line: said
    if isinstance(answer, Say | Fault | At | Fine):
        action = answer
        return lambda line: action
    if isinstance(answer, Mapping):
        parts = [(part.lower().encode(), compile_answer(value)) for part, value in answer.items()]
        return lambda line: next((pick(line) for part, pick in parts if part in line.lower()), OK)
    if isinstance(answer, Sequence):
        picks = [compile_answer(one) for one in cast(Sequence[Answer], answer)]
        return lambda line: (picks.pop(0) if len(picks) > 1 else picks[0])(line)
    choose = answer
    return lambda line: compile_answer(choose(line))(line)


def any_credentials(mechanism: str) -> Exchange:
    """An exchange that takes any credentials."""
    return LOGIN_STEPS if mechanism == "LOGIN" else ("334 ", "235 2.7.0 welcome")
