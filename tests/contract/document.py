"""Validation of responses against Connect's OpenAPI document."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
_formats = FormatChecker(formats=())


# The document has both forms; clients parse dates by position, so we use one form only.
@_formats.checks("datetime")
@_formats.checks("date-time")
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or _DATE.fullmatch(value) is not None


@_formats.checks("email")
def _is_email(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None


# Connect's document has two parts: the first has most resources, the second the others. Each can be
# several files, separated as in PATH.
VARIABLES = ("CONNECT_OPENAPI", "CONNECT_OPENAPI_MORE")
MISSING = [name for name in VARIABLES if not os.environ.get(name)]


# Operations that neither part has, by the schema of their response: the document has the same at
# other paths. A list is in brackets. It has no response of a POST of a version, and the body of
# its PUT again.
SCHEMAS = {
    ("GET", "/assets/{}/usage/aggregates", 200): "[usage.UsageRecordAggregate]",
    ("GET", "/contracts/{}/versions/{}", 200): "dp.ContractVersion",
    ("GET", "/products/{}/versions", 200): "[dp.ProductVersion]",
    ("POST", "/products/{}/versions", 201): "dp.ProductVersion",
    ("GET", "/products/{}/versions/{}", 200): "dp.ProductVersion",
    ("PUT", "/products/{}/versions/{}", 200): "dp.ProductVersion",
    ("POST", "/products/{}/versions/{}/build", 200): "dp.ProductVersion",
    ("GET", "/products/{}/versions/{}/actions", 200): "[dp.ProductActions]",
    ("GET", "/products/{}/versions/{}/actions/{}", 200): "dp.ProductActions",
    ("GET", "/products/{}/versions/{}/actions/{}/actionLink", 200): "dp.ProductActions",
    ("GET", "/products/{}/versions/{}/items", 200): "[dp.UIItem]",
    ("GET", "/products/{}/versions/{}/items/{}", 200): "dp.UIItem",
    ("GET", "/products/{}/versions/{}/parameters", 200): "[dp.ParameterRead]",
    ("GET", "/products/{}/versions/{}/parameters/{}", 200): "dp.ParameterRead",
    ("GET", "/products/{}/versions/{}/templates", 200): "[dp.ProductTemplates]",
    ("GET", "/products/{}/versions/{}/templates/{}", 200): "dp.ProductTemplates",
}


def read(path: Path) -> Any:
    """Return a parsed document."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), loader)


def connects() -> Document:
    """Return Connect's document from the files that the environment variables name."""
    paths = [path for name in VARIABLES for path in os.environ[name].split(os.pathsep)]
    first, *others = (read(Path(path)) for path in paths)
    for other in others:
        first["paths"] |= other["paths"]
        for kind, entries in other["components"].items():
            first["components"].setdefault(kind, {}).update(entries)
    document = Document(first)
    for (method, path, status), name in SCHEMAS.items():
        schema: Any = {"$ref": f"#/components/schemas/{name.strip('[]')}"}
        if name.startswith("["):
            schema = {"type": "array", "items": schema}
        response = {"content": {"application/json": {"schema": schema}}}
        document.operations.setdefault((method, path), {"responses": {str(status): response}})
    return document


