"""Texts of `mailweir check`, one file for each file of proxy/checks.

`subject.*` names the thing, `X` says what was seen, `X.todo` what to do about it.
`{about}` is the thing itself: a listener, a file, an address.
"""

from proxy.wording import Text
from proxy.wording.checks import blobs, clock, configured, disk, hop, mailboxes, names, ports

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
    **configured.TEXTS,
    **ports.TEXTS,
    **disk.TEXTS,
    **blobs.TEXTS,
    **clock.TEXTS,
    **mailboxes.TEXTS,
    **hop.TEXTS,
    **names.TEXTS,
}
