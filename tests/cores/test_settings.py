"""Every refusal of the configuration: what was written, which key is named, what is said."""

from pathlib import Path

import pytest

from config.load import ConfigError, find, parse
from config.rules import Problem
from config.secret import Secret
from config.settings import HopTarget, ListenAddress, Settings

NODE = '[node]\nhostname = "mail.example.com"\ndomains = ["example.com", "Example.ORG"]\n'
MX = '[[smtp]]\nname="mx"\nlisten="0.0.0.0:25"\nrole="inbound"\nnext_hop="smtp://127.0.0.1:10025"\n'
SUB = (
    '[[smtp]]\nname="sub"\nlisten="0.0.0.0:587"\nrole="submission"\nauth="next_hop"\n'
    'next_hop="smtp://127.0.0.1:10587"\n'
)
LMTP = (
    '[[smtp]]\nname="lmtp"\nlisten="127.0.0.1:24"\nrole="lmtp"\nnext_hop="lmtp:///run/lmtp.sock"\n'
)
IMAP = '[[imap]]\nname="imap"\nlisten="0.0.0.0:143"\nupstream="imap://127.0.0.1:10143"\n'
BUCKET = '[store]\nblobs = "s3://mail-archive/crm/mail/"\n'


def read(text: str) -> Settings:
    return parse(text, base=Path("/etc/mailweir"))


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value


def swap(table: str, old: str, new: str) -> str:
    assert old in table
    return NODE + table.replace(old, new)


