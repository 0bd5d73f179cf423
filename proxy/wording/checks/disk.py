"""Texts on the data folder, the room in it, and the database."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
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
        "Restore the database from a backup, or make an empty one with `mailweir migrate`; then"
        " `mailweir replay` takes that mail in again.",
        "バックアップから戻すか、`mailweir migrate` で空のデータベースを作ってください。そのあと"
        " `mailweir replay` で、残っているメールを取り込み直せます。",
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
}
