"""`mailweir check`: each thing that can be wrong is seen, named, and told with what to do."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.load import parse
from config.settings import Settings
from crmstore.store import open_store
from proxy import selfsigned
from proxy.check import check, check_file, passed
from proxy.checks import Note, clock, disk, hop, names, ports
from proxy.checks.configured import certificate_notes, limit_notes, settings_notes, told_notes
from proxy.heartbeat import Heartbeat
from tests.certs import certificate_for, make_certificate
from tests.faultsink import FaultSink
from tests.paths.imapdoors import FakeImap
from tests.ports import free_port

NOW = datetime.now(UTC)
Read = Callable[[str], Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Settings with a data folder of their own; the text comes after [node]."""

    def read(text: str) -> Settings:
        node = (
            '[node]\nhostname = "mail.example.com"\ndomains = ["example.com"]\ndata_dir = "data"\n'
        )
        return parse(node + text, base=tmp_path)

    return read


def inbound(hop: str, more: str = "") -> str:
    return f'[[smtp]]\nname="mx"\nlisten="127.0.0.1:25"\nrole="inbound"\nnext_hop="{hop}"\n{more}\n'


def submission(hop: str, more: str = "") -> str:
    return (
        f'[[smtp]]\nname="sub"\nlisten="127.0.0.1:587"\nrole="submission"\nauth="next_hop"\n'
        f'next_hop="{hop}"\n{more}\n'
    )


def seen(notes: Iterable[Note]) -> set[str]:
    return {f"{note.level} {note.name}" for note in notes}


def about_hops(settings: Settings) -> set[str]:
    async def collect() -> list[Note]:
        return [note async for note in hop.hop_notes(settings)]

    return seen(asyncio.run(collect()))


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("", "fail config.no_listener"),
            (inbound("smtp://127.0.0.1:26"), "ok config.loaded"),
            (submission("smtp://127.0.0.1:26"), "warn config.route_mx"),
            ('[http]\nlisten="0.0.0.0:8025"\n', "warn config.http_open"),
            ('[capture]\nmode="observe"\n', "warn config.observe"),
            ('[capture]\nusers="listed"\n', "warn config.listed"),
            (
                inbound("smtp://h.example").replace("127.0.0.1:25", "0.0.0.0:25"),
                "warn config.no_tls",
            ),
            (
                submission("smtps://h.example").replace("127.0.0.1:587", "[::]:587"),
                "warn config.no_tls_no_auth",
            ),
            (
                submission("smtps://h.example", "auth_plain_without_tls=true").replace(
                    "127.0.0.1:587", "0.0.0.0:587"
                ),
                "warn config.clear_passwords",
            ),
        ],
    )
    def test_allowed_but_seldom_meant(self, read: Read, text: str, name: str) -> None:
        assert name in seen(settings_notes(read(text)))

    def test_nothing_to_say_of_a_sound_one(self, read: Read) -> None:
        text = submission("smtps://h.example") + '[outbound]\nroute="smtp://h.example:26"\n'
        assert seen(settings_notes(read(text))) == {"ok config.loaded"}

    def test_what_mail_programs_are_told(self, read: Read) -> None:
        sends = submission("smtps://h.example", 'public="smtps://mail.example.com"')
        (note,) = told_notes(read(sends))
        assert note.name == "config.not_told"
        (note,) = told_notes(read(sends + READS))
        places = "imaps://mail.example.com:993, submissions://mail.example.com:465"
        assert (note.name, note.values) == ("config.told", {"places": places})
        assert not list(told_notes(read(sends + READS + "[http]\nautoconfig=false\n")))

    def test_a_key_that_others_may_read(self, read: Read, tmp_path: Path) -> None:
        pair = make_certificate(tmp_path / "tls")
        text = inbound("smtp://h.example", f'tls="starttls"\ncert="{pair.cert}"\nkey="{pair.key}"')
        assert "warn file.open" not in seen(settings_notes(read(text)))
        pair.key.chmod(0o644)
        assert "warn file.open" in seen(settings_notes(read(text)))

    def test_too_few_files(self, read: Read) -> None:
        assert seen(limit_notes(read("[limits]\nconnections = 10"))) == {"ok limits.enough"}
        assert seen(limit_notes(read("[limits]\nconnections = 1000000"))) <= {
            "warn limits.files",
            "ok limits.enough",  # where the system sets no limit
        }


