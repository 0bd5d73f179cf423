"""Texts on the clock of this machine."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
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
}
