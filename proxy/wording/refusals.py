"""Why a call is refused: the English stands where it is raised, the Japanese here.

Keys are the English lines with placeholders, as proxy/refusals.py finds them again; what stands in
front (`record add: `, `--limit: `) stays. `{why}` is a refusal within a refusal. What the
configuration is told (config/) is not here: it is English, for programs read it, too.
"""

from proxy.wording import Text

_JA: dict[str, str] = {
    # what is allowed instead
    "allowed is one of: {allowed}": "使えるのは {allowed} です",
    "allowed is another file than one that is imported": (
        "取り込むファイルとは別のファイルを指定してください"
    ),
    "allowed is one character, or tab": "1 文字か tab を指定してください",
    "allowed is the path of a configuration file": "設定ファイルのパスを指定してください",
    "allowed is a time like {one} or {two}": "{one} や {two} のような日時を指定してください",
    "allowed is a time that is past": "過去の日時を指定してください",
    "allowed with {one} only": "{one} のときだけ使えます",
    "allowed with {one} or {two} only": "{one} か {two} のときだけ使えます",
    "allowed with {one} and {two} only": "{one} と {two} のときだけ使えます",
    "allowed with KIND general only; {kind} says it already": (
        "種別 general のときだけ使えます。{kind} はそれだけで種類を表します"
    ),
    "allowed with --role smtp or imap, not with --role {role}": (
        "--role smtp か imap のときに使います。--role {role} では使えません"
    ),
    "allowed are {some} and {last}, one needed": "{some}、{last} のどれかが必要です",
    "allowed is what the page before gave as next": (
        "前のページが続きとして示した値を指定してください"
    ),
    "allowed is an address like {example}": "{example} のようなアドレスを指定してください",
    "allowed is the name of a folder, of at most {most} characters": (
        "{most} 文字以内のフォルダ名を指定してください"
    ),
    "allowed is NAME, or NAME=ID with the number of a record (a folder with = in its name:"
    " `rules add`)": (
        "NAME か、レコードの番号を付けた NAME=ID を指定してください（名前に = を含むフォルダは"
        " `rules add` で登録します）"
    ),
    "allowed is to leave it out, or to put it onto a record": (
        "除外するか、レコードに載せるかの、どちらかにしてください"
    ),
    'allowed is an address like "{one}" or a pattern like "{two}"': (
        '"{one}" のようなアドレスか、"{two}" のようなパターンを指定してください'
    ),
    'allowed is an address like "{one}" or a pattern like "{two}"; this one would leave out all'
    " mail": (
        '"{one}" のようなアドレスか、"{two}" のようなパターンを指定してください。これではすべての'
        "メールが除かれます"
    ),
    "not allowed with try, which writes its own": "try では使えません。try が自分で作ります",
    "standard input (-) is allowed once": "標準入力（-）は 1 回だけ指定できます",
    "at least one {tables} table is needed to run": "起動するには {tables} が 1 つ以上必要です",
    # mail
    "no email {id}": "メール {id} はありません",
    "email {id} has no file {number}": "メール {id} に添付 {number} はありません",
    "email {id} has no sighting {capture}": "メール {id} に取得 {capture} はありません",
    "email {id}: BlobMissing: {words}": (
        "メール {id}: 本体がアーカイブにありません（BlobMissing: {words}）"
    ),
    "email {id}: BlobDamaged: {words}": (
        "メール {id}: アーカイブの本体が壊れています（BlobDamaged: {words}）"
    ),
    # users
    "no user {who}": "利用者 {who} は登録されていません",
    "login {login} exists": "ログイン名 {login} は登録済みです",
    "{login} has no address {addresses}": "{login} はアドレス {addresses} を持っていません",
    "{address} belongs to {login}": "{address} は {login} のアドレスです",
    "{login} is no login: allowed is one word, like an address": (
        "{login} はログイン名になりません。アドレスのような、空白を含まない 1 語にしてください"
    ),
    "allowed are {most} rules a user, at most": "ルールは利用者ごとに {most} 件までです",
    # records
    "no record {id}": "レコード {id} はありません",
    "needed with a deal": "商談には必要です",
    "a deal needs a main contact": "商談には主な連絡先が必要です",
    "a {kind} has no main contact, a deal or a general record has one": (
        "{kind} に主な連絡先はありません。主な連絡先を持つのは deal と general です"
    ),
    "kind {kind}: allowed are {allowed}": "種別 {kind}: 使えるのは {allowed} です",
    "record {id} is a {kind}: it has no main contact": (
        "レコード {id} は {kind} なので、主な連絡先はありません"
    ),
    "record {id} is a {kind}: the main contact of a deal is a person": (
        "レコード {id} は {kind} です。主な連絡先には人を指定してください"
    ),
    "record {id} has no address {addresses}": "レコード {id} にアドレス {addresses} はありません",
    "record {id} is the main contact of {ids}: give them another first": (
        "レコード {id} は {ids} の主な連絡先です。先に別の連絡先を指定してください"
    ),
    "at most {most} addresses in the history of a record": (
        "1 件のレコードのアドレスは、以前のものも含めて {most} 個までです"
    ),
    "the time ends before it begins": "終わりが始まりより前になっています",
    "state {state}: allowed are open, closed": "状態 {state}: 使えるのは open と closed です",
    "a record needs a name": "レコードには名前が必要です",
    "a {kind} has no type: a {general} record has one": (
        "{kind} に種類はありません。種類を持つのは {general} です"
    ),
    "type: at most {most} characters": "種類は {most} 文字までです",
    "{address} is ours (a user, or node.domains) and keys no record": (
        "{address} は自社のアドレス（利用者、または node.domains）のため、登録できません"
    ),
    # addresses
    "{text} is no address": "{text} はメールアドレスではありません",
    "at most {most} addresses": "アドレスは {most} 個までです",
    "{text} is no address: {why}": "{text} はメールアドレスではありません: {why}",
    "{domain} is no mail domain": "{domain} はメールのドメインではありません",
    "give one address at a time": "アドレスは 1 つずつ指定してください",
    'there is no "@"': "@ がありません",
    'there is nothing before the "@"': "@ の前がありません",
    'there is nothing behind the "@"': "@ の後ろがありません",
    "there is a space in it": "空白が入っています",
    "allowed is something like {example}": "{example} のように指定してください",
    '"{local}" cannot stand before the "@"; allowed are letters, digits and {signs}': (
        "@ の前に {local} は使えません。使えるのは英数字と {signs} です"
    ),
    "mail to node.domains is never refused by this list": (
        "node.domains 宛てのメールは、この一覧では拒否できません"
    ),
    # the store
    "schema {found}, this version needs {wanted}: run `mailweir migrate`": (
        "スキーマは {found} ですが、この版には {wanted} が必要です。`mailweir migrate` を実行して"
        "ください"
    ),
    "no such database (run `mailweir migrate`)": (
        "データベースがありません（`mailweir migrate` を実行してください）"
    ),
    "the database was replaced by another file": (
        "データベースが別のファイルに置き換えられています"
    ),
    "journal_mode={mode} synchronous={synchronous}, allowed is journal_mode=wal synchronous=2 (run"
    " `mailweir migrate`; the file must be on a local disk)": (
        "journal_mode={mode} synchronous={synchronous} です。journal_mode=wal synchronous=2 で"
        "なければなりません（`mailweir migrate` を実行してください。ファイルはローカルディスクに"
        "置きます）"
    ),
    "every connection is in use": "接続がすべて使用中です",
    "a standby, which cannot be written": "スタンバイのため、書き込めません",
    "fsync={fsync} synchronous_commit={commit}, allowed is fsync=on synchronous_commit=on"
    " (postgresql.conf): what is committed would be lost with the power": (
        "fsync={fsync} synchronous_commit={commit} です。fsync=on synchronous_commit=on で"
        "なければなりません（postgresql.conf）。そうでないと、コミットしたものが停電で失われます"
    ),
    "its encoding is {encoding}, allowed is UTF8 ({command})": (
        "エンコーディングが {encoding} です。UTF8 でなければなりません（{command}）"
    ),
    # the start, quickstart and try
    "{folder} belongs to user {user}, who may not read {part}: this program must lie where the"
    " service's user can read it": (
        "{folder} の所有者はユーザー {user} ですが、{part} を読めません。このプログラムは、"
        "サービスのユーザーが読める場所に置いてください"
    ),
    "allowed is a readable file ({error})": "読み取れるファイルを指定してください（{error}）",
    "allowed is a free address ({error})": "空いているアドレスを指定してください（{error}）",
    "allowed is an address that is free here ({error})": (
        "空いているアドレスを指定してください（{error}）"
    ),
    "allowed is an address that is free here ({error}); ports below 1024 need CAP_NET_BIND_SERVICE,"
    " which the unit of `quickstart` gives": (
        "空いているアドレスを指定してください（{error}）。1024 未満のポートには"
        " CAP_NET_BIND_SERVICE が必要です。`quickstart` のユニットはこれを与えます"
    ),
    "allowed is a folder that we may write ({error})": (
        "書き込めるフォルダを指定してください（{error}）"
    ),
    "allowed is a file of keys that only we may read ({error})": (
        "サービスのユーザーだけが読める鍵ファイルを指定してください（{error}）"
    ),
    "the database is missing, but {blobs} holds mail: restore the database, or make an empty one"
    " with `mailweir migrate`": (
        "データベースがありませんが、{blobs} にはメールがあります。データベースを復元するか、"
        "`mailweir migrate` で空のものを作ってください"
    ),
    "another `{what}` holds this data folder": ("別の `{what}` がこのデータフォルダを使用中です"),
    "allowed is a folder of its own; this one has another mailweir.toml": (
        "専用のフォルダを指定してください。ここには別の mailweir.toml があります"
    ),
    "the appliance did not start: {words}": "起動できませんでした: {words}",
    "allowed is a number whose next {count} ports are free; {port} is not ({error})": (
        "そこから {count} 個のポートが空いている番号を指定してください。{port} は使えません"
        "（{error}）"
    ),
    "allowed is an IP address like {one} or {two}": (
        "{one} や {two} のような IP アドレスを指定してください"
    ),
    "exists already; allowed is another --dir, or --force": (
        "すでにあります。別の --dir か、--force を指定してください"
    ),
    "allowed is a full host name like {example}": (
        "{example} のような完全なホスト名を指定してください"
    ),
    "allowed is a mail domain like {example}": "{example} のようなメールドメインを指定してください",
    "allowed only together with --key": "--key と一緒に指定してください",
    "allowed is a path without control characters": "制御文字を含まないパスを指定してください",
    "allowed is a certificate that has not expired": "有効期限内の証明書を指定してください",
    "allowed is a readable PEM file with a certificate": (
        "読み取れる PEM 形式の証明書を指定してください"
    ),
    "allowed is a readable PEM file with an unencrypted private key": (
        "読み取れる PEM 形式の、暗号化していない秘密鍵を指定してください"
    ),
    "allowed is a readable PEM file ({error})": (
        "読み取れる PEM ファイルを指定してください（{error}）"
    ),
    "allowed is the private key of the certificate {cert}": (
        "証明書 {cert} に合う秘密鍵を指定してください"
    ),
    # the system's words
    "No such file or directory": "ファイルまたはフォルダがありません",
    "Permission denied": "権限がありません",
    "Is a directory": "フォルダです",
    "Not a directory": "フォルダではありません",
    "No space left on device": "ディスクの空きがありません",
    # the library's words
    "No such command {name}": "{name} というコマンドはありません",
    "No such command {name}; allowed is one of: {allowed}": (
        "{name} というコマンドはありません。使えるのは {allowed} です"
    ),
    "Missing command; allowed is one of: {allowed}": (
        "コマンドが足りません。使えるのは {allowed} です"
    ),
    "No such option: {name}; allowed: {allowed}": (
        "{name} というオプションはありません。使えるのは {allowed} です"
    ),
    "Missing argument {name}": "引数 {name} が足りません",
    "Missing option {name}": "オプション {name} が足りません",
    "Option {name} requires an argument": "オプション {name} には値が必要です",
    "Option {name} does not take a value": "オプション {name} に値は付けられません",
    "Got unexpected extra argument(s) ({words}); allowed: {allowed}": (
        "余分な引数があります（{words}）。使えるのは {allowed} です"
    ),
    "Invalid value for {name}: {why}": "{name} の値が正しくありません: {why}",
    "Input should be a valid integer, unable to parse string as an integer": (
        "整数を指定してください"
    ),
    "Input should be greater than or equal to {least}": "{least} 以上を指定してください",
    "Input should be less than or equal to {most}": "{most} 以下を指定してください",
    "{word} is not one of {allowed}": "{word} は使えません。使えるのは {allowed} です",
}

TEXTS: dict[str, Text] = {f"refusal.{en}": Text(en, ja) for en, ja in _JA.items()}
