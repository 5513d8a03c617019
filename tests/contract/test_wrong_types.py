"""A value of the wrong JSON type is refused and changes nothing: in every field of every body.

The calls are those of `calls.WRITES`, their fields those of our OpenAPI document, so neither a new
action nor a new field needs a line here.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import connection

from connect_sim.api import schema_views
from sandbox.timeline import api_calls
from tests.api import Caller, Response
from tests.contract import calls
from tests.contract.writes import RECORDS, changes_rows
from tests.make import CONTACT
from tests.queue.platforms import undone

pytestmark = pytest.mark.django_db

# By JSON type; the first value is falsy, and must not be treated as a missing field.
VALUES: dict[str, list[Any]] = {
    "boolean": [False, True],
    "number": [0, 7],
    "string": ["", "x"],
    "array": [[], ["x"], [{}]],
    "object": [{}, {"x": 1}],
}
# Free texts: Connect accepts a number and stores its digits.
_WORDS = re.compile(r"(?!external_|instance_|tax_)(\w+_)?id|type|status|scope|phase")
# Missing parents of a field in a body.
_MISSING: dict[str, Any] = {"contact_info": CONTACT, "structured_value": {}}
# By path: a writable parameter of the object.
_PARAMETERS = {
    "/requests": "region", "/requests/{}": "activation_id", "/requests/{}/pend": "data_region",
    "/requests/{}/validate": "data_region", "/tier/config-requests": "partner_agreement",
    "/tier/config-requests/{}": "partner_tenant",
    "/tier/config-requests/{}/pend": "partner_agreement",
    "/tier/config-requests/{}/validate": "partner_agreement",
}  # fmt: skip

# Exceptions: operation, field and value with wildcards, and the reason. Unused rows fail.
TAKEN: dict[str, str] = {
    "POST /usage/records/close-records []*: 206": "each entry is answered by itself",
}


class Field(NamedTuple):
    """A field of a body: its keys (`[]`: first of a list) and types."""

    path: tuple[str, ...]
    kinds: frozenset[str]

    def __str__(self) -> str:
        return ".".join(self.path)


def fields(schema: Any, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Yield the fields of a schema, including nested ones."""
    alternatives = [_resolved(each) for each in _alternatives(schema)]
    kinds = frozenset(kind for each in alternatives for kind in _kinds(each, path))
    if path and kinds:
        yield Field(path, kinds)
    for each in alternatives:
        for name, inner in each.get("properties", {}).items():
            yield from fields(inner, (*path, name))
        if "items" in each:
            yield from fields(each["items"], (*path, "[]"))


def _alternatives(schema: Any) -> list[Any]:
    return list(schema.get("anyOf") or schema.get("allOf") or [schema])


def _resolved(schema: Any) -> Any:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    return schema_views.document()["components"]["schemas"][name]


def _kinds(schema: Any, path: tuple[str, ...]) -> set[str]:
    kind = {"integer": "number"}.get(schema.get("type", ""), schema.get("type", ""))
    if kind != "string":
        return {kind} - {""}
    is_word = "enum" in schema or "format" in schema or _WORDS.fullmatch(path[-1])
    return {"string"} if is_word else {"string", "number"}


def wrong(field: Field) -> list[Any]:
    """Return values of types that the field does not have."""
    return [v for kind, values in VALUES.items() if kind not in field.kinds for v in values]


def with_value(body: Any, path: tuple[str, ...], value: Any, parameter: str) -> Any:
    """Return a copy of a body with a value at a path; create missing parents."""
    if not path:
        return value
    key, *rest = path
    if key == "[]":
        steps = list(body) if isinstance(body, list) else []
        first = steps[0] if steps else {"id": parameter}
        return [with_value(first, tuple(rest), value, parameter), *steps[1:]]
    node = dict(body) if isinstance(body, dict) else {}
    inner = node.get(key, _MISSING.get(key))
    return {**node, key: with_value(inner, tuple(rest), value, parameter)}


