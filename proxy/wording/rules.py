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
    "rules.goes": Text("goes", "扱い"),
    "rules.out": Text("left out", "取り込まない"),
    "rules.onto": Text("onto {kind} {record} {name}", "{kind} {record} {name} に載せる"),
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
    "rules.added.record": Text(
        "rule {id}: mail {field} {pattern} goes onto record {record}",
        "ルール {id}: {field} {pattern} のメールをレコード {record} に載せます",
    ),
    "rules.there": Text(
        "rule {id} says so already: {field} {pattern}",
        "ルール {id} に登録済みです: {field} {pattern}",
    ),
    "rules.there.record": Text(
        "rule {id} says so already: {field} {pattern}, onto record {record}",
        "ルール {id} に登録済みです: {field} {pattern}、レコード {record}",
    ),
    "rules.linked": Text(
        "earlier mail: {count} put onto records", "以前のメール {count} 件をレコードに載せました"
    ),
    "rules.removed": Text(
        "removed: rule {id}; what it has left out stays out, what it has put onto a record is"
        " taken back",
        "削除しました: ルール {id}（これまで除外したメールは戻りません。"
        "レコードに載せたメールは外します）",
    ),
    "rules.would": Text(
        "would leave out: mail {field} {pattern}", "取り込まないことになります: {field} {pattern}"
    ),
    "rules.would.record": Text(
        "would put onto record {record}: mail {field} {pattern}",
        "レコード {record} に載せることになります: {field} {pattern}",
    ),
    "rules.known": Text(
        "is a rule already: mail {field} {pattern}", "登録済みです: {field} {pattern}"
    ),
    "rules.known.record": Text(
        "is a rule already: mail {field} {pattern}, onto record {record}",
        "登録済みです: {field} {pattern}、レコード {record}",
    ),
    "rules.place.gmail": Text("filter", "フィルタ"),
    "rules.place.sieve": Text("line", "行"),
    "rules.refused": Text(
        "NOT TAKEN  {place} {number}: {words}", "対象外  {place} {number}: {words}"
    ),
    "rules.sum": Text(
        "{filters} filters: {taken} taken, {refused} not taken; {new} new rules",
        "フィルタ {filters} 件: 取り込み {taken}、対象外 {refused}、新しいルール {new}",
    ),
    "rules.sum.dry": Text(
        "{filters} filters: {taken} would be taken, {refused} not; {new} new rules; nothing was"
        " changed",
        "フィルタ {filters} 件: 取り込み予定 {taken}、対象外 {refused}、新しいルール {new}"
        "（何も変更していません）",
    ),
    # why a filter is not taken
    "rules.why.action": Text(
        "it does not throw mail away, and files it nowhere",
        "破棄も、フォルダへの振り分けもしません",
    ),
    "rules.why.folder": Text(
        "it files mail into {value}; --folder NAME leaves out what is filed there, --folder NAME=ID"
        " puts it onto a record",
        "{value} に振り分けます。そこに入るメールを除外するには --folder NAME、レコードに載せるには"
        " --folder NAME=ID を付けます",
    ),
    "rules.why.nobody": Text(
        "no record has this name: {value}", "この名前のレコードはありません: {value}"
    ),
    "rules.why.several": Text(
        "several records have this name; --folder NAME=ID says which: {value}",
        "この名前のレコードが複数あります。--folder NAME=ID で指定してください: {value}",
    ),
    "rules.why.ours": Text(
        "an address of ours keys no record: {value}",
        "自社のアドレスはレコードの手掛かりになりません: {value}",
    ),
    "rules.why.never": Text(
        "matches capture.never, whose mail is on no record: {value}",
        "capture.never に当たるため、レコードに載りません: {value}",
    ),
    "rules.why.everything": Text(
        "it has no condition: all mail", "条件がなく、すべてのメールが対象です"
    ),
    "rules.why.condition": Text(
        "a rule knows who writes and whom it goes to, not: {value}",
        "ルールの条件にできるのは差出人と宛先だけです: {value}",
    ),
    "rules.why.both": Text(
        "several conditions at once: {value}", "複数の条件を同時に満たすものは扱えません: {value}"
    ),
    "rules.why.negated": Text(
        "what does not match: {value}", "「一致しない」条件は扱えません: {value}"
    ),
    "rules.why.pattern": Text(
        "is no address and no domain: {value}", "アドレスでもドメインでもありません: {value}"
    ),
    "rules.why.own": Text(
        "it would leave out mail by or to the user: {value}",
        "本人のメールまで除外されます: {value}",
    ),
    "rules.why.order": Text(
        "line {value} may stop before it: make that clear, and use `rules add`",
        "{value} 行目が先に処理を止めることがあります。確かめて `rules add` で登録してください",
    ),
    "rules.why.chain": Text(
        "it hangs on the tests before it", "前の条件に左右されます（elsif、else）"
    ),
    "rules.why.nested": Text("tests within tests", "入れ子の条件は扱えません"),
    # the file as a whole
    "rules.file.xml": Text(
        "allowed is mailFilters.xml as Gmail exports it ({reason})",
        "Gmail が書き出した mailFilters.xml だけを読めます（{reason}）",
    ),
    "rules.file.sieve": Text(
        "allowed is a Sieve script (RFC 5228); line {line} is not clear",
        "Sieve スクリプト（RFC 5228）だけを読めます。{line} 行目を解釈できません",
    ),
    "rules.file.encoding": Text(
        "allowed is UTF-8 for a Sieve script", "Sieve スクリプトの文字コードは UTF-8 だけです"
    ),
    "rules.file.many": Text("allowed are {limit} filters", "フィルタは {limit} 件までです"),
    "rules.file.size": Text("allowed are {limit} bytes", "{limit} バイトまでです"),
    "rules.missing": Text("there is no rule {ids}", "ルール {ids} はありません"),
}
