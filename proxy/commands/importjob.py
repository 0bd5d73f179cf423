"""An import as a person meets it: what is told, what is asked, how far it is, how it ended."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proxy.commands.common import Desk, Refusal, put, put_json
from proxy.texts import Language, t

if TYPE_CHECKING:
    from crmstore.imports.apply import Importer, Told, Totals
    from crmstore.imports.files import RecordFile
    from crmstore.imports.plan import Choice, Conflict
    from crmstore.imports.rows import Remark, Unreadable
    from crmstore.imports.scratch import Scratch

# What is told on the terminal and in the JSON document; notes never crowd out refusals.
SHOWN = 50
SHOWN_NOTES = 20
LISTED = 1_000


def unreadable(file: str, error: "Unreadable", lang: Language) -> Refusal:
    from crmstore.imports.encoding import ENCODINGS

    values = {"allowed": ", ".join(ENCODINGS), **error.values}
    return Refusal(f"{file}: {t(f'import.file.{error.code}', lang, **values)}")


class _Line(NamedTuple):
    """One line of the report."""

    file: str
    line: int
    outcome: str
    record: str
    code: str
    text: str


class Report:
    """What is told about rows: some on the terminal, all of it in the file of --report."""

    def __init__(self, path: Path | None, files: "Sequence[RecordFile]", lang: Language) -> None:
        from crmstore.imports.csvout import csv_line

        self._files = files
        self._lang = lang
        self._line = csv_line
        self._file = None
        self._grave: list[_Line] = []
        self._notes: list[_Line] = []
        self.count = 0
        self._path = path
        if path is not None:
            if any(file.is_at(path) for file in files):
                raise Refusal(f"--report {path}: allowed is another file than one that is imported")
            try:
                self._file = path.open("w", encoding="utf-8-sig", newline="")
            except OSError as error:
                raise Refusal(f"--report {path}: {error.strerror}") from None
            self._write(_Line._fields)

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with self._naming():
                self._file.close()

    def add(self, told: "Told") -> None:
        file, remark = self._files[told.place.file].shown, told.remark
        text = self._text(remark)
        self.count += 1
        line = _Line(file, remark.line, told.grade, told.shown, remark.code, text)
        kept = self._notes if told.grade == "note" else self._grave
        if len(kept) < LISTED:
            kept.append(line)
        self._write(line)

    def _write(self, line: Iterable[object]) -> None:
        if self._file is not None:
            with self._naming():
                self._file.write(self._line([str(cell) for cell in line]))

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """What goes wrong in this file is told of this file."""
        try:
            yield
        except OSError as error:
            raise Refusal(f"--report {self._path}: {error.strerror}", code=1) from None

    def shown(self) -> list[str]:
        """Lines for people: what stayed out first."""
        lines = [*self._grave[:SHOWN], *self._notes[:SHOWN_NOTES]]
        return [
            t(f"import.{one.outcome}", self._lang, file=one.file, line=one.line, text=one.text)
            for one in lines
        ]

    def listed(self) -> list[dict[str, object]]:
        """The same for programs, and more of it."""
        return [one._asdict() for one in (*self._grave, *self._notes)]

    def _text(self, remark: "Remark") -> str:
        values = dict(remark.values)
        if remark.code == "duplicate":
            other = values.pop("file")
            values["other"] = self._files[other].shown if isinstance(other, int) else ""
        elif remark.code == "conflict":
            values["field"] = t(f"import.field.{values['field']}", self._lang)
        elif remark.code == "address_refused":
            meant = values.pop("meant", "")
            values["guess"] = t("import.guess", self._lang, meant=meant) if meant else ""
            values["reason"] = t(f"import.reason.{values['reason']}", self._lang)
        return t(f"import.row.{remark.code}", self._lang, **values)


class ImportJob:
    """One call: its files through one importer, or through two when it looks first."""

    def __init__(
        self,
        work: Desk,
        lang: Language,
        files: "Sequence[RecordFile]",
        kind: tuple[str, str],
        report: Report,
    ) -> None:
        self.work = work
        self.lang = lang
        self.files = files
        self.kind = kind
        self.report = report
        self.dry_run = False
        self._always: bool | None = None
        self._importer: Importer | None = None
        self._pause: Callable[[], None] = lambda: None
        self._go_on: Callable[[], None] = lambda: None

    def run(
        self,
        scratch: "Scratch",
        choice: "Choice",
        *,
        dry_run: bool,
        only_conflicts: bool = False,
        ask: "Callable[[Conflict], bool] | None" = None,
    ) -> "Totals":
        from crmstore.imports.apply import Importer
        from crmstore.imports.rows import Unreadable

        def tell(told: "Told") -> None:
            if told.grade == "conflict" or not only_conflicts:
                self.report.add(told)

        self.dry_run = dry_run
        importer = self._importer = Importer(
            self.work.store,
            scratch,
            tell,
            kind=self.kind,
            choice=choice,
            ask=ask,
            dry_run=dry_run,
            domains=self.work.settings.node.domains,
            never=self.work.settings.capture.matches_never,
        )
        try:
            with self._progress("import.looking" if dry_run else "import.importing") as advance:
                for number, file in enumerate(self.files):
                    try:
                        importer.take(number, file.rows(advance))
                    except Unreadable as error:
                        raise unreadable(file.shown, error, self.lang) from None
                return importer.finish()
        except KeyboardInterrupt:
            rows = importer.totals.rows
            raise Refusal(t("import.quit", self.lang, rows=rows), code=130) from None

    @contextmanager
    def _progress(self, name: str) -> Iterator[Callable[[int], None]]:
        """A bar by octets read, on a terminal only."""
        if self.work.json or not sys.stderr.isatty():
            yield lambda octets: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            total = sum(file.size for file in self.files)
            task = bar.add_task(t(name, self.lang), total=total)
            self._pause, self._go_on = bar.stop, bar.start
            yield lambda octets: bar.advance(task, octets)

    def ask(self, conflict: "Conflict") -> bool:
        """A person decides; F and S answer for all that come."""
        if self._always is not None:
            return self._always
        field = t(f"import.field.{conflict.field}", self.lang)
        values = {"record": conflict.record, "field": field, "store": conflict.store}
        self._pause()
        sys.stderr.write(f"{conflict.wanted.shown}\n"[:200])
        sys.stderr.write(t("import.row.conflict", self.lang, file=conflict.file, **values) + "\n")
        while True:
            sys.stderr.write("  " + t("import.ask", self.lang))
            sys.stderr.flush()
            answer = sys.stdin.readline()
            if not answer or answer.strip() == "q":
                rows = self._importer.totals.rows if self._importer is not None else 0
                raise Refusal(t("import.quit", self.lang, rows=rows), code=1)
            if answer.strip() in ("f", "s", "F", "S"):
                break
        self._go_on()
        wins = answer.strip() in ("f", "F")
        if answer.strip() in ("F", "S"):
            self._always = wins
        return wins

    def answer(self, totals: "Totals", stopped: str) -> None:
        """The end of the call, as a document or for people."""
        if self.work.json:
            put_json(self._document(totals, stopped))
            return
        lang = self.lang
        for file in self.files:
            guessed = "import.about_guessed" if file.guessed else "import.about"
            encoding = file.encoding.removesuffix("-sig") or t("import.by_value", lang)
            values = {"file": file.shown, "format": file.format, "encoding": encoding}
            put(t(guessed, lang, **values))
            if file.not_taken:
                names = ", ".join(file.not_taken)
                put(t("import.not_taken", lang, file=file.shown, names=names))
        shown = self.report.shown()
        for line in shown:
            put(line)
        if self.report.count > len(shown):
            put(t("import.more", lang, count=self.report.count - len(shown)))
        if stopped:
            put(stopped)
            return
        if totals.kept:
            put(t("import.kept", lang, count=totals.kept))
        put(t("import.dry" if self.dry_run else "import.done", lang, **_figures(totals)))

    def _document(self, totals: "Totals", stopped: str) -> dict[str, object]:
        listed = self.report.listed()
        return {
            "written": not (stopped or self.dry_run),
            **_figures(totals),
            "kept": totals.kept,
            "notes": dict(totals.notes),
            "files": [
                {
                    "file": file.shown,
                    "format": file.format,
                    "encoding": file.encoding.removesuffix("-sig"),
                    "guessed": file.guessed,
                    "not_taken": list(file.not_taken),
                }
                for file in self.files
            ],
            "report": listed,
            "report_left_out": self.report.count - len(listed),
        }


def _figures(totals: "Totals") -> dict[str, int]:
    return {
        "rows": totals.rows,
        "new": totals.new,
        "changed": totals.changed,
        "same": totals.same,
        "duplicates": totals.duplicates,
        "refused": totals.refused,
        "conflicts": totals.conflicts,
        "linked": totals.linked,
    }
