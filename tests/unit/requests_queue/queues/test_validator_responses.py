"""Changes of the sent parameters by a validator's response."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.queues import validator_responses
from requests_queue.queues.validator_responses import InvalidResponse, merge, read


def param(pk: str = "region", kind: str = "text", **more: Any) -> dict[str, Any]:
    """Return a parameter of a request."""
    return {
        "id": pk,
        "name": pk,
        "type": kind,
        "phase": "ordering",
        "scope": "asset",
        "title": pk,
        "description": "",
        "value": "",
        "value_error": "",
        "constraints": {
            "hidden": False,
            "readonly": False,
            "required": False,
            "unique": False,
            "reconciliation": False,
            **more.pop("constraints", {}),
        },
        **more,
    }


def choices(*values: str) -> list[dict[str, str]]:
    return [{"value": value, "label": value.upper()} for value in values]


TEXT = param("name", value="old", value_error="Too short")
LIST = param("region", "dropdown", value="eu", value_choices=choices("eu", "us"))
PHONE = param("phone", "phone", structured_value={})
SENT = [TEXT, LIST, PHONE]


def merged(
    *response_entries: Any, sent: list[dict[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the parameters, by id, after merging a response with these entries."""
    sent = sent or SENT
    return {row["id"]: row for row in merge(sent, [read(sent, list(response_entries))])}


@pytest.mark.parametrize(
    ("entry", "key", "becomes"),
    [
        ({"id": "name", "value": "new"}, "value", "new"),
        ({"id": "name", "value": None}, "value", ""),
        ({"id": "name", "value": 12}, "value", "12"),
        ({"id": "name", "value": True}, "value", "true"),
        ({"id": "name", "value_error": ""}, "value_error", ""),
        ({"id": "name", "value_error": None}, "value_error", ""),
        ({"id": "name", "value_error": "Taken"}, "value_error", "Taken"),
        ({"id": "name", "value": "new"}, "value_error", "Too short"),
        ({"id": "name", "value": "new", "structured_value": {}}, "value", "new"),
        ({"id": "region", "value": "us"}, "value", "us"),
        ({"id": "region", "value_choices": choices("uk")}, "value_choices", choices("uk")),
        ({"id": "region", "value_choices": []}, "value_choices", []),
        ({"id": "phone", "structured_value": {"phone_number": "55"}}, "value", "55"),
        ({"id": "phone", "value": {"phone_number": "55"}}, "structured_value",
         {"phone_number": "55"}),
        ({"id": "name", "constraints": {"hidden": True}}, "constraints",
         {**TEXT["constraints"], "hidden": True}),
        ({"id": "name", "constraints": {"shared": "view", "max_length": 3, "new": 1}},
         "constraints", {**TEXT["constraints"], "shared": "view"}),
        # Keys that a validator cannot change.
        ({"id": "name", "type": "url", "title": "T", "phase": "fulfillment"}, "type", "text"),
    ],
)  # fmt: skip
def test_mergeable_keys_are_merged(entry: dict[str, Any], key: str, becomes: Any) -> None:
    after = merged(entry)
    assert after[entry["id"]][key] == becomes
    untouched = [row for row in SENT if row["id"] != entry["id"]]
    assert [after[row["id"]] for row in untouched] == untouched


def test_an_echo_changes_nothing() -> None:
    reading = read(SENT, copy.deepcopy(SENT))
    assert (reading.changes, reading.ignored) == ({}, [])
    assert reading.message == "No parameter was changed."


def test_unchanged_value_does_not_revert_a_concurrent_change() -> None:
    reading = read(SENT, [{**TEXT, "value_error": "Taken"}, LIST, PHONE])
    now = [TEXT, {**LIST, "value": "us"}, PHONE]
    after = {row["id"]: row for row in merge(now, [reading])}
    assert after["region"]["value"] == "us"
    assert after["name"]["value_error"] == "Taken"


STRUCTURED = {
    "message": {"id": "E1", "external_id": "x", "value": "No {region}"},
    "context": {"region": "mars"},
}
NEW = {**STRUCTURED, "context": {"region": "pluto"}}
MARKED = {**LIST, "value_error": "No {region}", "structured_error": STRUCTURED}


def test_message_of_a_structured_error_is_the_error() -> None:
    assert merged({"id": "region", "structured_error": STRUCTURED})["region"] == MARKED


@pytest.mark.parametrize(
    ("entry", "error", "structured"),
    [
        ({"value_error": ""}, "", None),
        ({"value_error": None}, "", None),
        # Another error has other details or none; repeated old details don't count.
        ({"value_error": "Closed"}, "Closed", None),
        ({"value_error": "Closed", "structured_error": STRUCTURED}, "Closed", None),
        ({"value_error": "Closed", "structured_error": NEW}, "Closed", NEW),
        *(({"structured_error": empty}, "No {region}", STRUCTURED) for empty in (None, "", {})),
    ],
)
def test_structured_error_is_replaced_and_cleared_with_the_error(
    entry: dict[str, Any], error: str, structured: Any
) -> None:
    after = merged({"id": "region", **entry}, sent=[MARKED])["region"]
    details = {} if structured is None else {"structured_error": structured}
    assert after == {**LIST, "value_error": error, **details}


def test_later_responses_are_merged_into_earlier_ones() -> None:
    first = read(SENT, [{"id": "name", "value": "a", "value_error": "No"}])
    second = read(SENT, [{"id": "name", "value": "b", "constraints": {"readonly": True}}])
    after = merge(SENT, [first, second])[0]
    assert (after["value"], after["value_error"]) == ("b", "No")
    assert after["constraints"]["readonly"] is True


