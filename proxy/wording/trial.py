"""Texts of `mailweir try`. `step.*` names what was done, `X.bad` what went wrong."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "trial.starting": Text(
        "Starting the appliance in front of a practice mail server ...",
        "練習用メールサーバーの手前に Mailweir を起動しています …",
    ),
    "trial.listening": Text(
        "Listening on 127.0.0.1: submission {submission}, MX {mx}, IMAP {imap}, HTTP {http};"
        " behind them the practice servers {practice} (SMTP) and {mailboxes} (IMAP)",
        "127.0.0.1 で待ち受け中: 送信 {submission}、MX {mx}、IMAP {imap}、HTTP {http}"
        "（背後の練習用サーバー: SMTP {practice}、IMAP {mailboxes}）",
    ),
    "trial.conversation": Text("The conversation", "やり取り"),
    "trial.quote": Text(
        "Alice logs in and sends Hanako a quotation in Japanese, with a file, copy to Bob",
        "アリスがログインし、花子さんに添付付きの日本語の見積メールを送信（CC: ボブ）",
    ),
    "trial.bytes": Text(
        "It reached the mail server byte for byte, with one Received line on top",
        "先頭に Received 行が 1 つ付いただけで、1 バイトも変わらずメールサーバーに届いた",
    ),
    "trial.answer": Text(
        "Hanako answers from outside, through the MX", "花子さんが外部から MX 経由で返信"
    ),
    "trial.welcome": Text(
        "Alice writes to Jordan and to an address that does not exist:"
        " one is taken, one refused, in the mail server's words",
        "アリスがジョーダンさんと存在しない宛先に送信:"
        " 一方は受理、他方はメールサーバーの言葉で拒否",
    ),
    "trial.relay": Text(
        "A stranger wants to relay to a third party and is refused",
        "見知らぬ者による第三者中継は拒否",
    ),
    "trial.password": Text(
        "A wrong password is refused by the mail server; Mailweir keeps none",
        "誤ったパスワードはメールサーバーが拒否（Mailweir は何も保存しない）",
    ),
    "trial.down": Text(
        "The mail server goes away; Alice writes all the same, and it waits in the queue",
        "メールサーバーが停止中でもアリスは送信でき、メールはキューで待機",
    ),
    "trial.back": Text(
        "The mail server is back, and the queue has delivered",
        "メールサーバーの復旧後、キューから配送完了",
    ),
    "trial.report": Text(
        "Hanako's mail server reports that her mailbox is full; the report goes on to Alice",
        "花子さんのメールサーバーが「メールボックスがいっぱい」と通知し、アリスにも届いた",
    ),
    "trial.suppressed": Text(
        "Alice writes to the address that does not exist again: refused at once, with the reason",
        "存在しない宛先にもう一度書くと、理由付きで即座に拒否",
    ),
    "trial.bounced": Text(
        "The reminder's timeline entry says that it bounced",
        "リマインダーのタイムラインに不達と表示された",
    ),
    "trial.imap_password": Text(
        "Alice opens her mailbox: a wrong password gets the mail server's words, then she is in",
        "アリスがメールボックスを開く: 誤ったパスワードにはサーバーの言葉が返り、正しければ開く",
    ),
    "trial.imap_filed": Text(
        "Her mail program files the quotation in Sent", "メールソフトが見積メールを Sent に保存"
    ),
    "trial.imap_read": Text(
        "She reads a mail from before Mailweir, byte for byte as it lies there",
        "導入前に届いていたメールを読む（1 バイトも変わらない）",
    ),
    "trial.imap_headers": Text(
        "Of the mails in INBOX her program fetches the headers only",
        "INBOX のメールはヘッダーだけを取得",
    ),
    "trial.companion": Text(
        "The companion has fetched those, also the one that came past Mailweir; they stay unread",
        "それらはコンパニオンが取得（Mailweir を通らなかったものも）。すべて未読のまま",
    ),
    "trial.once": Text(
        "The quotation was seen twice and stands on the timeline once",
        "見積メールは 2 つの経路で取得され、タイムラインには 1 通だけ",
    ),
    "trial.late": Text(
        "Jordan becomes a lead only now, and the earlier mail is linked",
        "ジョーダンさんを今になって見込み客に登録すると、以前のメールも関連付けられた",
    ),
    "trial.captured": Text(
        "Everything that was accepted is captured and linked",
        "受理されたメールはすべて記録され、顧客に関連付けられた",
    ),
    "trial.audit": Text(
        "Audit: {accepted} accepted = {captured} captured + {excluded} excluded + {failed} failed,"
        " chain verified",
        "監査: 受理 {accepted} = 記録 {captured} + 除外 {excluded} + 失敗 {failed}、"
        "ハッシュチェーンも一致",
    ),
    "trial.timeline": Text("Timeline of {name} ({kind})", "{name} のタイムライン（{kind}）"),
    "trial.column.time": Text("time (UTC)", "日時 (UTC)"),
    "trial.column.direction": Text("direction", "送受信"),
    "trial.column.subject": Text("subject", "件名"),
    "trial.column.attachments": Text("files", "添付"),
    "trial.column.source": Text("seen by", "経路"),
    "trial.column.status": Text("status", "状態"),
    "trial.good": Text(
        "Everything that was sent was captured and linked.",
        "送信されたすべてのメールが記録され、関連付けられました。",
    ),
    "trial.bad": Text("Something did not work; the log: {log}", "問題がありました。ログ: {log}"),
    "trial.yours": Text("Now send mail of your own:", "ご自分でもメールを送ってみてください:"),
    "trial.program": Text(
        "A mail program works too: IMAP 127.0.0.1:{imap}, SMTP 127.0.0.1:{submission}, both with"
        " STARTTLS; user {user}, password {password}",
        "メールソフトも使えます: IMAP 127.0.0.1:{imap}、SMTP 127.0.0.1:{submission}（どちらも"
        " STARTTLS）、ユーザー {user}、パスワード {password}",
    ),
    "trial.look": Text("And look at what was captured:", "記録されたものを見るには:"),
    "trial.stay": Text(
        "New mail is shown below as it is captured. Ctrl-C ends it all.",
        "新しいメールは記録されるたびに下に表示されます。Ctrl-C で終了します。",
    ),
    "trial.new": Text(
        "{time}  {direction}  {sender} -> {to}: {subject}",
        "{time}  {direction}  {sender} → {to}: {subject}",
    ),
    "trial.died": Text("The appliance has ended: {words}", "Mailweir が終了しました: {words}"),
}
