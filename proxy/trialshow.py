"""What `mailweir try` puts on the screen. Texts of mail are made harmless before they are shown."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.audit import AuditReport
from proxy.printable import printable
from proxy.texts import Language, t
from proxy.trialmail import ALICE, HANAKO, PASSWORD
from proxy.trialstage import HOST, Stage
from proxy.trialtalk import Step


class Screen:
    """Standard output for people; with `quiet` only document() prints."""

    def __init__(self, lang: Language, *, quiet: bool) -> None:
        self._lang: Language = lang
        self._quiet = quiet
        self._console = Console(
            file=sys.stdout, highlight=False, markup=False, emoji=False, quiet=quiet
        )
        if not self._console.is_terminal:
            self._console.width = 120

    def say(self, name: str, **values: object) -> None:
        self._line(t(name, self._lang, **values), "bold")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(printable(text), style=style), soft_wrap=True)

    def step(self, step: Step) -> None:
        mark, style = ("ok  ", "green") if step.good else ("FAIL", "bold red")
        line = Text(f"  {mark} ", style=style)
        line.append(t(step.name, self._lang), style="default")
        self._console.print(line, soft_wrap=True)
        self._console.print(Text(f"       {printable(step.words)}", style="dim"), soft_wrap=True)

    def audit(self, report: AuditReport) -> None:
        figures = {
            "accepted": report.accepted,
            "captured": report.captured,
            "excluded": sum(report.excluded.values()),
            "failed": report.failed,
        }
        mark, style = ("ok  ", "green") if report.ok else ("FAIL", "bold red")
        line = Text(f"  {mark} ", style=style)
        line.append(t("trial.audit", self._lang, **figures), style="default")
        self._console.print(line, soft_wrap=True)
        for gap in report.gaps:
            self._line(f"       {gap.door} {gap.seq} {gap.capture_id} {gap.what}", "red")

    def timeline(self, name: str, kind: str, rows: Sequence[dict[str, Any]]) -> None:
        title = t(
            "trial.timeline", self._lang, name=name, kind=t(f"record.kind.{kind}", self._lang)
        )
        table = Table(title=Text(title), title_justify="left", title_style="bold")
        for column in ("time", "direction", "subject", "attachments", "source", "status"):
            table.add_column(t(f"trial.column.{column}", self._lang))
        for row in rows:
            files = ", ".join(file["name"] for file in row["attachments"])
            seen = ", ".join(row["source"])
            sent, status = self._word("direction", row), self._word("status", row)
            cells = (row["date"], sent, row["subject"], files, seen, status)
            table.add_row(*(Text(printable(str(cell))) for cell in cells))
        self._console.print()
        self._console.print(table)

    def new(self, row: dict[str, Any]) -> None:
        """A mail of the visitor's own."""
        values = {
            "time": row["date"],
            "direction": self._word("direction", row),
            "sender": row["from"],
            "to": ", ".join(row["to"]),
            "subject": row["subject"],
        }
        self._line(t("trial.new", self._lang, **values))

    def _word(self, name: str, row: dict[str, Any]) -> str:
        return t(f"mail.{name}.{row[name]}", self._lang) if row[name] else ""

    def invite(self, stage: Stage) -> None:
        submission, mx = (f"{HOST}:{stage.ports[name]}" for name in ("submission", "mx"))
        self._console.print()
        self.say("trial.yours")
        self._line(
            f"  swaks --server {submission} --tls --auth PLAIN --auth-user {ALICE}"
            f" --auth-password {PASSWORD} --from {ALICE} --to {HANAKO}"
        )
        self._line(f"  swaks --server {mx} --from {HANAKO} --to {ALICE}")
        imap = f"imap://{HOST}:{stage.ports['imap']}"
        self._line(f"  curl -k --ssl-reqd -u {ALICE}:{PASSWORD} '{imap}/INBOX;MAILINDEX=1'")
        self._line(t("trial.program", self._lang, user=ALICE, password=PASSWORD, **stage.ports))
        self.say("trial.look")
        for command in ("emails", "email show 1", "status", "audit"):
            self._line(f"  {_program()} --config {stage.config} {command}")
        self._line(f"  http://{HOST}:{stage.ports['http']}/metrics")
        self._console.print()
        self.say("trial.stay")

    def excerpt(self, log: Path) -> None:
        """The end of the log: the folder may be gone when somebody wants to read it."""
        try:
            lines = log.read_text("utf-8", "replace").splitlines()[-15:]
        except OSError:
            return
        for line in lines:
            self._line(f"  {line[:500]}", "dim")

    def document(self, document: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(document, default=str) + "\n")
        sys.stdout.flush()

    def end(self) -> None:
        self._console.print()


def _program() -> str:
    """As it is called from a checkout, or installed."""
    launcher = Path(__file__).resolve().parents[1] / "bin" / "mailweir"
    if not launcher.exists():
        return "mailweir"
    here = launcher.is_relative_to(Path.cwd())
    return str(launcher.relative_to(Path.cwd()) if here else launcher)
