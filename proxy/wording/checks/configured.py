"""Texts on the configuration itself: risky settings, open secrets, certificates, limits."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "config.refused": Text("{line}", "{line}"),
    "config.refused.todo": Text(
        "Correct this key; mailweir.example.toml explains all of them.",
        "このキーを直してください。すべてのキーの説明は mailweir.example.toml にあります。",
    ),
    "config.loaded": Text("in order, {count} listener(s)", "問題ありません（待ち受け {count} 個）"),
    "config.no_listener": Text(
        "there is no [[smtp]] and no [[imap]] table: no mail can come in",
        "[[smtp]] の表も [[imap]] の表もないため、メールを受け取れません",
    ),
    "config.no_listener.todo": Text(
        "Add a listener, or let `mailweir quickstart DOMAIN` write a configuration.",
        "待ち受けを追加するか、`mailweir quickstart DOMAIN` で設定を作ってください。",
    ),
    "config.route_mx": Text(
        'outbound.route is "mx": queued mail of this listener goes straight to its recipients, not'
        " through {hop}; without its DKIM signature and from this machine's address",
        "outbound.route が「mx」です。この待ち受けでキューに入ったメールは {hop} を通らず宛先へ"
        "直接送られるため、DKIM 署名が付かず、送信元もこのマシンのアドレスになります",
    ),
    "config.route_mx.todo": Text(
        "Set outbound.route to a port of your mail server that relays for this machine.",
        "このマシンからの中継を許可しているメールサーバーのポートを、outbound.route に設定して"
        "ください。",
    ),
    "config.http_open": Text(
        "metrics and health pages can be read from other machines, without a password",
        "メトリクスと状態のページを、ほかのマシンからパスワードなしで読めます",
    ),
    "config.http_open.todo": Text(
        "Set http.listen to 127.0.0.1, or close the port to all but your monitoring.",
        "http.listen を 127.0.0.1 にするか、監視サーバー以外からの接続をふさいでください。",
    ),
    "config.told": Text(
        "mail programs that set themselves up are told: {places}",
        "メールソフトの自動設定で知らせる接続先: {places}",
    ),
    "config.not_told": Text(
        "mail programs that set themselves up are told nothing: it takes a listener to read at and"
        " one to send at, with TLS and logins, not on loopback (or with `public`)",
        "メールソフトの自動設定には何も知らせません。読む側と送る側の両方に、TLS とログインのある、"
        "ループバック以外の待ち受け（または `public`）が必要です",
    ),
    "config.observe": Text(
        'capture.mode is "observe": mail flows and is counted, NOTHING of it is kept',
        "capture.mode が「observe」です。メールは流れ、数えられますが、一切保存されません",
    ),
    "config.observe.todo": Text(
        'When you have seen enough (`mailweir audit`), set it to "capture" and restart.',
        "確認が済んだら（`mailweir audit`）「capture」に変えて再起動してください。",
    ),
    "config.listed": Text(
        'capture.users is "listed": only mail of users and of capture.listed is kept: {patterns}',
        "capture.users が「listed」です。保存されるのは利用者と capture.listed に当てはまる人の"
        "メールだけです: {patterns}",
    ),
    "config.listed.todo": Text(
        'List the next ones (`mailweir user add`, capture.listed); at the end set it to "all".',
        "次の人を加え（`mailweir user add`、capture.listed）、最後に「all」にしてください。",
    ),
    "config.clear_passwords": Text(
        "passwords may cross the network unencrypted (auth_plain_without_tls = true)",
        "パスワードが暗号化されずにネットワークを流れるおそれがあります"
        "（auth_plain_without_tls = true）",
    ),
    "config.clear_passwords.todo": Text(
        "Remove auth_plain_without_tls and set tls, cert and key.",
        "auth_plain_without_tls を削除し、tls、cert、key を設定してください。",
    ),
    "config.no_tls_no_auth": Text(
        'tls is "none": passwords are not taken on an unencrypted connection, so users cannot'
        " log in with PLAIN or LOGIN",
        "tls が「none」です。暗号化されていない接続ではパスワードを受け付けないため、"
        "PLAIN や LOGIN でログインできません",
    ),
    "config.no_tls_no_auth.todo": Text(
        'Set tls = "starttls" or "implicit", with cert and key.',
        "tls を「starttls」または「implicit」にし、cert と key を設定してください。",
    ),
    "config.no_tls": Text(
        'tls is "none": mail comes in unencrypted',
        "tls が「none」です。メールは暗号化されずに届きます",
    ),
    "config.no_tls.todo": Text(
        'Set tls = "starttls", with cert and key.',
        "tls を「starttls」にし、cert と key を設定してください。",
    ),
    "file.open": Text(
        "holds a secret, but others may read or change it (mode {mode})",
        "秘密の情報を含むのに、ほかの利用者が読み書きできます（モード {mode}）",
    ),
    "file.open.todo": Text(
        "Run `chmod 600 {about}` (or 640, for a group that may read it).",
        "`chmod 600 {about}` を実行してください（グループに読ませるなら 640）。",
    ),
    "cert.unreadable": Text("cannot be used: {reason}", "使えません: {reason}"),
    "cert.unreadable.todo": Text(
        "Give the path of a PEM file that this user may read.",
        "このユーザーが読める PEM ファイルのパスを指定してください。",
    ),
    "cert.expired": Text("ended on {date}", "{date} に期限が切れました"),
    "cert.expired.todo": Text(
        "Renew it, then restart Mailweir.", "更新して、Mailweir を再起動してください。"
    ),
    "cert.early": Text("is not valid before {date} UTC", "{date} UTC より前は有効ではありません"),
    "cert.early.todo": Text(
        "Check the clock of this machine, or use the certificate that is valid now.",
        "このマシンの時計を確かめるか、いま有効な証明書を使ってください。",
    ),
    "cert.soon": Text(
        "ends in {days} day(s), on {date}", "あと {days} 日、{date} に期限が切れます"
    ),
    "cert.soon.todo": Text(
        "Renew it, and find out why nothing has renewed it yet.",
        "更新し、自動更新が動いていない理由を調べてください。",
    ),
    "cert.valid": Text(
        "valid for {days} more days, until {date}", "あと {days} 日、{date} まで有効です"
    ),
    "cert.name": Text(
        "does not name {hostname}; it names: {names}",
        "{hostname} の名前が入っていません。入っている名前: {names}",
    ),
    "cert.name.todo": Text(
        "Use a certificate with the name that clients connect to.",
        "クライアントが接続する名前の入った証明書を使ってください。",
    ),
    "cert.self_signed": Text(
        "is self-signed: mail servers encrypt with it, mail programs warn of it",
        "自己署名です。メールサーバー同士の暗号化には使えますが、メールソフトは警告を出します",
    ),
    "cert.self_signed.todo": Text(
        "Get one from an authority, for example with certbot, before users connect.",
        "利用者がつなぐ前に、certbot などで認証局の証明書を取得してください。",
    ),
    "cert.order": Text(
        "the certificates in the file do not follow each other",
        "ファイル内の証明書の並びがつながっていません",
    ),
    "cert.order.todo": Text(
        "Put the server's certificate first, then each issuer (fullchain.pem).",
        "サーバーの証明書を先頭に、発行者を順に並べてください（fullchain.pem）。",
    ),
    "cert.alone": Text(
        "the file holds no intermediate certificate, which many clients need",
        "中間証明書が入っていません。多くのクライアントで必要になります",
    ),
    "cert.alone.todo": Text(
        "Use the full chain (fullchain.pem) instead of the certificate alone.",
        "証明書だけのファイルではなく、チェーン全体（fullchain.pem）を使ってください。",
    ),
    "limits.enough": Text(
        "enough open files for every connection ({wanted})",
        "同時に開けるファイルの数は、すべての接続に足ります（{wanted}）",
    ),
    "limits.files": Text(
        "a process may open {most} files, but limits.connections needs {wanted}",
        "1 プロセスで開けるファイルは {most} 個ですが、limits.connections には {wanted} 個必要です",
    ),
    "limits.files.todo": Text(
        "Set LimitNOFILE={wanted} in the service, or lower limits.connections.",
        "サービスに LimitNOFILE={wanted} を設定するか、limits.connections を減らしてください。",
    ),
}
