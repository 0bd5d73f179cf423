"""Texts of `mailweir check`.

`subject.*` names the thing, `X` says what was seen, `X.todo` what to do about it.
`{about}` is the thing itself: a listener, a file, an address.
"""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "subject.config": Text("configuration {about}", "設定 {about}"),
    "subject.cert": Text("certificate {about}", "証明書 {about}"),
    "subject.limits": Text("limits", "上限"),
    "subject.file": Text("file {about}", "ファイル {about}"),
    "subject.port": Text("port {about}", "ポート {about}"),
    "subject.disk": Text("data folder {about}", "データフォルダ {about}"),
    "subject.room": Text("free space {about}", "空き容量 {about}"),
    "subject.store": Text("database {about}", "データベース {about}"),
    "subject.blobs": Text("blobs {about}", "メール保管先 {about}"),
    "subject.clock": Text("clock", "時計"),
    "subject.imap": Text("mailboxes {about}", "メールボックス {about}"),
    "subject.hop": Text("next hop of {about}", "{about} の中継先"),
    "subject.dns": Text("DNS {about}", "DNS {about}"),
    # configuration
    "config.refused": Text("{line}", "{line}"),
    "config.refused.todo": Text(
        "Correct this key; mailweir.example.toml explains all of them.",
        "このキーを直してください。すべてのキーの説明は mailweir.example.toml にあります。",
    ),
    "config.loaded": Text("in order, {count} listener(s)", "問題ありません（待ち受け {count} 個）"),
    "config.no_listener": Text(
        "there is no [[smtp]] table: no mail can come in",
        "[[smtp]] の表がないため、メールを受け取れません",
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
    # certificates
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
    # limits
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
    # ports
    "port.free": Text("free", "空いています"),
    "port.ours": Text("held by Mailweir, which is running", "稼働中の Mailweir が使っています"),
    "port.taken": Text("taken by another program", "ほかのプログラムが使っています"),
    "port.taken.todo": Text(
        "Run this check as root to see which one; move it, or listen elsewhere.",
        "どのプログラムかは root で実行すると分かります。移動させるか、別のポートにしてください。",
    ),
    "port.taken_by": Text("taken by {who}", "{who} が使っています"),
    "port.taken_by.todo": Text(
        "Move that program to another port (for Postfix: master.cf), or listen elsewhere.",
        "そのプログラムを別のポートへ移すか（Postfix なら master.cf）、別のポートにしてください。",
    ),
    "port.denied": Text(
        "this user may not open ports below 1024", "このユーザーは 1024 未満のポートを開けません"
    ),
    "port.denied.todo": Text(
        "Start Mailweir as a service with AmbientCapabilities=CAP_NET_BIND_SERVICE.",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE を付けたサービスとして起動してください。",
    ),
    "port.not_here": Text(
        "this machine does not have that address", "このマシンにそのアドレスはありません"
    ),
    "port.not_here.todo": Text(
        'Use an address that `ip address` shows, or "0.0.0.0" for all of them.',
        "`ip address` に出るアドレスか、すべてを表す「0.0.0.0」を使ってください。",
    ),
    "port.trouble": Text("cannot be opened: {reason}", "開けません: {reason}"),
    # disk
    "disk.writable": Text("may be written", "書き込めます"),
    "disk.missing": Text(
        "is not there yet; `mailweir run` makes it", "まだありません（`mailweir run` が作ります）"
    ),
    "disk.cannot_make": Text(
        "is not there, and {user} may not make it in {place}",
        "存在せず、{user} は {place} の中に作れません",
    ),
    "disk.cannot_make.todo": Text(
        "Run `install -d -m 700 -o {user} {about}` as root.",
        "root で `install -d -m 700 -o {user} {about}` を実行してください。",
    ),
    "disk.unwritable": Text(
        "{user} cannot write here: {reason}", "{user} では書き込めません: {reason}"
    ),
    "disk.unwritable.todo": Text(
        "Give the folder to {user}: `chown -R {user} {about}`.",
        "`chown -R {user} {about}` で、フォルダの持ち主を {user} にしてください。",
    ),
    "disk.open": Text(
        "other users of this machine can look into it, and it holds mail",
        "メールが入るのに、このマシンのほかの利用者が中を見られます",
    ),
    "disk.open.todo": Text("Run `chmod 700 {about}`.", "`chmod 700 {about}` を実行してください。"),
    "disk.memory": Text(
        "lies in memory ({kind}): accepted mail is lost with the power",
        "メモリ上（{kind}）にあります。電源が切れると、受け付けたメールは失われます",
    ),
    "disk.memory.todo": Text(
        "Set node.data_dir to a folder on a disk.",
        "node.data_dir をディスク上のフォルダにしてください。",
    ),
    "disk.network": Text(
        "lies on a network file system ({kind}), on which the database is not safe",
        "ネットワークファイルシステム（{kind}）にあり、データベースが壊れるおそれがあります",
    ),
    "disk.network.todo": Text(
        "Set node.data_dir to a folder on a local disk.",
        "node.data_dir をローカルディスク上のフォルダにしてください。",
    ),
    "disk.overlay": Text(
        "lies in the layer of a container, which goes away with it",
        "コンテナのレイヤーの中にあり、コンテナと一緒に消えます",
    ),
    "disk.overlay.todo": Text(
        "Mount a volume at {about}.", "{about} にボリュームをマウントしてください。"
    ),
    "disk.sync": Text("fsync works and takes {ms:.2f} ms", "fsync は正常です（{ms:.2f} ミリ秒）"),
    "disk.slow_sync": Text(
        "fsync takes {ms:.0f} ms, and every accepted message waits for one",
        "fsync に {ms:.0f} ミリ秒かかります。メールを受け付けるたびにこれを待ちます",
    ),
    "disk.slow_sync.todo": Text(
        "Use a faster disk (an SSD with power-loss protection is best).",
        "より速いディスクを使ってください（電源断保護つきの SSD が最適です）。",
    ),
    "disk.no_sync": Text(
        "fsync fails: {reason}; nothing accepted would be safe",
        "fsync に失敗します: {reason}。受け付けたメールの安全を保証できません",
    ),
    "disk.no_sync.todo": Text(
        "Set node.data_dir to a local disk (ext4, xfs, btrfs, zfs), and look into the kernel's"
        " log.",
        "node.data_dir をローカルディスク（ext4、xfs、btrfs、zfs）にし、カーネルのログも確認して"
        "ください。",
    ),
    "room.enough": Text(
        "{free:.0f} MiB free; mail is put off below {least:.0f} MiB",
        "空き {free:.0f} MiB（{least:.0f} MiB を下回ると受付を保留します）",
    ),
    "room.little": Text(
        "only {free:.0f} MiB free; mail is put off below {least:.0f} MiB",
        "空きが {free:.0f} MiB しかありません（{least:.0f} MiB を下回ると受付を保留します）",
    ),
    "room.little.todo": Text(
        "Make room, or move node.data_dir to a larger disk.",
        "空きを増やすか、node.data_dir をより大きなディスクへ移してください。",
    ),
    "room.none": Text(
        "{free:.0f} MiB free, less than journal.min_free ({least:.0f} MiB): mail is put off now",
        "空きが {free:.0f} MiB で journal.min_free（{least:.0f} MiB）を下回り、受付を保留します",
    ),
    "room.none.todo": Text(
        "Make room at once; senders try again for some days, then give up.",
        "すぐに空きを増やしてください。送信側は数日間再送したのち、あきらめます。",
    ),
    "room.inodes": Text(
        "room for only {count} more files", "あと {count} 個しかファイルを作れません"
    ),
    "room.inodes.todo": Text(
        "Use a file system with more inodes; each message is a file.",
        "inode の多いファイルシステムを使ってください。メール 1 通が 1 ファイルになります。",
    ),
    # database
    "store.new": Text(
        "is not there yet; `mailweir run` makes it", "まだありません（`mailweir run` が作ります）"
    ),
    "store.ready": Text(
        "of this version, and every commit is on the disk",
        "このバージョンのもので、確定した内容は必ずディスクに書かれます",
    ),
    "store.old": Text("cannot be used as it is: {reason}", "このままでは使えません: {reason}"),
    "store.old.todo": Text(
        "Make a copy of the data folder, then run `mailweir migrate`.",
        "データフォルダのコピーを取ってから `mailweir migrate` を実行してください。",
    ),
    "store.lost": Text(
        "is missing, but {blobs} holds mail", "見当たりませんが、{blobs} にメールが残っています"
    ),
    "store.lost.todo": Text(
        "Restore the database from a backup, or make an empty one with `mailweir migrate`.",
        "バックアップから戻すか、`mailweir migrate` で空のデータベースを作ってください。",
    ),
    "store.trouble": Text("cannot be used now: {reason}", "いまは使えません: {reason}"),
    "store.trouble.todo": Text(
        "Look at the owner and mode of the file; mail is accepted meanwhile and kept in the"
        " journal.",
        "ファイルの所有者とモードを確認してください。その間もメールは受け付けられ、ジャーナルに"
        "残ります。",
    ),
    "store.unsafe": Text(
        "would lose what it was given: {reason}", "保存した内容が失われるおそれがあります: {reason}"
    ),
    "store.unsafe.todo": Text(
        "Correct the setting that is named; mail is accepted meanwhile and kept in the journal.",
        "示された設定を直してください。その間もメールは受け付けられ、ジャーナルに残ります。",
    ),
    "store.away": Text("cannot be used now: {reason}", "いまは使えません: {reason}"),
    "store.away.todo": Text(
        "Look at the server, at store.url and store.password_file, and at pg_hba.conf; mail is"
        " accepted meanwhile and kept in the journal.",
        "サーバー、store.url と store.password_file、pg_hba.conf を確認してください。その間も"
        "メールは受け付けられ、ジャーナルに残ります。",
    ),
    "store.torn": Text(
        "full_page_writes is off: after a power cut, pages written in part cannot be mended",
        "full_page_writes が off です。停電で途中まで書かれたページを修復できません",
    ),
    "store.torn.todo": Text(
        "Set full_page_writes = on, unless the server's file system never tears a page (ZFS).",
        "サーバーのファイルシステムがページを途中で切らないもの（ZFS）でなければ、"
        "full_page_writes = on にしてください。",
    ),
    "store.clear": Text(
        "mail crosses the network to the database unencrypted",
        "データベースへの通信が暗号化されていません",
    ),
    "store.clear.todo": Text(
        "Add ?sslmode=verify-full to store.url, and give the server a certificate.",
        "サーバーに証明書を用意し、store.url に ?sslmode=verify-full を付けてください。",
    ),
    # bucket
    "blobs.writable": Text(
        "can be written and read, {ms:.0f} ms for a small object",
        "読み書きできます（小さなオブジェクト 1 個に {ms:.0f} ミリ秒）",
    ),
    "blobs.create_only": Text(
        "never overwrites when told not to (If-None-Match)",
        "指示どおり、既存のオブジェクトを上書きしません（If-None-Match）",
    ),
    "blobs.ignored": Text(
        "overwrites although it was told not to (If-None-Match is ignored)",
        "上書きしない指示（If-None-Match）が無視され、上書きされます",
    ),
    "blobs.ignored.todo": Text(
        "No mail is lost by that, as only the same content is ever written under a name; but turn"
        " on versions for this bucket, so that nobody else can overwrite for good.",
        "同じ名前には同じ内容しか書かないため、メールは失われません。ただし、ほかから上書きされても"
        "戻せるよう、バケットのバージョニングを有効にしてください。",
    ),
    "blobs.refused": Text(
        "knows no writing without overwriting (If-None-Match): each name is looked up first",
        "上書きを防ぐ書き込み（If-None-Match）に対応していないため、書く前に毎回確認します",
    ),
    "blobs.refused.todo": Text(
        "No mail is lost by that, but storing takes twice the requests; a newer version of the"
        " server may know it.",
        "メールは失われませんが、保管に倍の要求が必要です。サーバーの新しい版なら対応している"
        "かもしれません。",
    ),
    "blobs.clock": Text(
        "its clock and ours are {seconds:+.0f} seconds apart",
        "保管先の時計とこのマシンの時計が {seconds:+.0f} 秒ずれています",
    ),
    "blobs.clock.todo": Text(
        "Set both by NTP; beyond 15 minutes S3 refuses every request.",
        "両方を NTP で合わせてください。15 分を超えると、S3 はすべての要求を拒否します。",
    ),
    "blobs.skewed": Text(
        "refuses us for our clock: {reason}", "時計のずれで拒否されます: {reason}"
    ),
    "blobs.skewed.todo": Text(
        "Correct the clock of this machine (NTP), or of the server.",
        "このマシン、またはサーバーの時計を NTP で合わせてください。",
    ),
    "blobs.kept": Text(
        "nothing can be removed there: {reason}", "オブジェクトを削除できません: {reason}"
    ),
    "blobs.kept.todo": Text(
        "Allow s3:DeleteObject below this prefix, or mail that is to be forgotten stays.",
        "このプレフィックスへの s3:DeleteObject を許可してください。許可がないと、消すべきメールが"
        "残ります。",
    ),
    "blobs.unlisted": Text(
        "does not tell us what is not there: {reason}",
        "存在しないオブジェクトを「ない」と答えません: {reason}",
    ),
    "blobs.unlisted.todo": Text(
        "Allow s3:ListBucket on the bucket, or large messages cannot be stored.",
        "バケットへの s3:ListBucket を許可してください。許可がないと、大きなメールを保管できま"
        "せん。",
    ),
    "blobs.missing": Text("is not there: {reason}", "見つかりません: {reason}"),
    "blobs.missing.todo": Text(
        "Make the bucket, or correct store.blobs, blobs_endpoint and blobs_region.",
        "バケットを作るか、store.blobs、blobs_endpoint、blobs_region を直してください。",
    ),
    "blobs.denied": Text("does not let us in: {reason}", "アクセスが拒否されました: {reason}"),
    "blobs.denied.todo": Text(
        "Check the key in blobs_credentials_file (or AWS_ACCESS_KEY_ID and its secret), and that it"
        " may s3:GetObject, s3:PutObject and s3:DeleteObject below this prefix.",
        "blobs_credentials_file（または AWS_ACCESS_KEY_ID と対の秘密鍵）と、このプレフィックスへの"
        " s3:GetObject、s3:PutObject、s3:DeleteObject の許可を確認してください。",
    ),
    "blobs.trouble": Text("cannot be used now: {reason}", "いまは使えません: {reason}"),
    "blobs.trouble.todo": Text(
        "Mail goes on and is kept in the journal until this works; see blobs_endpoint.",
        "回復するまでメールは流れ続け、ジャーナルに残ります。blobs_endpoint を確認してください。",
    ),
    "blobs.left": Text(
        "is where mail lies now, but {folder} holds some too, which is not found any more",
        "が保管先ですが、{folder} にもメールが残っていて、そちらは読めなくなっています",
    ),
    "blobs.left.todo": Text(
        "Copy {folder} into the bucket, names and all: the files are the same in both.",
        "{folder} をファイル名ごとバケットへコピーしてください。中身の形式は同じです。",
    ),
    # clock
    "clock.steered": Text(
        "{now}, kept right by a time service", "{now}、時刻同期サービスで合わせられています"
    ),
    "clock.unknown": Text(
        "{now}; the kernel does not say whether a time service keeps it right",
        "{now}（時刻同期の有無をカーネルから取得できません）",
    ),
    "clock.unsteered": Text(
        "{now}, but no time service keeps it right",
        "{now} ですが、時刻同期サービスで合わせられていません",
    ),
    "clock.unsteered.todo": Text(
        "Install and start chrony or systemd-timesyncd.",
        "chrony か systemd-timesyncd を入れて起動してください。",
    ),
    "clock.before": Text(
        "{now} is before this program was installed ({installed})",
        "{now} は、このプログラムの導入日時（{installed}）より前です",
    ),
    "clock.before.todo": Text(
        "Set the clock, and let a time service keep it.",
        "時計を合わせ、時刻同期サービスを動かしてください。",
    ),
    "clock.back": Text(
        "{now}, but files in the data folder are of {newest}: the clock was set back",
        "{now} ですが、データフォルダに {newest} のファイルがあります。時計が戻されています",
    ),
    "clock.back.todo": Text(
        "Set the clock before starting: the order of captured mail depends on it.",
        "起動する前に時計を合わせてください。記録したメールの順序に関わります。",
    ),
    # IMAP servers
    "imap.greeted": Text(
        "{server} answers (TLS: {tls}); hidden from mail programs: {hidden}",
        "{server} が応答しました（TLS: {tls}）。メールソフトに見せない機能: {hidden}",
    ),
    "imap.away": Text("{server} cannot be used: {reason}", "{server} に接続できません: {reason}"),
    "imap.away.todo": Text(
        "Start the IMAP server, and compare its port, TLS and upstream_client with the"
        " configuration.",
        "IMAP サーバーを起動し、ポート番号、TLS、upstream_client を設定と見比べてください。",
    ),
    "imap.authorities": Text(
        "the authorities cannot be read: {reason}", "認証局の証明書を読めません: {reason}"
    ),
    "imap.authorities.todo": Text(
        "Correct upstream_ca: a file of certificates in PEM form.",
        "upstream_ca を、PEM 形式の証明書のファイルに直してください。",
    ),
    "imap.no_login": Text(
        "{server} lets nobody log in over this connection (LOGINDISABLED)",
        "{server} はこの接続でのログインを許していません（LOGINDISABLED）",
    ),
    "imap.no_login.todo": Text(
        "Use TLS to it (imaps://, or upstream_tls), or let it trust this machine (Dovecot:"
        " login_trusted_networks).",
        "TLS（imaps:// か upstream_tls）で接続するか、サーバーがこのマシンを信頼するように"
        "してください（Dovecot: login_trusted_networks）。",
    ),
    "imap.no_id": Text(
        "{server} has no ID command: it does not learn the addresses of clients",
        "{server} に ID コマンドがなく、クライアントのアドレスが伝わりません",
    ),
    "imap.no_id.todo": Text(
        'Write upstream_client = "proxy" if it speaks the PROXY protocol, else "none".',
        'PROXY プロトコルに対応していれば upstream_client = "proxy"、なければ "none" と'
        "書いてください。",
    ),
    # next hops
    "hop.mx": Text(
        "the servers of each domain, found by DNS; none of them is tried here, and many providers"
        " close port 25 to the outside",
        "宛先ドメインごとに DNS で探します（ここでは接続を試しません）。外向きの 25 番ポートを"
        "閉じている事業者も多いので注意してください",
    ),
    "hop.greeted": Text(
        "{hop} answers (TLS: {tls}); offers {offered}",
        "{hop} が応答しました（TLS: {tls}）。対応機能: {offered}",
    ),
    "hop.away": Text("{hop} cannot be used: {reason}", "{hop} に接続できません: {reason}"),
    "hop.away.todo": Text(
        "Start the mail server, and compare its port with the configuration.",
        "メールサーバーを起動し、ポート番号を設定と見比べてください。",
    ),
    "hop.resolve": Text(
        "the name of {hop} is not found: {reason}", "{hop} の名前を解決できません: {reason}"
    ),
    "hop.resolve.todo": Text(
        "Correct the name, or the DNS of this machine.",
        "名前か、このマシンの DNS の設定を直してください。",
    ),
    "hop.tls": Text(
        "{hop} fails the TLS that is asked for: {reason}",
        "{hop} は、求められた TLS の条件を満たしません: {reason}",
    ),
    "hop.tls.todo": Text(
        "Correct the certificate or TLS of that server, or name its authority (next_hop_ca, ca).",
        "そのサーバーの証明書や TLS を直すか、発行した認証局を next_hop_ca（または ca）に"
        "指定してください。",
    ),
    "hop.auth": Text(
        "{hop} refuses the service account: {reason}",
        "{hop} がサービス用アカウントを拒否しました: {reason}",
    ),
    "hop.auth.todo": Text(
        "Compare outbound.user and the password file with the server's account.",
        "outbound.user とパスワードファイルを、サーバー側のアカウントと見比べてください。",
    ),
    "hop.authorities": Text(
        "the authorities cannot be read: {reason}", "認証局の証明書を読めません: {reason}"
    ),
    "hop.authorities.todo": Text(
        "Give a PEM file with the authority's certificate.",
        "認証局の証明書が入った PEM ファイルを指定してください。",
    ),
    "hop.no_pipelining": Text(
        "offers no PIPELINING: each command waits for its answer, which makes mail slower",
        "PIPELINING に対応していません。コマンドごとに応答を待つため、中継が遅くなります",
    ),
    "hop.no_8bitmime": Text(
        "offers no 8BITMIME: we cannot offer it either, so clients must encode their mail",
        "8BITMIME に対応していません。こちらも提示できないため、クライアント側での符号化が必要です",
    ),
    "hop.no_smtputf8": Text(
        "offers no SMTPUTF8: addresses with Japanese or other non-ASCII letters are refused",
        "SMTPUTF8 に対応していません。日本語などを含むメールアドレスは拒否されます",
    ),
    "hop.no_dsn": Text(
        "offers no DSN: clients cannot ask for delivery reports",
        "DSN に対応していません。クライアントは配送通知を要求できません",
    ),
    "hop.no_xclient": Text(
        'offers no XCLIENT, though next_hop_client = "xclient": it sees our address only',
        'next_hop_client = "xclient" ですが XCLIENT に対応していません。接続元は'
        "このサーバーのアドレスに見えます",
    ),
    "hop.no_xclient.todo": Text(
        "Postfix: put our address into smtpd_authorized_xclient_hosts.",
        "Postfix なら smtpd_authorized_xclient_hosts にこのサーバーのアドレスを加えてください。",
    ),
    "hop.size": Text(
        "takes messages of {size:.0f} MiB at most, max_size is {wanted:.0f} MiB: the smaller"
        " counts",
        "受け取れるのは {size:.0f} MiB までです（max_size は {wanted:.0f} MiB）。小さいほうが"
        "上限になります",
    ),
    "hop.size.todo": Text(
        "Raise it there (Postfix: message_size_limit), or lower max_size here.",
        "先方の上限を上げるか（Postfix なら message_size_limit）、max_size を下げてください。",
    ),
    "hop.auth_offered": Text(
        "users can log in with {mechanisms}", "{mechanisms} でログインできます"
    ),
    "hop.no_auth": Text(
        'offers no AUTH, but auth = "next_hop" needs it: nobody can log in',
        'AUTH に対応していません。auth = "next_hop" に必要なため、だれもログインできません',
    ),
    "hop.no_auth.todo": Text(
        "Switch it on for that port (Postfix: smtpd_sasl_auth_enable=yes, and on loopback"
        " smtpd_tls_auth_only=no), or let that port offer STARTTLS.",
        "そのポートで有効にしてください（Postfix なら smtpd_sasl_auth_enable=yes、ループバック"
        "なら smtpd_tls_auth_only=no も）。または STARTTLS を使えるようにしてください。",
    ),
    "hop.clear": Text(
        "offers no STARTTLS: mail and passwords cross the network unencrypted",
        "STARTTLS に対応していません。メールやパスワードが暗号化されずに流れます",
    ),
    "hop.clear.todo": Text(
        'Switch TLS on there, then set next_hop_tls = "require" (or outbound.tls).',
        "先方で TLS を有効にし、next_hop_tls（または outbound.tls）を「require」にしてください。",
    ),
    "hop.starttls_failed": Text(
        "offers STARTTLS, but it fails: mail goes there unencrypted",
        "STARTTLS を提示しますが失敗します。メールは暗号化されずに送られます",
    ),
    "hop.starttls_failed.todo": Text(
        'Look into the log of that server; then set next_hop_tls = "require" (or outbound.tls).',
        "そのサーバーのログを調べ、直したら next_hop_tls（または outbound.tls）を「require」に"
        "してください。",
    ),
    "hop.no_mail": Text(
        "refuses a message without a sender (a delivery report): {reply}",
        "差出人が空のメール（配送通知）を拒否します: {reply}",
    ),
    "hop.no_mail.todo": Text(
        "Allow this machine on that port; every mail server must take MAIL FROM:<>.",
        "そのポートでこのマシンを許可してください。MAIL FROM:<> は必ず受け取る決まりです。",
    ),
    "hop.takes": Text("takes mail for {domain}", "{domain} 宛てのメールを受け取ります"),
    "hop.takes_not": Text(
        "refuses postmaster@{domain}: {reply}", "postmaster@{domain} を拒否します: {reply}"
    ),
    "hop.takes_not.todo": Text(
        "Make {domain} a domain of that server, with a postmaster address (RFC 5321, 4.5.1).",
        "そのサーバーで {domain} を受け取れるようにし、postmaster の宛先を用意してください"
        "（RFC 5321 4.5.1）。",
    ),
    "hop.relays": Text(
        "{hop} relays for this machine to any domain: whoever reaches that port from here can send"
        " anywhere",
        "{hop} は、このマシンからなら任意の宛先へ中継します。このマシンからそのポートに届く者は、"
        "どこへでも送信できてしまいます",
    ),
    "hop.relays.todo": Text(
        "On that port set mynetworks to nothing and refuse all but your own domains (Postfix:"
        " -o mynetworks= -o smtpd_recipient_restrictions=reject_unauth_destination).",
        "そのポートでは mynetworks を空にし、自ドメイン以外の宛先を拒否してください（Postfix なら"
        " -o mynetworks= -o smtpd_recipient_restrictions=reject_unauth_destination）。",
    ),
    # DNS
    "dns.silent": Text("the DNS does not answer: {reason}", "DNS が応答しません: {reason}"),
    "dns.silent.todo": Text(
        "Look at /etc/resolv.conf; without DNS no mail finds its way.",
        "/etc/resolv.conf を確認してください。DNS なしではメールを配送できません。",
    ),
    "dns.address": Text("has the address {addresses}", "アドレスは {addresses} です"),
    "dns.no_address": Text(
        "has no address: other servers cannot find this machine, and many refuse its mail",
        "アドレスがありません。ほかのサーバーから見つけられず、送信も多くの相手に拒否されます",
    ),
    "dns.no_address.todo": Text(
        "Add an A record (and AAAA, if there is IPv6), or correct node.hostname.",
        "A レコード（IPv6 があれば AAAA も）を追加するか、node.hostname を直してください。",
    ),
    "dns.private": Text(
        "points to {address}, which cannot be reached from the Internet",
        "{address} を指していますが、インターネットからは届かないアドレスです",
    ),
    "dns.private.todo": Text(
        "Use the public address in the public DNS.",
        "公開 DNS には外部から届くアドレスを登録してください。",
    ),
    "dns.ptr": Text("points back to {hostname}", "逆引きは {hostname} です"),
    "dns.no_ptr": Text(
        "does not point back to {hostname} (it points to: {names}); many servers refuse such mail",
        "逆引きが {hostname} になっていません（現在: {names}）。拒否する受信サーバーが多くあります",
    ),
    "dns.no_ptr.todo": Text(
        "Ask the provider of the address to set its PTR record to {hostname}.",
        "アドレスの提供元に、PTR レコードを {hostname} にするよう依頼してください。",
    ),
    "dns.mx": Text("mail comes to {hostname}", "メールは {hostname} に届きます"),
    "dns.other_mx": Text(
        "other servers take its mail too: {others}; what goes through them is not captured",
        "ほかのサーバーも受け取ります: {others}。そちらを通ったメールは記録されません",
    ),
    "dns.other_mx.todo": Text(
        "Remove those MX records, or put a Mailweir in front of those servers as well.",
        "それらの MX レコードを消すか、そのサーバーの前にも Mailweir を置いてください。",
    ),
    "dns.mx_elsewhere": Text(
        "mail goes to {hosts}, not to {hostname}: it is not captured",
        "メールは {hostname} ではなく {hosts} に届くため、記録されません",
    ),
    "dns.mx_elsewhere.todo": Text(
        "When all is ready, point the MX record of {about} to {hostname}.",
        "準備ができたら、{about} の MX レコードを {hostname} に向けてください。",
    ),
    "dns.no_mx": Text("has no MX record", "MX レコードがありません"),
    "dns.no_mx.todo": Text(
        "Add `{about}. MX 10 {hostname}.`", "`{about}. MX 10 {hostname}.` を追加してください。"
    ),
    "dns.null_mx": Text(
        "says that it takes no mail at all (null MX, RFC 7505)",
        "メールを一切受け取らないと宣言しています（null MX、RFC 7505）",
    ),
    "dns.null_mx.todo": Text(
        "Replace the record, or remove the domain from node.domains.",
        "レコードを書き換えるか、node.domains からこのドメインを外してください。",
    ),
    "dns.spf": Text("SPF: {record}", "SPF: {record}"),
    "dns.no_spf": Text(
        "has no SPF record: its mail looks forged to many servers",
        "SPF レコードがありません。多くのサーバーから、なりすましと疑われます",
    ),
    "dns.no_spf.todo": Text(
        'Add the TXT record "v=spf1 mx -all", with the names of other servers that send for you.',
        "TXT レコード「v=spf1 mx -all」を追加してください（ほかに送信するサーバーがあれば併記）。",
    ),
    "dns.two_spf": Text(
        "has {count} SPF records, which counts as an error",
        "SPF レコードが {count} 個あり、エラーとして扱われます",
    ),
    "dns.two_spf.todo": Text("Join them into one.", "1 つにまとめてください。"),
    "dns.open_spf": Text(
        "the SPF record allows everybody: {record}",
        "SPF レコードがすべての送信元を許可しています: {record}",
    ),
    "dns.open_spf.todo": Text(
        'End it with "-all" or "~all".', "末尾を「-all」か「~all」にしてください。"
    ),
    "dns.dmarc": Text("DMARC: {record}", "DMARC: {record}"),
    "dns.no_dmarc": Text(
        "has no DMARC record, which large providers ask for",
        "DMARC レコードがありません。大手の受信側から求められます",
    ),
    "dns.no_dmarc.todo": Text(
        'Add the TXT record "v=DMARC1; p=none; rua=mailto:postmaster@{about}" at _dmarc.{about}.',
        "_dmarc.{about} に TXT レコード「v=DMARC1; p=none; rua=mailto:postmaster@{about}」を"
        "追加してください。",
    ),
}
