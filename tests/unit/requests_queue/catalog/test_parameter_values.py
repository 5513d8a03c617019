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


def refused(held: dict[str, Any], *, phases: Any = ORDERING, **entry: Any) -> str:
    with pytest.raises(Invalid) as raised:
        filled(held, phases=phases, **entry)
    [message] = raised.value.messages
    return message


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


@pytest.mark.parametrize(
    ("value", "stored"),
    [("x", "x"), ("", ""), (None, ""), (7, "7"), (1.5, "1.5"), (True, "true"), (False, "false")],
)
def test_values_are_strings(value: Any, stored: str) -> None:
    assert filled(param(value="before"), value=value)["value"] == stored


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


def test_parameter_of_another_phase_may_be_sent_unchanged_only() -> None:
    held = param(phase="fulfillment", value="t-1", value_error="Wrong")
    # Clients send whole objects back.
    assert filled(held, value="t-1", value_error="Wrong", title="Echo") == held
    assert "fulfillment phase" in refused(held, value="t-2")
    assert "fulfillment phase" in refused(held, value_error="")
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
    assert "value_error must be a string" in refused(param(), value_error=["x"])


def test_choice_is_one_of_the_choices_or_empty() -> None:
    held = param(type="dropdown", value_choices=[{"value": "eu"}, {"value": "us"}])
    assert filled(held, value="us")["value"] == "us"
    assert filled({**held, "value": "us"}, value="")["value"] == ""
    assert refused(held, value="mars").endswith("'mars' is not one of eu, us.")
    # Without a list of choices any value is valid.
    assert filled(param(type="choice", value_choices=[]), value="x")["value"] == "x"


def test_structured_values_are_stored_and_flattened() -> None:
    phone = filled(param(type="phone"), structured_value=PHONE)
    assert (phone["structured_value"], phone["value"]) == (PHONE, "+15550100")
    address = filled(param(type="address"), structured_value=ADDRESS)
    assert address["value"] == "1 Harbour Road, Portland, OR, 97201, US"
    boxes = filled(param(type="checkbox"), structured_value={"b": False, "a": True})
    assert boxes["value"] == '{"a": true, "b": false}'
    # As some clients send it.
    assert filled(param(type="phone"), value=PHONE)["structured_value"] == PHONE


def test_structured_value_of_a_plain_type_is_refused() -> None:
    assert "no such structured_value" in refused(param(), structured_value={"a": 1})
    assert "no such structured_value" in refused(param(type="object"), structured_value=[1])
    assert "value must be a string" in refused(param(), value={"a": 1})
    # Clients of CloudBlue send an empty string for none.
    assert filled(param(), structured_value="", value="x")["value"] == "x"
    assert filled(param(), structured_value=None, value="x")["value"] == "x"


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


def test_empty_value_beside_a_structured_value_keeps_it() -> None:
    result = filled(param(type="phone"), structured_value=PHONE, value="")
    assert (result["structured_value"], result["value"]) == (PHONE, "+15550100")


def test_object_is_json() -> None:
    result = filled(param(type="object"), value='{"a": [1]}')
    assert (result["structured_value"], result["value"]) == ({"a": [1]}, '{"a": [1]}')
    assert filled(param(type="object"), value="[7]")["structured_value"] == [7]


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
