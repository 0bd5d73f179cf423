"""Texts of `mailweir status`, `migrate`, `audit` and `replay`."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    # status: tables
    "state.role": Text("role", "役割"),
    "state.state": Text("state", "状態"),
    "state.up": Text("up", "稼働"),
    "state.down": Text("DOWN", "停止"),
    "state.pid": Text("pid", "pid"),
    "state.uptime": Text("up for", "稼働時間"),
    "state.figures": Text("figures", "件数など"),
    # of a process: shown where it is not 0, or always
    "state.figure.connections": Text("connections {n}", "接続 {n}"),
    "state.figure.messages": Text("messages taken in {n}", "取り込んだメール {n}"),
    "state.figure.captured": Text("captured {n}", "記録 {n}"),
    "state.figure.skipped": Text("not captured {n}", "記録せず {n}"),
    "state.figure.companions": Text("companions {n}", "コンパニオン {n}"),
    "state.figure.fetched": Text("fetched {n}", "コンパニオンの取得 {n}"),
    "state.figure.unread": Text("unread {n}", "読めないメール {n}"),
    "state.figure.failed": Text("failed {n}", "失敗 {n}"),
    "state.figure.journal_full": Text("JOURNAL FULL", "ジャーナル満杯"),
    "state.journal": Text("journal", "ジャーナル"),
    "state.size": Text("size", "サイズ"),
    "state.waiting": Text("waiting for the store", "取り込み待ち"),
    "state.oldest": Text("oldest", "最も古いもの"),
    "state.unknown": Text("unknown", "不明"),
    "state.free": Text("free for journals: {size}", "ジャーナルの空き容量: {size}"),
    "state.queue": Text("queue", "キュー"),
    "state.messages": Text("messages", "通数"),
    "state.queue.empty": Text("empty", "なし"),
    "state.queue.queued": Text("queued", "配送待ち"),
    "state.queue.sending": Text("sending", "配送中"),
    "state.queue.delivered": Text("delivered", "配送済み"),
    "state.queue.failed": Text("failed", "失敗"),
    "state.queue.expired": Text("expired", "期限切れ"),
    "state.mailboxes": Text("mailboxes", "メールボックス"),
    "state.looked": Text("looked into", "確認した数"),
    "state.known": Text("known", "取得済み"),
    "state.of": Text("of", "全体"),
    "state.large": Text("too large", "大きすぎ"),
    "state.mail": Text("mail: {size}", "メール: {size}"),
    "state.mail.of": Text(
        "mail: {size} of {quota} ({percent} %)", "メール: {quota} 中 {size}（{percent} %）"
    ),
    "state.last_error": Text("last error of {role}: {error}", "{role} の最後のエラー: {error}"),
    "state.wrong": Text("WRONG  {text}", "問題  {text}"),
    "state.note": Text("NOTE  {text}", "注意  {text}"),
    "state.note.observe": Text(
        'capture.mode = "observe": mail flows and is counted, NOTHING of it is kept'
        " (`mailweir audit` has the figures)",
        'capture.mode = "observe" です。メールは流れ、数えられますが、一切保存されません'
        "（件数は `mailweir audit` で確認できます）",
    ),
    "state.note.listed": Text(
        'capture.users = "listed": only mail of users (`mailweir user list`) and of capture.listed'
        " is kept: {patterns}",
        'capture.users = "listed" です。保存されるのは利用者（`mailweir user list`）と'
        " capture.listed に当てはまる人のメールだけです: {patterns}",
    ),
    # status: what is wrong
    "state.wrong.nothing": Text(
        "nothing runs: start it with `mailweir run`",
        "何も動いていません。`mailweir run` で起動してください",
    ),
    "state.wrong.starting": Text(
        "`mailweir run` has begun, but none of its processes is up yet: look again, and at its log",
        "`mailweir run` は起動していますが、どのプロセスもまだ動いていません。少し待って確認し、"
        "続くときはログを見てください",
    ),
    "state.wrong.down": Text("{role} is down", "{role} が停止しています"),
    "state.wrong.coming": Text("{role} is not up yet", "{role} はまだ起動していません"),
    "state.wrong.room": Text(
        "journal: {free:,.1f} MiB free, below journal.min_free = {least:,.0f} MiB: mail is put off"
        " with 452",
        "ジャーナル: 空き {free:,.1f} MiB が journal.min_free = {least:,.0f} MiB を下回り、"
        "受付を 452 で保留しています",
    ),
    "state.wrong.store": Text("store: {reason}", "データベース: {reason}"),
    "state.wrong.mail": Text(
        "mail: {used} bytes, over the quota of {quota} (store.mail_quota): it goes on and is stored"
        " whole; make the quota larger, or mail less",
        "メール: {used} バイトが容量の目安 {quota} バイト（store.mail_quota）を超えました。受信も"
        "保管もそのまま続きます。目安を大きくするか、メールを減らしてください",
    ),
    "state.wrong.behind": Text(
        "{door}: {count} records wait for the store, the oldest {seconds:.0f} s",
        "{door}: {count} 件が取り込み待ちで、最も古いものは {seconds:.0f} 秒前です",
    ),
    "state.wrong.far_behind": Text(
        "{door}: at least {count} records wait for the store, the oldest {seconds:.0f} s",
        "{door}: {count} 件以上が取り込み待ちで、最も古いものは {seconds:.0f} 秒前です",
    ),
    # migrate
    "migrate.done": Text("{database}: schema {version}", "{database}: スキーマ {version}"),
    # audit
    "audit.sum": Text(
        "accepted {accepted} = captured {captured} + excluded {excluded} + failed {failed}",
        "受付 {accepted} = 記録 {captured} + 除外 {excluded} + 失敗 {failed}",
    ),
    "audit.partial": Text(
        "  captured without some of its people: {kind}: {count}",
        "  一部の参加者を除いて記録: {kind}: {count}",
    ),
    "audit.excluded": Text("  excluded: {reason}: {count}", "  除外: {reason}: {count}"),
    "audit.others": Text(
        "refused {refused}, pending {pending}", "拒否 {refused}、取り込み待ち {pending}"
    ),
    "audit.chain": Text(
        "hash chain of {count} journal records: verified",
        "ジャーナル {count} 件のハッシュチェーン: 検証しました",
    ),
    "audit.broken": Text(
        "hash chain of {count} journal records: BROKEN",
        "ジャーナル {count} 件のハッシュチェーン: 壊れています",
    ),
    "audit.gap": Text("GAP  {place} {id}: {what}", "漏れ  {place} {id}: {what}"),
    "audit.more": Text("GAP  and {count} more", "漏れ  ほか {count} 件"),
    "audit.ok": Text("nothing is missing", "漏れはありません"),
    "audit.gaps": Text("{count} gaps", "漏れ {count} 件"),
    # replay
    "replay.done": Text(
        "{frames} records of the journals and {messages} messages were missing: {captured}"
        " captured, {excluded} excluded, {failed} failed, {refused} refused",
        "ジャーナルの {frames} 件とメール {messages} 通が足りませんでした: 記録 {captured}、"
        "除外 {excluded}、失敗 {failed}、拒否 {refused}",
    ),
    "replay.queued": Text(
        "{count} had been queued and were not queued again",
        "{count} 通はキューにあったもので、再びキューには入れていません",
    ),
    "replay.pending": Text("{count} are without verdict", "{count} 通は結果が分かりません"),
    "replay.damaged": Text("UNREADABLE  {name}", "読めません  {name}"),
}
