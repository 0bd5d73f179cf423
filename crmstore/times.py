"""Times as the tables hold them: whole microseconds since 1970 in UTC. A core."""

from datetime import UTC, datetime

__all__ = ["at_us", "moment"]


def at_us(text: object, default: int) -> int:
    """An ISO 8601 time with its zone, or the default for what is none."""
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return default


def moment(us: int) -> str:
    """As an ISO 8601 time in UTC."""
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