def bodies() -> dict[tuple[str, str], Any]:
    """Return the schema of the JSON body of every write, by method and path as `calls` has them."""
    bodies = {}
    for path, methods in schema_views.document()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                key = (method.upper(), re.sub(r"\{\w+\}", "{}", path))
                bodies[key] = content["application/json"]["schema"]
    return bodies


class Written:
    """Return whether a call has executed a writing statement."""

    def __init__(self) -> None:
        self.any = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.any |= changes_rows(sql)
        return execute(sql, params, many, context)


def rows() -> dict[str, Any]:
    """Return every row of the platform, as values."""
    return {
        model._meta.label: sorted(map(repr, model._default_manager.values_list()))
        for model in apps.get_models()
        if model._meta.db_table not in RECORDS
    }


def refusal(caller: Caller, method: str, path: str, body: Any) -> tuple[Response, bool]:
    """Make a call; return its response, and whether it changed nothing."""
    api_calls.flush()
    written = Written()
    after: Any = None
    with undone():
        with connection.execute_wrapper(written):
            response = caller.call(method, path, json.dumps(body))
        if written.any:
            after = rows()
    # Only a call that has written needs the comparison: it may have been rolled back.
    return response, not written.any or after == rows()


def finding(field: Field, response: Response, same: bool) -> str:
    """Return the problem of the response to a wrong type, empty if there is none."""
    if response.status != 400 or not same:
        return f"{response.status}{'' if same else ', and written'}"
    names = [key for key in field.path if key != "[]"]
    message = " ".join(response.json["errors"])
    return (
        "" if not names or re.search(rf"\b{names[-1]}\b", message) else f"400 of another: {message}"
    )


def check(callers: calls.Callers, operation: tuple[str, str], pick: Any) -> list[str]:
    """Return the findings of one operation."""
    method, path = operation
    call, schema = calls.WRITES[operation], bodies()[operation]
    findings = []
    with calls.ready(path, call, callers) as full:
        caller = callers[call.party]
        for field in fields(schema):
            for value in pick(wrong(field)):
                body = with_value(
                    copy.deepcopy(call.body), field.path, value, _PARAMETERS.get(path, "")
                )
                problem = finding(field, *refusal(caller, method, full, body))
                if problem:
                    findings.append(f"{method} {path} {field}={json.dumps(value)}: {problem}")
    return findings


def _some() -> Any:
    """Return a selection of values: by turns a falsy one, and for one field in four another one."""
    turns = itertools.count()

    def pick(values: list[Any]) -> list[Any]:
        turn = next(turns)
        falsy, truthy = ([v for v in values if bool(v) is truth] for truth in (False, True))
        others = truthy if turn % 4 == 0 else []
        return [kind[turn // 4 % len(kind)] for kind in (falsy, others) if kind]

    return pick


def _check_all(callers: calls.Callers, pick: Any) -> None:
    findings = [each for operation in sorted(bodies()) for each in check(callers, operation, pick)]
    used = {row: [f for f in findings if fnmatchcase(f, row.replace("[", "[[]"))] for row in TAKEN}
    accepted = {finding for findings in used.values() for finding in findings}
    lines = [finding for finding in findings if finding not in accepted]
    assert not lines, "\n".join(["", *lines])
    assert [row for row, findings in used.items() if not findings] == []


@pytest.fixture
def callers(vendor: Caller, distributor: Caller) -> calls.Callers:
    return {calls.VENDOR: vendor, calls.DISTRIBUTOR: distributor}


def test_wrong_type_is_refused_and_changes_nothing(callers: calls.Callers) -> None:
    _check_all(callers, _some())


@pytest.mark.nightly(
    reason="minutes: every value for every field; a fixed part of them runs each time"
)
def test_every_wrong_type_is_refused_and_changes_nothing(callers: calls.Callers) -> None:
    _check_all(callers, lambda values: values)
