"""What `listen --validate` makes of an object, and how parameters are told of in a terminal."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sandbox import parameters, validator
from sandbox.validator import BadRule, Rule


def param(name: str, value: str = "", **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "text", "value": value, "value_error": "",
            "constraints": {"required": False}, **more}  # fmt: skip


def order(*params: dict[str, Any]) -> dict[str, Any]:
    return {"id": "PR-1", "type": "purchase", "status": "draft", "note": "as it was",
            "asset": {"id": "AS-1", "params": list(params)}}  # fmt: skip


def setup(*params: dict[str, Any]) -> dict[str, Any]:
    configured = [param("region", "of the configuration")]
    return {"id": "TCR-1", "type": "setup", "status": "draft", "params": list(params),
            "configuration": {"id": "TC-1", "params": configured}}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("region=Not offered", Rule("region", "Not offered")),
        ("region=", Rule("region", "")),
        (" region = Not offered ", Rule("region", "Not offered")),
        ("region:uk=Not offered", Rule("region", "Not offered", "uk")),
        ("region:=Choose one", Rule("region", "Choose one", "")),
        # Only what stands before the first equals sign says what it is about.
        ("region=No: a=b, c:d", Rule("region", "No: a=b, c:d")),
        ("url:https://a.example.com=Not ours", Rule("url", "Not ours", "https://a.example.com")),
    ],
)
def test_a_rule_is_read(text: str, rule: Rule) -> None:
    assert validator.parse(text) == rule


@pytest.mark.parametrize(
    "text", ["", "region", "=Not offered", ":uk=Not offered", " =x", "region:uk"]
)
def test_a_rule_of_the_wrong_form_is_refused(text: str) -> None:
    with pytest.raises(BadRule) as refused:
        validator.parse(text)
    assert str(refused.value) == (f"--validate is PARAM=ERROR or PARAM:VALUE=ERROR, not {text!r}.")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'"params"', b"[" * 100_000,
        json.dumps({"webhook_id": "WH-1", "data": {"params": []}}).encode(),
        json.dumps({"id": "PR-1", "asset": {"id": "AS-1"}}).encode(),
        json.dumps({"id": "PR-1", "asset": {"params": {"id": "region"}}}).encode(),
        json.dumps({"id": "PR-1", "asset": {"params": ["region"]}}).encode(),
    ],
)  # fmt: skip
def test_what_shows_no_parameters_is_a_wake_up(body: bytes) -> None:
    assert validator.under_validation(body) is None


@pytest.mark.parametrize("shown", [order(param("region")), setup(param("region")), order()])
def test_what_shows_parameters_is_under_validation(shown: dict[str, Any]) -> None:
    assert validator.under_validation(json.dumps(shown).encode()) == shown


@pytest.mark.parametrize("make", [order, setup])
@pytest.mark.parametrize(
    ("rules", "value", "error"),
    [
        (["region=Not offered"], "uk", "Not offered"),
        (["region="], "uk", ""),
        (["region:uk=Not offered"], "uk", "Not offered"),
        (["region:uk=Not offered"], "eu", ""),
        (["region:=Choose one"], "", "Choose one"),
        # One that doesn't apply clears nothing that another says.
        (["region:uk=Not offered", "region:us=Not yet"], "uk", "Not offered"),
        (["region:us=Not yet", "region:uk=Not offered"], "uk", "Not offered"),
        # The first that applies.
        (["region:eu=", "region=Only eu"], "eu", ""),
        (["region:eu=", "region=Only eu"], "uk", "Only eu"),
    ],
)
def test_rules_set_and_clear_errors(make: Any, rules: list[str], value: str, error: str) -> None:
    shown = make(param("region", value, value_error="Old"), param("plan", value_error="Kept"))
    sent = copy.deepcopy(shown)
    done = validator.validate(shown, [validator.parse(text) for text in rules])
    wanted = make(param("region", value, value_error=error), param("plan", value_error="Kept"))
    assert done.answer == wanted
    assert shown == sent


def test_what_is_validated_is_told() -> None:
    shown = order(
        param("region", "uk"),
        param("secret", "hunter2", type="password"),
        param("empty", type="password"),
        param("site", structured_value={"city": "Galway"}),
        param("plan", "gold\x1b[2J", value_error="Old"),
    )
    rules = [Rule("region", "Not offered"), Rule("plan", ""), Rule("site", ""), Rule("rigeon", "x")]
    done = validator.validate(shown, rules)
    assert done.lines == [
        "validate PR-1 purchase draft",
        '  region = "uk"',
        "  secret = ********",
        '  empty = ""',
        '  site = {"city": "Galway"}',
        '  plan = "gold\\u001b[2J"',
        "warning: there is no parameter rigeon; there are region, secret, empty, site, plan",
    ]
    assert done.said == 'region: "Not offered"; plan is cleared; site is right'
    nothing = validator.validate(order(), [Rule("region", "Not offered")])
    assert nothing.lines[1:] == ["warning: there is no parameter region; there are none"]
    assert nothing.said == "nothing changed"


def test_a_comparison_tells_errors_first_and_only_what_changed() -> None:
    before = [
        param("same"),
        param("healed", "eu", value_error="Not offered"),
        param("changed", "1"),
        param("secret", "hunter2", type="password"),
        param("chosen", value_choices=[{"value": "a", "label": "A"}]),
        param("ruled"),
        param("still", "mars", value_error="No"),
        param("wrong", "x"),
    ]
    after = [
        param("same"),
        param("healed", "eu"),
        param("changed", "2"),
        param("secret", "hunter3", type="password"),
        param("chosen", value_choices=[]),
        param("ruled", constraints={"required": True, "hidden": False}),
        param("still", "mars", value_error="No"),
        param("wrong", "y", value_error="Not y"),
    ]
    assert parameters.compared(before, after) == [
        'still = "mars": "No"',
        'wrong = "y": "Not y"; was "x"',
        'healed = "eu": no longer "Not offered"',
        'changed = "2": was "1"',
        "secret = ********: was ********",
        'chosen = "": choices none',
        'ruled = "": required true; hidden false',
    ]
    assert parameters.compared(before[:1], after[:1]) == []


def test_long_values_are_cut() -> None:
    assert parameters.value_of(param("note", "x" * 500)) == f'"{"x" * 79}…'
