"""The texts themselves, one file for each part of the program; proxy/texts.py looks them up."""

from typing import NamedTuple


class Text(NamedTuple):
    """One text in both languages; placeholders are those of str.format()."""

    en: str
    ja: str
