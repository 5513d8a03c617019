"""The difference between two JSON values, for any two of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.api import json_diff
from requests_queue.api.json_diff import (
    NOTHING,
    PATH,
    ROWS,
    VALUE,
    ItemId,
    compare,
    format_value,
    shorten,
)
from tests.hypothesis_profiles import examples

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
)
keys = st.sampled_from(["id", "params", "value", "a.b", "[x]", ""]) | st.text(max_size=3)
# Often objects with ids, so that lists are compared by id.
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.lists(
            st.builds(
                lambda pk, more: {"id": pk, **more},
                st.sampled_from("abc"),
                st.dictionaries(keys.filter(lambda key: key != "id"), inner, max_size=3),
            ),
            max_size=4,
        )
    ),
    max_leaves=20,
)


def at(value: Any, steps: json_diff.Steps) -> Any:
    """Return the value at the steps of a path."""
    for step in steps:
        if isinstance(step, ItemId):
            value = next((e for e in value if e["id"] == step.id), NOTHING)
        elif isinstance(step, int):
            value = value[step]
        else:
            value = value.get(step, NOTHING)
        if value is NOTHING:
            return NOTHING
    return value


def text(value: Any) -> str:
    """Return a comparable form of a JSON value; numbers as in JavaScript."""
    return "" if value is NOTHING else json.dumps(_as_floats(value), sort_keys=True)


def _as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_floats(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_floats(each) for each in value]
    # -0.0 equals 0.
    return float(value) + 0.0 if type(value) in (int, float) else value


def paths(sent: Any, received: Any) -> list[str]:
    return [row.path for row in compare(sent, received).rows]


# -- any two values


@examples(60)
@given(values)
def test_value_does_not_differ_from_itself(value: Any) -> None:
    diff = compare(value, json.loads(json.dumps(value)))
    assert (diff.rows, diff.more, diff.left_out) == ([], 0, 0)


@examples(60)
@given(values, values)
def test_each_path_leads_to_a_real_difference(sent: Any, received: Any) -> None:
    diff = compare(sent, received)
    for row in diff.rows:
        assert row.sent is at(sent, row.steps) and row.received is at(received, row.steps)
        assert text(row.sent) != text(row.received)
    assert len({row.steps for row in diff.rows}) == len(diff.rows)


@examples(60)
@given(values, values)
def test_value_without_differences_adds_nothing(sent: Any, received: Any) -> None:
    diff = compare(sent, received)
    if not diff.rows and not diff.left_out:
        assert _unordered(sent) == _unordered(received)


def _unordered(value: Any) -> str:
    """Return a value as text, with lists of items with ids ordered by id."""

    def order(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: order(each) for key, each in node.items()}
        if isinstance(node, list):
            items = [order(each) for each in node]
            ids = [e.get("id") if isinstance(e, dict) else None for e in node]
            if all(isinstance(pk, str) for pk in ids) and len(set(ids)) == len(ids):
                items.sort(key=lambda entry: entry["id"])
            return items
        return node

    return text(order(value))


@examples(60)
@given(values, values)
def test_formatted_values_are_short_and_never_fail(sent: Any, received: Any) -> None:
    for row in compare(sent, received).rows:
        assert 0 < len(row.path) <= PATH
        for value in (row.sent, row.received):
            assert len(format_value(value)) <= VALUE
        assert row.sent is NOTHING or format_value(row.sent)


# -- lists, keys, types of values


def test_parameters_are_compared_by_id_in_any_order() -> None:
    sent = {"asset": {"params": [{"id": "region", "value_error": ""}, {"id": "plan", "v": 1}]}}
    received = {
        "asset": {"params": [{"id": "plan", "v": 1}, {"id": "region", "value_error": "No"}]}
    }
    [row] = compare(sent, received).rows
    assert row.path == "asset.params[region].value_error"
    assert row.steps == ("asset", "params", ItemId("region"), "value_error")
    assert (row.sent, row.received) == ("", "No")


def test_omitted_parts_are_counted_and_no_difference() -> None:
    sent = {"id": "PR-1", "note": "", "asset": {"id": "AS-1", "params": [{"id": "a"}, {"id": "b"}]}}
    diff = compare(sent, {"asset": {"params": [{"id": "a"}]}})
    # `id`, `note`, the asset's `id`, and a parameter.
    assert (diff.rows, diff.left_out) == ([], 4)


def test_added_parts_are_differences() -> None:
    [key, entry] = compare({"params": []}, {"x": None, "params": [{"id": "new"}]}).rows[::-1]
    assert (key.path, key.sent, key.received) == ("x", NOTHING, None)
    assert (entry.path, entry.sent, entry.received) == ("params[new]", NOTHING, {"id": "new"})
    assert (format_value(key.sent), format_value(key.received)) == ("", "null")


@pytest.mark.parametrize(
    ("sent", "received", "expected"),
    [
        ([1, 2], [1, 3], ["[1]"]),
        ([1, 2], [1], ["."]),
        ([], [1], ["."]),
        ([{"value": "a"}], [{"value": "b"}], ["[0].value"]),
        ([{"id": "a"}, {"id": "a"}], [{"id": "a"}, {"id": "b"}], ["[1].id"]),
        ([{"id": 1}], [{"id": 2}], ["[0].id"]),
        ({"a": {"b": 1}}, {"a": [1]}, ["a"]),
        ({"a": {}}, {"a": []}, ["a"]),
        ({"a": []}, {"a": None}, ["a"]),
        ({"a": True}, {"a": 1}, ["a"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": "1"}, {"a": 1}, ["a"]),
        ({"a": 0}, {"a": False}, ["a"]),
        ("x", None, ["."]),
    ],
)  # fmt: skip
def test_equal_json_values(sent: Any, received: Any, expected: list[str]) -> None:
    assert paths(sent, received) == expected


# -- huge and hostile


def test_number_of_rows_is_limited() -> None:
    sent = {str(n): n for n in range(50_000)}
    diff = compare(sent, {str(n): -1 for n in range(50_000)})
    assert (len(diff.rows), diff.more) == (ROWS, 50_000 - ROWS)
    assert [row.path for row in diff.rows[:3]] == ["0", "1", "2"]


def test_deep_nesting_is_compared_and_shortened() -> None:
    deep, other = "x", "y"
    for _ in range(20_000):
        deep, other = [deep], {"a": other}  # type: ignore[assignment]
    assert paths({"a": other}, {"a": other}) == []
    [row] = compare({"a": deep}, {"a": other}).rows
    assert row.path == "a"
    assert format_value(row.sent) == "[" * (VALUE - 1) + "…"
    assert format_value(row.received).startswith('{"a": {"a": ')


def test_long_values_and_paths_are_shortened() -> None:
    [row] = compare({}, {"k" * 10**6: "v" * 10**6}).rows
    assert row.path == "k" * (PATH - 1) + "…"
    assert format_value(row.received) == '"' + "v" * (VALUE - 2) + "…"
    assert format_value(list(range(10**6))).startswith("[0, 1, 2, ")
    assert len(format_value(list(range(10**6)))) == VALUE
    assert (shorten("abc", 3), shorten("abcd", 3)) == ("abc", "ab…")
