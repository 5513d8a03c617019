"""Any bytes are shown as text that does nothing, and formatting JSON changes white space only."""

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


def is_harmless(text: str) -> bool:
    """Whether nothing of it is obeyed by a page or a terminal."""
    return all(c in "\n\t" or c.isprintable() or (c.isspace() and c > "\x7f") for c in text)


@examples(50)
@given(st.binary(max_size=200), headers, st.booleans(), st.booleans())
def test_any_body_becomes_harmless_text(
    raw: bytes, said: list[tuple[str, str]], as_sent: bool, whole: bool
) -> None:
    body = bodies.read(raw, said, as_sent=as_sent, whole=whole)
    assert is_harmless(body.text)
    assert all(is_harmless(note) for note in body.notes)


@examples(50)
@given(values, st.booleans())
def test_formatting_changes_white_space_only(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    found = bodies.formatted(text)
    assert json.loads(found) == value
    if isinstance(value, dict | list):
        assert found == json.dumps(value, ensure_ascii=ascii_only, indent=2)
