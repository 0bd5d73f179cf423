"""Texts on the next hops: what they offer, refuse, and leave open."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "hop.mx": Text(
        "the servers of each domain, found by DNS; none of them is tried here, and many providers"
        " close port 25 to the outside",
        "宛先ドメインごとに DNS で探します（ここでは接続を試しません）。外向きの 25 番ポートを"
        "閉じている事業者も多いので注意してください",
    ),
    "hop.greeted": Text(
        "{hop} answers (TLS: {tls}); offers {offered}",
        "{hop} が応答しました（TLS: {tls}）。対応機能: {offered}",
    ),
    "hop.away": Text("{hop} cannot be used: {reason}", "{hop} に接続できません: {reason}"),
    "hop.away.todo": Text(
        "Start the mail server, and compare its port with the configuration.",
        "メールサーバーを起動し、ポート番号を設定と見比べてください。",
    ),
    "hop.resolve": Text(
        "the name of {hop} is not found: {reason}", "{hop} の名前を解決できません: {reason}"
    ),
    "hop.resolve.todo": Text(
        "Correct the name, or the DNS of this machine.",
        "名前か、このマシンの DNS の設定を直してください。",
    ),
    "hop.tls": Text(
        "{hop} fails the TLS that is asked for: {reason}",
        "{hop} は、求められた TLS の条件を満たしません: {reason}",
    ),
    "hop.tls.todo": Text(
        "Correct the certificate or TLS of that server, or name its authority (next_hop_ca, ca).",
        "そのサーバーの証明書や TLS を直すか、発行した認証局を next_hop_ca（または ca）に"
        "指定してください。",
    ),
    "hop.auth": Text(
        "{hop} refuses the service account: {reason}",
        "{hop} がサービス用アカウントを拒否しました: {reason}",
    ),
    "hop.auth.todo": Text(
        "Compare outbound.user and the password file with the server's account.",
        "outbound.user とパスワードファイルを、サーバー側のアカウントと見比べてください。",
    ),
    "hop.authorities": Text(
        "the authorities cannot be read: {reason}", "認証局の証明書を読めません: {reason}"
    ),
    "hop.authorities.todo": Text(
        "Give a PEM file with the authority's certificate.",
        "認証局の証明書が入った PEM ファイルを指定してください。",
    ),
    "hop.no_pipelining": Text(
        "offers no PIPELINING: each command waits for its answer, which makes mail slower",
        "PIPELINING に対応していません。コマンドごとに応答を待つため、中継が遅くなります",
    ),
    "hop.no_8bitmime": Text(
        "offers no 8BITMIME: we cannot offer it either, so clients must encode their mail",
        "8BITMIME に対応していません。こちらも提示できないため、クライアント側での符号化が必要です",
    ),
    "hop.no_smtputf8": Text(
        "offers no SMTPUTF8: addresses with Japanese or other non-ASCII letters are refused",
        "SMTPUTF8 に対応していません。日本語などを含むメールアドレスは拒否されます",
    ),
    "hop.no_dsn": Text(
        "offers no DSN: clients cannot ask for delivery reports",
        "DSN に対応していません。クライアントは配送通知を要求できません",
    ),
    "hop.no_xclient": Text(
        'offers no XCLIENT, though next_hop_client = "xclient": it sees our address only',
        'next_hop_client = "xclient" ですが XCLIENT に対応していません。接続元は'
        "このサーバーのアドレスに見えます",
    ),
    "hop.no_xclient.todo": Text(
        "Postfix: put our address into smtpd_authorized_xclient_hosts.",
        "Postfix なら smtpd_authorized_xclient_hosts にこのサーバーのアドレスを加えてください。",
    ),
    "hop.size": Text(
        "takes messages of {size:.0f} MiB at most, max_size is {wanted:.0f} MiB: the smaller"
        " counts",
        "受け取れるのは {size:.0f} MiB までです（max_size は {wanted:.0f} MiB）。小さいほうが"
        "上限になります",
    ),
    "hop.size.todo": Text(
        "Raise it there (Postfix: message_size_limit), or lower max_size here.",
        "先方の上限を上げるか（Postfix なら message_size_limit）、max_size を下げてください。",
    ),
    "hop.auth_offered": Text(
        "users can log in with {mechanisms}", "{mechanisms} でログインできます"
    ),
    "hop.no_auth": Text(
        'offers no AUTH, but auth = "next_hop" needs it: nobody can log in',
        'AUTH に対応していません。auth = "next_hop" に必要なため、だれもログインできません',
    ),
    "hop.no_auth.todo": Text(
        "Switch it on for that port (Postfix: smtpd_sasl_auth_enable=yes, and on loopback"
        " smtpd_tls_auth_only=no), or let that port offer STARTTLS.",
        "そのポートで有効にしてください（Postfix なら smtpd_sasl_auth_enable=yes、ループバック"
        "なら smtpd_tls_auth_only=no も）。または STARTTLS を使えるようにしてください。",
    ),
    "hop.clear": Text(
        "offers no STARTTLS: mail and passwords cross the network unencrypted",
        "STARTTLS に対応していません。メールやパスワードが暗号化されずに流れます",
    ),
    "hop.clear.todo": Text(
        'Switch TLS on there, then set next_hop_tls = "require" (or outbound.tls).',
        "先方で TLS を有効にし、next_hop_tls（または outbound.tls）を「require」にしてください。",
    ),
    "hop.starttls_failed": Text(
        "offers STARTTLS, but it fails: mail goes there unencrypted",
        "STARTTLS を提示しますが失敗します。メールは暗号化されずに送られます",
    ),
    "hop.starttls_failed.todo": Text(
        'Look into the log of that server; then set next_hop_tls = "require" (or outbound.tls).',
        "そのサーバーのログを調べ、直したら next_hop_tls（または outbound.tls）を「require」に"
        "してください。",
    ),
    "hop.no_mail": Text(
        "refuses a message without a sender (a delivery report): {reply}",
        "差出人が空のメール（配送通知）を拒否します: {reply}",
    ),
    "hop.no_mail.todo": Text(
        "Allow this machine on that port; every mail server must take MAIL FROM:<>.",
        "そのポートでこのマシンを許可してください。MAIL FROM:<> は必ず受け取る決まりです。",
    ),
    "hop.takes": Text("takes mail for {domain}", "{domain} 宛てのメールを受け取ります"),
    "hop.takes_not": Text(
        "refuses postmaster@{domain}: {reply}", "postmaster@{domain} を拒否します: {reply}"
    ),
    "hop.takes_not.todo": Text(
        "Make {domain} a domain of that server, with a postmaster address (RFC 5321, 4.5.1).",
        "そのサーバーで {domain} を受け取れるようにし、postmaster の宛先を用意してください"
        "（RFC 5321 4.5.1）。",
    ),
    "hop.relays": Text(
        "{hop} relays for this machine to any domain: whoever reaches that port from here can send"
        " anywhere",
        "{hop} は、このマシンからなら任意の宛先へ中継します。このマシンからそのポートに届く者は、"
        "どこへでも送信できてしまいます",
    ),
    "hop.relays.todo": Text(
        "On that port set mynetworks to nothing and refuse all but your own domains (Postfix:"
        " -o mynetworks= -o smtpd_recipient_restrictions=reject_unauth_destination).",
        "そのポートでは mynetworks を空にし、自ドメイン以外の宛先を拒否してください（Postfix なら"
        " -o mynetworks= -o smtpd_recipient_restrictions=reject_unauth_destination）。",
    ),
}