# what is written, the key that is named, a part of what is said
REFUSALS = [
    ("", "node", "required"),
    ("[node]\ndomains = ['example.com']", "node.hostname", "required"),
    ("[node]\nhostname = 'mail'\ndomains = ['example.com']", "node.hostname", "mail.example.com"),
    ("[node]\nhostname = 'a..b'\ndomains = ['example.com']", "node.hostname", "full host name"),
    ("[node]\nhostname = 'mail.example.com'", "node.domains", "at least one"),
    ("[node]\nhostname = 'mail.example.com'\ndomains = 'example.com'", "node.domains", "a list"),
    ("[node]\nhostname = 'mail.example.com'\ndomains = ['-x.com']", "node.domains[0]", "domain"),
    (NODE + "timezone = 'Tokyo'", "node.timezone", "Asia/Tokyo"),
    (NODE + "timezone = '../etc/passwd'", "node.timezone", "Asia/Tokyo"),
    (NODE + "timezone = 'Asia'", "node.timezone", "Asia/Tokyo"),
    (NODE + "data_dir = 3", "node.data_dir", "a path"),
    (NODE + "data_dir = ''", "node.data_dir", "a path"),
    # wrong types and unknown keys
    (NODE + "[[smpt]]\nname = 'mx'", "smpt", 'did you mean "smtp"?'),
    (NODE + MX + "recipient_domain = ['example.com']", "smtp[0].recipient_domain", "did you mean"),
    (NODE + "[limits]\nerors = 3", "limits.erors", 'did you mean "errors"?'),
    (NODE + "[limits]\nerrors = 1.5", "limits.errors", "a whole number"),
    (NODE + "[limits]\nerrors = true", "limits.errors", "a whole number"),
    (NODE + "[limits]\nerrors = 0", "limits.errors", "at least 1"),
    (NODE + "[limits]\nsession = '5'", "limits.session", "with its unit"),
    (NODE + "[limits]\nsession = '2d'", "limits.session", "at most 86400"),
    (NODE + "[smtp]\nname = 'mx'", "smtp", "[[smtp]]"),
    (NODE + "[capture]\ninternal = 'no'", "capture.internal", "true or false"),
    (NODE + "[capture]\nnever = ['example.com']", "capture.never[0]", "pattern like"),
    (NODE + "[capture]\nnever = ['*@*']", "capture.never[0]", "leave out all mail"),
    (NODE + "[capture]\nnever = ['*@**.*']", "capture.never[0]", "leave out all mail"),
    (NODE + "[journal]\nmin_free = '512 MB'", "journal.min_free", "512 MiB"),
    (NODE + "[journal]\nsegment_bytes = 100", "journal.segment_bytes", "at least 1"),
    ("[node\n", "TOML", "valid TOML"),
    # one listener
    (swap(MX, '"mx"', '"MX 1"'), "smtp[0].name", "short name"),
    (swap(MX, "0.0.0.0:25", "localhost:25"), "smtp[0].listen", "IP address"),
    (swap(MX, "0.0.0.0:25", "0.0.0.0:0"), "smtp[0].listen", "1 to 65535"),
    (swap(MX, "0.0.0.0:25", "::1:25"), "smtp[0].listen", '"[::]:25"'),
    (swap(MX, '"inbound"', '"mta"'), "smtp[0].role", '"inbound", "submission" or "lmtp"'),
    (swap(MX, "smtp://127.0.0.1:10025", "127.0.0.1:10025"), "smtp[0].next_hop", "smtp://host:port"),
    (swap(MX, "smtp://127", "imap://127"), "smtp[0].next_hop", "smtp://host:port"),
    (swap(MX, "smtp://", "smtp://u:hunter2@"), "smtp[0].next_hop", "without user or password"),
    (swap(MX, "127.0.0.1:10025", "127.0.0.1:99999"), "smtp[0].next_hop", "smtp://host:port"),
    (NODE + MX + 'tls = "starttls"', "smtp[0].cert", 'because tls = "starttls"'),
    (NODE + MX + 'tls = "implicit"\ncert = "c.pem"', "smtp[0].key", 'because tls = "implicit"'),
    (NODE + MX + 'cert = "c.pem"', "smtp[0].tls", "because cert is set"),
    (NODE + MX + "max_size = '1 KiB'", "smtp[0].max_size", "at least 65536"),
    (NODE + MX + "max_recipients = 10", "smtp[0].max_recipients", "at least 100"),
    (NODE + MX + "doors = 0", "smtp[0].doors", "at least 1"),
    (NODE + MX + "bare_lf = 'pass'", "smtp[0].bare_lf", '"fix" or "refuse"'),
    (NODE + MX + "next_hop_tls = 'no'", "smtp[0].next_hop_tls", '"may", "require" or "verify"'),
    (NODE + MX + "next_hop_ca = 'ca.pem'", "smtp[0].next_hop_tls", '"verify"'),
    (NODE + LMTP + "next_hop_tls = 'require'", "smtp[0].next_hop_tls", "unix socket"),
    (NODE + MX + "allow_private = true", "smtp[0].allow_private", "mx"),
    (NODE + LMTP + "auth = 'next_hop'", "smtp[0].auth", "no users"),
    (swap(SUB, "smtp://127.0.0.1:10587", "mx"), "smtp[0].auth", "could check a password"),
    (NODE + MX + "auth_plain_without_tls = true", "smtp[0].auth_plain_without_tls", "next_hop"),
    (swap(SUB, '"next_hop"\n', '"none"\n'), "smtp[0].auth", "nobody could send"),
    # the PROXY protocol lets its speaker claim any address: never without a list
    (NODE + MX + "proxy_protocol = true", "smtp[0].proxy_from", "balancers"),
    (NODE + MX + "proxy_from = ['10.0.0.1']", "smtp[0].proxy_protocol", "proxy_from is set"),
    (
        NODE + MX + "proxy_protocol = true\nproxy_from = ['0.0.0.0/0']",
        "smtp[0].proxy_from[0]",
        "/16",
    ),
    # an open relay
    (swap(MX, "smtp://127.0.0.1:10025", "mx"), "smtp[0].recipient_domains", "open relay"),
    (NODE + MX + "recipient_domains = ['*']", "smtp[0].recipient_domains[0]", "open relay"),
    (NODE + MX + "recipient_domains = []", "smtp[0].recipient_domains", "at least one"),
    (swap(LMTP, "lmtp:///run/lmtp.sock", "mx"), "smtp[0].recipient_domains", "open relay"),
    (NODE + SUB + "recipient_domains = ['a.com']", "smtp[0].recipient_domains", "all domains"),
    (NODE + SUB + "trusted = ['0.0.0.0/0']", "smtp[0].trusted[0]", "open relay"),
    (NODE + SUB + "trusted = ['0.0.0.0/1', '128.0.0.0/1']", "smtp[0].trusted[0]", "open relay"),
    (NODE + SUB + "trusted = ['8.0.0.0/8']", "smtp[0].trusted[0]", "open relay"),
    (NODE + SUB + "trusted = ['::/0']", "smtp[0].trusted[0]", "open relay"),
    (NODE + SUB + "trusted = ['10.1.2.3/8']", "smtp[0].trusted[0]", '"10.0.0.0/8"'),
    (NODE + SUB + "trusted = ['example.com']", "smtp[0].trusted[0]", "192.0.2.0/24"),
    (NODE + SUB + "trusted = ['192.0.2.0/33']", "smtp[0].trusted[0]", "192.0.2.0/24"),
    # several listeners
    (swap(MX + SUB, '"sub"', '"mx"'), "smtp[1].name", "no other listener"),
    (swap(MX + SUB, ":587", ":25"), "smtp[1].listen", "smtp[0].listen"),
    (swap(MX, "0.0.0.0:25", "127.0.0.1:8025"), "smtp[0].listen", "http.listen"),
    # circles
    (swap(MX, ":10025", ":25"), "smtp[0].next_hop", 'our own listener "mx"'),
    (swap(SUB, "127.0.0.1:10587", "localhost:587"), "smtp[0].next_hop", "our own listener"),
    (NODE + MX + "[outbound]\nroute = 'smtp://[::1]:25'\n", "outbound.route", "our own listener"),
    # a client's password on its way to the next hop
    (swap(SUB, "127.0.0.1:10587", "192.0.2.1:587"), "smtp[0].next_hop_tls", "in clear"),
    # the way out
    (NODE + "[outbound]\nuser = 'u'\npassword_file = 'p'", "outbound.user", 'route = "mx"'),
    (
        NODE + "[outbound]\nroute = 'smtp://127.0.0.1:26'\nuser = 'u'",
        "outbound.password_file",
        "together",
    ),
    (
        NODE + "[outbound]\nroute = 'smtp://192.0.2.9:25'\nuser = 'u'\npassword_file = 'p'",
        "outbound.tls",
        "never crosses a network in clear",
    ),
    (NODE + "[outbound]\nca = 'ca.pem'", "outbound.tls", '"verify"'),
    (NODE + "[outbound]\nretry_first = '2h'", "outbound.retry_first", "retry_max"),
    (NODE + "[outbound]\nretry_for = '1s'", "outbound.retry_for", "at least 60"),
    # a bucket
    (NODE + "[store]\nblobs = 's3://b/x'", "store.blobs", "3 to 63"),
    (NODE + "[store]\nblobs = 's3://bucket/../x'", "store.blobs", "prefix"),
    (NODE + "[store]\nblobs = 's3://bucket/a b'", "store.blobs", "prefix"),
    (NODE + "[store]\nblobs = 's3://key:hunter2@bucket/x'", "store.blobs", "3 to 63"),
    (NODE + "[store]\nblobs = 'gs://bucket'", "store.blobs", '"s3://bucket/prefix"'),
    (NODE + "[store]\nblobs_endpoint = 'https://s3.jp'", "store.blobs_endpoint", "nothing with"),
    (NODE + "[store]\nblobs_region = 'x'", "store.blobs_region", "nothing with"),
    (NODE + "[store]\nblobs_ca = 'ca.pem'", "store.blobs_ca", "nothing with"),
    (
        NODE + BUCKET + "blobs_endpoint = 'http://10.0.0.1'\nblobs_ca = 'ca.pem'",
        "store.blobs_ca",
        "is http://",
    ),
    (NODE + "[store]\nblobs_allow_http = true", "store.blobs_allow_http", "nothing with"),
    (
        NODE + "[store]\nblobs_credentials_file = 'key'",
        "store.blobs_credentials_file",
        "nothing with",
    ),
    (NODE + BUCKET + "blobs_endpoint = 's3.jp'", "store.blobs_endpoint", "an address like"),
    (NODE + BUCKET + "blobs_endpoint = 'https://h/b'", "store.blobs_endpoint", "without a path"),
    (NODE + BUCKET + "blobs_endpoint = 'https://u:p@h'", "store.blobs_endpoint", "without user"),
    (NODE + BUCKET + "blobs_endpoint = 'http://s3.jp'", "store.blobs_endpoint", "in clear"),
    (NODE + BUCKET + "blobs_endpoint = 'http://8.8.8.8'", "store.blobs_endpoint", "in clear"),
    (NODE + BUCKET + "blobs_allow_http = true", "store.blobs_allow_http", "is not http://"),
    (NODE + BUCKET + "blobs_region = 'Tokyo'", "store.blobs_region", "a-z"),
    (NODE + "[store]\nurl = 'mysql://h/d'", "store.url", '"sqlite"'),
    (NODE + "[store]\nurl = 'postgresql://h:0/d'", "store.url", "host or port"),
    (NODE + "[store]\nurl = 'postgresql://[::1/d'", "store.url", "host or port"),
    (NODE + "[store]\nurl = 'postgresql://u:@h/d'", "store.url", "empty password"),
    (NODE + "[store]\nurl = 'postgresql://h/%ff'", "store.url", "UTF-8"),
    (NODE + "[store]\nurl = 'postgresql://h/d?fsync=off'", "store.url", "options known here"),
    (NODE + "[store]\npassword_file = 'p'", "store.password_file", 'with url = "sqlite"'),
    (
        NODE + "[store]\nurl = 'postgresql://u:p@h/d'\npassword_file = 'p'",
        "store.password_file",
        "has a password already",
    ),
    (NODE + "[store]\nmail_quota = '5 GB'", "store.mail_quota", '"auto", "none"'),
    (NODE + "[store]\nmail_quota = 0", "store.mail_quota", '"auto", "none"'),
    (
        NODE + swap(MX, "smtp://127.0.0.1:10025", "mx").removeprefix(NODE)
        + "recipient_domains = ['a.jp']\nnext_hop_client = 'xclient'",
        "smtp[0].next_hop_client",
        "do not believe us",
    ),
    (NODE + LMTP + "next_hop_client = 'proxy'", "smtp[0].next_hop_client", "unix socket"),
    # in the contract, but not in this version
    (NODE + "[store]\ndurability = 'shared'", "store.durability", "not available"),
    (swap(IMAP, "imap://", "pop3://"), "imap[0].upstream", "imaps://host:port"),
    (swap(IMAP, "imap://127.0.0.1", "imap://me@h"), "imap[0].upstream", "without user"),
    (swap(IMAP, "127.0.0.1", "192.0.2.1"), "imap[0].upstream_tls", '"verify"'),
    (swap(IMAP, "10143", "143"), "imap[0].upstream", 'our own listener "imap"'),
    (NODE + IMAP + "tls = 'starttls'", "imap[0].cert", "PEM"),
    (NODE + IMAP + "upstream_ca = 'ca.pem'", "imap[0].upstream_tls", '"verify"'),
    (NODE + IMAP + "auth_plain_without_tls = true", "imap[0].auth_plain_without_tls", "starttls"),
    (NODE + IMAP + "proxy_protocol = true", "imap[0].proxy_from", "balancers"),
    (NODE + IMAP + "idle_timeout = '10m'", "imap[0].idle_timeout", "at least 1800"),
    (NODE + MX + IMAP.replace("143", "25", 1), "imap[0].listen", "smtp[0]"),
    (NODE + MX + IMAP.replace('"imap"', '"mx"'), "imap[0].name", "no other"),
    (swap(SUB, '"next_hop"\n', '"imap"\n'), "smtp[0].auth", "not available"),
    (NODE + "[drop]\ndomain = 'drop.example.com'", "drop.domain", "not available"),
    (NODE + "[hold]\ndomain = 'later.example.com'", "hold.domain", "not available"),
    (NODE + "[hold]\nundo = '10s'", "hold.undo", "not available"),
    (NODE + "[bounce]\nreturn_path_domain = 'b.jp'", "bounce.return_path_domain", "no report"),
    (
        NODE + "[bounce]\nreturn_path_domain = 'example.com'",
        "bounce.return_path_domain",
        "a domain of its own",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "said"), REFUSALS, ids=[row[1] for row in REFUSALS])
