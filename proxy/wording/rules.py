"""Texts of `mailweir rules`."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "rules.id": Text("rule", "番号"),
    "rules.user": Text("user", "利用者"),
    "rules.field": Text("mail", "対象"),
    "rules.from": Text("from", "差出人"),
    "rules.to": Text("to", "宛先"),
    "rules.folder": Text("in folder", "フォルダ"),
    "rules.pattern": Text("pattern", "パターン"),
    "rules.origin": Text("made by", "作成元"),
    "rules.origin.hand": Text("hand", "手動"),
    "rules.origin.gmail": Text("Gmail", "Gmail"),
    "rules.origin.sieve": Text("Sieve", "Sieve"),
    "rules.since": Text("since", "登録"),
    "rules.none": Text("no rules", "ルールはありません"),
    "rules.more": Text("there are more: --after {id}", "続きがあります: --after {id}"),
    "rules.added": Text(
        "rule {id}: mail {field} {pattern} is left out from now on",
        "ルール {id}: {field} {pattern} のメールを今後取り込みません",
    ),
    "rules.there": Text(
        "rule {id} says so already: {field} {pattern}",
        "ルール {id} に登録済みです: {field} {pattern}",
    ),
    "rules.removed": Text(
        "removed: rule {id}; what it has left out stays out",
        "削除しました: ルール {id}（これまで除外したメールは戻りません）",
    ),
    "rules.missing": Text("there is no rule {ids}", "ルール {ids} はありません"),
}
