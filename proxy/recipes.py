"""What `mailweir quickstart` writes and says: pure functions from names to text.

The picture: Mailweir has the public ports 25, 587 and 465; Postfix keeps the mailboxes and the way
out, on three ports of 127.0.0.1 that each do one thing.
- INBOUND takes mail for its own domains and nothing else. Everybody's mail reaches it from
  127.0.0.1, so this address must not be trusted there (empty mynetworks): otherwise one missing
  check in front of it makes an open relay.
- SUBMISSION takes mail of users who have logged in; AUTH is relayed to it.
- QUEUE takes what waited in our own queue: no login, so it is the one port that trusts 127.0.0.1.
And of IMAP the ports 143 and 993; Dovecot keeps one on 127.0.0.1, MAILBOXES, and trusts us to tell
the address of each client.
Tested against a real Postfix and Dovecot in tests/peers/test_quickstart_postfix.py.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from config import load
from proxy.texts import Language, t

_EXAMPLE = Path(load.__file__).with_name("mailweir.example.toml")
INBOUND, SUBMISSION, QUEUE, MAILBOXES = 10025, 10587, 10026, 10143
HTTP = "127.0.0.1:8025"


@dataclass(frozen=True, slots=True)
class Names:
    """What the texts are made of; all of it checked before."""

    domain: str
    hostname: str
    config: Path
    data_dir: Path
    cert: Path
    key: Path
    program: Path
    unit: Path
    timezone: str = "UTC"
    user: str = "mailweir"


def configuration(names: Names, lang: Language) -> str:
    def listener(name: str, port: int, role: str, hop: int, tls: str, auth: str) -> str:
        return (
            f"# {t(f'quickstart.toml.{name}', lang)}\n"
            f'[[smtp]]\nname = "{name}"\nlisten = "0.0.0.0:{port}"\nrole = "{role}"\n'
            f'next_hop = "smtp://127.0.0.1:{hop}"\ntls = "{tls}"\n'
            f'cert = {_quoted(names.cert)}\nkey = {_quoted(names.key)}\nauth = "{auth}"\n'
        )

    def mailboxes(name: str, port: int, tls: str) -> str:
        return (
            f"# {t(f'quickstart.toml.{name}', lang)}\n"
            f'[[imap]]\nname = "{name}"\nlisten = "0.0.0.0:{port}"\n'
            f'upstream = "imap://127.0.0.1:{MAILBOXES}"\nupstream_client = "id"\ntls = "{tls}"\n'
            f"cert = {_quoted(names.cert)}\nkey = {_quoted(names.key)}\n"
        )

    return "\n".join(
        [
            f"# {t('quickstart.toml.head', lang, example=_EXAMPLE)}\n",
            f"[node]\nhostname = {_quoted(names.hostname)}\ndomains = [{_quoted(names.domain)}]\n"
            f"data_dir = {_quoted(names.data_dir)}\ntimezone = {_quoted(names.timezone)}\n",
            listener("mx", 25, "inbound", INBOUND, "starttls", "none"),
            listener("submission", 587, "submission", SUBMISSION, "starttls", "next_hop"),
            listener("submissions", 465, "submission", SUBMISSION, "implicit", "next_hop"),
            mailboxes("imap", 143, "starttls"),
            mailboxes("imaps", 993, "implicit"),
            f"# {t('quickstart.toml.outbound', lang)}\n"
            f'[outbound]\nroute = "smtp://127.0.0.1:{QUEUE}"\n',
            f'# {t("quickstart.toml.http", lang)}\n[http]\nlisten = "{HTTP}"\n',
        ]
    )


def dns_records(names: Names, address: str) -> str:
    """A zone file's lines; services for mail programs by RFC 6186 and RFC 8314."""
    host, domain = f"{names.hostname}.", f"{names.domain}."
    rows = [
        (host, "AAAA" if ":" in address else "A", address),
        (domain, "MX", f"10 {host}"),
        (domain, "TXT", '"v=spf1 mx -all"'),
        (f"_dmarc.{domain}", "TXT", f'"v=DMARC1; p=none; rua=mailto:postmaster@{names.domain}"'),
        (f"_submission._tcp.{domain}", "SRV", f"0 1 587 {host}"),
        (f"_submissions._tcp.{domain}", "SRV", f"0 1 465 {host}"),
        (f"_imap._tcp.{domain}", "SRV", f"0 1 143 {host}"),
        (f"_imaps._tcp.{domain}", "SRV", f"0 1 993 {host}"),
    ]
    width = max(len(name) for name, _, _ in rows)
    return "".join(f"{name:{width}}  IN {kind:4} {value}\n" for name, kind, value in rows)


