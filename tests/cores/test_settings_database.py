"""store.url: what is read out of it, what is shown of it, and that its password is not."""

import pytest

from config.database import Database, parse_database
from config.settings import Settings

READ = {
    "sqlite": ("sqlite", "", "", "", "", ""),
    "postgresql+psycopg://user@host/db": ("postgresql", "host", "", "user", "", "db"),
    "postgresql://u:p%40ss@h:5433/d": ("postgresql", "h", "5433", "u", "p@ss", "d"),
    "postgresql://u:a:b@[::1]:5432/d": ("postgresql", "::1", "5432", "u", "a:b", "d"),
    "postgresql://u@a:1,b/d": ("postgresql", "a,b", "1,", "u", "", "d"),
    "postgresql://%2Frun%2Fpostgresql/d": ("postgresql", "/run/postgresql", "", "", "", "d"),
    "postgresql+psycopg://": ("postgresql", "", "", "", "", ""),
    "postgresql:///%E6%97%A5?sslmode=verify-full&service=x": ("postgresql", "", "", "", "", "日"),
}


@pytest.mark.parametrize(("url", "parts"), READ.items())
def test_read(url: str, parts: tuple[str, ...]) -> None:
    found = parse_database(url)
    password = found.password.reveal() if found.password else ""
    assert (found.engine, found.host, found.port, found.user, password, found.name) == parts


def test_options_are_those_of_libpq() -> None:
    found = parse_database("postgresql://h/d?sslmode=require&application_name=a%26b")
    assert found.options == (("sslmode", "require"), ("application_name", "a&b"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite", "sqlite"),
        ("postgresql+psycopg://u:hunter2@h:1/d?sslmode=require", "postgresql://u@h:1/d"),
        ("postgresql://u:hunter2@[::1]:5432,b/d", "postgresql://u@[::1]:5432,b/d"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_shown(url: str, shown: str) -> None:
    found = parse_database(url)
    assert str(found) == shown
    assert "hunter2" not in repr(found)


def test_no_password_in_what_the_settings_show() -> None:
    node = {"hostname": "mail.example.com", "domains": ["example.com"]}
    url = "postgresql://u:hunter2@h/d"
    settings = Settings.model_validate({"node": node, "store": {"url": url}})
    assert "hunter2" not in f"{settings!r}{settings}"
    password = settings.store.password
    assert password is not None and password.reveal() == "hunter2"


@pytest.mark.parametrize("url", [None, 5, "", "postgres", "Postgresql://h/d", "sqlite:///x.db"])
def test_refused(url: object) -> None:
    with pytest.raises(ValueError, match="sqlite"):
        parse_database(url)
    assert parse_database(Database()) == Database()
