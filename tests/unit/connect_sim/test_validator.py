"""The validator of `listen --validate`, and parameters as text for a terminal."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from connect_sim.cli import validator
from connect_sim.cli.validator import BadRule, Rule


def param(name: str, value: str = "", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "type": "text",
        "value": value,
        "value_error": "",
        "constraints": {"required": False},
        **more,
    }


def order(*params: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "PR-1",
        "type": "purchase",
        "status": "draft",
        "note": "as it was",
        "asset": {"id": "AS-1", "params": list(params)},
    }


def setup(*params: dict[str, Any]) -> dict[str, Any]:
    configured = [param("region", "of the configuration")]
    return {
        "id": "TCR-1",
        "type": "setup",
        "status": "draft",
        "params": list(params),
        "configuration": {"id": "TC-1", "params": configured},
    }


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("region=Not offered", Rule("region", "Not offered")),
        ("region=", Rule("region", "")),
        (" region = Not offered ", Rule("region", "Not offered")),
        ("region:uk=Not offered", Rule("region", "Not offered", "uk")),
        ("region:=Choose one", Rule("region", "Choose one", "")),
        # The first equals sign separates the target from the error.
        ("region=No: a=b, c:d", Rule("region", "No: a=b, c:d")),
        ("url:https://a.example.com=Not ours", Rule("url", "Not ours", "https://a.example.com")),
    ],
)
def test_rule_is_parsed(text: str, rule: Rule) -> None:
    assert validator.parse(text) == rule


@pytest.mark.parametrize(
    "text", ["", "region", "=Not offered", ":uk=Not offered", " =x", "region:uk"]
)
def test_malformed_rule_is_refused(text: str) -> None:
    with pytest.raises(BadRule):
        validator.parse(text)


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
def test_body_without_parameters_is_not_a_validation(body: bytes) -> None:
    assert validator.parse_object(body) is None


@pytest.mark.parametrize("obj", [order(param("region")), setup(param("region")), order()])
def test_body_with_parameters_is_a_validation(obj: dict[str, Any]) -> None:
    assert validator.parse_object(json.dumps(obj).encode()) == obj


@pytest.mark.parametrize("make", [order, setup])
@pytest.mark.parametrize(
    ("rules", "value", "error"),
    [
        (["region=Not offered"], "uk", "Not offered"),
        (["region="], "uk", ""),
        (["region:uk=Not offered"], "uk", "Not offered"),
        (["region:uk=Not offered"], "eu", ""),
        (["region:=Choose one"], "", "Choose one"),
        # A rule that does not apply does not clear the error of another one.
        (["region:uk=Not offered", "region:us=Not yet"], "uk", "Not offered"),
        (["region:us=Not yet", "region:uk=Not offered"], "uk", "Not offered"),
        # The first rule that applies wins.
        (["region:eu=", "region=Only eu"], "eu", ""),
        (["region:eu=", "region=Only eu"], "uk", "Only eu"),
    ],
)
def test_rules_set_and_clear_errors(make: Any, rules: list[str], value: str, error: str) -> None:
    obj = make(param("region", value, value_error="Old"), param("plan", value_error="Kept"))
    sent = copy.deepcopy(obj)
    result = validator.validate(obj, [validator.parse(text) for text in rules])
    expected = make(param("region", value, value_error=error), param("plan", value_error="Kept"))
    assert result.response == expected
    assert obj == sent


def test_validation_returns_log_lines_and_a_summary() -> None:
    obj = order(
        param("region", "uk"),
        param("secret", "hunter2", type="password"),
        param("empty", type="password"),
        param("site", structured_value={"city": "Galway"}),
        param("plan", "gold\x1b[2J", value_error="Old"),
    )
    rules = [Rule("region", "Not offered"), Rule("plan", ""), Rule("site", ""), Rule("rigeon", "x")]
    result = validator.validate(obj, rules)
    assert result.lines == [
        "validate PR-1 purchase draft",
        '  region = "uk"',
        "  secret = ********",
        '  empty = ""',
        '  site = {"city": "Galway"}',
        '  plan = "gold\\u001b[2J"',
        "warning: unknown parameter rigeon; available: region, secret, empty, site, plan",
    ]
    assert result.summary == 'region: "Not offered"; plan: error cleared; site: valid'
    nothing = validator.validate(order(), [Rule("region", "Not offered")])
    assert nothing.lines[1:] == ["warning: unknown parameter region; available: none"]
    assert nothing.summary == "nothing changed"


def test_changes_list_errors_first_and_omit_unchanged_parameters() -> None:
    before = [
        param("same"),
        param("fixed", "eu", value_error="Not offered"),
        param("changed", "1"),
        param("secret", "hunter2", type="password"),
        param("chosen", value_choices=[{"value": "a", "label": "A"}]),
        param("ruled"),
        param("still", "mars", value_error="No"),
        param("wrong", "x"),
    ]
    after = [
        param("same"),
        param("fixed", "eu"),
        param("changed", "2"),
        param("secret", "hunter3", type="password"),
        param("chosen", value_choices=[]),
        param("ruled", constraints={"required": True, "hidden": False}),
        param("still", "mars", value_error="No"),
        param("wrong", "y", value_error="Not y"),
    ]
    assert validator.describe_changes(before, after) == [
        'still = "mars": "No"',
        'wrong = "y": "Not y"; was "x"',
        'fixed = "eu": cleared "Not offered"',
        'changed = "2": was "1"',
        "secret = ********: was ********",
        'chosen = "": choices none',
        'ruled = "": required true; hidden false',
    ]
    assert validator.describe_changes(before[:1], after[:1]) == []


def test_long_value_is_truncated() -> None:
    assert validator.format_value(param("note", "x" * 500)) == f'"{"x" * 79}…'
