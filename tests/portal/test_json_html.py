"""JSON as HTML: colors by token, objects that collapse, and a text that stays the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.deliveries import bodies, json_html
from tests import html

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def rendered(text: str, *marked: str) -> html.Element:
    return html.parse(f"<div>{json_html.render(text, marked)}</div>")


@given(VALUES, st.integers(0, 400))
def test_text_is_unchanged_and_elements_are_closed(value: Any, cut: int) -> None:
    text = bodies.escape_controls(bodies.formatted(json.dumps(value, ensure_ascii=False)))
    for shown in (text, text[:cut]):
        page = rendered(shown)
        assert page.raw_text == shown
        assert all(e.tag in ("div", "details", "summary", "i", "mark") for e in page.descendants())


def test_tokens_are_colored_by_type() -> None:
    page = rendered(bodies.formatted('{"a<": "b: 1", "n": -1.5e3, "x": [true, null, "{"]}'))
    tokens = [(each["class"], each.text) for each in page.all("i")]
    assert tokens == [
        ("name", '"a<"'),
        ("string", '"b: 1"'),
        ("name", '"n"'),
        ("number", "-1.5e3"),
        ("name", '"x"'),
        ("literal", "true"),
        ("literal", "null"),
        ("string", '"{"'),
    ]
    assert [each.text for each in page.all("summary")] == ["{", '"x": [']


def test_deep_levels_do_not_collapse() -> None:
    page = rendered(bodies.formatted("[" * 100 + "1" + "]" * 100))
    assert len(page.all("details")) == json_html.MAX_DEPTH


def test_claims_of_the_token_are_marked() -> None:
    page = rendered(bodies.formatted('{"exp": 1, "data": {"exp": 2}}'), "exp")
    assert [each.text for each in page.all("mark")] == ['"exp": 1,']
