"""Responses are rendered byte for byte as by DRF."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rest_framework.renderers import JSONRenderer

from connect_sim.api.rendering import FastJSONRenderer
from requests_queue import fast_json

texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts
    | st.floats(allow_nan=False, allow_infinity=False).map(fast_json.number),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(values)
@example({"b": "\u2028\u2029\u2030", "a\u2028": [fast_json.number(1e-7), 2**64, "\x00\x7f\u00e9"]})
@example({1: {2.5: ()}, "z": [fast_json.number(1e22), -0.0]})
def test_response_is_that_of_drf(value: Any) -> None:
    assert FastJSONRenderer().render(value) == JSONRenderer().render(value)


@pytest.mark.parametrize("value", [None, "", {}, [], 0, {True: 1, None: 2}])
def test_other_responses_are_those_of_drf(value: Any) -> None:
    assert FastJSONRenderer().render(value) == JSONRenderer().render(value)


def test_large_response_keeps_the_order_of_keys() -> None:
    rows = [{f"k{n % 7}{m}": n * m for m in range(20, 0, -1)} for n in range(300)]
    rendered = FastJSONRenderer().render(rows)
    assert rendered == JSONRenderer().render(rows)
    assert list(json.loads(rendered)[5]) == list(rows[5])


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e400"])
def test_what_is_not_json_is_refused(text: str) -> None:
    for value in (fast_json.decode_column(f"[{text}]"), [fast_json.number(text)]):
        for renderer in (FastJSONRenderer(), JSONRenderer()):
            with pytest.raises(ValueError, match="JSON compliant"):
                renderer.render(value)
