"""A report from its notice alone: the shapes that are no RFC 3464. A core.

A message is believed to be a report only if its header has signs of one (signs.py), its notice
is of a known shape or speaks of a failure, and it names a recipient. A sign in the subject alone
is not enough if a person may have written it.
"""

import re

from bounce import dsn, reply
from bounce.notice import Notice
from bounce.phrases import Phrases, Text, prepare
from bounce.reason import Reason, of_words, says_reply
from bounce.recipients import Found, by_patterns, loosely
from bounce.reply import Classified
from bounce.report import MAX_RECIPIENTS, Action, Kind, Recipient, Report, class_of
from bounce.shapes import Shape, opening, recognise, shows
from bounce.signs import Signs
from bounce.view import View
from bounce.words import notices
from crmstore.addresses import key, read

__all__ = ["alone_in", "from_text", "people_in"]

_WORDS = Phrases(notices.TABLE)


def from_text(view: View, signs: Signs, said: Notice) -> Report | None:
    """The report in a message's notice; None if it is none."""
    embedded = _embedded(view, signs, said, said.text)
    if embedded is not None:
        return embedded
    shape = recognise(view, said.text)
    words = prepare(said.text)
    rules = _WORDS.rules(words)
    known = shape if shape is not None and shows(shape, said.text, signs.lists) else None
    if not _believed(view, signs, known, rules, said, words):
        return None
    people = people_in(view, said, shape)
    if signs.failed_recipients:
        people = _failed(signs.failed_recipients, people, shape)
    elif not people:
        only = alone_in(said.returned.get("to", "")) or _in_subject(view)
        people = [Found(only, "", "")] if only else []
    if not people and (signs.null_sender or signs.daemon):
        embedded = _embedded(view, signs, said, said.behind)
        if embedded is not None:
            return embedded
    kind = _kind(signs, rules)
    if not people:
        if shape is None or not (signs.null_sender or signs.daemon):
            return None
        view.oddities.append("recipient_unknown")
    recipients = tuple(_recipient(found, kind, shape, signs, said) for found in people)
    return Report(
        kind,
        recipients,
        said.returned.get("message-id", ""),
        tuple(dict.fromkeys(view.oddities)),
        shape=shape.name if shape else "text",
        returned=said.returned,
    )


def _embedded(view: View, signs: Signs, said: Notice, text: str) -> Report | None:
    """A delivery status that stands in a text: its part was lost on the way, or a gateway returns
    a report as the text of its own."""
    from bounce.fromstatus import from_entries

    if "inal-recipient:" not in text.lower():
        return None
    status = dsn.parse(text)
    entries = [entry for entry in status.entries if entry.action or entry.status]
    if not entries or not (signs.report or signs.daemon or signs.null_sender):
        return None
    view.oddities.append("status_in_text")
    return from_entries(view, signs, said, status, entries)


def _believed(
    view: View, signs: Signs, known: Shape | None, rules: set[str], said: Notice, words: Text
) -> bool:
    """Whether this is a report; `known` is the shape that its own words have shown."""
    if signs.failed_recipients:
        return True
    machine = signs.null_sender or signs.daemon
    if machine and known is not None:
        return True
    clear = bool(reply.clear_rules(words))
    relayed = "success" in rules and signs.success_subject
    if not ("failure" in rules or "delay" in rules or clear or relayed):
        return False
    telling = signs.subject or signs.delay_subject or signs.success_subject
    if machine:
        if signs.program and not signs.daemon:  # whose parcels cannot be delivered either
            return telling and (clear or says_reply(said.text))
        return telling or (signs.null_sender and signs.daemon)
    if known is not None:
        if known.hint:
            return True
        # a person may have written the subject and quoted the notice
        return telling and not _conversation(view) and not _introduced(known, said.text)
    if signs.program or signs.lists or signs.auto.startswith("auto-"):
        return telling and says_reply(said.text)  # no parcel that could not be delivered
    return False


