"""What a reader sees of HTML, as lines of text. A core.

For search and previews, not for display: where blocks end, a line ends; cells have a space between
them; pictures leave their alternative text. Head, style, script and comments are not seen.
Nothing is ever fetched. Why not inscriptis: docs/decisions/0092.
Promises: never raises; one pass over the first MAX_MARKUP characters, linear whatever they are
(60,000 nested elements are as good as any other).
"""

import html
import re

__all__ = ["visible"]

MAX_MARKUP = 500_000

_HIDDEN = (
    ("<head", "</head>"), ("<style", "</style>"), ("<script", "</script>"), ("<title", "</title>"),
    ("<!--", "-->"), ("<svg", "</svg>"),
)  # fmt: skip
_BLOCKS = (
    "address|article|aside|blockquote|body|br|center|dd|div|dl|dt|fieldset|footer|form|h[1-6]"
    "|header|hr|html|li|main|nav|ol|option|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
# A tag: a quoted value may hold ">"; a quote that is never closed is a character like others.
_REST = r"""(?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|["'])*+(?:>|(?=<)|\Z)"""
_ALT = re.compile(
    rf"""<img\b(?=[^<>]*?\salt\s*+=\s*+(?:"([^"<>]{{1,200}})"|'([^'<>]{{1,200}})')){_REST}""",
    re.I,
)
_BLOCK = re.compile(rf"</?(?:{_BLOCKS})\b{_REST}", re.I)
_CELL = re.compile(rf"</?(?:td|th|img)\b{_REST}", re.I)
_TAG = re.compile(rf"<[a-zA-Z/!?]{_REST}")
_WHITE = re.compile(r"[ \t\r\n\f]+")
_ROWS = re.compile(r"(?: ?\n ?)+")
# No-break spaces, and the invisible characters that fill a preview line behind a hidden preheader.
_SPACES = re.compile("[ \t\xa0\xad\u034f\u200b-\u200d\u2060\ufeff]+")


def visible(markup: str) -> str:
    """The text of a page or of a piece of one."""
    text = markup[:MAX_MARKUP]
    for begin, end in _HIDDEN:
        text = _without(text, begin, end)
    text = _WHITE.sub(" ", text)
    if "alt=" in text:
        text = _ALT.sub(lambda found: f" {found[1] or found[2]} ", text)
    text = _BLOCK.sub("\n", text)
    text = _CELL.sub(" ", text)
    text = _TAG.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    return _ROWS.sub("\n", _SPACES.sub(" ", text)).strip()


def _without(text: str, begin: str, end: str) -> str:
    """The text without what stands between two marks; a beginning without end hides the rest."""
    low = text.lower()
    if len(low) != len(text):  # a few letters grow when lowered: offsets would not fit
        low = text
    if begin not in low:
        return text
    out: list[str] = []
    position = 0
    while (start := low.find(begin, position)) >= 0:
        out.append(text[position:start])
        if low[start + len(begin) : start + len(begin) + 1].isalpha():  # <header>
            out.append(begin)
            position = start + len(begin)
            continue
        stop = low.find(end, start)
        if stop < 0:
            return "".join(out)
        position = stop + len(end)
    out.append(text[position:])
    return "".join(out)
