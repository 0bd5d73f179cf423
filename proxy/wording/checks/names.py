"""Texts on the DNS: what it says of this machine and of our domains."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "dns.silent": Text("the DNS does not answer: {reason}", "DNS が応答しません: {reason}"),
    "dns.silent.todo": Text(
        "Look at /etc/resolv.conf; without DNS no mail finds its way.",
        "/etc/resolv.conf を確認してください。DNS なしではメールを配送できません。",
    ),
    "dns.address": Text("has the address {addresses}", "アドレスは {addresses} です"),
    "dns.no_address": Text(
        "has no address: other servers cannot find this machine, and many refuse its mail",
        "アドレスがありません。ほかのサーバーから見つけられず、送信も多くの相手に拒否されます",
    ),
    "dns.no_address.todo": Text(
        "Add an A record (and AAAA, if there is IPv6), or correct node.hostname.",
        "A レコード（IPv6 があれば AAAA も）を追加するか、node.hostname を直してください。",
    ),
    "dns.private": Text(
        "points to {address}, which cannot be reached from the Internet",
        "{address} を指していますが、インターネットからは届かないアドレスです",
    ),
    "dns.private.todo": Text(
        "Use the public address in the public DNS.",
        "公開 DNS には外部から届くアドレスを登録してください。",
    ),
    "dns.ptr": Text("points back to {hostname}", "逆引きは {hostname} です"),
    "dns.no_ptr": Text(
        "does not point back to {hostname} (it points to: {names}); many servers refuse such mail",
        "逆引きが {hostname} になっていません（現在: {names}）。拒否する受信サーバーが多くあります",
    ),
    "dns.no_ptr.todo": Text(
        "Ask the provider of the address to set its PTR record to {hostname}.",
        "アドレスの提供元に、PTR レコードを {hostname} にするよう依頼してください。",
    ),
    "dns.mx": Text("mail comes to {hostname}", "メールは {hostname} に届きます"),
    "dns.other_mx": Text(
        "other servers take its mail too: {others}; what goes through them is not captured",
        "ほかのサーバーも受け取ります: {others}。そちらを通ったメールは記録されません",
    ),
    "dns.other_mx.todo": Text(
        "Remove those MX records, or put a Mailweir in front of those servers as well.",
        "それらの MX レコードを消すか、そのサーバーの前にも Mailweir を置いてください。",
    ),
    "dns.mx_elsewhere": Text(
        "mail goes to {hosts}, not to {hostname}: it is not captured",
        "メールは {hostname} ではなく {hosts} に届くため、記録されません",
    ),
    "dns.mx_elsewhere.todo": Text(
        "When all is ready, point the MX record of {about} to {hostname}.",
        "準備ができたら、{about} の MX レコードを {hostname} に向けてください。",
    ),
    "dns.no_mx": Text("has no MX record", "MX レコードがありません"),
    "dns.no_mx.todo": Text(
        "Add `{about}. MX 10 {hostname}.`", "`{about}. MX 10 {hostname}.` を追加してください。"
    ),
    "dns.null_mx": Text(
        "says that it takes no mail at all (null MX, RFC 7505)",
        "メールを一切受け取らないと宣言しています（null MX、RFC 7505）",
    ),
    "dns.null_mx.todo": Text(
        "Replace the record, or remove the domain from node.domains.",
        "レコードを書き換えるか、node.domains からこのドメインを外してください。",
    ),
    "dns.spf": Text("SPF: {record}", "SPF: {record}"),
    "dns.no_spf": Text(
        "has no SPF record: its mail looks forged to many servers",
        "SPF レコードがありません。多くのサーバーから、なりすましと疑われます",
    ),
    "dns.no_spf.todo": Text(
        'Add the TXT record "v=spf1 mx -all", with the names of other servers that send for you.',
        "TXT レコード「v=spf1 mx -all」を追加してください（ほかに送信するサーバーがあれば併記）。",
    ),
    "dns.two_spf": Text(
        "has {count} SPF records, which counts as an error",
        "SPF レコードが {count} 個あり、エラーとして扱われます",
    ),
    "dns.two_spf.todo": Text("Join them into one.", "1 つにまとめてください。"),
    "dns.open_spf": Text(
        "the SPF record allows everybody: {record}",
        "SPF レコードがすべての送信元を許可しています: {record}",
    ),
    "dns.open_spf.todo": Text(
        'End it with "-all" or "~all".', "末尾を「-all」か「~all」にしてください。"
    ),
    "dns.dmarc": Text("DMARC: {record}", "DMARC: {record}"),
    "dns.no_dmarc": Text(
        "has no DMARC record, which large providers ask for",
        "DMARC レコードがありません。大手の受信側から求められます",
    ),
    "dns.no_dmarc.todo": Text(
        'Add the TXT record "v=DMARC1; p=none; rua=mailto:postmaster@{about}" at _dmarc.{about}.',
        "_dmarc.{about} に TXT レコード「v=DMARC1; p=none; rua=mailto:postmaster@{about}」を"
        "追加してください。",
    ),
    "dns.srv": Text("mail programs find {place} by it", "メールソフトは {place} を見つけられます"),
    "dns.no_srv": Text(
        "is missing: mail programs that look for it have to be set up by hand",
        "がありません。これを調べるメールソフトは手動の設定が必要になります",
    ),
    "dns.no_srv.todo": Text(
        "Add `{about}. SRV 0 1 {place}.`", "`{about}. SRV 0 1 {place}.` を追加してください。"
    ),
    "dns.srv_elsewhere": Text(
        "sends mail programs to {found}, not to {place}: their mail is not captured",
        "メールソフトを {place} ではなく {found} に導きます。そのメールは記録されません",
    ),
    "dns.srv_elsewhere.todo": Text(
        "Replace it by `{about}. SRV 0 1 {place}.`, or set `public` of the listener.",
        "`{about}. SRV 0 1 {place}.` に置き換えるか、待ち受けの `public` を設定してください。",
    ),
}
