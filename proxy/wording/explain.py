"""What `email explain` says, and the words for an address that several records have."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "explain.email": Text("email {id}: {subject}", "メール {id}: {subject}"),
    "explain.sees.own": Text(
        "{viewer} sees it: it was sent by them, or to them",
        "{viewer} は閲覧できます: 本人が送信または受信したメールです",
    ),
    "explain.sees.private": Text(
        "{viewer} does not see it: it is private mail of others",
        "{viewer} は閲覧できません: ほかの利用者の非公開メールです",
    ),
    "explain.sees.former": Text(
        "{viewer} does not see it: it came by an address that they have no longer"
        ' (capture.address_change = "hide")',
        "{viewer} は閲覧できません: いまは持っていないアドレスのメールです"
        '（capture.address_change = "hide"）',
    ),
    "explain.sees.disabled": Text(
        "{viewer} does not see it: the user is disabled",
        "{viewer} は閲覧できません: 無効な利用者です",
    ),
    "explain.sees.nobody": Text(
        "{viewer} does not see it: no user of ours, and no mail waits for that address",
        "{viewer} は閲覧できません: 登録された利用者ではなく、このアドレスのメールもありません",
    ),
    "explain.seen": Text("How it was seen", "取得の経緯"),
    "explain.sent": Text("sent, for {owner}", "送信（{owner}）"),
    "explain.sent_as": Text("as {address}", "差出人 {address} として"),
    "explain.received": Text("received, for {owner}", "受信（{owner}）"),
    "explain.way": Text("by {source}, door {door}", "経路 {source}、ドア {door}"),
    "explain.mailbox": Text("in mailbox {mailbox}", "メールボックス {mailbox}"),
    "explain.same": Text(
        "it is this message because: {evidence}", "同一メールと判定した根拠: {evidence}"
    ),
    "explain.left_out.never": Text(
        "not everybody is on this copy: capture.never",
        "このコピーから除かれた参加者がいます: capture.never",
    ),
    "explain.left_out.rule": Text(
        "not everybody has this copy: somebody's own rule leaves it out (`mailweir rules`)",
        "このコピーを持たない利用者がいます: 本人のルールで除外（`mailweir rules`）",
    ),
    "explain.left_out.user disabled": Text(
        "not everybody has this copy: a user is disabled",
        "このコピーを持たない利用者がいます: 無効な利用者",
    ),
    "explain.left_out.not enrolled": Text(
        "not everybody has this copy: somebody is not enrolled (capture.users)",
        "このコピーを持たない人がいます: 対象外の人（capture.users）",
    ),
    "explain.people": Text("Who takes part", "参加者"),
    "explain.keys": Text("record {ids}", "レコード {ids}"),
    "explain.why.ours": Text(
        "no record: an address of ours keys none", "レコードなし: 自社のアドレスは対象外です"
    ),
    "explain.why.no_record": Text(
        "no record has this address", "このアドレスを持つレコードはありません"
    ),
    "explain.why.hidden": Text("its records are hidden, see below", "非表示のレコードのみ（下記）"),
    "explain.links": Text("Records it is on", "表示されるレコード"),
    "explain.nothing": Text("none", "なし"),
    "explain.shared": Text(" (shared by {count} records)", "（{count} 件のレコードで共有）"),
    "explain.hidden.former": Text(
        "hidden: the address has left the record", "非表示: アドレスがレコードから外れました"
    ),
    "explain.hidden.ours": Text("hidden: the address is one of ours", "非表示: 自社のアドレスです"),
    "explain.hidden.owner": Text(
        "hidden: whoever saw the message has lost the address it was seen by",
        "非表示: 取得した利用者がそのアドレスを失いました",
    ),
    "explain.thread": Text("thread {id}: {evidence}", "スレッド {id}: {evidence}"),
    "explain.begins": Text("this message begins it", "このメールが最初です"),
    "explain.delivery": Text("What became of it", "配送の結果"),
}