def test_refused_by_name(text: str, key: str, said: str) -> None:
    error = refused(text)
    assert error.key == key
    assert said in error.allowed
    assert key in str(error) and said in str(error)
    assert len(str(error).splitlines()) == 1


def test_all_problems_are_kept_and_the_first_line_is_the_first() -> None:
    error = refused(NODE + MX + "doors = 0\nbare_lf = 'x'\n[limits]\nerors = 1")
    assert [problem.key for problem in error.problems] == [
        "smtp[0].doors",
        "smtp[0].bare_lf",
        "limits.erors",
    ]
    assert error.lines()[0] == str(error)
    assert len(error.lines()) == 3


@pytest.mark.parametrize(
    "text",
    [
        swap(MX, "smtp://", "smtp://user:hunter2@"),
        NODE + "[store]\nurl = 'postgresql://user:hunter2@h:99999/d'",
        NODE + "[store]\nurl = 'postgresql://user@h/d?password=hunter2'",
        NODE + "[store]\nurl = 'postgresql://user:hun ter2 hunter2@h/d'",
        NODE + "[outbound]\npassword = 'hunter2'",
        NODE + "[store]\nurl = 'mysql://user:hun/hunter2@h/d'",
        NODE + "[[outbound]]\npassword = 'hunter2'",
        NODE + "smtp.password = 'hunter2'",
    ],
)
def test_no_secret_is_shown(text: str) -> None:
    error = refused(text)
    assert "hunter2" not in "".join(error.lines())


