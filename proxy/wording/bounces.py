"""What became of mail, and the suppression list. The sayings are bounce/sayings.py's."""

from bounce.sayings import SAYINGS, STATES
from proxy.wording import Text

TEXTS: dict[str, Text] = {
    **{f"bounce.{name}": Text(*saying) for name, saying in SAYINGS.items()},
    **{f"status.{name}": Text(*saying) for name, saying in STATES.items()},
    "bounce.mbox": Text(
        "{file}: an mbox of several messages; only the first was read",
        "{file}: 複数のメールを含む mbox です。最初のメールだけを読みました",
    ),
    "bounce.server": Text("the server said", "サーバーの返答"),
    "bounce.known": Text("known by", "根拠"),
    "bounce.report": Text("report: email {ids}", "通知: メール {ids}"),
    "bounce.refused": Text(
        "mail to this address is refused since {since}; `mailweir suppression remove {address}`"
        " allows it again",
        "{since} 以降このアドレスへの送信は拒否されます。"
        "`mailweir suppression remove {address}` で解除できます",
    ),
    "bounce.by.rcpt": Text("its answer to RCPT", "RCPT への応答"),
    "bounce.by.final": Text("its answer to the message", "本文送信後の応答"),
    "bounce.by.live": Text("its answer to our queue", "キュー配送時の応答"),
    "bounce.by.report": Text("tried until the time was over", "再送期限切れ"),
    "bounce.by.verp": Text("a report to our signed return path", "署名付きリターンパスへの通知"),
    "bounce.by.envid": Text("a report with our envelope id", "エンベロープ ID 付きの通知"),
    "bounce.by.message_id": Text("a report that returned our Message-ID", "Message-ID を含む通知"),
    "bounce.by.window": Text(
        "a report about this address that fits in time (not sure)",
        "時刻と宛先が一致する通知（未確定）",
    ),
    "suppression.added": Text("{address} is refused from now on", "{address} への送信を拒否します"),
    "suppression.there": Text("{address} was refused already", "{address} は既に拒否されています"),
    "suppression.removed": Text(
        "{address} may be written to again", "{address} への送信を再び許可します"
    ),
    "suppression.not_there": Text(
        "{address} is not on the suppression list", "{address} は拒否リストにありません"
    ),
    "suppression.more": Text(
        "more with --after {address}", "続きは --after {address} で表示します"
    ),
    "suppression.address": Text("address", "アドレス"),
    "suppression.since": Text("since", "開始"),
    "suppression.category": Text("category", "分類"),
    "suppression.by": Text("by", "登録元"),
    "suppression.words": Text("words", "理由"),
    "suppression.empty": Text("The suppression list is empty.", "拒否リストは空です。"),
}
