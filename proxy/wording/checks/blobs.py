"""Texts on the bucket, or the folder, where mail is kept."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
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
}
