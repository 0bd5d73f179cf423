"""Texts of `mailweir user` and `mailweir record`, but for import and export."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "people.meant": Text(
        "{address}: did you mean {meant}?", "{address}: {meant} の間違いではありませんか"
    ),
    # user
    "user.added": Text("added: user {id}", "追加しました: 利用者 {id}"),
    "user.changed": Text("changed: user {id}", "変更しました: 利用者 {id}"),
    "user.enabled": Text("enabled: user {id}", "有効にしました: 利用者 {id}"),
    "user.disabled": Text("disabled: user {id}", "無効にしました: 利用者 {id}"),
    "user.rules.kept": Text(
        "rules of their own: {count}, kept", "本人のルール {count} 件は残します"
    ),
    "user.rules.dropped": Text(
        "rules of their own: {count}, dropped", "本人のルール {count} 件を削除しました"
    ),
    "user.login": Text("login", "ログイン名"),
    "user.name": Text("name", "名前"),
    "user.addresses": Text("addresses", "アドレス"),
    "user.formerly": Text("formerly", "以前のアドレス"),
    "user.mail": Text("mail", "メール"),
    "user.since": Text("since", "登録"),
    "user.known": Text("known of mailboxes", "メールボックスの取得"),
    "user.state.captured": Text("captured", "取り込む"),
    "user.state.observed": Text("observed only (capture.mode)", "確認のみ（capture.mode）"),
    "user.state.never": Text("not captured (capture.never)", "取り込まない（capture.never）"),
    "user.state.disabled": Text("not captured (disabled)", "取り込まない（無効）"),
    "user.first_login": Text("{time} (first login)", "{time}（最初のログイン）"),
    "user.of": Text("{known} of {present}", "{present} 通中 {known} 通"),
    "user.box.name": Text("mailbox", "メールボックス"),
    "user.box.kind": Text("kind", "種類"),
    "user.box.known": Text("known", "取得済み"),
    "user.box.of": Text("of", "全体"),
    "user.box.large": Text("too large", "大きすぎ"),
    "user.box.changed": Text("last change", "最終更新"),
    # record
    "record.added": Text("added: {kind} {id}", "追加しました: {kind} {id}"),
    "record.changed": Text("changed: {kind} {id}", "変更しました: {kind} {id}"),
    "record.removed": Text(
        "removed: {kind} {id} ({name}); its {count} mails stay, linked to it no more",
        "削除しました: {kind} {id}（{name}）。メール {count} 通は残り、関連付けだけを外しました",
    ),
    "record.removed.rules": Text(
        "removed with it: {count} rules that put mail onto it",
        "これに載せるルール {count} 件も削除しました",
    ),
    "record.needed": Text(
        "record {id} is the main contact of {ids}: give them another first (record set ID"
        " --main-contact), or remove them",
        "レコード {id} は {ids} の主な連絡先です。先に別の連絡先を指定するか（record set ID"
        " --main-contact）、それらを削除してください",
    ),
    "record.linked": Text(
        "{done}, {count} earlier mails linked", "{done}（以前のメール {count} 通を関連付け）"
    ),
    "record.id": Text("id", "番号"),
    "record.kind": Text("kind", "種別"),
    "record.name": Text("name", "名前"),
    "record.company": Text("company", "会社"),
    "record.state": Text("state", "状態"),
    "record.state.open": Text("open", "進行中"),
    "record.state.closed": Text("closed", "終了"),
    "record.addresses": Text("addresses", "アドレス"),
    "record.main": Text("main contact", "主な連絡先"),
    "record.deals": Text("main contact of", "主な連絡先である商談など"),
    "record.mails": Text("mails", "メール"),
    "record.mails.size": Text("{count} ({size})", "{count} 通（{size}）"),
    "record.last": Text("last mail", "最終メール"),
    "record.since": Text("since", "登録"),
    "record.kind.lead": Text("lead", "見込み客"),
    "record.kind.contact": Text("contact", "連絡先"),
    "record.kind.deal": Text("deal", "商談"),
    "record.kind.general": Text("general", "その他"),
    "record.type.quote": Text("quote", "見積書"),
    "record.type.order": Text("order", "注文書"),
    "record.type.sales_order": Text("sales_order", "受注書"),
    "record.type.purchase_order": Text("purchase_order", "発注書"),
    "record.type.invoice": Text("invoice", "請求書"),
    "record.kind.closed": Text("{kind} ({state})", "{kind}（{state}）"),
    "record.address": Text("address  {address}  from {since}", "アドレス  {address}  {since} から"),
    "record.address.until": Text("until {time}", "{time} まで"),
    "record.address.late": Text(
        "(its earlier mail is not linked)", "（それより古いメールは関連付けない）"
    ),
    "record.address.ours": Text(
        "(ours now: keys no record, its mail is not shown here)",
        "（いまは自社のアドレスのため対象外。メールは表示しない）",
    ),
}
