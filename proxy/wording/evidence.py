"""What the store says in English: evidence and notes, with the translation (proxy/evidence.py)."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    # who takes part, and where they were seen
    "evidence.both": Text("{header} header and envelope", "{header} ヘッダーとエンベロープ"),
    "evidence.header": Text("{header} header", "{header} ヘッダー"),
    "evidence.sender": Text("envelope sender", "エンベロープの差出人"),
    "evidence.recipient": Text("envelope recipient", "エンベロープの宛先"),
    "evidence.attached": Text("From of a message attached", "添付されたメールの From"),
    "evidence.forwarded": Text(
        "From of a message forwarded as text", "本文に転送されたメールの From"
    ),
    "evidence.main": Text("main contact {id}: ", "主な連絡先 {id}: "),
    # by a rule of a user
    "evidence.rule.from": Text("rule {id}: from {address}", "ルール {id}: 差出人 {address}"),
    "evidence.rule.to": Text("rule {id}: to {address}", "ルール {id}: 宛先 {address}"),
    "evidence.rule.folder": Text("rule {id}: in folder {name}", "ルール {id}: フォルダ {name}"),
    # the same message?
    "evidence.first": Text("seen first", "最初に取得"),
    "evidence.alone": Text("nothing else with this content", "同じ内容のメールはほかにない"),
    "evidence.same_id": Text("same content, same Message-ID", "内容も Message-ID も同じ"),
    "evidence.other_id": Text(
        "same content, another Message-ID", "内容は同じで Message-ID が異なる"
    ),
    "evidence.same_date": Text(
        "same content, same Date, not both with a Message-ID",
        "内容も Date も同じ（Message-ID は両方にはない）",
    ),
    "evidence.other_date": Text(
        "same content, another Date, not both with a Message-ID",
        "内容は同じで Date が異なる（Message-ID は両方にはない）",
    ),
    "evidence.a_day": Text(
        "same content within a day, not both with Message-ID and Date",
        "内容が同じで 1 日以内（Message-ID と Date は両方にはそろわない）",
    ),
    "evidence.later": Text(
        "same content more than a day later, not both with Message-ID and Date",
        "内容は同じだが 1 日以上あと（Message-ID と Date は両方にはそろわない）",
    ),
    # threads
    "evidence.unseen": Text("names no message that was seen", "参照先のメールは取得されていない"),
    "evidence.nothing": Text("names no message", "参照先のメールはない"),
    "evidence.stranger": Text(
        "names message {id}, but its sender has no part in that one",
        "メール {id} を参照しているが、差出人はそのメールの参加者ではない",
    ),
    "evidence.afterwards": Text(
        "names message {id}, which came later", "あとで届いたメール {id} を参照"
    ),
    "evidence.names": Text("names message {id}", "メール {id} を参照"),
    "evidence.quotes": Text(
        "quotes message {id} of the same two people", "同じ二者のメール {id} を引用"
    ),
    "evidence.answers": Text("answers the subject of message {id}", "メール {id} の件名への返信"),
    "evidence.part": Text("{address} has part in it", "{address} はその参加者"),
    "evidence.ours": Text("{address} is one of ours", "{address} は自社のアドレス"),
    # odd, and done all the same
    "evidence.twin": Text(
        "{address} is also on {kind} {id} ({name}): both get its mail",
        "{address} は{kind} {id}（{name}）にもあります。メールは両方に載ります",
    ),
    "evidence.was_key": Text(
        "{address} is also on record {id}: it is ours now, and keys no record any more",
        "{address} はレコード {id} にもあります。自社のアドレスになったので、今後はレコードの"
        "手掛かりになりません",
    ),
    "evidence.never": Text(
        "{address} matches capture.never: its mail is not linked",
        "{address} は capture.never に当たるため、メールを関連付けません",
    ),
    "evidence.dots": Text(
        "{address}: not an address by RFC 5322 (its dots), taken as it stands",
        "{address}: RFC 5322 に合いませんが（ドットの位置）、このまま受け付けます",
    ),
    "evidence.and": Text("; ", "。"),
}
