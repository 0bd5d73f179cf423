"""Texts of `mailweir emails` and `mailweir email`."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "mail.nobody": Text(
        "--as {viewer}: no user of ours has this login or address, and no mail waits for it",
        "--as {viewer}: このログイン名・アドレスの利用者はなく、宛先のメールもありません",
    ),
}
