"""try, quickstart, check: before mail depends on it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from proxy.commands.common import Refusal, call, config_path, put, put_json

_MARKS = {"ok": "ok    ", "warn": "warn  ", "fail": "FAIL  "}


def add_to(app: typer.Typer) -> None:
    app.command("try")(try_)
    app.command("quickstart")(quickstart)
    app.command("check")(check)


def try_(
    ctx: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="End after the conversation; 0 if all was captured.")
    ] = False,
    port_base: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65532, help="Use the ports N to N+3."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep everything in this folder.")
    ] = None,
) -> None:
    """See it work, on loopback, with a short conversation."""
    from proxy.ground import CannotStart
    from proxy.texts import language
    from proxy.trial import trial

    if call(ctx).config is not None:
        raise Refusal("--config: not allowed with try, which writes its own")
    try:
        good = trial(data, port_base, once, call(ctx).json, language(call(ctx).lang))
    except CannotStart as error:
        raise Refusal(str(error)) from None
    if not good:
        raise typer.Exit(1)


def quickstart(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="Yours, like example.com.")],
    dir: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the files go.")] = Path(
        "/etc/mailweir"
    ),
    hostname: Annotated[
        str | None, typer.Option(metavar="NAME", help="This machine; default mail.DOMAIN.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where mail and database go.")
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A certificate that you have (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    address: Annotated[
        str | None, typer.Option(metavar="IP", help="This machine's public address, for the DNS.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older configuration.")] = False,
) -> None:
    """Write a configuration that works; say what is next."""
    from proxy.quickstart import QuickstartError, as_text
    from proxy.quickstart import quickstart as write
    from proxy.texts import language

    lang = language(call(ctx).lang)
    try:
        done = write(
            domain,
            dir,
            hostname=hostname,
            data_dir=data_dir,
            cert=cert,
            key=key,
            address=address,
            force=force,
            lang=lang,
        )
    except QuickstartError as error:
        raise Refusal(str(error)) from None
    if call(ctx).json:
        put_json(asdict(done))
    else:
        for line in as_text(done, lang).split("\n"):
            put(line)


def check(
    ctx: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the DNS about our own names.")
    ] = False,
) -> None:
    """Look at all that must be right before mail flows."""
    from config.load import ConfigError, load
    from proxy.check import check_file, findings, passed
    from proxy.texts import language

    path, lang = config_path(ctx), language(call(ctx).lang)
    found, refused = [], ""
    try:
        results = findings(load(path), online, lang)
    except ConfigError as error:
        refused = str(error)
        results = iter(check_file(path, online, lang))
    for finding in results:  # one by one: a silent next hop takes its time
        found.append(finding)
        if call(ctx).json:
            put_json(asdict(finding))
        else:
            put(f"{_MARKS[finding.level]} {finding.subject}: {finding.text}")
            if finding.todo:
                put(f"       {finding.todo}")
    if refused:
        raise Refusal(refused)
    if not passed(found):
        raise typer.Exit(1)
