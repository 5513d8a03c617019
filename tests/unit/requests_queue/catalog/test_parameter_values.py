"""Parameter values: set by callers, checked, and missing ones."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.catalog import parameter_values
from requests_queue.errors import Invalid
from tests.hypothesis_profiles import examples

ORDERING, BOTH = ("ordering",), ("ordering", "fulfillment")
PHONE = {"country_code": "+1", "area_code": "(555)", "phone_number": "01-00", "extension": "7"}
ADDRESS = {"address_line1": "1 Harbour Road", "address_line2": "", "city": "Portland",
           "state": "OR", "postal_code": "97201", "country": "US"}  # fmt: skip


def param(name: str = "p", **more: Any) -> dict[str, Any]:
    """Return a parameter of a request."""
    kind = more.get("type", "text")
    param = {
        "id": name,
        "name": name,
        "type": kind,
        "phase": "ordering",
        "value": "",
        "value_error": "",
        "constraints": {"required": False, "hidden": False},
    }
    if kind in parameter_values.STRUCTURED:
        param["structured_value"] = {}
    return {**param, **more}


def filled(held: dict[str, Any], *, phases: Any = ORDERING, **entry: Any) -> dict[str, Any]:
    [param] = parameter_values.fill([held], [{"id": held["id"], **entry}], phases)
    return param


def test_values_are_filled_in_and_others_are_kept() -> None:
    held = [param("a", value="1"), param("b", value="2")]
    before = copy.deepcopy(held)
    params = parameter_values.fill(held, [{"id": "b", "value": "3"}], ORDERING)
    assert [p["value"] for p in params] == ["1", "3"]
    assert held == before


@pytest.mark.parametrize("nothing", [None, "", []])
def test_empty_list_changes_nothing(nothing: Any) -> None:
    held = [param("a", value="1")]
    assert parameter_values.fill(held, nothing, ORDERING) == held


REGIONS = {"type": "dropdown", "value": "us", "value_choices": [{"value": "eu"}, {"value": "us"}]}
OTHERS = {"phase": "fulfillment", "value": "t-1", "value_error": "Wrong"}


@pytest.mark.parametrize(
    ("held", "value", "stored"),
    [
        ({}, "x", "x"), ({}, "", ""), ({}, None, ""), ({}, 7, "7"), ({}, 1.5, "1.5"),
        ({}, True, "true"), ({}, False, "false"),
        (REGIONS, "eu", "eu"), (REGIONS, "", ""),
        # Without a list of choices any value is valid.
        ({"type": "choice", "value_choices": []}, "x", "x"),
    ],
)  # fmt: skip
def test_values_are_strings_and_one_of_the_choices(
    held: dict[str, Any], value: Any, stored: str
) -> None:
    assert filled(param(**{"value": "before", **held}), value=value)["value"] == stored


@pytest.mark.parametrize(
    ("held", "entry", "message"),
    [
        (REGIONS, {"value": "mars"}, "'mars' is not one of eu, us."),
        ({}, {"value": {"a": 1}}, "value must be a string"),
        ({}, {"value_error": ["x"]}, "value_error must be a string"),
        ({}, {"structured_value": {"a": 1}}, "no such structured_value"),
        ({"type": "object"}, {"structured_value": [1]}, "no such structured_value"),
        (OTHERS, {"value": "t-2"}, "fulfillment phase"),
        (OTHERS, {"value_error": ""}, "fulfillment phase"),
    ],
)
def test_value_that_cannot_be_set_is_refused(
    held: dict[str, Any], entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid) as raised:
        filled(param(**held), **entry)
    [only] = raised.value.messages
    assert message in only


def test_other_input_than_a_list_of_parameters_is_refused() -> None:
    for inputs in ({"id": "a"}, "a", 7):
        with pytest.raises(Invalid, match="Expected a list"):
            parameter_values.fill([param("a")], inputs, ORDERING)
    for entry in ("a", None, {}, {"id": 7}, ["a"]):
        with pytest.raises(Invalid, match="an object with an id"):
            parameter_values.fill([param("a")], [entry], ORDERING)


def test_all_errors_are_reported_with_their_paths() -> None:
    entries = [{"id": "x", "value": "1"}, {"id": "a", "value": []}, {"id": "b", "value": "fine"}]
    with pytest.raises(Invalid) as raised:
        parameter_values.fill([param("a"), param("b")], entries, ORDERING, "configuration.params")
    assert raised.value.messages == [
        "configuration.params: Parameter x does not exist.",
        "configuration.params: Parameter a: value must be a string.",
    ]
    assert raised.value.code == "VAL_001"


def test_parameter_of_another_phase_may_be_sent_unchanged() -> None:
    held = param(**OTHERS)
    # Clients send whole objects back.
    assert filled(held, value="t-1", value_error="Wrong", title="Echo") == held
    assert filled(held, phases=BOTH, value="t-2")["value"] == "t-2"


def test_only_value_structured_value_and_error_can_be_set() -> None:
    result = filled(
        param(),
        value="x",
        type="object",
        phase="fulfillment",
        title="New",
        constraints={"required": True},
        name="other",
    )
    assert result == param(value="x")


def test_value_error_is_set_and_cleared() -> None:
    marked = filled(param(value="x"), value_error="Not offered")
    assert (marked["value"], marked["value_error"]) == ("x", "Not offered")
    assert filled(marked, value="y")["value_error"] == "Not offered"
    assert filled(marked, value_error="")["value_error"] == ""
    assert filled(marked, value_error=None)["value_error"] == ""


BOXES = {"b": False, "a": True}


@pytest.mark.parametrize(
    ("kind", "entry", "structured", "value"),
    [
        ("phone", {"structured_value": PHONE}, PHONE, "+15550100"),
        ("phone", {"structured_value": PHONE, "value": ""}, PHONE, "+15550100"),
        # As some clients send it.
        ("phone", {"value": PHONE}, PHONE, "+15550100"),
        ("address", {"structured_value": ADDRESS}, ADDRESS,
         "1 Harbour Road, Portland, OR, 97201, US"),
        ("checkbox", {"structured_value": BOXES}, BOXES, '{"a": true, "b": false}'),
        ("object", {"value": '{"a": [1]}'}, {"a": [1]}, '{"a": [1]}'),
        ("object", {"value": "[7]"}, [7], "[7]"),
    ],
)  # fmt: skip
def test_structured_values_are_stored_and_flattened(
    kind: str, entry: dict[str, Any], structured: Any, value: str
) -> None:
    result = filled(param(type=kind), **entry)
    assert (result["structured_value"], result["value"]) == (structured, value)


NONE = [{}, "", None]
TYPES = (
    "text", "dropdown", "password", "email", "checkbox", "subdomain", "domain", "address", "phone",
    "object", "url", "choice",
)  # fmt: skip


@pytest.mark.parametrize("none", NONE)
@pytest.mark.parametrize("kind", TYPES)
def test_empty_structured_value_is_ignored(kind: str, none: Any) -> None:
    value = '{"a": 1}' if kind == "object" else "k"
    held = param(type=kind, value_choices=[])
    result = filled(held, value=value, structured_value=none)
    assert (result["value"], result["value_error"]) == (value, "")
    assert result.get("structured_value") in (None, {}, {"a": 1})
    assert filled(held, structured_value=none) == held
    # A parameter that the caller may not set is echoed as well.
    assert filled(held, phases=(), value="", structured_value=none) == held


@pytest.mark.parametrize("none", NONE)
@pytest.mark.parametrize("kind", ["phone", "address", "checkbox"])
def test_empty_structured_value_clears_the_previous_one(kind: str, none: Any) -> None:
    held = param(type=kind, value="before", structured_value={"city": "Portland"})
    result = filled(held, value="after", structured_value=none)
    assert (result["value"], result["structured_value"]) == ("after", {})
    result = filled(held, value="", structured_value=none)
    assert (result["value"], result["structured_value"]) == ("", {})
    assert filled(held, value="before", structured_value=none) == held


@pytest.mark.parametrize("none", ["", None])
def test_empty_structured_value_without_a_value_changes_nothing(none: Any) -> None:
    held = param(type="phone", value="+1555", structured_value=PHONE)
    marked = filled(held, value_error="Wrong", structured_value=none)
    assert marked == {**held, "value_error": "Wrong"}
    assert filled(held, structured_value={})["structured_value"] == {}


@examples(150)
@given(st.sampled_from(TYPES), st.text(), st.sampled_from(NONE), st.text(), st.booleans())
def test_no_type_refuses_an_empty_structured_value(
    kind: str, value: str, none: Any, before: str, structured: bool
) -> None:
    held = param(type=kind, value=before, value_choices=[])
    if structured and kind in parameter_values.STRUCTURED:
        held["structured_value"] = {"a": "b"}
    plain = {"id": "p", "value": value}

    def result(entry: dict[str, Any]) -> Any:
        try:
            return parameter_values.fill([held], [entry], ORDERING)[0]
        except Invalid as invalid:
            return invalid.messages

    with_none = result({**plain, "structured_value": none})
    if not held.get("structured_value"):
        assert with_none == result(plain)
    elif isinstance(with_none, dict) and kind != "object":
        assert with_none["value"] == value
        assert with_none["structured_value"] == ({} if value != before or not value else {"a": "b"})


def test_missing_parameters_are_required_visible_and_empty() -> None:
    needed = {"required": True, "hidden": False}
    rows = [
        param("ok", constraints=needed, value="x"),
        param("empty", constraints=needed),
        param("hidden", constraints={"required": True, "hidden": True}),
        param("free"),
        param("later", constraints=needed, phase="fulfillment"),
        param("phone", constraints=needed, type="phone", structured_value=PHONE),
        param("bare", constraints=needed, type="phone"),
        param("old", constraints={}),
    ]
    assert parameter_values.missing(rows, "ordering") == ["empty", "bare"]
    assert parameter_values.missing(rows, "fulfillment") == ["later"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
entries = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c", "x"])},
    optional={
        "value": json_values, "structured_value": json_values, "value_error": json_values,
    },
)  # fmt: skip


@examples(150)
@given(
    st.lists(
        st.sampled_from(["text", "phone", "address", "checkbox", "object", "dropdown"]),
        min_size=3,
        max_size=3,
    ),
    st.lists(entries | json_values, max_size=4) | json_values,
)
def test_any_input_is_filled_in_or_refused(kinds: list[str], inputs: Any) -> None:
    held = [param(name, type=kind) for name, kind in zip("abc", kinds, strict=True)]
    before = copy.deepcopy(held)
    try:
        params = parameter_values.fill(held, inputs, BOTH)
    except Invalid as invalid:
        assert invalid.messages and all(e.startswith("asset.params: ") for e in invalid.messages)
    else:
        assert [p["id"] for p in params] == ["a", "b", "c"]
        assert all(isinstance(p["value"], str) for p in params)
        assert all(isinstance(p["value_error"], str) for p in params)
        assert [p["type"] for p in params] == kinds
        # A returned value can be sent again.
        assert parameter_values.fill(params, copy.deepcopy(params), BOTH) == params
    assert held == before
