"""Texts of `mailweir emails` and `mailweir email`, and what is said before any note."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "common.note": Text("note", "注意"),
    "mail.nobody": Text(
        "{option} {who}: no user of ours has this login or address, and no mail waits for it",
        "{option} {who}: このログイン名・アドレスの利用者はなく、宛先のメールもありません",
    ),
    "mail.more": Text("more with --before {place}", "続きは --before {place} で表示します"),
    # columns, and names of what `email show` tells
    "mail.id": Text("id", "番号"),
    "mail.date": Text("date", "日付"),
    "mail.direction": Text("direction", "送受信"),
    "mail.from": Text("from", "差出人"),
    "mail.to": Text("to", "宛先"),
    "mail.subject": Text("subject", "件名"),
    "mail.status": Text("status", "状態"),
    "mail.records": Text("records", "レコード"),
    "mail.message-id": Text("message-id", "message-id"),
    "mail.thread": Text("thread", "スレッド"),
    "mail.size": Text("size", "サイズ"),
    "mail.flags": Text("flags", "注意"),
    # who takes part
    "mail.sender": Text("sender", "送信者"),
    "mail.cc": Text("cc", "cc"),
    "mail.bcc": Text("bcc", "bcc"),
    "mail.reply-to": Text("reply-to", "返信先"),
    "mail.resent": Text("resent", "再送"),
    "mail.forward": Text("forward", "転送元"),
    "mail.envelope": Text("envelope", "エンベロープ"),
    "mail.rule": Text("rule of", "ルールの持ち主"),
    # values
    "mail.direction.sent": Text("sent", "送信"),
    "mail.direction.received": Text("received", "受信"),
    "mail.status.scheduled": Text("scheduled", "予約"),
    "mail.status.queued": Text("queued", "配送待ち"),
    "mail.status.sent": Text("sent", "送信済み"),
    "mail.status.delivered": Text("delivered", "受理済み"),
    "mail.status.soft_bounce": Text("soft_bounce", "一時不達"),
    "mail.status.hard_bounce": Text("hard_bounce", "不達"),
    "mail.status.cancelled": Text("cancelled", "取消"),
    "mail.status.received": Text("received", "受信"),
    "mail.outcome.accepted": Text("accepted", "受理"),
    "mail.outcome.queued": Text("queued", "配送待ち"),
    "mail.outcome.refused": Text("refused", "拒否"),
    "mail.outcome.failed": Text("failed", "失敗"),
    "mail.outcome.unknown": Text("unknown", "不明"),
    "mail.file": Text("[1 file]", "［添付 1 件］"),
    "mail.files": Text("[{count} files]", "［添付 {count} 件］"),
    # lines of `email show`
    "mail.show.file": Text(
        "file {number}  {name} ({type}, {size})", "添付 {number}  {name}（{type}、{size}）"
    ),
    "mail.show.record": Text(
        "record  {kind} {id} {name}: {evidence}", "レコード  {kind} {id} {name}: {evidence}"
    ),
    "mail.show.seen.sent": Text("seen  {time} sent for {owner}", "取得  {time} 送信 {owner}"),
    "mail.show.seen.received": Text(
        "seen  {time} received for {owner}", "取得  {time} 受信 {owner}"
    ),
    "mail.show.source": Text("by {source}", "経路 {source}"),
    "mail.show.mailbox": Text("in {mailbox}", "メールボックス {mailbox}"),
    "mail.show.client": Text("from {ip}", "接続元 {ip}"),
    "mail.show.login": Text("logged in as {login}", "ログイン {login}"),
    "mail.show.sent_as": Text("as {address}", "差出人 {address} として"),
    "mail.show.capture": Text("({status}, capture {id})", "（{status}、取得 ID {id}）"),
    "mail.delivery": Text("to  {address}: {status}  {words}", "宛先  {address}: {status}  {words}"),
}