def autoconfig_dns(names: Names) -> str:
    """The names under which mail programs ask for their settings."""
    host, domain = f"{names.hostname}.", f"{names.domain}."
    rows = [
        (f"autoconfig.{domain}", "CNAME", host),
        (f"autodiscover.{domain}", "CNAME", host),
        (f"_autodiscover._tcp.{domain}", "SRV", f"0 1 443 autodiscover.{domain}"),
    ]
    width = max(len(name) for name, _, _ in rows)
    return "".join(f"{name:{width}}  IN {kind:5} {value}\n" for name, kind, value in rows)


def autoconfig_web(names: Names) -> str:
    """For nginx: these pages of [http].listen, and none of the others."""
    paths = (
        r"/(mail|\.well-known/autoconfig/mail)/config-v1\.1\.xml|/autodiscover/autodiscover\.xml"
    )
    return (
        "server {\n"
        "  listen 443 ssl;\n"
        f"  server_name autoconfig.{names.domain} autodiscover.{names.domain};\n"
        f"  ssl_certificate /etc/letsencrypt/live/autoconfig.{names.domain}/fullchain.pem;\n"
        f"  ssl_certificate_key /etc/letsencrypt/live/autoconfig.{names.domain}/privkey.pem;\n"
        f"  location ~* ^({paths})$ {{\n"
        "    proxy_set_header Host $host;\n"
        "    client_max_body_size 16k;\n"
        f"    proxy_pass http://{HTTP};\n"
        "  }\n"
        "  location / { return 404; }\n"
        "}\n"
    )


def postfix_master() -> str:
    """Lines for master.cf. All clients there are 127.0.0.1, so limits per client are lifted."""
    common = ("smtpd_client_connection_count_limit=0", "smtpd_client_restrictions=")
    return (
        _service(
            INBOUND,
            "in",
            "mynetworks=",
            "smtpd_sasl_auth_enable=no",
            "smtpd_tls_security_level=none",
            "smtpd_relay_restrictions=reject_unauth_destination",
            "smtpd_recipient_restrictions=reject_unauth_destination",
            *common,
        )
        + _service(
            SUBMISSION,
            "sub",
            "mynetworks=",
            "smtpd_sasl_auth_enable=yes",
            "smtpd_sasl_type=dovecot",
            "smtpd_sasl_path=private/auth",
            "smtpd_tls_security_level=none",
            "smtpd_tls_auth_only=no",
            "smtpd_relay_restrictions=permit_sasl_authenticated,reject",
            "smtpd_recipient_restrictions=permit_sasl_authenticated,reject",
            "milter_macro_daemon_name=ORIGINATING",
            *common,
        )
        + _service(
            QUEUE,
            "queue",
            "mynetworks=127.0.0.1/32",
            "smtpd_sasl_auth_enable=no",
            "smtpd_tls_security_level=none",
            "smtpd_relay_restrictions=permit_mynetworks,reject",
            "smtpd_recipient_restrictions=permit_mynetworks,reject",
            "milter_macro_daemon_name=ORIGINATING",
            *common,
        )
    )


