"""email explain: why a message is on the records it is on, in words of the caller's language.

With --as the question is whether that user sees it: if not, the answer is "no", and the exit code 1
(contract.md, "Commands").
"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from proxy.commands.common import MAX_ID, Desk, Viewer, call, desk, put, put_json
from proxy.commands.suppression import put_delivery
from proxy.evidence import told
from proxy.texts import Language, language, t

Id = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=MAX_ID, help="As `mailweir emails` shows it.")
]


def explain(ctx: typer.Context, id: Id, viewer: Viewer = None) -> None:
    """Why a message is on the records it is on, and not on others; why somebody may see it."""
    from crmstore.explain import explain as explained

    lang = language(call(ctx).lang)
    with desk(ctx) as work:
        found = explained(work.store, id, domains=work.settings.node.domains, viewer=viewer)
        looks = found.get("viewer")
        if work.json:
            put_json(found)
        elif looks is not None:
            put(t(f"explain.sees.{looks['why']}", lang, viewer=looks["login"]))
        if looks is not None and not looks["sees"]:
            raise typer.Exit(1)
        if work.json:
            return
        for line in _lines(work, found, lang):
            put(line)
        if found["delivery"]:
            put(t("explain.delivery", lang))
            put_delivery(ctx, work, found)


def kind_of(record: dict[str, Any], lang: Language) -> str:
    """The kind of a record, in the words of people."""
    return t(f"record.kind.{record['kind']}", lang)


def shared(record: dict[str, Any], lang: Language) -> str:
    """ " (shared by 3 records)", where several have the address that is the reason."""
    count = record["shared_by"]
    return t("explain.shared", lang, count=count) if count > 1 else ""


def _lines(work: Desk, found: dict[str, Any], lang: Language) -> Iterator[str]:
    yield t("explain.email", lang, id=found["id"], subject=found["subject"])
    yield t("explain.seen", lang)
    for seen in found["sightings"]:
        parts = [
            work.local(seen["seen"]),
            t(f"explain.{seen['direction']}", lang, owner=seen["owner"]),
            t("explain.sent_as", lang, address=seen["sent_as"]) if seen["sent_as"] else "",
            t("explain.way", lang, source=seen["source"], door=seen["door"] or "-"),
        ]
        if seen["mailbox"]:
            parts.append(t("explain.mailbox", lang, mailbox=seen["mailbox"]["name"]))
        yield f"  {', '.join(filter(None, parts))} ({seen['capture_id']})"
        yield f"    {t('explain.same', lang, evidence=told(seen['evidence'], lang))}"
        for why in seen["left_out"]:
            yield f"    {t(f'explain.left_out.{why}', lang)}"
    yield t("explain.people", lang)
    for person in found["participants"]:
        if person["keys"]:
            what = t("explain.keys", lang, ids=", ".join(map(str, person["keys"])))
        else:
            what = t(f"explain.why.{person['why']}", lang)
        role, where = t(f"mail.{person['role']}", lang), told(person["evidence"], lang)
        yield f"  {role} {person['address']} ({where}): {what}"
    yield t("explain.links", lang)
    for link in found["links"]:
        role = t(f"mail.{link['role']}", lang)
        yield (
            f"  {kind_of(link, lang)} {link['record']} {link['name']}: {role} {link['address']},"
            f" {told(link['evidence'], lang)}{shared(link, lang)}"
        )
        for why in link["hidden"]:
            yield f"    {t(f'explain.hidden.{why}', lang)}"
    if not found["links"]:
        yield f"  {t('explain.nothing', lang)}"
    thread = found["thread"]
    evidence = told(thread["evidence"], lang) or t("explain.begins", lang)
    yield t("explain.thread", lang, id=thread["id"], evidence=evidence)
