"""Texts of `mailweir record import` and `record export`.

`import.row.*` says why a row is refused or odd, `import.reason.*` why an address is none,
`import.file.*` why a file cannot be read; their last parts are the codes of crmstore/imports.
"""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    # one line of the report
    "import.refused": Text(
        "{file}, line {line}: refused: {text}", "{file} {line}行目: 登録しません: {text}"
    ),
    "import.duplicate": Text(
        "{file}, line {line}: left out: {text}", "{file} {line}行目: 飛ばします: {text}"
    ),
    "import.conflict": Text(
        "{file}, line {line}: conflict: {text}", "{file} {line}行目: 不一致: {text}"
    ),
    "import.note": Text("{file}, line {line}: note: {text}", "{file} {line}行目: 注意: {text}"),
    "import.more": Text(
        "... and {count} more lines like these; --report FILE has all of them",
        "ほか {count} 件。すべてを見るには --report FILE を付けてください",
    ),
    # rows
    "import.row.bad_bytes": Text(
        "bytes that do not belong to the encoding of the file",
        "ファイルの文字コードに合わないバイトがあります",
    ),
    "import.row.quotes": Text(
        "quotation marks do not fit together", '引用符（"）の対応が取れていません'
    ),
    "import.row.row_too_long": Text(
        "the row does not end; a quotation mark that is never closed?",
        '行が終わりません。引用符（"）が閉じられていない可能性があります',
    ),
    "import.row.cell_too_long": Text(
        "a cell has more than {allowed} characters", "{allowed} 文字を超えるセルがあります"
    ),
    "import.row.too_many_cells": Text(
        "{found} cells, the header has {header}: which belongs where is not known",
        "セルが {found} 個あり、見出しの {header} 個と合いません",
    ),
    "import.row.too_few_cells": Text(
        "{found} cells, the header has {header}: half of a row?",
        "セルが {found} 個しかなく、見出しは {header} 個です。行が途中で切れていませんか",
    ),
    "import.row.short_row": Text(
        "{found} cells, the header has {header}: the others are taken as empty",
        "セルが {found} 個、見出しは {header} 個です。残りは空として扱います",
    ),
    "import.row.too_many_rows": Text(
        "a file may have {allowed} records; this one and those behind it are not read",
        "1 ファイルの上限は {allowed} 件です。ここから先は読みません",
    ),
    "import.row.card_not_ended": Text("a card without END:VCARD", "END:VCARD のないカードです"),
    "import.row.not_in_card": Text("lines outside of any card", "カードの外にある行です"),
    "import.row.card_too_long": Text(
        "a card with more than {allowed} lines", "{allowed} 行を超えるカードです"
    ),
    "import.row.property_too_long": Text("{property} is too long", "{property} が長すぎます"),
    "import.row.card_group": Text(
        "the card of a group, not of a person: {name}", "人ではなくグループのカードです: {name}"
    ),
    "import.row.not_a_property": Text(
        "the card has a line that is none; the rest was read",
        "カードに読めない行がありました。残りは読みました",
    ),
    "import.row.kind_unknown": Text(
        "kind {kind}: allowed is one of: {allowed}", "種別 {kind}: 使えるのは {allowed} です"
    ),
    "import.row.state_unknown": Text(
        "state {state} is neither open nor closed as we know it, and is left out",
        "状態 {state} は進行中か終了か判断できないため、取り込みません",
    ),
    "import.row.name_cut": Text(
        "the name was cut after {allowed} characters", "名前を {allowed} 文字で切りました"
    ),
    "import.row.no_name": Text("neither a name nor an address", "名前もメールアドレスもありません"),
    "import.row.no_good_address": Text(
        "none of its addresses can be used", "使えるメールアドレスがありません"
    ),
    "import.row.no_contact_address": Text(
        "main contact {contact} is no address",
        "主な連絡先 {contact} はメールアドレスではありません",
    ),
    "import.row.too_many_addresses": Text(
        "{found} addresses, a record may have {allowed}",
        "メールアドレスが {found} 個あります。上限は {allowed} 個です",
    ),
    "import.row.address_refused": Text(
        "{address} is no address: {reason}{guess}",
        "{address} はメールアドレスではありません: {reason}{guess}",
    ),
    "import.row.address_tolerated": Text(
        "{address} is not an address by RFC 5322 (its dots); taken as it stands",
        "{address} は RFC 5322 に合いません（ドットの位置）が、このまま取り込みます",
    ),
    "import.row.address_meant": Text(
        "{address}: did you mean {meant}?", "{address}: {meant} ではありませんか"
    ),
    "import.row.address_ours": Text(
        "{address} is ours (a user, or node.domains) and keys no record",
        "{address} は自社のアドレス（利用者、または node.domains）のため、登録できません",
    ),
    "import.row.several_records": Text(
        "{name} may be any of the records {records}",
        "{name} に当たるレコードが複数あります（{records}）",
    ),
    "import.row.deal_without_contact": Text(
        "a deal needs a main contact: {name}", "商談には主な連絡先が必要です: {name}"
    ),
    "import.row.contact_unknown": Text(
        "no record has the address of its main contact: {contact}",
        "主な連絡先 {contact} のレコードがありません",
    ),
    "import.row.duplicate": Text(
        "the same record as in {other}, line {line}", "{other} {line}行目と同じレコードです"
    ),
    "import.row.conflict": Text(
        "record {record}, {field}: the file has {file}, the store has {store}",
        "レコード {record} の{field}: ファイルは {file}、登録済みは {store}",
    ),
    "import.field.name": Text("name", "名前"),
    "import.field.state": Text("state", "状態"),
    "import.field.contact": Text("main contact", "主な連絡先"),
    "import.field.company": Text("company", "会社"),
    # addresses
    "import.guess": Text("; did you mean {meant}?", "。{meant} ではありませんか"),
    "import.reason.no_at": Text("there is no @", "@ がありません"),
    "import.reason.half": Text("there is nothing on one side of the @", "@ の前か後ろがありません"),
    "import.reason.space": Text("there is a space in it", "空白が入っています"),
    "import.reason.two_ats": Text("there is more than one @", "@ が 2 つ以上あります"),
    "import.reason.long": Text("it is too long", "長すぎます"),
    "import.reason.domain": Text(
        "what is behind the @ is no mail domain", "@ の後ろがドメイン名ではありません"
    ),
    "import.reason.local": Text(
        "what is before the @ has characters that cannot stand there",
        "@ の前に使えない文字があります",
    ),
    "import.reason.too_many": Text(
        "there are too many in one cell", "1 つのセルに入っている数が多すぎます"
    ),
    # files
    "import.file.encoding": Text(
        "neither UTF-8 nor cp932, EUC-JP or ISO-2022-JP; say --encoding (allowed: {allowed})",
        "UTF-8、cp932、EUC-JP、ISO-2022-JP のどれでもありません。--encoding で指定してください"
        "（使えるのは {allowed}）",
    ),
    "import.file.line_too_long": Text(
        "line {line} has more than {allowed} characters",
        "{line}行目が {allowed} 文字を超えています",
    ),
    "import.file.no_header": Text(
        "the first line names no column that we know, like name or e-mail: {header}",
        "1行目に、氏名やメールアドレスなど分かる見出しがありません: {header}",
    ),
    "import.file.workbook": Text(
        "this is a workbook of a spreadsheet program; save it there as CSV (UTF-8)",
        "表計算ソフトのブックです。そのソフトで CSV（UTF-8）として保存してください",
    ),
    "import.file.empty": Text("there is nothing in it", "中身がありません"),
    "import.file.header_bytes": Text(
        "the header does not fit the encoding; say --encoding",
        "見出しが文字コードに合いません。--encoding で指定してください",
    ),
    "import.file.too_many_columns": Text(
        "{found} columns, allowed are {allowed}", "列が {found} あります。上限は {allowed} です"
    ),
    # the whole
    "import.looking": Text("looking", "確認中"),
    "import.importing": Text("importing", "取り込み中"),
    "import.about": Text("{file}: {format}, {encoding}", "{file}: {format}、{encoding}"),
    "import.about_guessed": Text(
        "{file}: {format}, {encoding} (guessed; --encoding says otherwise)",
        "{file}: {format}、{encoding}（推定。違うときは --encoding で指定）",
    ),
    "import.by_value": Text("each value by itself", "値ごとに判断"),
    "import.not_taken": Text(
        "{file}: nothing is taken from: {names}", "{file}: 取り込まない項目: {names}"
    ),
    "import.done": Text(
        "{rows} rows: {new} new, {changed} changed, {same} as before, {duplicates} twice in the"
        " files, {refused} refused, {conflicts} in conflict; {linked} earlier mails linked",
        "{rows} 行: 新規 {new}、変更 {changed}、変更なし {same}、ファイル内の重複 {duplicates}、"
        "登録しない {refused}、不一致 {conflicts}。以前のメール {linked} 通を関連付けました",
    ),
    "import.dry": Text(
        "{rows} rows: {new} new, {changed} changed, {same} as before, {duplicates} twice in the"
        " files, {refused} refused, {conflicts} in conflict; dry run, nothing was written",
        "{rows} 行: 新規 {new}、変更 {changed}、変更なし {same}、ファイル内の重複 {duplicates}、"
        "登録しない {refused}、不一致 {conflicts}。確認だけで、何も書き込んでいません",
    ),
    "import.kept": Text(
        "{count} values of the store were kept", "登録済みの値を {count} 件残しました"
    ),
    "import.stopped": Text(
        "nothing was written: {count} rows say something else than the store; decide with"
        " --on-conflict file or --on-conflict store",
        "何も書き込んでいません。登録済みの内容と異なる行が {count} 行あります。--on-conflict file"
        " か --on-conflict store で決めてください",
    ),
    "import.ask": Text(
        "[f]ile, [s]tore, [F]ile for all, [S]tore for all, [q]uit? ",
        "f=ファイル s=登録済み F=以後すべてファイル S=以後すべて登録済み q=中止: ",
    ),
    "import.quit": Text(
        "stopped; {rows} rows were read, what was imported of them stays",
        "中止しました。{rows} 行まで読みました。取り込み済みの分は残ります",
    ),
    # export
    "export.done": Text(
        "{count} records written to {file}", "{count} 件を {file} に書き出しました"
    ),
    "export.characters": Text(
        "record {record} ({name}): characters that {encoding} does not have became ?",
        "レコード {record}（{name}）: {encoding} にない文字は ? になりました",
    ),
    "export.contact": Text(
        "record {record} ({name}): its main contact has no address and is not in the file",
        "レコード {record}（{name}）: 主な連絡先にメールアドレスがないため、書き出していません",
    ),
    "export.more": Text("... and {count} more", "ほか {count} 件"),
}
