"""JSON Schema (2020-12) of the operations of `/sandbox/…`, made of their OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from requests_queue.api.schema import UNTRUSTED, Json
from sandbox.api.schema import document

_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/$defs/"
# Words of OpenAPI 3.0 that JSON Schema doesn't have.
_DROPPED = ("nullable", "example")


def arguments(method: str, path: str) -> Json:
    """Return the schemas of the parameters of an operation, in its query and its body, by name."""
    operation = document()["paths"][path][method]
    found = {
        each["name"]: {**each["schema"], "description": each["description"]}
        for each in operation.get("parameters", ())
        if each["in"] == "query"
    }
    if body := operation.get("requestBody"):
        found |= _component(body["content"]["application/json"]["schema"])["properties"]
    return {name: _converted(schema) for name, schema in found.items()}


def required(method: str, path: str) -> set[str]:
    """Return the names of the parameters without which an operation is refused."""
    operation = document()["paths"][path][method]
    body = operation.get("requestBody")
    found = _component(body["content"]["application/json"]["schema"]) if body else {}
    return set(found.get("required", ()))


def answer(method: str, path: str, status: int) -> Json:
    """Return the schema of an operation's response, which refers to `$defs`."""
    responses = document()["paths"][path][method]["responses"]
    return _converted(responses[str(status)]["content"]["application/json"]["schema"])


def with_definitions(schema: Json) -> Json:
    """Return a schema with the definitions that it refers to, at any depth."""
    found: Json = {}
    missing = set(_references(schema))
    while missing:
        name = missing.pop()
        found[name] = _converted(document()["components"]["schemas"][name])
        missing |= set(_references(found[name])) - found.keys()
    return {**schema, "$defs": dict(sorted(found.items()))} if found else schema


def untrusted(schema: Any, name: str = "") -> Iterator[str]:
    """Yield the names of the properties in a schema that are marked, perhaps twice."""
    if isinstance(schema, list):
        for each in schema:
            yield from untrusted(each, name)
    elif isinstance(schema, dict):
        if schema.get(UNTRUSTED):
            yield name
        for key, value in schema.items():
            if key in ("properties", "$defs"):
                for inner, each in value.items():
                    yield from untrusted(each, inner)
            else:
                yield from untrusted(value, name)


def _component(schema: Json) -> Json:
    name = schema["$ref"].removeprefix(_COMPONENTS)
    found: Json = document()["components"]["schemas"][name]
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix(_DEFINITIONS)
        for value in schema.values():
            yield from _references(value)


def _converted(schema: Json) -> Json:
    """Return a schema of OpenAPI 3.0 in the words of JSON Schema."""
    found: Json = {}
    for word, value in schema.items():
        if word == "$ref":
            found[word] = value.replace(_COMPONENTS, _DEFINITIONS)
        elif word == "allOf" and len(value) == 1:
            # In OpenAPI 3.0 nothing may stand beside a reference.
            found |= _converted(value[0])
        elif word == "properties":
            found[word] = {name: _converted(each) for name, each in value.items()}
        elif word in ("items", "additionalProperties") and isinstance(value, dict):
            found[word] = _converted(value)
        elif word in ("anyOf", "allOf", "oneOf"):
            found[word] = [_converted(each) for each in value]
        elif word not in _DROPPED:
            found[word] = value
    if not schema.get("nullable"):
        return found
    if isinstance(found.get("type"), str):
        return {**found, "type": [found["type"], "null"]}
    return {"anyOf": [found, {"type": "null"}]}