class TestCertificates:
    @pytest.mark.parametrize(
        ("hostname", "made", "days", "wanted"),
        [
            ("mail.example.com", NOW, 90, {"ok cert.valid", "warn cert.self_signed"}),
            ("mail.example.com", NOW, 10, {"warn cert.soon", "warn cert.self_signed"}),
            (
                "mx.example.com",
                NOW,
                90,
                {"ok cert.valid", "warn cert.name", "warn cert.self_signed"},
            ),
            ("*.example.com", NOW, 90, {"ok cert.valid", "warn cert.self_signed"}),
            (
                "mail.example.com",
                NOW - timedelta(days=20),
                10,
                {"fail cert.expired", "warn cert.self_signed"},
            ),
            (
                "mail.example.com",
                NOW + timedelta(days=20),
                90,
                {"fail cert.early", "warn cert.self_signed"},
            ),
        ],
    )
    def test_dates_and_names(
        self, read: Read, tmp_path: Path, hostname: str, made: datetime, days: int, wanted: set[str]
    ) -> None:
        cert, key = selfsigned.make(hostname, made, days)
        (tmp_path / "c").write_bytes(cert)
        (tmp_path / "k").write_bytes(key)
        settings = read(inbound("smtp://h.example", 'tls="starttls"\ncert="c"\nkey="k"'))
        assert seen(certificate_notes(settings, NOW)) == wanted

    def test_the_chain(self, read: Read, tmp_path: Path) -> None:
        pair = make_certificate(tmp_path / "tls", ("mail.example.com",))
        text = inbound("smtp://h.example", f'tls="starttls"\ncert="{pair.cert}"\nkey="{pair.key}"')
        settings, alone = read(text), pair.cert.read_bytes()
        assert "warn cert.alone" in seen(certificate_notes(settings, NOW))
        pair.cert.write_bytes(alone + pair.ca.read_bytes())
        assert seen(certificate_notes(settings, NOW)) == {"ok cert.valid"}
        pair.cert.write_bytes(alone + selfsigned.make("other.example.com", NOW)[0])
        assert "warn cert.order" in seen(certificate_notes(settings, NOW))

    def test_gone_since_it_was_loaded(self, read: Read) -> None:
        settings = read(inbound("smtp://h.example", 'tls="starttls"\ncert="c"\nkey="k"'))
        assert seen(certificate_notes(settings, NOW)) == {"fail cert.unreadable"}


class TestPorts:
    def notes(self, read: Read, listen: str) -> set[str]:
        return seen(ports.port_notes(read(f'[http]\nlisten="{listen}"\n')))

    def test_free(self, read: Read, free_port: int) -> None:
        assert self.notes(read, f"127.0.0.1:{free_port}") == {"ok port.free"}

    def test_taken_by_a_program_that_is_named(self, read: Read, free_port: int) -> None:
        with socket.create_server(("127.0.0.1", free_port), reuse_port=True):
            settings = read(f'[http]\nlisten="127.0.0.1:{free_port}"\n')
            note = next(ports.port_notes(settings))
            assert f"{note.level} {note.name}" == "fail port.taken_by"
            assert f"({os.getpid()})" in str(note.values["who"])

    def test_ours_when_the_roles_beat(self, read: Read, free_port: int) -> None:
        settings = read(f'[http]\nlisten="127.0.0.1:{free_port}"\n')
        settings.run_dir.mkdir(parents=True)
        beat = Heartbeat(settings.run_dir, "smtp-mx-0")
        beat.beat()
        with socket.create_server(("127.0.0.1", free_port)):
            assert seen(ports.port_notes(settings)) == {"ok port.ours"}

    def test_not_an_address_of_this_machine(self, read: Read) -> None:
        assert self.notes(read, "192.0.2.1:8025") == {"fail port.not_here"}

    def test_an_empty_proc_names_nobody(self, tmp_path: Path) -> None:
        assert ports.owner_of(25, tmp_path) == {}