class Document:
    """The document; paths are compared with every `{name}` as `{}`."""

    def __init__(self, loaded: Mapping[str, Any]) -> None:
        self._components = loaded["components"]
        # The schema of errors that are not listed; a document without it lists all.
        self._error = (
            {"$ref": "#/components/responses/dp.create_400"}
            if "dp.create_400" in self._components.get("responses", {})
            else None
        )
        self._definitions = {
            name: _converted(schema) for name, schema in self._components["schemas"].items()
        }
        self.operations: dict[tuple[str, str], Mapping[str, Any]] = {
            (method.upper(), re.sub(r"\{[^}]+\}", "{}", path)): operation
            for path, methods in loaded["paths"].items()
            for method, operation in methods.items()
            if method.upper() in METHODS
        }

    def findings(self, method: str, path: str, status: int, body: Any) -> Iterator[str]:
        """Yield the violations of a response as `METHOD path status place: what`."""
        name = f"{method} {path} {status}"
        operation = self.operations.get((method, path))
        if operation is None:
            yield f"{method} {path}: not in the document"
            return
        response = operation["responses"].get(str(status))
        if status >= 400:
            # The document lists few statuses of errors, with one schema.
            response = response or self._error
        if response is None:
            yield f"{name}: not in the document"
            return
        if "$ref" in response:
            response = self._components["responses"][response["$ref"].rpartition("/")[2]]
        content = response.get("content")
        if not content:
            if body is not None:
                yield f"{name}: the document has no body"
            return
        if "application/json" not in content:
            # Text or a file: not parsed as JSON.
            if body is not None:
                yield f"{name}: JSON instead of {' or '.join(content)}"
            return
        schema = _converted(content["application/json"]["schema"] or self._detail(path))
        if status >= 400:
            # Clients parse an error only if it has both keys.
            schema["required"] = ["error_code", "errors"]
        for where, what in self._errors(schema, body):
            yield f"{name} {where or 'body'}: {what}"

    def filters(self, path: str) -> set[str]:
        """Return the filters of a list in the document."""
        # Our own paths have none.
        parameters = self.operations.get(("GET", path), {}).get("parameters", ())
        components = self._components["parameters"]
        rows = [components[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in parameters]
        return {row["name"] for row in rows if row["in"] == "query"} - {"limit", "offset"}

    def _detail(self, path: str) -> Any:
        """Return the schema of the object if a write has no schema of its response."""
        read = self.operations.get(("GET", path if path.endswith("{}") else f"{path}/{{}}"), {})
        return read["responses"]["200"]["content"]["application/json"]["schema"]

    def _errors(self, schema: Any, body: Any) -> Iterator[tuple[str, str]]:
        whole = {**schema, "$defs": self._definitions}
        judge = Draft202012Validator(whole, format_checker=_formats)
        for error in judge.iter_errors(body):
            yield from described(error)


def described(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield place and problem; places omit indexes of lists."""
    where = ".".join(str(part) for part in error.absolute_path if isinstance(part, str))
    inside = f"{where}." if where else ""
    value = error.instance
    match error.validator:
        case "additionalProperties":
            properties = error.schema["properties"]
            yield from ((f"{inside}{key}", "extra") for key in value if key not in properties)
        case "required":
            key = re.match(r"'(.+?)' is a required", error.message)
            yield f"{inside}{key[1] if key else '?'}", "missing"
        case "type":
            yield where, f"{_named(value)} instead of {error.validator_value}"
        case "enum":
            yield where, f"{value!r} is none of the words"
        case "oneOf":
            yield where, "fits none of the forms"
        case "format":
            yield where, f"{value!r} is no {error.validator_value}"
        case _:
            yield where, f"breaks {error.validator}"


def _named(value: Any) -> str:
    names = {
        type(None): "null",
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return names[type(value)]


def _converted(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as the JSON Schema of a response.

    `nullable` becomes a type; write-only properties may be missing; an object with properties
    has no others, so that misspelled keys are found.
    """
    if isinstance(schema, list):
        return [_converted(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref'].rpartition('/')[2]}"}
    converted = {key: _converted(value) for key, value in schema.items() if key != "properties"}
    properties = schema.get("properties")
    if properties is not None:
        converted["properties"] = {key: _converted(value) for key, value in properties.items()}
        converted.setdefault("additionalProperties", False)
        written = {k for k, v in properties.items() if v.get("writeOnly")}
        converted["required"] = [k for k in schema.get("required", ()) if k not in written]
    if schema.get("nullable"):
        if "type" not in converted:
            return {"anyOf": [converted, {"type": "null"}]}
        converted["type"] = [converted["type"], "null"]
        if "enum" in converted:
            converted["enum"] = [*converted["enum"], None]
    return converted
