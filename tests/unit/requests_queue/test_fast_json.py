"""JSON by msgspec has the results of Python's own."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from requests_queue import fast_json, json_validation

texts = st.text(st.characters(codec=None, categories=None), max_size=8)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
finite = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
constants = st.sampled_from([math.nan, math.inf, -math.inf])


def typed(value: Any) -> Any:
    """The value in a form whose comparison includes types, NaN and the order of keys."""
    if isinstance(value, dict):
        return [(key, typed(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), repr(value)


@given(finite | st.lists(constants | finite), st.booleans(), st.sampled_from([None, 2]))
@example(2**63, True, None)
@example(2**64, True, None)
@example(-(2**63) - 1, True, None)
@example(10**30, True, None)
@example(-0.0, True, None)
@example(5e-324, True, None)
@example(["\ud800", "\udc00\ud800", "\x00", "\u2028"], True, None)
@example({"\ud83d\ude00": "\U0001f600"}, False, None)
def test_decode_has_the_result_of_json(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert typed(fast_json.decode(text)) == typed(json.loads(text))


@given(finite)
@example({"a": 10**30, "\ud800": [1e-7, 1e16, -0.0, None]})
def test_encoded_value_is_read_as_it_was(value: Any) -> None:
    encoded = fast_json.encode(value)
    assert typed(json.loads(encoded)) == typed(json.loads(json.dumps(value)))


@given(finite)
def test_encode_accepts_other_keys_and_tuples(value: Any) -> None:
    value = {1: (value, value), None: value, 2.5: value}
    assert typed(json.loads(fast_json.encode(value))) == typed(json.loads(json.dumps(value)))


@given(st.text(alphabet='{}[]",:0123456789-+.eE\\untrfalsN IiyA \t\ufeff', max_size=12))
@example("1" * 5000)
@example("-0")
@example("1e400")
@example("-1e400")
@example('{"a": 1, "b": 2, "a": 3}')
@example("[1,]")
@example("01")
@example("\ufeff1")
@example('"\t"')
def test_text_that_is_not_json_has_the_error_of_json(text: str) -> None:
    assert outcome(fast_json.decode, text) == outcome(json.loads, text)


@pytest.mark.parametrize("depth", [60, 500, 5000])
def test_deep_nesting_is_read_as_by_json(depth: int) -> None:
    text = "[" * depth + "]" * depth
    assert outcome(fast_json.decode, text)[0] == outcome(json.loads, text)[0]


@given(finite)
@example([1e16, 9999999999999998.0, 1e-4, 0.00009999999999999999, -1e16, -1e-5, 0.0, -0.0])
@example([5e-324, 1.7976931348623157e308, 123456789012345680.0, 2**64, -(2**70), 1e22])
@example({"\x7f\u0080\u2028\u2029\x00\x1f": '"\\/\b\f\n\r\t<>&'})
def test_column_is_encoded_exactly_as_by_json(value: Any) -> None:
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    column = fast_json.decode_column(json.dumps(value))
    body = json_validation.parse_json(json.dumps(value))
    assert typed(plain(column)) == typed(plain(body)) == typed(value)
    for read in (column, body):
        encoded = fast_json.encode_exactly(read)
        assert encoded is None or encoded == expected.encode()


def test_usual_values_are_encoded_by_msgspec() -> None:
    value = {"a": [1, -2.5, 0.0001, 9e15, "\u00e9", None, True], "b": {}}
    assert fast_json.encode_exactly(fast_json.decode_column(json.dumps(value))) is not None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_is_equal_to_its_float(value: float) -> None:
    number = fast_json.number(value)
    assert isinstance(number, float) and repr(number) == repr(value)
    assert json.dumps(number) == json.dumps(value)


@given(constants | st.lists(constants | finite))
def test_column_with_constants_is_read_as_by_json(value: Any) -> None:
    text = json.dumps(value)
    assert typed(plain(fast_json.decode_column(text))) == typed(json.loads(text))


def plain(value: Any) -> Any:
    """The value with floats of no subclass."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, float) else value


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError):
        fast_json.encode([object()])


def outcome(decode: Any, text: str) -> tuple[str, Any]:
    try:
        return "", typed(decode(text))
    except (ValueError, RecursionError) as error:
        return type(error).__name__, str(error)