def test_a_value_cannot_break_the_line() -> None:
    error = refused(NODE + 'timezone = "a\\u001b[31m\\nb\\u202e' + "x" * 300 + '"')
    assert len(str(error).splitlines()) == 1
    assert "\x1b" not in str(error) and "\u202e" not in str(error)
    assert len(str(error)) < 300


def test_values_are_parsed_once() -> None:
    settings = read(
        NODE + MX + SUB + LMTP + "[outbound]\nretry_for = '2d'\n[journal]\nmin_free = '1 GiB'"
    )
    mx, sub, lmtp = settings.smtp
    assert mx.listen == ListenAddress("0.0.0.0", 25)
    assert mx.next_hop == HopTarget("smtp", "127.0.0.1", 10025)
    assert lmtp.next_hop == HopTarget("lmtp", unix_path="/run/lmtp.sock")
    assert mx.recipient_domains == ("example.com", "example.org")
    assert sub.recipient_domains is None and lmtp.recipient_domains is None
    assert settings.outbound.retry_for == 172800.0
    assert settings.journal.min_free == 2**30
    assert settings.listener("sub") is sub
    assert settings.data_dir == Path("/var/lib/mailweir")


def test_paths_start_at_the_folder_of_the_file() -> None:
    settings = read(
        NODE + 'data_dir = "data"\n' + MX + 'tls="starttls"\ncert="c.pem"\nkey="/k.pem"'
    )
    assert settings.journal_dir == Path("/etc/mailweir/data/journal")
    assert settings.smtp[0].cert == Path("/etc/mailweir/c.pem")
    assert settings.smtp[0].key == Path("/k.pem")


