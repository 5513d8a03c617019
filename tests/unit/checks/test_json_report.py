"""The results of checks as JSON, and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from checks.model import Report
from checks.outputs import json_report
from tests.unit.checks.reports import mixed, with_text

SCHEMA = json.loads(json_report.SCHEMA.read_text())


def comparable(one: Report) -> Report:
    """Return a report whose checks compare equal: a function is not in the document."""
    results = (replace(r, check=replace(r.check, run=print)) for r in one.results)
    return replace(one, results=tuple(results))  # type: ignore[arg-type]


def closed(schema: Any) -> Any:
    """Return a schema that allows only the properties that it names, and requires them all."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        assert sorted(schema["required"]) == sorted(schema["properties"])
        result["additionalProperties"] = False
    return result


def test_document_is_as_its_schema_says() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    document = json_report.as_json(mixed(notes=("A note.",)))
    assert list(Draft202012Validator(closed(SCHEMA)).iter_errors(document)) == []
    assert document["exit_code"] == 1
    assert document["counts"] == {
        "pass": 2,
        "fail": 1,
        "warning": 1,
        "known": 1,
        "inconclusive": 1,
        "skipped": 2,
    }


def test_report_is_read_back() -> None:
    one = mixed(strict=True, error="No.", output="a\n", notes=("A note.",))
    again = json_report.read(json_report.render(one))
    assert comparable(again) == comparable(one)
    with pytest.raises(RuntimeError, match="cannot be run"):
        again.results[0].check.run(None)  # type: ignore[arg-type]


@given(st.text(st.characters(codec=None)))
def test_any_text_is_read_back(text: str) -> None:
    one = with_text(text)
    rendered = json_report.render(one)
    assert rendered.isascii()
    assert comparable(json_report.read(rendered)) == comparable(one)


def test_properties_of_later_versions_are_ignored() -> None:
    document = json_report.as_json(mixed()) | {"more": 1}
    assert comparable(json_report.read(json.dumps(document))) == comparable(mixed())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "has format None"),
        ("{}", "has format None"),
        ('{"format": 2}', "has format 2; this version reads format 1"),
        ('{"format": true}', "has format True"),
        ('{"format": "1"}', "has format '1'"),
        ('{"format": 1}', "target is missing"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(json_report.BadReport, match=message) as caught:
        json_report.read(text)
    assert "\n" not in str(caught.value)


def _set(*path: Any) -> Callable[[Any], None]:
    *outer, last, value = path

    def change(document: Any) -> None:
        for key in outer:
            document = document[key]
        document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("seconds", True), "seconds has the wrong type"),
        (_set("seconds", -1), "seconds is too small"),
        (_set("seconds", float("nan")), "seconds is too large"),
        (_set("seed", 1.5), "seed has the wrong type"),
        (_set("strict", 0), "strict has the wrong type"),
        (_set("started_at", "today"), "started_at is no moment"),
        (_set("notes", ["a", None]), r"notes\[1\] has the wrong type"),
        (_set("results", {}), "results has the wrong type"),
        (_set("results", 1, []), r"results\[1\] has the wrong type"),
        (_set("results", 1, "outcome", "PASS"), r"results\[1\].outcome has the wrong value"),
        (_set("results", 1, "needs", ["x"]), r"results\[1\].needs\[0\] has the wrong value"),
        (_set("results", 1, "evidence", 0, "lines", "a"), r"\[0\].lines has the wrong type"),
        (_set("results", 1, "known_until", 5), r"results\[1\].known_until has the wrong type"),
        (_set("results", 1, "known_until", "2027-02-30"), r"known_until is no moment"),
    ],
)  # fmt: skip
def test_wrong_value_is_named_by_its_place(change: Callable[[Any], None], message: str) -> None:
    document = json_report.as_json(mixed())
    change(document)
    with pytest.raises(json_report.BadReport, match=message):
        json_report.read(json.dumps(document))
