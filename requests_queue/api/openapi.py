"""Types and request bodies as OpenAPI 3.0 schemas: each TypedDict and Input becomes a component.

drf-spectacular lists the endpoints and builds the document; what an operation has is ours.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from functools import partial
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from django.core.validators import RegexValidator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from rest_framework import serializers

from requests_queue.api.fields import Choice, Input, List
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import AnyReference, Form, Json

_BASIC = {str: "string", int: "integer", float: "number", bool: "boolean"}
# The fields of bodies by the class of Django REST Framework that they derive from.
_FIELDS: dict[type, Json] = {
    serializers.CharField: {"type": "string"},
    serializers.BooleanField: {"type": "boolean"},
    serializers.IntegerField: {"type": "integer"},
    serializers.FloatField: {"type": "number", "format": "double"},
    serializers.DateTimeField: {"type": "string", "format": "date-time"},
    serializers.DictField: {"type": "object", "additionalProperties": {}},
    serializers.JSONField: {},
}


class Components:
    """The components of one document, filled as types are met."""

    def __init__(self, registry: ComponentRegistry) -> None:
        self.registry = registry

    def schema(self, hint: Any) -> Json:
        """Return the schema of a type; raises TypeError for one that JSON hasn't."""
        if isinstance(hint, list):
            return {"type": "array", "items": self.schema(hint[0])}
        if hint is Any or hint is object:
            return {}
        if hint in _BASIC:
            return {"type": _BASIC[hint]}
        if isinstance(hint, Part):
            return self._component(hint.name, partial(self._part, hint))
        if is_typeddict(hint):
            return self._component(hint.__name__, partial(self._object, hint))
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return {**self.schema(inner[0]), **inner[1].words}
        if origin in (Required, NotRequired):
            return self.schema(inner[0])
        if origin is Literal:
            return {"type": _BASIC[type(inner[0])], "enum": list(inner)}
        if origin is list:
            return {"type": "array", "items": self.schema(inner[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.schema(inner[1])}
        if origin in (Union, types.UnionType):
            return self._either(inner)
        raise TypeError(f"{hint!r} has no place in the document.")

    def _either(self, hints: tuple[Any, ...]) -> Json:
        schemas = [self.schema(hint) for hint in hints if hint is not type(None)]
        found = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        return _nullable(found) if type(None) in hints else found

    def _component(self, name: str, build: Callable[[], Json]) -> Json:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=name, type=ResolvedComponent.SCHEMA, object=name
        )
        if component not in self.registry:
            # Known before it is made: types may refer to each other in a circle.
            component.schema = {"type": "object"}
            self.registry.register(component)
            self.registry[component].schema = build()
        reference: Json = component.ref
        return reference

    def _part(self, part: Part) -> Json:
        found: Json = {
            "type": "object",
            "properties": {key: self._field(field) for key, field in part.fields.items()},
            "description": part.description,
        }
        required = [key for key, field in part.fields.items() if not field.optional]
        return {**found, "required": required} if part.required and required else found

    def _field(self, field: Field) -> Json:
        if field.empty == {} and (not isinstance(field.type, Part) or field.type.required):
            return self.schema(AnyReference)
        found = self.schema(field.type)
        if isinstance(field, Many):
            return {"type": "array", "items": found}
        return _nullable(found) if field.empty is None else found

    def _object(self, kind: Any) -> Json:
        hints = get_type_hints(kind, include_extras=True)
        found: Json = {
            "type": "object",
            "properties": {name: self.schema(hint) for name, hint in hints.items()},
        }
        if kind.__doc__ and not kind.__doc__.startswith("dict("):
            found["description"] = " ".join(kind.__doc__.split())
        if kind.__required_keys__:
            found["required"] = [name for name in hints if name in kind.__required_keys__]
        return found

    def body(self, body: Input) -> Json:
        """Return a reference to the component of a body; a partial one is an `…Update`."""
        name = type(body).__name__
        name = name.replace("Input", "Update") if body.partial else name
        return self._component(name, partial(self._body, body))

    def _body(self, body: Input) -> Json:
        found: Json = {
            "type": "object",
            "properties": {name: self.body_field(field) for name, field in body.fields.items()},
        }
        if body.__doc__:
            found["description"] = inspect.cleandoc(body.__doc__)
        required = [name for name, field in body.fields.items() if field.required]
        return {**found, "required": required} if required and not body.partial else found

    def body_field(self, field: Any) -> Json:
        """Return the schema of a field of a body, or of a query."""
        if isinstance(field, Input):
            found = self.body(field)
            if field.also_text:
                return {"anyOf": [found, {"type": "string"}]}
            return _nullable(found) if field.allow_null else found
        if hasattr(field, "openapi"):
            found = dict(field.openapi)
        elif isinstance(field, List):
            found = {"type": "array", "items": self.body_field(field.child)}
        elif isinstance(field, Choice):
            found = {"type": "string", "enum": [*field.choices, *[None] * field.allow_null]}
        else:
            found = next(dict(_FIELDS[kind]) for kind in type(field).__mro__ if kind in _FIELDS)
            for validator in field.validators:
                if isinstance(validator, RegexValidator):
                    expression: Any = validator.regex
                    found["pattern"] = expression.pattern.replace(r"\Z", "$")
        if field.help_text:
            found["description"] = field.help_text
        limits = {
            "maxItems" if isinstance(field, List) else "maxLength": "max_length",
            "minimum": "min_value",
            "maximum": "max_value",
        }
        for key, name in limits.items():
            if key not in found and getattr(field, name, None) is not None:
                found[key] = getattr(field, name)
        if found.get("type") == "integer" and found["maximum"] >= 2**31:
            found["format"] = "int64"
        return found | {"nullable": True} if field.allow_null else found


def _nullable(schema: Json) -> Json:
    if "$ref" in schema:
        # In OpenAPI 3.0 nothing may stand beside a reference.
        schema = {"allOf": [schema]}
    elif "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return schema | {"nullable": True}


class OperationSchema(AutoSchema):
    """One operation of a document; subclasses say what it has."""

    def get_operation(
        self,
        path: str,
        path_regex: str,
        path_prefix: str,
        method: str,
        registry: ComponentRegistry,
    ) -> Json:
        """Return the operation; its components are added to the registry."""
        self.path, self.method, self.registry = path, method.upper(), registry
        operation: Json = {
            "operationId": self.get_operation_id(),
            "description": self.get_description(),
            "summary": self.get_summary(),
            "parameters": self.parameters(),
            "tags": self.get_tags(),
            "requestBody": self.request_body(),
            "security": self.get_auth(),
            "responses": self.responses(),
        }
        return {key: value for key, value in operation.items() if value}

    @property
    def call(self) -> str:
        """The name of the view's method, or of the queue's action."""
        raise NotImplementedError

    def parameters(self) -> list[Json]:
        """Return the parameters in the path and in the query."""
        raise NotImplementedError

    def request_body(self) -> Json | None:
        """Return the request body; None if there is none."""
        raise NotImplementedError

    def responses(self) -> Json:
        """Return the responses by status."""
        raise NotImplementedError

    def json_body(self, body: Input | List) -> Json:
        """Return the OpenAPI request body of a serializer, or of a list of them."""
        components = Components(self.registry)
        required = self.call == "create"
        if isinstance(body, List):
            schema = components.body_field(body) | {"nullable": False}
        else:
            schema = components.body(body)
            required |= not body.partial and any(f.required for f in body.fields.values())
        return {"content": {"application/json": {"schema": schema}}, "required": required}

    def form_body(self, form: Form) -> Json:
        """Return the OpenAPI request body of a form."""
        properties: Json = {name: {"type": _BASIC[kind]} for name, kind in form.plain.items()}
        file = {"type": "string", "format": "binary"}
        properties |= {name: {"type": "array", "items": file} for name in form.many}
        properties[form.field] = file
        schema: Json = {"type": "object", "properties": properties}
        if self.call != "update":
            schema["required"] = [form.field]
        return {"content": {"multipart/form-data": {"schema": schema}}, "required": True}
