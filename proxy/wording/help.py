"""What `--help` says: the English stands beside each option in proxy/commands, the Japanese here.

Keys are the English sentences; tests/cores/test_texts.py walks all commands and finds each of them
here, and nothing else. `WORDS` are the library's own.
"""

from proxy.wording import Text

WORDS: dict[str, str] = {
    "Usage: ": "使い方: ",
    "Arguments": "引数",
    "Options": "オプション",
    "Commands": "コマンド",
    "required": "必須",
    "default: ": "既定値: ",
}

_JA: dict[str, str] = {
    # the program
    "Mailweir: SMTP relay and IMAP proxy in the path of your mail; captures it for your CRM.": (
        "Mailweir: メールの経路に置き、通過するメールを CRM のために記録する"
        " SMTP リレー兼 IMAP プロキシ。"
    ),
    "Every command takes --config FILE (default: $MAILWEIR_CONFIG, else"
    " /etc/mailweir/mailweir.toml, else ./mailweir.toml) and --json.": (
        "どのコマンドでも --config FILE（既定: $MAILWEIR_CONFIG、なければ"
        " /etc/mailweir/mailweir.toml、なければ ./mailweir.toml）と --json が使えます。"
    ),
    "The configuration file.": "設定ファイル。",
    "Answer in JSON.": "JSON で答える。",
    "The language to speak.": "表示する言語。",
    "Say the version.": "バージョンを表示する。",
    "Show this message and exit.": "この説明を表示して終了する。",
    # try, quickstart, check, run, status, migrate
    "See it work, on loopback, with a short conversation.": (
        "手元だけで動かし、短いやり取りで動作を確かめる。"
    ),
    "End after the conversation; 0 if all was captured.": (
        "やり取りが済んだら終了する。すべて記録されていれば終了コードは 0。"
    ),
    "Use the ports N to N+3.": "ポート N から N+3 までを使う。",
    "Keep everything in this folder.": "すべてのデータをこのフォルダに残す。",
    "Write a configuration that works; say what is next.": (
        "動作する設定を作り、次の手順を表示する。"
    ),
    "Yours, like example.com.": "自社のドメイン（例: example.com）。",
    "Where the files go.": "ファイルを置くフォルダ。",
    "This machine; default mail.DOMAIN.": "このマシンの名前。既定は mail.DOMAIN。",
    "Where mail and database go.": "メールとデータベースを置くフォルダ。",
    "A certificate that you have (PEM).": "手持ちの証明書（PEM）。",
    "Its private key.": "その秘密鍵。",
    "This machine's public address, for the DNS.": ("DNS に登録する、このマシンの公開アドレス。"),
    "Replace an older configuration.": "既存の設定を置き換える。",
    "Look at all that must be right before mail flows.": (
        "メールを流す前に必要なことをすべて確認する。"
    ),
    "Also ask the DNS about our own names.": "自社の名前を DNS にも問い合わせる。",
    "Run the appliance; the log goes to standard error.": (
        "本体を起動する。ログは標準エラー出力に出る。"
    ),
    "all, or one role for a unit of its own.": (
        "all（すべて）、または個別のユニットとして動かす役割。"
    ),
    "With --role smtp or imap: one door of this listener.": (
        "--role smtp または imap とともに: この待ち受けのドア 1 つだけ。"
    ),
    "With --listener: the door's number.": "--listener とともに: ドアの番号。",
    "Say how it stands; exit 1 if something is wrong.": (
        "稼働状況を表示する。問題があれば終了コードは 1。"
    ),
    "Bring the store to this version, or make it.": (
        "データベースをこのバージョンにする。なければ作る。"
    ),
    # emails, email, search
    "The timeline, newest first.": "メールを新しい順に表示する。",
    "Somebody who takes part.": "このアドレスが関わるメール。",
    "Linked to this record.": "このレコードに関連付けられたメール。",
    "Seen for this user of ours.": "この利用者のメール。",
    "How it came to us.": "取得した経路。",
    "Of this thread, as rows name it.": "このスレッド（一覧に出る番号）のメール。",
    "The next page, as this one names it.": "続きのページ（一覧の最後に出る値）。",
    "As this user may see it.": "この利用者が閲覧できる範囲で表示する。",
    "Full text of subjects, people, bodies and names of files; Japanese included.": (
        "件名・相手・本文・ファイル名の全文検索。日本語も検索できる。"
    ),
    'Words that must all be there; "a phrase"; -word must not.': (
        'すべて含むべき語。"語句"。-語 は含まないもの。'
    ),
    "In this thread.": "このスレッドの中。",
    "By us, or to us.": "送信したもの（sent）、または受信したもの（received）。",
    "Seen on this day or later.": "この日以降。",
    "Seen on this day or earlier.": "この日以前。",
    "Has an attachment.": "添付ファイルのあるもの。",
    "Has an attachment named so.": "この名前の添付ファイルがあるもの。",
    "One message.": "メール 1 通。",
    "One message: people, files, sightings, records.": (
        "メール 1 通の参加者・ファイル・取得の経緯・レコード。"
    ),
    "As `mailweir emails` shows it.": "`mailweir emails` に出る番号。",
    "The bytes as they were sent, to standard output: the copy that was seen first, with --as"
    " theirs.": (
        "送られたままのバイト列を標準出力へ。最初に取得したもの。--as では本人の受け取ったもの。"
    ),
    "The copy of this sighting, as `email show` names it.": (
        "この取得（`email show` に出る ID）のもの。"
    ),
    "One of its files, to standard output; those inside of winmail.dat too.": (
        "添付ファイル 1 つを標準出力へ。winmail.dat の中のものも。"
    ),
    "As `mailweir email show` numbers them.": "`mailweir email show` に出る番号。",
    "Why a message is on the records it is on, and not on others; why somebody may see it.": (
        "そのレコードに関連付けた理由、ほかに付けない理由、閲覧できる理由を説明する。"
    ),
    # audit, replay
    "Prove that nothing is missing; exit 1 on any gap.": (
        "漏れがないことを証明する。漏れがあれば終了コードは 1。"
    ),
    "Count from this time on.": "この時刻以降を数える。",
    "Count up to this time.": "この時刻までを数える。",
    "Read every stored message and compare its digest.": (
        "保管したメールをすべて読み、ダイジェストを照合する。"
    ),
    "Take in again what a lost or older database lacks; exit 1 if something was unreadable.\n\n"
    "Mail comes from the archive and the journals. Users and records do not: they are in backups of"
    " the database only, or in the files that they were imported from.": (
        "失われた、または古いデータベースに足りないものを取り込み直す。読めないものがあれば"
        "終了コードは 1。\n\n"
        "メールは保管先とジャーナルから戻ります。利用者とレコードは戻りません。データベースの"
        "バックアップか、取り込みに使ったファイルから戻してください。"
    ),
    # user
    "Our own people and their addresses.": "自社の利用者とそのアドレス。",
    "Add a user.": "利用者を追加する。",
    "As it is given to AUTH.": "ログインに使う名前。",
    "What to call this person.": "表示する名前。",
    "An address; may be repeated. Default: the login.": (
        "アドレス。繰り返して指定できる。既定はログイン名。"
    ),
    "List users.": "利用者の一覧。",
    "Go on behind this one.": "この次から続ける。",
    "Show a user, and how much of their mailboxes is known.": (
        "利用者と、メールボックスの取得状況を表示する。"
    ),
    "The login, or one of the addresses.": "ログイン名、またはアドレスの一つ。",
    "Change name or addresses.": "名前やアドレスを変更する。",
    "One more address; may be repeated.": "追加するアドレス。繰り返して指定できる。",
    "No longer theirs; may be repeated.": "外すアドレス。繰り返して指定できる。",
    "Take no more of this user's mail into the CRM; the mail itself goes on.": (
        "この利用者のメールを CRM に取り込むのをやめる。メール自体は流れ続ける。"
    ),
    "Take this user's mail again, from now on.": "この利用者のメールを今後また取り込む。",
    # record
    "Leads, contacts, deals, quotes...": "見込み客・連絡先・商談・見積書など。",
    "Add a record.": "レコードを追加する。",
    "lead, contact, deal or general; quote, order, sales_order, purchase_order and invoice are"
    " types of general.": (
        "lead、contact、deal、general のいずれか。quote、order、sales_order、purchase_order、"
        "invoice は general の種類。"
    ),
    "Of the person or the deal.": "人または商談の名前。",
    "An address; may be repeated. Earlier mail is linked too.": (
        "アドレス。繰り返して指定できる。以前のメールも関連付けられる。"
    ),
    "Of a deal: its main contact.": "商談の主な連絡先。",
    "Of a general record: quote, invoice, any word.": (
        "general の種類: quote、invoice など任意の語。"
    ),
    "Whom they work for.": "勤務先。",
    "List records.": "レコードの一覧。",
    "Of this kind (or type) only.": "この種別（または種類）だけ。",
    "Show a record.": "レコードを表示する。",
    "Remove a record for good. Its mail stays, and is on it no more.": (
        "レコードを完全に削除する。メールは残り、関連付けだけがなくなる。"
    ),
    "Change a record: its name, its addresses and since when, the main contact of a deal.": (
        "レコードの名前、アドレスとその期間、商談の主な連絡先を変更する。"
    ),
    "A closed deal keeps its mail and gets no more by its main contact.": (
        "終了した商談は、それまでのメールを残し、主な連絡先のメールはもう加わらない。"
    ),
    "Of a deal.": "商談の主な連絡先。",
    "The added ones are theirs since then; no older mail.": (
        "追加するアドレスの開始時刻。それより古いメールは関連付けない。"
    ),
    "The removed (else the added) ones were, until then.": (
        "外す（なければ追加する）アドレスの終了時刻。"
    ),
    "Import records from CSV (Outlook, Google, Zoho, Excel...) and vCard files.": (
        "CSV（Outlook、Google、Zoho、Excel など）や vCard からレコードを取り込む。"
    ),
    "CSV or vCard; - is standard input.": "CSV または vCard。- は標準入力。",
    "Of records that do not say it. Default: by the header (Deal Name), else contact.": (
        "種別の書かれていないレコードの種別。既定は見出し（Deal Name）から、なければ contact。"
    ),
    "Who wins where a file says something else than the store.": (
        "ファイルと登録済みの内容が違うとき、どちらを使うか。"
    ),
    "Only say what would be.": "どうなるかを表示するだけで、何も変えない。",
    "What was refused and why, as CSV.": "取り込めなかったものと理由を CSV で書き出す。",
    "Of the files; default: found out.": "ファイルの文字コード。既定は自動判別。",
    "Of CSV; a character, or tab.": "CSV の区切り文字、または tab。",
    "Export records as CSV or vCard; record import reads both again.": (
        "レコードを CSV または vCard で書き出す。record import で読み戻せる。"
    ),
    "Default: standard output.": "既定は標準出力。",
    "Of this kind only.": "この種別だけ。",
    "Default: by FILE, else csv.": "既定は FILE の拡張子から、なければ csv。",
    "Of CSV; utf-8 has the mark Excel needs.": (
        "CSV の文字コード。utf-8 には Excel に必要な印（BOM）が付く。"
    ),
    "Of vCard.": "vCard のバージョン。",
    # rules
    "What users leave out, or put onto records, by rules of their own.": (
        "利用者ごとのルール（取り込まないもの、レコードに載せるもの）。"
    ),
    "List rules.": "ルールの一覧を表示する。",
    "Only this user's.": "この利用者のものだけ。",
    "Leave mail out for a user from the next message on, or put it onto a record.": (
        "利用者のメールを、次の 1 通から取り込まないようにする。またはレコードに載せる。"
    ),
    "Put it onto this record, instead of leaving it out.": (
        "取り込まないのではなく、このレコードに載せる。"
    ),
    "Whose rules: the login, or an address.": "だれのルールか（ログイン名またはアドレス）。",
    'Mail by these: an address, or "*@domain".': "差出人のアドレス、または「*@ドメイン」。",
    "Mail to these.": "宛先のアドレス、または「*@ドメイン」。",
    "What lies in this mailbox folder.": "メールボックスのこのフォルダにあるもの。",
    "Remove rules; what they have left out stays out, what they have put onto records goes.": (
        "ルールを削除する。これまで除外したメールは戻らず、レコードに載せたメールは外れる。"
    ),
    "Take filters that throw mail away, or file it into a folder, as rules.": (
        "メールを破棄するフィルタや、フォルダに振り分けるフィルタをルールとして取り込む。"
    ),
    "mailFilters.xml of Gmail, or a Sieve script; -: stdin.": (
        "Gmail の mailFilters.xml または Sieve スクリプト。- は標準入力。"
    ),
    "Leave out this folder too, and what filters file into it; with =ID, put it onto that"
    " record.": (
        "このフォルダと、フィルタがここに振り分けるメールも除外する。"
        "=ID を付けると、そのレコードに載せる。"
    ),
    "Folders that are called as just one record: onto that record.": (
        "名前が 1 件のレコードだけに一致するフォルダは、そのレコードに載せる。"
    ),
    "As `rules list` shows them.": "`rules list` に表示される番号。",
    "Their own rules (see `rules`). Default: kept.": (
        "本人のルール（`rules` を参照）を消すか残すか。既定では残す。"
    ),
    # bounce, suppression
    "Reports about mail that was sent.": "送信したメールについての通知。",
    "Say what messages report about mail that was sent: a JSON line each.": (
        "配送についての通知を読み取り、1 通につき JSON 1 行で表示する。"
    ),
    "Messages; - is stdin.": "メールのファイル。- は標準入力。",
    "Addresses that mail is refused to.": "送信を拒否するアドレス。",
    "The addresses and why; they are sorted.": "拒否するアドレスと理由（アドレス順）。",
    "Only this one; exit 1 if it is not there.": ("このアドレスだけ。なければ終了コードは 1。"),
    "Refuse mail to an address from now on.": "アドレスへの送信を今後拒否する。",
    "An email address.": "メールアドレス。",
    "What senders are told.": "送信者に伝える理由。",
    "The recipient wants no more mail.": "受信者が配信停止を望んでいる。",
    "Allow mail to an address again, and forget its soft bounces.": (
        "アドレスへの送信を再び許可し、一時的な不達の記録を消す。"
    ),
}

TEXTS: dict[str, Text] = {f"help.{en}": Text(en, ja) for en, ja in _JA.items()}
