"""Texts on the IMAP servers behind."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "imap.greeted": Text(
        "{server} answers (TLS: {tls}); hidden from mail programs: {hidden}",
        "{server} が応答しました（TLS: {tls}）。メールソフトに見せない機能: {hidden}",
    ),
    "imap.away": Text("{server} cannot be used: {reason}", "{server} に接続できません: {reason}"),
    "imap.away.todo": Text(
        "Start the IMAP server, and compare its port, TLS and upstream_client with the"
        " configuration.",
        "IMAP サーバーを起動し、ポート番号、TLS、upstream_client を設定と見比べてください。",
    ),
    "imap.authorities": Text(
        "the authorities cannot be read: {reason}", "認証局の証明書を読めません: {reason}"
    ),
    "imap.authorities.todo": Text(
        "Correct upstream_ca: a file of certificates in PEM form.",
        "upstream_ca を、PEM 形式の証明書のファイルに直してください。",
    ),
    "imap.no_login": Text(
        "{server} lets nobody log in over this connection (LOGINDISABLED)",
        "{server} はこの接続でのログインを許していません（LOGINDISABLED）",
    ),
    "imap.no_login.todo": Text(
        "Use TLS to it (imaps://, or upstream_tls), or let it trust this machine (Dovecot:"
        " login_trusted_networks).",
        "TLS（imaps:// か upstream_tls）で接続するか、サーバーがこのマシンを信頼するように"
        "してください（Dovecot: login_trusted_networks）。",
    ),
    "imap.no_id": Text(
        "{server} has no ID command: it does not learn the addresses of clients",
        "{server} に ID コマンドがなく、クライアントのアドレスが伝わりません",
    ),
    "imap.no_id.todo": Text(
        'Write upstream_client = "proxy" if it speaks the PROXY protocol, else "none".',
        'PROXY プロトコルに対応していれば upstream_client = "proxy"、なければ "none" と'
        "書いてください。",
    ),
}
