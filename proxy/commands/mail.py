"""emails, email, audit: what was captured."""

import typer


def add_to(app: typer.Typer) -> None:
    pass
