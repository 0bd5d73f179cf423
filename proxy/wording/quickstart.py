"""Texts of `mailweir quickstart`: comments in the configuration, words around the lines to copy."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "quickstart.toml.head": Text(
        "Written by `mailweir quickstart`. {example} explains every key.",
        "`mailweir quickstart` が作成しました。各キーの説明は {example} にあります。",
    ),
    "quickstart.toml.mx": Text(
        "Mail from outside. What Postfix answers is the answer.",
        "外部から届くメール。Postfix の応答がそのまま相手への応答になります。",
    ),
    "quickstart.toml.submission": Text(
        "Mail of our users, with STARTTLS. The login is checked by Postfix and Dovecot.",
        "利用者が送るメール（STARTTLS）。ログインは Postfix と Dovecot が確認します。",
    ),
    "quickstart.toml.submissions": Text(
        "The same, with TLS from the first byte.", "同じく利用者用（最初から TLS）。"
    ),
    "quickstart.toml.imap": Text(
        "Mailboxes, with STARTTLS. What mail programs read and file is captured on its way.",
        "メールボックス（STARTTLS）。読まれるメールと保存されるメールを途中で記録します。",
    ),
    "quickstart.toml.imaps": Text(
        "The same, with TLS from the first byte.", "同じくメールボックス（最初から TLS）。"
    ),
    "quickstart.toml.outbound": Text(
        "Where mail goes that waited in our own queue.",
        "キューで待っていたメールを送り出す先。",
    ),
    "quickstart.toml.http": Text(
        "Metrics and health, for this machine only.",
        "メトリクスと状態の確認（このマシンからのみ）。",
    ),
    "quickstart.address": Text("<this machine's public address>", "<このマシンの公開アドレス>"),
    "quickstart.written": Text("written: {path}", "作成しました: {path}"),
    "quickstart.kept": Text("used as it is: {path}", "既存のものを使います: {path}"),
    "quickstart.dns": Text("DNS records", "DNS レコード"),
    "quickstart.dns.text": Text(
        "Add these to {domain}; point the MX here last, when all else works. Ask the provider of"
        " the address for a PTR record that says {hostname}. List other servers that send for you"
        " in the SPF record.",
        "{domain} に追加してください。MX の切り替えは、ほかがすべて動いてから最後に行います。"
        "アドレスの提供元には、{hostname} を返す PTR レコードを依頼してください。ほかにも送信する"
        "サーバーがあれば SPF に書き加えます。",
    ),
    "quickstart.master": Text("Postfix: /etc/postfix/master.cf", "Postfix: /etc/postfix/master.cf"),
    "quickstart.master.text": Text(
        "Put a # before the lines `smtp inet`, `submission inet` and `submissions inet` (and their"
        " -o lines), then add these three services. Beware of mynetworks: to Postfix all mail now"
        " comes from 127.0.0.1. The port for inbound mail must therefore trust nobody and refuse"
        " everything but your own domains, as written here; with mynetworks left as it was, it"
        " would relay anything to anywhere. Port 10026 does relay for programs on this machine;"
        " leave it on 127.0.0.1.",
        "`smtp inet`、`submission inet`、`submissions inet` の行（とその -o の行）の先頭に # を"
        "付け、次の 3 つのサービスを追加します。mynetworks には注意してください。Postfix から見る"
        "と、すべてのメールが 127.0.0.1 から届きます。そのため受信用のポートは、この例のとおり"
        "どこも信頼せず、自ドメイン以外の宛先を拒否しなければなりません。mynetworks を元のままに"
        "すると、あらゆる宛先へ中継してしまいます。10026 番はこのマシン上のプログラムからの中継を"
        "許すポートなので、127.0.0.1 のままにしてください。",
    ),
    "quickstart.main": Text("Postfix: /etc/postfix/main.cf", "Postfix: /etc/postfix/main.cf"),
    "quickstart.main.text": Text(
        "{domain} stays in mydestination or virtual_mailbox_domains as before, and Postfix goes on"
        " sending to the outside by itself. It no longer sees the addresses of clients: checks by"
        " client address (block lists, greylisting, SPF) find only 127.0.0.1 there. The address"
        " stands in the Received line that Mailweir adds.",
        "{domain} はこれまでどおり mydestination か virtual_mailbox_domains に置きます。外部への"
        "送信も引き続き Postfix が行います。ただし Postfix からはクライアントのアドレスが見えなく"
        "なり、アドレスによる検査（ブロックリスト、グレイリスト、SPF）は 127.0.0.1 しか見ません。"
        "実際のアドレスは、Mailweir が加える Received 行に残ります。",
    ),
    "quickstart.dovecot": Text(
        "Dovecot: /etc/dovecot/conf.d/99-mailweir.conf",
        "Dovecot: /etc/dovecot/conf.d/99-mailweir.conf",
    ),
    "quickstart.dovecot.text": Text(
        "Postfix asks Dovecot for each login on port 10587. Skip this if it already does.",
        "10587 番でのログインを Postfix が Dovecot に確認します。設定済みなら不要です。",
    ),
    "quickstart.imap": Text(
        "Dovecot: IMAP behind Mailweir, in the same file",
        "Dovecot: IMAP を Mailweir の後ろに置く（同じファイル）",
    ),
    "quickstart.imap.text": Text(
        "Mailweir takes the ports 143 and 993; Dovecot listens on 127.0.0.1:10143 only, and hears"
        " from Mailweir at which address a client is (login_trusted_networks), so that its limits"
        " and logs stay right. Mail programs need no change. Each user who is logged in costs"
        " Dovecot a second connection now and then: mail_max_userip_connections should have room"
        " for one more. Without IMAP here take out this part and the two [[imap]] tables.",
        "143 番と 993 番は Mailweir が使い、Dovecot は 127.0.0.1:10143 だけで待ち受けます。"
        "クライアントのアドレスは Mailweir が Dovecot に伝えるので（login_trusted_networks）、"
        "接続数の制限やログはこれまでどおりです。メールソフトの設定は変わりません。ログイン中の"
        "利用者ごとに時々もう 1 本の接続が加わるため、mail_max_userip_connections には 1 つ余裕を"
        "持たせてください。IMAP を使わない場合は、この部分と 2 つの [[imap]] を除きます。",
    ),
    "quickstart.submission": Text(
        "Or: Dovecot's submission service on port 10587",
        "または: 10587 番で Dovecot の submission サービスを使う",
    ),
    "quickstart.submission.text": Text(
        "If you use it already, keep it in place of Postfix's service on that port. If"
        " dovecot-submissiond is only installed, say `protocols = imap` (with what else you use) in"
        " /etc/dovecot/local.conf: it would hold port 587.",
        "すでに使っている場合は、そのポートの Postfix のサービスの代わりに使えます。"
        "dovecot-submissiond がインストールされているだけで使わない場合は、587 番をふさがないよう、"
        "/etc/dovecot/local.conf に `protocols = imap`（ほかに使うものも並べて）と書いてください。",
    ),
    "quickstart.other": Text("Programs and other servers that send mail", "メールを送るほかの機器"),
    "quickstart.other.text": Text(
        "Only mail that passes Mailweir is captured. Let other servers use it as their relayhost,"
        " with a login (Postfix there, main.cf):",
        "記録されるのは Mailweir を通ったメールだけです。ほかのサーバーでも Mailweir を"
        " relayhost にし、ログインして送ってください（そのサーバーの Postfix の main.cf）。",
    ),
    "quickstart.autoconfig": Text(
        "Mail programs that set themselves up (if you have a web server)",
        "メールソフトの自動設定（ウェブサーバーがある場合）",
    ),
    "quickstart.autoconfig.text": Text(
        "Some programs look for the SRV records above, Thunderbird and Outlook ask a web page for"
        " the servers of {domain}. Mailweir has these pages on this machine; a web server with a"
        " certificate publishes them. DNS records, then nginx:",
        "上の SRV レコードを調べるソフトのほか、Thunderbird と Outlook はウェブページで {domain} の"
        "サーバーを調べます。ページはこのマシンの Mailweir にあり、証明書のあるウェブサーバーで"
        "公開します。DNS レコードと nginx の設定:",
    ),
    "quickstart.service": Text("The service", "サービスの起動"),
    "quickstart.service.text": Text(
        "As root. The user mailweir must be able to read {program}. `check` says what is still"
        " missing; correct it before mail comes in.",
        "root で実行します。{program} は、ユーザー mailweir が読める場所に置いてください。足りない"
        "ものは `check` が示すので、メールを流す前に直してください。",
    ),
    "quickstart.certificate": Text("Certificate", "証明書"),
    "quickstart.certificate.text": Text(
        "A self-signed certificate was made so that everything works at once. Mail programs warn of"
        " it: get a real one (for example with certbot), set cert and key, and restart.",
        "すぐに動かせるよう、自己署名の証明書を作りました。メールソフトでは警告が出るので、certbot"
        " などで正式な証明書を取得し、cert と key を書き換えて再起動してください。",
    ),
}
