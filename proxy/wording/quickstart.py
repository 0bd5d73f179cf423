"""Texts of `mailweir quickstart`."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {}
