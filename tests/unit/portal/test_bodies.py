"""Bodies: any bytes become printable text, and formatting JSON changes white space only."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.deliveries import bodies
from tests.hypothesis_profiles import examples

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
headers = st.lists(
    st.sampled_from(
        [("Content-Encoding", "gzip"), ("Content-Encoding", "deflate"),
         ("content-type", "text/html; charset=utf-16"), ("Content-Type", "x; charset=zlib"),
         ("Content-Type", 'x;charset="iso-8859-1"')]
    )
)  # fmt: skip


def is_printable(text: str) -> bool:
    """Whether a page or a terminal would show all characters."""
    return all(c in "\n\t" or c.isprintable() or (c.isspace() and c > "\x7f") for c in text)


@examples(50)
@given(st.binary(max_size=200), headers, st.booleans(), st.booleans())
def test_any_body_becomes_printable_text(
    raw: bytes, headers: list[tuple[str, str]], as_sent: bool, full: bool
) -> None:
    body = bodies.read(raw, headers, as_sent=as_sent, full=full)
    assert is_printable(body.text)
    assert all(is_printable(note) for note in body.notes)


@examples(50)
@given(values, st.booleans())
def test_formatting_changes_white_space_only(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    formatted = bodies.formatted(text)
    assert json.loads(formatted) == value
    if isinstance(value, dict | list):
        assert formatted == json.dumps(value, ensure_ascii=ascii_only, indent=2)