def postfix_main() -> str:
    """No limit of a message's size is among it: doors take what Postfix takes, and a larger one
    than its limits of mailboxes (virtual_mailbox_limit) would stop delivery altogether."""
    return "postfix check && systemctl restart postfix\n"


def postfix_other(names: Names) -> str:
    """For other machines whose programs send mail: their relayhost is our submission port."""
    return (
        f"relayhost = [{names.hostname}]:587\n"
        "smtp_tls_security_level = encrypt\n"
        "smtp_sasl_auth_enable = yes\n"
        "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n"
        "smtp_sasl_tls_security_options = noanonymous\n"
    )


def dovecot_auth() -> str:
    return (
        "auth_mechanisms = plain login\n"
        "service auth {\n"
        "  unix_listener /var/spool/postfix/private/auth {\n"
        "    mode = 0660\n"
        "    user = postfix\n"
        "    group = postfix\n"
        "  }\n"
        "}\n"
    )


def dovecot_imap() -> str:
    """Dovecot's IMAP on one port of 127.0.0.1; it believes us who the client is (ID command)."""
    return (
        "login_trusted_networks = 127.0.0.1\n"
        "service imap-login {\n"
        "  inet_listener imap {\n"
        "    address = 127.0.0.1\n"
        f"    port = {MAILBOXES}\n"
        "  }\n"
        "  inet_listener imaps {\n"
        "    port = 0\n"
        "  }\n"
        "}\n"
    )


def dovecot_submission() -> str:
    """Instead of Postfix's SUBMISSION port: Dovecot checks the password and hands on to QUEUE."""
    return (
        "protocols = $protocols submission\n"
        "submission_relay_host = 127.0.0.1\n"
        f"submission_relay_port = {QUEUE}\n"
        "service submission-login {\n"
        "  inet_listener submission {\n"
        "    address = 127.0.0.1\n"
        f"    port = {SUBMISSION}\n"
        "  }\n"
        "}\n"
    )


def unit(names: Names) -> str:
    """A systemd service; the sandbox leaves the data folder as the only place to write to."""
    return (
        "[Unit]\n"
        "Description=Mailweir, a mail relay that captures mail for the CRM\n"
        "Wants=network-online.target\n"
        "After=network-online.target\n"
        "\n"
        "[Service]\n"
        "Type=notify\n"
        f"User={names.user}\n"
        f"ExecStart={_escaped(names.program)} --config {_escaped(names.config)} run\n"
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
        "NoNewPrivileges=yes\n"
        "PrivateTmp=yes\n"
        "ProtectSystem=strict\n"
        f"ReadWritePaths={_escaped(names.data_dir)}\n"
        "UMask=0077\n"
        "LimitNOFILE=65536\n"
        "WatchdogSec=60\n"
        "Restart=always\n"
        "RestartSec=2\n"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def service_commands(names: Names) -> str:
    config, user = _shell(names.config), names.user
    return (
        f"useradd --system --home-dir {_shell(names.data_dir)} --shell /usr/sbin/nologin {user}\n"
        f"install -d -m 700 -o {user} -g {user} {_shell(names.data_dir)}\n"
        f"chown {user}: {_shell(names.key)}\n"
        f"{_shell(names.program)} --config {config} check --online\n"
        f"systemctl enable --now {_shell(names.unit)}\n"
        f"{_shell(names.program)} --config {config} status\n"
    )


def _service(port: int, name: str, *options: str) -> str:
    head = f"127.0.0.1:{port} inet n - y - - smtpd\n"
    return head + "".join(
        f"    -o {option}\n" for option in (f"syslog_name=postfix/mailweir-{name}", *options)
    )


def _quoted(value: object) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(str(value), ensure_ascii=False)


def _escaped(path: Path) -> str:
    """For systemd: % starts a specifier, quotes hold spaces together (systemd.syntax(7))."""
    text = str(path).replace("%", "%%")
    return json.dumps(text, ensure_ascii=False) if " " in text or '"' in text else text


def _shell(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
