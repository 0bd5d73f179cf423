"""Names of attachments: labels, never paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmstore.names import MAX_NAME, safe_name

CASES = {
    "見積書.pdf": "見積書.pdf",
    "../../etc/passwd": "passwd",
    "..%2F..%2Fetc%2Fpasswd\0\r\nX": "passwd X",
    "C:\\Users\\bob\\report.xlsx": "report.xlsx",
    "a\r\nContent-Type: text/html\r\n\r\n<script>": "html _script_",
    "invoice\u202efdp.exe": "invoicefdp.exe",
    '"><img src=x>.pdf': "___img src=x_.pdf",
    "...": "attachment-2.pdf",
    "": "attachment-2.pdf",
    "/": "attachment-2.pdf",
    "x" * 500 + ".pdf": "x" * (MAX_NAME - 4) + ".pdf",
}


@pytest.mark.parametrize(("name", "safe"), CASES.items())
def test_safe(name: str, safe: str) -> None:
    assert safe_name(name, "application/pdf", 2) == safe


@given(st.text(max_size=300))
def test_never_a_path(name: str) -> None:
    safe = safe_name(name, "text/plain", 1)
    assert 0 < len(safe) <= MAX_NAME
    assert not set(safe) & set("/\\\0\r\n\t\x1b")
    assert safe not in (".", "..")
    safe.encode("utf-8")
