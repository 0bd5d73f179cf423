"""What became of a mail, in words that a salesperson understands, in English and Japanese (core).

One saying for each category of taxonomy.md, used on timelines and in the reports to senders: what
happened, and what helps. {address} is the recipient.
"""

from typing import Final, Literal, NamedTuple

__all__ = ["SAYINGS", "STATES", "Saying", "saying"]


class Saying(NamedTuple):
    """One text in both languages."""

    en: str
    ja: str


SAYINGS: Final[dict[str, Saying]] = {
    "invalid_address": Saying(
        "The address does not exist. Check its spelling, or ask for the new one.",
        "宛先のアドレスは存在しません。綴りを確かめるか、新しいアドレスを尋ねてください。",
    ),
    "inactive_mailbox": Saying(
        "The mailbox is closed: the person has probably left. Find another contact there.",
        "宛先のメールボックスは停止されています（退職や異動の可能性）。別の担当者を探してください。",
    ),
    "unsubscribed": Saying(
        "The recipient does not want mail from us any more.",
        "受信者が当方からのメールを希望していません。",
    ),
    "policy_block": Saying(
        "The recipient's mail server refuses mail from us. The address itself may be right:"
        " ask your mail administrator.",
        "相手のメールサーバーが当方からのメールを拒否しました。アドレスは正しい可能性があります。"
        "メール管理者に相談してください。",
    ),
    "content_block": Saying(
        "The recipient's mail server refuses what is in the message (a file, a link, or it looks"
        " like spam). Send it in another way.",
        "相手のメールサーバーが内容（添付ファイル、リンク、迷惑メール判定など）を理由に拒否しました。"
        "別の方法で送ってください。",
    ),
    "mailbox_full": Saying(
        "The mailbox is full. Try again in a few days, or call.",
        "宛先のメールボックスがいっぱいです。数日後に送り直すか、電話で連絡してください。",
    ),
    "message_too_large": Saying(
        "The message is too large for the recipient's server. Send it without the big files.",
        "相手のサーバーにはメールが大きすぎます。大きな添付を外して送ってください。",
    ),
    "server_unavailable": Saying(
        "The recipient's mail server could not be reached. Try again later.",
        "相手のメールサーバーに接続できませんでした。後で送り直してください。",
    ),
    "throttled": Saying(
        "The recipient's mail server takes no more mail from us at present. Try again later.",
        "相手のメールサーバーが受信数を制限しています。後で送り直してください。",
    ),
    "deferred": Saying(
        "The recipient's mail server did not take it yet. Try again later.",
        "相手のメールサーバーが一時的に受け取りませんでした。後で送り直してください。",
    ),
    "undetermined": Saying(
        "It did not arrive, and the reason is not clear: see the words of the server.",
        "届きませんでしたが、理由ははっきりしません。サーバーの返答を確認してください。",
    ),
}
#: What a status of the timeline means.
STATES: Final[dict[str, Saying]] = {
    "sent": Saying("Sent; whether it arrived is not known.", "送信済み（到着は未確認）"),
    "queued": Saying("Waiting to be delivered.", "配送待ち"),
    "delivered": Saying("Accepted by the mail server.", "メールサーバーが受理"),
    "soft_bounce": Saying("Did not arrive, this time.", "今回は届きませんでした"),
    "hard_bounce": Saying("Did not arrive, and will not.", "届きません（恒久的なエラー）"),
}


def saying(category: str, lang: Literal["en", "ja"]) -> str:
    """The words for a category; those of "undetermined" for one that has none."""
    found: str = getattr(SAYINGS.get(category, SAYINGS["undetermined"]), lang)
    return found