def test_a_bucket_and_its_server() -> None:
    store = read(NODE + BUCKET + "blobs_endpoint = 'http://[fd00::1]:8333'").store
    assert (store.blobs.bucket, store.blobs.prefix) == ("mail-archive", "crm/mail")
    assert (str(store.blobs), str(store.blobs_endpoint)) == (
        "s3://mail-archive/crm/mail",
        "http://[fd00::1]:8333",
    )
    aws = read(NODE + "[store]\nblobs = 's3://mail-archive'\nblobs_endpoint = ''").store
    assert (str(aws.blobs), aws.blobs_endpoint) == ("s3://mail-archive", None)
    clear = "blobs_endpoint = 'http://s3.jp'\nblobs_allow_http = true"
    assert read(NODE + BUCKET + clear).store.blobs_allow_http
    assert str(read(NODE).store.blobs) == "file"


def test_private_networks_may_be_trusted_as_wide_as_they_are() -> None:
    settings = read(
        NODE + SUB + "trusted = ['10.0.0.0/8', '127.0.0.1', 'fd00::/8', '192.0.2.0/24']"
    )
    assert [str(network) for network in settings.smtp[0].trusted] == [
        "10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "192.0.2.0/24",
    ]  # fmt: skip


def test_settings_do_not_change() -> None:
    settings = read(NODE + MX)
    with pytest.raises(ValueError, match="frozen"):
        settings.node.hostname = "other.example.com"  # type: ignore[misc]


def test_a_secret_hides_itself() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"


class TestFind:
    """--config, else $MAILWEIR_CONFIG, else /etc/mailweir/mailweir.toml, else ./mailweir.toml."""

    def test_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        etc, here = tmp_path / "etc.toml", tmp_path / "here.toml"
        monkeypatch.setattr("config.load.PLACES", (etc, here))
        with pytest.raises(ConfigError, match="MAILWEIR_CONFIG"):
            find(None, {})
        here.touch()
        assert find(None, {}) == here
        etc.touch()
        assert find(None, {}) == etc
        assert find(None, {"MAILWEIR_CONFIG": "/x.toml"}) == Path("/x.toml")
        assert find(Path("/y.toml"), {"MAILWEIR_CONFIG": "/x.toml"}) == Path("/y.toml")

    def test_the_places_are_those_of_the_contract(self) -> None:
        from config.load import PLACES

        assert [str(place) for place in PLACES] == ["/etc/mailweir/mailweir.toml", "mailweir.toml"]


def test_a_problem_names_its_source() -> None:
    error = ConfigError("/etc/m.toml", (Problem("node.hostname", "x", "a full host name"),))
    assert str(error) == '/etc/m.toml: node.hostname = "x": allowed is a full host name'


@pytest.mark.parametrize(
    ("text", "quota"),
    [("", "auto"), ("'auto'", "auto"), ("'none'", "none"), ("'500 GiB'", 500 * 2**30), ("9", 9)],
)
def test_the_quota_of_mail(text: str, quota: object) -> None:
    line = f"mail_quota = {text}" if text else ""
    assert read(f"{NODE}[store]\n{line}").store.mail_quota == quota