_PERSON = re.compile(
    r"^[ \t]{0,8}>|\?|\b(?:i|i'm|i've|we|me|my|our|hi|hello|hey|dear|anyone|anybody|thanks)\b"
    r"|ください|でしょうか|お世話|こんにちは|您好|你好",
    re.IGNORECASE | re.MULTILINE,
)


def _introduced(shape: Shape, text: str) -> bool:
    """Whether a person has something to say about a notice before it begins, or has quoted it."""
    return text.lstrip().startswith(">") or bool(_PERSON.search(opening(shape, text)))


def _conversation(view: View) -> bool:
    fields = view.fields
    return b"in-reply-to" in fields or b"references" in fields or b"list-id" in fields


def _kind(signs: Signs, rules: set[str]) -> Kind:
    if "delay" in rules and (signs.delay_subject or not (signs.subject and "permanent" in rules)):
        return "delayed"
    if signs.delay_subject and not rules & {"permanent", "failure"}:
        return "delayed"
    done = "success" in rules and not rules & {"permanent", "failure"}
    if signs.success_subject and (done or not signs.subject):
        return "delivered"
    return "bounce"


def people_in(view: View, said: Notice, shape: Shape | None) -> list[Found]:
    """The recipients that a notice names."""
    shape = shape or recognise(view, said.text)
    reader = key_of(view, b"to")
    author = key_of(view, b"from")
    for spared in (frozenset([reader, author]), frozenset([author])):
        if shape is not None and shape.recipients:
            people = by_patterns(said.text, shape.recipients, spared, shape.every)
            if people:
                return _before(people, said.text) if shape.before else people
        people = loosely(said.text, spared)
        if people:
            return people
    return []


def _in_subject(view: View) -> str:
    """The address in the subject, where no other place names one."""
    subject = view.header(b"subject")
    found = loosely(subject, frozenset()) if "@" in subject else []
    return found[0].address if len(found) == 1 else ""


def _before(people: list[Found], text: str) -> list[Found]:
    """With the words that stand before the address, too."""
    return [one._replace(words=f"{text[:1_500]}\n{one.words}") for one in people]


def _failed(header: str, named: list[Found], shape: Shape | None) -> list[Found]:
    """The recipients of X-Failed-Recipients (Exim, Gmail), with what the notice says of them."""
    about = {found.address: found for found in named}
    listed = dict.fromkeys(address for _, address in read(header, MAX_RECIPIENTS) if address)
    if shape is not None and shape.recipients and not about.keys() & listed.keys() and about:
        return named  # the notice of a shape that we know says it more truly
    alone = len(listed) == len(named) == 1
    return [
        about.get(address) or Found(address, "", named[0].words if alone else "")
        for address in listed
    ]


def _recipient(
    found: Found, kind: Kind, shape: Shape | None, signs: Signs, said: Notice
) -> Recipient:
    address = found.address
    if kind != "bounce":
        action: Action = "delayed" if kind == "delayed" else "delivered"
        reason = of_words(found.words, "")
        return Recipient(
            address,
            None,
            action,
            action,
            reason.status,
            reason.diagnostic,
            original=found.original,
            rule="notice",
        )
    reason = of_words(found.words, said.text)
    if shape is not None and shape.otherwise and not reason.found.rule.startswith("words:"):
        category = shape.otherwise
        reason = Reason(
            Classified(class_of(category), category, f"shape:{shape.name}"),
            reason.status,
            reason.diagnostic,
        )
    return reason.about(address, original=found.original)


def alone_in(header: str) -> str:
    """The address of a header that has exactly one; else ""."""
    found = read(header, 2) if header else ()
    return found[0][1] if len(found) == 1 else ""


def key_of(view: View, name: bytes) -> str:
    """The first address of a field."""
    found = read(view.header(name), 1)
    return found[0][1] if found else key(view.header(name))