class TestDisk:
    def test_a_sound_folder(self, read: Read) -> None:
        settings = read("[journal]\nmin_free = 0")
        settings.data_dir.mkdir(mode=0o700)
        found = seen(disk.disk_notes(settings))
        assert {"ok disk.writable"} <= found
        assert found & {"ok disk.sync", "warn disk.slow_sync"}
        assert not any(note.startswith("fail") for note in found)
        assert list(settings.data_dir.iterdir()) == []  # nothing is left behind

    def test_not_there_yet(self, read: Read) -> None:
        settings = read("")
        assert "ok disk.missing" in seen(disk.disk_notes(settings))
        assert not settings.data_dir.exists()

    def test_others_may_look_in(self, read: Read) -> None:
        settings = read("")
        settings.data_dir.mkdir()
        settings.data_dir.chmod(0o755)
        assert "warn disk.open" in seen(disk.disk_notes(settings))

    def test_a_file_in_its_place(self, read: Read) -> None:
        settings = read("")
        settings.data_dir.mkdir(mode=0o700)
        settings.journal_dir.write_text("not a folder")
        assert not passed(check(settings))

    def test_unwritable(self, tmp_path: Path) -> None:
        text = (
            '[node]\nhostname="m.example.com"\ndomains=["example.com"]\ndata_dir="/proc/mailweir"'
        )
        settings = parse(text, base=tmp_path)
        levels = {note.level for note in disk.disk_notes(settings)}
        assert "fail" in levels

    @pytest.mark.parametrize(
        ("min_free", "name"),
        [("1023 GiB", "fail room.none"), ("0", "ok room.enough")],
    )
    def test_room(self, read: Read, min_free: str, name: str) -> None:
        settings = read(f'[journal]\nmin_free = "{min_free}"')
        assert name in seen(disk.disk_notes(settings))

    def test_file_systems_by_their_mount(self, tmp_path: Path) -> None:
        device = tmp_path.stat().st_dev
        numbers = f"{os.major(device)}:{os.minor(device)}"
        (tmp_path / "a b").mkdir()
        table = (
            "1 1 9:9 / / rw - ext4 /dev/sda rw\n"
            f"2 1 9:9 / {tmp_path} rw - nfs4 server:/x rw\n"
            f"3 1 {numbers} / {str(tmp_path)[:-1]} rw - xfs /dev/sdb rw\n"
            f"4 1 {numbers} / {tmp_path}/a\\040b rw,x shared:3 - tmpfs none rw\n"
            "garbage\n"
        )
        assert disk.file_system(tmp_path, table) == "nfs4"
        assert disk.file_system(tmp_path / "a b", table) == "tmpfs"
        assert disk.file_system(Path("/"), table) == "ext4"

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("tmpfs", "warn disk.memory"),
            ("nfs4", "fail disk.network"),
            ("overlay", "warn disk.overlay"),
        ],
    )
    def test_file_systems_that_lose_mail(
        self, read: Read, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
    ) -> None:
        monkeypatch.setattr(disk, "file_system", lambda folder, mountinfo: kind)
        assert name in seen(disk.disk_notes(read("")))

    def test_fsync_that_fails(self, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(descriptor: int) -> None:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(os, "fdatasync", fails)
        assert "fail disk.no_sync" in seen(disk.disk_notes(read("")))


class TestStore:
    def test_new_old_lost_and_ready(self, read: Read) -> None:
        settings = read("")
        assert seen(disk.store_notes(settings)) == {"ok store.new"}
        settings.blob_dir.mkdir(parents=True)
        (settings.blob_dir / "ab").mkdir()
        assert seen(disk.store_notes(settings)) == {"fail store.lost"}
        store = open_store(settings)
        store.migrate()
        store.close()
        assert seen(disk.store_notes(settings)) == {"ok store.ready"}
        settings.database.write_bytes(b"not a database" * 1000)
        assert seen(disk.store_notes(settings)) == {"fail store.trouble"}

    def test_a_server_that_is_away(self, read: Read) -> None:
        settings = read("[store]\nurl = 'postgresql://u:hunter2@127.0.0.1:1/d'")
        (note,) = disk.store_notes(settings)
        assert note.name == "store.away" and "refused" in str(note.values)
        assert "hunter2" not in repr(note)

    @pytest.mark.peers
    def test_a_server(self, read: Read, postgres_url: str) -> None:
        settings = read(f"[store]\nurl = '{postgres_url}'")
        assert seen(disk.store_notes(settings)) == {"ok store.new"}
        store = open_store(settings)
        store.migrate()
        store.close()
        assert seen(disk.store_notes(settings)) == {"ok store.ready"}

    @pytest.mark.peers
    def test_a_server_with_doubts(
        self, read: Read, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = read(f"[store]\nurl = '{postgres_url}'")
        store = open_store(settings)
        store.migrate()
        store.close()
        monkeypatch.setattr("crmstore.engines.postgres._near", lambda address: False)
        assert seen(disk.store_notes(settings)) == {"ok store.ready", "warn store.clear"}


class TestClock:
    def test_now(self, read: Read) -> None:
        found = seen(clock.clock_notes(read(""), datetime.now(UTC)))
        assert found <= {"ok clock.steered", "warn clock.unsteered", "ok clock.unknown"}
        assert len(found) == 1

    def test_before_the_program_was_there(self, read: Read) -> None:
        past = datetime(2001, 1, 1, tzinfo=UTC)
        assert seen(clock.clock_notes(read(""), past)) == {"fail clock.before"}

    def test_set_back(self, read: Read) -> None:
        settings = read("")
        segment = settings.journal_dir / "mx-0" / "00000001.seg"
        segment.parent.mkdir(parents=True)
        segment.touch()
        later = NOW.timestamp() + 86400
        os.utime(segment, (later, later))
        assert seen(clock.clock_notes(settings, datetime.now(UTC))) == {"fail clock.back"}


class TestNextHop:
    def test_a_sound_one(self, read: Read) -> None:
        with FaultSink(rcpt={"@example.com": "250 2.1.5 ok", "@": "554 5.7.1 no"}) as sink:
            found = about_hops(read(inbound(f"smtp://127.0.0.1:{sink.port}")))
        assert found == {"ok hop.greeted", "ok hop.takes"}
        assert sink.messages == [] and sink.complaints == []
        assert b"RSET" in [line.strip() for line in sink.lines]

    def test_one_that_relays_for_us_to_anywhere(self, read: Read) -> None:
        with FaultSink() as sink:
            assert "warn hop.relays" in about_hops(read(inbound(f"smtp://127.0.0.1:{sink.port}")))

    def test_one_that_does_not_know_our_domain(self, read: Read) -> None:
        with FaultSink(rcpt="550 5.1.2 not here") as sink:
            found = check(read(inbound(f"smtp://127.0.0.1:{sink.port}")))
        (refusal,) = [one for one in found if one.name == "hop.takes_not"]
        assert refusal.level == "warn" and refusal.text.count("550") == 1  # its words, once

    def test_one_that_takes_no_reports(self, read: Read) -> None:
        with FaultSink(mail="550 5.7.1 go away") as sink:
            found = about_hops(read(inbound(f"smtp://127.0.0.1:{sink.port}")))
        assert "warn hop.no_mail" in found

    @pytest.mark.parametrize("keyword", ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"])
    def test_what_it_lacks_and_what_that_costs(self, read: Read, keyword: str) -> None:
        with FaultSink(without=[keyword]) as sink:
            found = check(read(inbound(f"smtp://127.0.0.1:{sink.port}")))
        lacks = [one for one in found if one.name.startswith("hop.no_")]
        assert [one.name for one in lacks] == [f"hop.no_{keyword.lower()}"]
        assert keyword in lacks[0].text

    def test_size(self, read: Read) -> None:
        with FaultSink(keywords=["SIZE 10240000"]) as sink:
            hop = f"smtp://127.0.0.1:{sink.port}"
            more = 'max_size = "50 MiB"'
            assert "warn hop.size" in about_hops(read(inbound(hop, more)))
            assert "warn hop.size" not in about_hops(read(inbound(hop)))

    def test_auth(self, read: Read) -> None:
        with FaultSink(auth=["PLAIN", "XOAUTH2"]) as sink:
            hop = f"smtp://127.0.0.1:{sink.port}"
            assert "ok hop.auth_offered" in about_hops(read(submission(hop)))
        with FaultSink() as sink:
            hop = f"smtp://127.0.0.1:{sink.port}"
            assert "fail hop.no_auth" in about_hops(read(submission(hop)))

    def test_xclient(self, read: Read) -> None:
        for offered in ("SIZE 0", "XCLIENT HELO", "XCLIENT ADDR PORT"):
            with FaultSink(keywords=["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", offered]) as sink:
                hop = f"smtp://127.0.0.1:{sink.port}"
                settings = read(inbound(hop) + 'next_hop_client = "xclient"\n')
                warned = "warn hop.no_xclient" in about_hops(settings)
                assert warned == ("ADDR" not in offered)

    def test_away(self, read: Read, free_port: int) -> None:
        assert about_hops(read(inbound(f"smtp://127.0.0.1:{free_port}"))) == {"fail hop.away"}

    def test_a_name_that_is_none(self, read: Read) -> None:
        assert about_hops(read(inbound("smtp://nobody.invalid"))) == {"fail hop.resolve"}

    def test_its_own_words_are_shown_and_harmless(self, read: Read) -> None:
        with FaultSink(connect="554 5.7.1 blocked\x1b[31m") as sink:
            found = check(read(inbound(f"smtp://127.0.0.1:{sink.port}")))
        away = next(one for one in found if one.name == "hop.away")
        assert "blocked" in away.text and "\x1b" not in away.text

    @pytest.mark.parametrize("stage", ["ehlo", "mail", "rcpt", "rset"])
    @pytest.mark.parametrize("fault", ["drop_at", "hang_at"])
    def test_trouble_at_any_step_is_an_answer(
        self, read: Read, monkeypatch: pytest.MonkeyPatch, stage: str, fault: str
    ) -> None:
        monkeypatch.setattr(hop, "REPLY_SECONDS", 0.3)
        options: dict[str, Any] = {fault: stage}
        with FaultSink(**options) as sink:
            found = about_hops(read(inbound(f"smtp://127.0.0.1:{sink.port}")))
        assert "fail hop.away" in found

    def test_tls(self, read: Read) -> None:
        pair = certificate_for()
        verify = f'next_hop_tls="verify"\nnext_hop_ca="{pair.ca}"'
        with FaultSink(tls="starttls") as sink:
            found = about_hops(read(inbound(f"smtp://127.0.0.1:{sink.port}", verify)))
            assert "ok hop.greeted" in found
            wrong = about_hops(
                read(inbound(f"smtp://127.0.0.1:{sink.port}", 'next_hop_tls="verify"'))
            )
            assert wrong == {"fail hop.tls"}
        with FaultSink() as sink:
            found = about_hops(
                read(inbound(f"smtp://127.0.0.1:{sink.port}", 'next_hop_tls="require"'))
            )
            assert found == {"fail hop.tls"}

    def test_lmtp_on_a_unix_socket(self, read: Read) -> None:
        path = Path(f"/tmp/mailweir-test-{os.getpid()}.sock")
        try:
            with FaultSink(unix=path, lmtp=True, rcpt={"@example.com": "250 ok", "@": "550 no"}):
                found = about_hops(read(inbound(f"lmtp://{path}")))
        finally:
            path.unlink(missing_ok=True)
        assert found == {"ok hop.greeted", "ok hop.takes"}

    def test_the_way_out_with_its_account(self, read: Read, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("hunter2\n")
        with FaultSink(auth=["PLAIN"]) as sink:
            server = f"smtp://127.0.0.1:{sink.port}"
            text = submission(server) + (
                f'[outbound]\nroute="{server}"\nuser="u"\npassword_file="secret"\n'
            )
            found = check(read(text))
            assert [one.level for one in found if one.subject == "next hop of outbound"] == ["ok"]
            sink.answer(auth="535 5.7.8 wrong")
            found = check(read(text))
            refused = next(one for one in found if one.name == "hop.auth")
        assert refused.level == "fail" and refused.todo
        assert not any("hunter2" in one.text for one in found)

    def test_mx_bothers_nobody(self, read: Read) -> None:
        text = inbound("mx", 'recipient_domains=["example.com"]')
        assert about_hops(read(text)) == {"ok hop.mx"}


Zone = dict[tuple[str, str], list[str]]
SOUND: Zone = {
    ("mail.example.com", "A"): ["8.8.4.4"],
    ("4.4.8.8.in-addr.arpa.", "PTR"): ["Mail.example.com."],
    ("example.com", "MX"): ["10 mail.example.com."],
    ("example.com", "TXT"): ["other=1", "v=spf1 mx -all"],
    ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none"],
    ("_imaps._tcp.example.com", "SRV"): ["0 1 993 Mail.Example.com."],
}
READS = (
    '[[imap]]\nname="a"\nlisten="127.0.0.1:143"\nupstream="imap://127.0.0.1:10143"\n'
    'public="imaps://mail.example.com"\n'
)


class TestNames:
    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({("mail.example.com", "A"): []}, "fail dns.no_address"),
            ({("mail.example.com", "A"): ["10.0.0.1"]}, "warn dns.private"),
            ({("4.4.8.8.in-addr.arpa.", "PTR"): []}, "warn dns.no_ptr"),
            ({("4.4.8.8.in-addr.arpa.", "PTR"): ["x.isp.example."]}, "warn dns.no_ptr"),
            ({("example.com", "MX"): []}, "warn dns.no_mx"),
            ({("example.com", "MX"): ["0 ."]}, "fail dns.null_mx"),
            ({("example.com", "MX"): ["10 mx.other.example."]}, "warn dns.mx_elsewhere"),
            (
                {("example.com", "MX"): ["10 mail.example.com.", "20 b.example.com."]},
                "warn dns.other_mx",
            ),
            ({("example.com", "TXT"): []}, "warn dns.no_spf"),
            ({("example.com", "TXT"): ["v=spf1 mx -all", "v=spf1 -all"]}, "fail dns.two_spf"),
            ({("example.com", "TXT"): ["v=spf1 mx +all"]}, "fail dns.open_spf"),
            ({("_dmarc.example.com", "TXT"): ["v=spf1"]}, "warn dns.no_dmarc"),
            ({("_imaps._tcp.example.com", "SRV"): []}, "warn dns.no_srv"),
            ({("_imaps._tcp.example.com", "SRV"): ["0 0 0 ."]}, "warn dns.srv_elsewhere"),
            (
                {("_imaps._tcp.example.com", "SRV"): ["0 1 993 imap.other.example."]},
                "warn dns.srv_elsewhere",
            ),
        ],
    )
    def test_what_is_missing(self, read: Read, change: Zone, name: str) -> None:
        zone = SOUND | change
        found = seen(names.dns_notes(read(READS), lambda name, kind: zone.get((name, kind), [])))
        assert name in found

    def test_all_is_well(self, read: Read) -> None:
        found = names.dns_notes(read(READS), lambda name, kind: SOUND.get((name, kind), []))
        assert {note.level for note in found} == {"ok"}

    def test_silence_is_told_once(self, read: Read) -> None:
        def silent(name: str, kind: str) -> list[str]:
            raise names.Unsure("timed out")

        assert [note.name for note in names.dns_notes(read(""), silent)] == ["dns.silent"]


class TestWhole:
    def test_both_languages_find_the_same(self, read: Read, free_port: int) -> None:
        settings = read(submission(f"smtp://127.0.0.1:{free_port}"))
        english, japanese = check(settings, lang="en"), check(settings, lang="ja")
        assert [one.name for one in english] == [one.name for one in japanese]
        assert not passed(english)
        for one in (*english, *japanese):
            assert one.subject and one.text
            assert one.todo or one.level == "ok" or one.name.startswith("hop.no_"), one.name

    def test_a_refused_file_is_a_finding_for_each_problem(self, tmp_path: Path) -> None:
        file = tmp_path / "m.toml"
        file.write_text('[node]\nhostname="mail"\ndomains=["x"]\n')
        found = check_file(file)
        assert [one.name for one in found] == ["config.refused", "config.refused"]
        assert "node.hostname" in found[0].text and not passed(found)

    def test_a_file_that_loads_is_checked(self, tmp_path: Path) -> None:
        file = tmp_path / "m.toml"
        file.write_text('[node]\nhostname="m.example.com"\ndomains=["example.com"]\ndata_dir="d"\n')
        assert {one.name for one in check_file(file)} >= {"config.no_listener", "disk.missing"}


def imap_notes(read: Read, server: FakeImap, more: str = "") -> list[tuple[str, str]]:
    settings = read(
        f'[[imap]]\nname = "imap"\nlisten = "127.0.0.1:1143"\nupstream = "{server.url}"\n{more}\n'
        f'[[imap]]\nname = "imaps"\nlisten = "127.0.0.1:1993"\nupstream = "{server.url}"\n{more}\n'
    )
    return [
        (found.level, found.name) for found in check(settings) if found.name.startswith("imap.")
    ]


def test_the_imap_server_is_greeted_once(read: Read) -> None:
    with FakeImap() as server:
        assert imap_notes(read, server) == [("ok", "imap.greeted")]
        assert server.connections == 1 and server.lines == []


def test_an_imap_server_that_is_away_or_is_none(read: Read) -> None:
    nobody = FakeImap()  # never started: its thread would take one connection after the end
    nobody.port = free_port()
    assert imap_notes(read, nobody) == [("fail", "imap.away")]
    with FakeImap(b"220 mail.example.com ESMTP") as server:
        assert imap_notes(read, server) == [("fail", "imap.away")]
    with FakeImap() as server:
        tls = 'upstream_tls = "require"'
        assert imap_notes(read, server, tls) == [("fail", "imap.away")]


def test_an_imap_server_that_lets_nobody_in(read: Read) -> None:
    with FakeImap(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi") as server:
        assert imap_notes(read, server, 'upstream_client = "id"') == [
            ("ok", "imap.greeted"), ("fail", "imap.no_login"), ("warn", "imap.no_id")
        ]  # fmt: skip