def test_unknown_ids_are_ignored_and_reported() -> None:
    reading = read(
        SENT, [{"id": "nobody", "value": 1}, {"value": "x"}, {"id": "name", "value": "n"}]
    )
    assert list(reading.changes) == ["name"]
    assert reading.message == (
        "Merged: name (value). Ignored: unknown parameter nobody, a parameter without an id."
    )


def test_choices_of_a_parameter_that_has_none_are_ignored() -> None:
    reading = read(SENT, [{"id": "name", "value_choices": choices("a")}])
    assert reading.changes == {}
    assert reading.ignored == ["value_choices of name, which is a text"]


def test_a_value_that_is_not_offered_needs_an_error() -> None:
    entry = {"id": "region", "value": "mars"}
    with pytest.raises(InvalidResponse, match="'mars' is not one of eu, us"):
        read(SENT, [entry])
    assert merged({**entry, "value_error": "Not offered"})["region"]["value"] == "mars"
    offered = {**entry, "value_choices": choices("mars")}
    assert merged(offered)["region"]["value"] == "mars"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("text", "its params are a string, not a list."),
        ({}, "its params are an object, not a list."),
        (3, "its params are a number, not a list."),
        (["x"], "Expected an object, got a string."),
        ([None], "Expected an object, got null."),
        ([{"id": "name"}, {"id": "name"}], "Parameter name occurs twice."),
        ([{"id": "name", "value": []}], "Parameter name: value must be a string."),
        ([{"id": "name", "value": {"a": 1}}], "Parameter name: value must be a string."),
        ([{"id": "name", "structured_value": {"a": 1}}],
         "Parameter name: a text has no such structured_value."),
        ([{"id": "phone", "structured_value": ["a"]}],
         "Parameter phone: a phone has no such structured_value."),
        ([{"id": "name", "value_error": 5}],
         "Parameter name: value_error is a number, not a string."),
        ([{"id": "name", "value_error": {"a": 1}}],
         "Parameter name: value_error is an object, not a string."),
        ([{"id": "name", "structured_error": "x"}], "structured_error must be an object"),
        ([{"id": "name", "structured_error": {"message": "x"}}],
         "structured_error must be an object"),
        ([{"id": "name", "structured_error": {"message": {"value": 5}}}],
         "structured_error must be an object"),
        ([{"id": "name", "constraints": True}],
         "Parameter name: constraints is true, not an object."),
        ([{"id": "name", "constraints": {"hidden": "yes"}}],
         "Parameter name: the constraint hidden must be true or false, not a string."),
        ([{"id": "name", "constraints": {"required": 1}}], "must be true or false, not a number."),
        ([{"id": "name", "constraints": {"shared": "all"}}],
         "shared must be one of none, view, edit."),
        ([{"id": "region", "value_choices": "a,b"}],
         "Parameter region: value_choices is a string, not a list."),
        ([{"id": "region", "value_choices": ["a"]}], "each of value_choices must be an object"),
        ([{"id": "region", "value_choices": [{"value": 5}]}], "each of value_choices"),
        ([{"id": "region", "value_choices": [{"value": "a", "label": 5}]}],
         "the label of a choice must be a string."),
    ],
)  # fmt: skip
def test_invalid_response_is_refused_with_a_reason(params: Any, message: str) -> None:
    with pytest.raises(InvalidResponse) as wrong:
        read(SENT, params)
    assert message in str(wrong.value)


def test_all_errors_of_a_response_are_reported() -> None:
    with pytest.raises(InvalidResponse) as wrong:
        read(SENT, [{"id": "name", "value": []}, {"id": "region", "value_error": 1}, 5])
    assert all(
        part in str(wrong.value) for part in ("name: ", "region: ", "a number, not a string")
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=4),
    max_leaves=12,
)  # fmt: skip
ENTRY = st.dictionaries(
    st.sampled_from(
        ["value", "structured_value", "value_error", "structured_error", "constraints",
         "value_choices", "type", "phase", "title"]
    ),
    JSON,
    max_size=5,
)  # fmt: skip
PARAMS = st.lists(
    st.builds(lambda pk, entry: {**entry, "id": pk},
              st.sampled_from(["name", "region", "phone", "else"]), ENTRY) | JSON,
    max_size=5,
) | JSON  # fmt: skip


@given(PARAMS)
def test_any_response_is_refused_with_a_message_or_merged(
    params: Any,
) -> None:
    before = copy.deepcopy(SENT)
    try:
        after = merge(SENT, [read(SENT, params)])
    except InvalidResponse as wrong:
        assert len(str(wrong)) > 20
        return
    finally:
        assert before == SENT
    assert [row["id"] for row in after] == [row["id"] for row in SENT]
    for old, new in zip(SENT, after, strict=True):
        unchanged = set(old) - {"constraints", *validator_responses._KEYS}
        assert {k: new[k] for k in unchanged} == {k: old[k] for k in unchanged}
        assert isinstance(new["value"], str) and isinstance(new["value_error"], str)
        assert set(new["constraints"]) - set(old["constraints"]) <= {"shared"}
        switches = {v for k, v in new["constraints"].items() if k != "shared"}
        assert switches <= {True, False}
        for choice in new.get("value_choices", []):
            assert {type(v) for v in choice.values()} == {str}
        assert new.get("structured_error", {}) is not None
    # Merging the same response again changes nothing.
    assert merge(after, [read(after, params)]) == after
