"""`mailweir quickstart DOMAIN`: a configuration that works, and the lines for everything around it.

Promises: what is written passes config.load.load() as it is. No file that exists is overwritten
unless `force` says so, a certificate or key never. Everything is checked before the first file is
written. Files with secrets are made with mode 0600 from the start.
Limits: in front of a Postfix (and Dovecot) on the same machine; see proxy/recipes.py.
"""

import ipaddress
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from config.certs import check_pair, read_certificate
from config.targets import parse_domain, parse_hostname
from proxy import recipes, selfsigned
from proxy.texts import Language, t

SYSTEM_DATA = Path("/var/lib/mailweir")


class QuickstartError(Exception):
    """Nothing was written; str() is one line that names the argument and what is allowed."""


@dataclass(frozen=True, slots=True)
class Section:
    """One step for the administrator: a title, a word on it, and lines to copy."""

    title: str
    text: str
    code: str


@dataclass(frozen=True, slots=True)
class Quickstart:
    """What was written, what was there and is used, and what is left to do."""

    config: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    sections: tuple[Section, ...]


def quickstart(
    domain: str,
    folder: Path,
    *,
    hostname: str | None = None,
    data_dir: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    address: str | None = None,
    program: Path | None = None,
    force: bool = False,
    lang: Language = "en",
) -> Quickstart:
    """Writes the files into `folder`; raises QuickstartError, or OSError of the disk."""
    names = _names(domain, folder, hostname, data_dir, cert, key, program)
    if address is not None and not _is_address(address):
        raise QuickstartError("--address: allowed is an IP address like 192.0.2.1 or 2001:db8::1")
    kept = _pair(names, given=cert is not None)
    files = {
        names.config: recipes.configuration(names, lang).encode(),
        names.unit: recipes.unit(names).encode(),
    }
    for path in files:
        if os.path.lexists(path) and not force:
            raise QuickstartError(f"{path}: exists already; allowed is another --dir, or --force")
    if not kept:
        pem, secret = selfsigned.make(names.hostname, datetime.now(UTC))
        files = {names.key: secret, names.cert: pem, **files}
    names.config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for path, content in files.items():
        _write(path, content, 0o600 if path == names.key else 0o644)
    sections = _sections(names, address, not kept, lang)
    return Quickstart(names.config, tuple(files), kept, sections)


def as_text(done: Quickstart, lang: Language) -> str:
    """The whole answer for a terminal."""
    lines = [t("quickstart.written", lang, path=str(path)) for path in done.written]
    lines += [t("quickstart.kept", lang, path=str(path)) for path in done.kept]
    for number, section in enumerate(done.sections, 1):
        lines += ["", f"{number}. {section.title}", "", section.text]
        if section.code:
            lines += ["", section.code.rstrip("\n")]
    return "\n".join(lines)


def _names(
    domain: str,
    folder: Path,
    hostname: str | None,
    data_dir: Path | None,
    cert: Path | None,
    key: Path | None,
    program: Path | None,
) -> recipes.Names:
    try:
        domain = parse_domain(domain)
    except ValueError as error:
        raise QuickstartError(f"DOMAIN: allowed is {error}") from None
    try:
        host = parse_hostname(hostname or f"mail.{domain}")
    except ValueError as error:
        raise QuickstartError(f"--hostname: allowed is {error}") from None
    if (cert is None) != (key is None):
        raise QuickstartError("--cert: allowed only together with --key")
    folder = Path(os.path.abspath(folder))
    system = folder.is_relative_to("/etc")
    names = recipes.Names(
        domain=domain,
        hostname=host,
        config=folder / "mailweir.toml",
        data_dir=Path(os.path.abspath(data_dir or (SYSTEM_DATA if system else folder / "data"))),
        cert=Path(os.path.abspath(cert or folder / "cert.pem")),
        key=Path(os.path.abspath(key or folder / "key.pem")),
        program=program or _program(),
        unit=folder / "mailweir.service",
        timezone=local_timezone(),
    )
    for path in (names.config, names.data_dir, names.cert, names.key, names.program):
        if not str(path).isprintable():
            raise QuickstartError(f"{path!s:.200}: allowed is a path without control characters")
    return names


def local_timezone(root: Path = Path("/")) -> str:
    """This machine's time zone by its name in the tz database; "UTC" where that cannot be told."""
    try:
        link = os.readlink(root / "etc/localtime").rpartition("zoneinfo/")[2]
    except OSError:
        link = ""  # a copy of the file says no name
    try:
        named = (root / "etc/timezone").read_text().strip()
    except (OSError, ValueError):
        named = ""
    for name in filter(None, (link, named)):
        try:
            return ZoneInfo(name).key
        except (OSError, ValueError, LookupError):
            continue
    return "UTC"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pair(names: recipes.Names, *, given: bool) -> tuple[Path, ...]:
    """The certificate and key to use as they are, or () if a pair is to be made."""
    there = [path for path in (names.cert, names.key) if os.path.lexists(path)]
    if not there and not given:
        return ()
    try:
        certificate = read_certificate(names.cert)
        check_pair(names.cert, names.key)
    except ValueError as error:
        raise QuickstartError(f"{names.cert}, {names.key}: allowed is {error}") from None
    if certificate.not_after < datetime.now(UTC):
        raise QuickstartError(f"{names.cert}: allowed is a certificate that has not expired")
    return (names.cert, names.key)


def _write(path: Path, content: bytes, mode: int) -> None:
    """All of the file or nothing: a half-written configuration would start something else."""
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _program(environ: Mapping[str, str] = os.environ) -> Path:
    """How this program is started: from a checkout by bin/mailweir, else the installed one."""
    launcher = Path(__file__).resolve().parents[1] / "bin" / "mailweir"
    if launcher.exists():
        return launcher
    installed = Path(sys.executable).with_name("mailweir")
    if installed.exists():
        return installed
    return Path(shutil.which("mailweir", path=environ.get("PATH")) or "/usr/local/bin/mailweir")


def _sections(
    names: recipes.Names, address: str | None, made: bool, lang: Language
) -> tuple[Section, ...]:
    steps = [
        ("dns", recipes.dns_records(names, address or t("quickstart.address", lang))),
        ("master", recipes.postfix_master()),
        ("main", recipes.postfix_main()),
        ("dovecot", recipes.dovecot_auth()),
        ("imap", recipes.dovecot_imap()),
        ("submission", recipes.dovecot_submission()),
        ("other", recipes.postfix_other(names)),
        ("autoconfig", recipes.autoconfig_dns(names) + "\n" + recipes.autoconfig_web(names)),
        ("service", recipes.service_commands(names)),
    ]
    if made:
        steps.append(("certificate", ""))
    program = str(names.program)
    values = {"domain": names.domain, "hostname": names.hostname, "program": program}
    return tuple(
        Section(t(f"quickstart.{step}", lang), t(f"quickstart.{step}.text", lang, **values), code)
        for step, code in steps
    )
