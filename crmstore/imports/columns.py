"""Which column of a file holds what, by its header, in English and Japanese. A core.

Known are the exports of Outlook, Google Contacts, Thunderbird and Zoho CRM in both languages, what
people write by hand, and our own (csvout.py). A header is compared in NFKC, without case, spaces
and punctuation. A column that is known to nobody is told by its name, never lost in silence.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Columns", "map_header"]

_PUNCTUATION = re.compile(r"[\s_\-‐–—./・:'\"()\[\]{}【】「」*#※]+")

_EMAIL = re.compile(
    r"(?:primary|main|business|work|会社|仕事|勤務先|代表|優先|主|pc"
    r"|(?P<second>secondary|additional|other|alternate|personal|home|自宅|個人|副|追加|サブ|予備"
    r"|携帯|その他の?))?"
    r"(?:電子メール|eメール|e?mail|メール|メアド)(?:アドレス|address)?"
    r"(?P<number>\d{1,2})?(?:アドレス|address|value|値)?(?:主|(?P<after>副|サブ|携帯|自宅))?"
)

_FIELDS: dict[str, tuple[str, ...]] = {
    "name": (
        *("name", "fullname", "displayname", "fileas", "dealname", "potentialname", "subject"),
        *(
            "氏名",
            "姓名",
            "名前",
            "お名前",
            "フルネーム",
            "表示名",
            "担当者名",
            "顧客名",
            "お客様名",
        ),
        *("商談名", "案件名", "件名", "見込み客名", "取引先担当者名", "連絡先の氏名", "名称"),
    ),
    # a name where no better column is there; in a list of deals it is another's name
    "maybe_name": ("contactname", "leadname", "連絡先名", "担当者"),
    "given": ("firstname", "givenname", "forename", "名", "名漢字"),
    "middle": ("middlename", "additionalname", "ミドルネーム"),
    "family": ("lastname", "familyname", "surname", "姓", "苗字", "名字", "姓漢字"),
    "company": (
        *("company", "companyname", "organization", "organisation", "organizationname"),
        *("organization1name", "account", "accountname", "会社", "会社名", "法人名", "企業名"),
        *("取引先", "取引先名", "勤務先", "勤務先名", "組織", "組織名", "団体名"),
    ),
    "kind": ("kind", "recordkind", "recordtype", "module", "種別", "レコード種別", "タブ"),
    "type": ("type", "generaltype", "種類", "種別の詳細"),
    "state": (
        *("state", "status", "stage", "dealstage", "leadstatus", "状態", "ステータス", "ステージ"),
        *("商談ステージ", "フェーズ", "進捗"),
    ),
    "contact": (
        *("maincontact", "maincontactemail", "primarycontact", "primarycontactemail"),
        *("contactemail", "contactemailaddress", "主担当者", "主担当者メール", "主な連絡先"),
        *("主な連絡先のメールアドレス", "連絡先メール", "連絡先メールアドレス"),
        *("担当者メール", "担当者メールアドレス"),
    ),
    "mark": ("mailweirid",),
    "contact_mark": ("maincontactmailweirid", "主な連絡先のmailweirid"),
}
# Columns for the names of one kind: a list that has them for its names is a list of that kind.
_NAMES_OF = {
    **dict.fromkeys(("dealname", "potentialname", "商談名", "案件名"), "deal"),
    **dict.fromkeys(("leadname", "見込み客名"), "lead"),
}
_KNOWN = {header: field for field, headers in _FIELDS.items() for header in headers}


class Columns(NamedTuple):
    """Column numbers by field, and the headers whose columns nothing is taken from."""

    name: int | None
    given: int | None
    middle: int | None
    family: int | None
    company: int | None
    kind: int | None
    state: int | None
    contact: int | None
    type: int | None
    emails: tuple[int, ...]
    unknown: tuple[int, ...]
    hint: str = ""  # the kind of record that the header of the names is for
    mark: int | None = None
    contact_mark: int | None = None

    @property
    def usable(self) -> bool:
        """Is there anything that a record could be known by?"""
        named = (self.name, self.given, self.family, self.company)
        return bool(self.emails) or any(column is not None for column in named)

    @property
    def score(self) -> int:
        """How many columns are known: the right delimiter gives the most."""
        single = self[:9]
        return sum(column is not None for column in single) + len(self.emails)


def _folded(header: str) -> str:
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", header).casefold())


def map_header(headers: Sequence[str]) -> Columns:
    """What each column is for; the first of two that are the same counts."""
    found: dict[str, int] = {}
    emails: list[tuple[int, int]] = []
    unknown: list[int] = []
    maybe: int | None = None
    for index, header in enumerate(headers):
        folded = _folded(header[:200])
        field = _KNOWN.get(folded)
        if field == "maybe_name" and maybe is None:
            maybe = index
        elif field is not None and field not in found:
            found[field] = index
        elif field is None and (email := _EMAIL.fullmatch(folded)):
            second = "2" if email["second"] or email["after"] else "1"
            emails.append((int(email["number"] or second), index))
        elif folded:
            unknown.append(index)
    if maybe is not None:
        if found.keys() & {"name", "given", "family"}:
            unknown.append(maybe)
        else:
            found["name"] = maybe
    hint = ""
    if "name" in found and not found.keys() & {"given", "family"}:
        hint = _NAMES_OF.get(_folded(headers[found["name"]][:200]), "")
    # by their numbers, not by their places: the first address is the main one
    ordered = tuple(index for _, index in sorted(emails))
    return Columns(
        found.get("name"),
        found.get("given"),
        found.get("middle"),
        found.get("family"),
        found.get("company"),
        found.get("kind"),
        found.get("state"),
        found.get("contact"),
        found.get("type"),
        ordered,
        tuple(sorted(unknown)),
        hint,
        found.get("mark"),
        found.get("contact_mark"),
    )
