"""JSON is read as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from requests_queue.api import fast_json

texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """The value in a form whose comparison includes types and the order of keys."""
    if isinstance(value, dict):
        return [(key, typed(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), repr(value)


@given(values)
@example([10**30, -(2**63) - 1, 2**64, 10.0, -0.0, 1e-7, 1e16, 1e22, 5e-324])
@example({"b": "\u2028\u2029\x00\x7f", "a": '"\\/\b\f\n\r\t<>&', "é": "\U0001f600"})
@example([{f"k{n % 7}{m}": n * m for m in range(20, 0, -1)} for n in range(300)])
def test_encoded_value_is_read_as_it_was(value: Any) -> None:
    assert typed(json.loads(fast_json.encode(value))) == typed(value)


def test_json_is_compact_and_keeps_characters() -> None:
    assert fast_json.encode({"a": [1, "é"], "b": None}) == '{"a":[1,"é"],"b":null}'.encode()


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError):
        fast_json.encode([object()])
