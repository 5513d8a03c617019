"""Types and serializers as OpenAPI 3.0 schemas: each TypedDict becomes a component."""

from __future__ import annotations

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

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from requests_queue.fields import Choice, Input, List
from requests_queue.resources import Field, Many, Part
from requests_queue.schema import AnyReference, Form, Json

_BASIC = {str: "string", int: "integer", float: "number", bool: "boolean"}


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


def _nullable(schema: Json) -> Json:
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    # In OpenAPI 3.0 nothing may stand beside a reference.
    return (
        {"allOf": [schema], "nullable": True}
        if "$ref" in schema
        else {
            **schema,
            "nullable": True,
        }
    )


class InputSchema(AutoSchema):
    """How drf-spectacular reads our serializers."""

    @property
    def call(self) -> str:
        """The name of the view's method, or of the queue's action."""
        raise NotImplementedError

    def json_body(self, body: Input | List) -> Json:
        """Return the OpenAPI request body of a serializer, or of a list of them."""
        required = self.call == "create"
        if isinstance(body, List):
            schema = self._map_serializer_field(body, "request") | {"nullable": False}
        else:
            schema = self.resolve_serializer(body, "request").ref
            required |= not body.partial and any(f.required for f in body.fields.values())
        return {"content": {"application/json": {"schema": schema}}, "required": required}

    def form_body(self, form: Form) -> Json:
        """Return the OpenAPI request body of a form."""
        types = {str: "string", int: "integer"}
        properties: Json = {name: {"type": types[kind]} for name, kind in form.plain.items()}
        file = {"type": "string", "format": "binary"}
        properties |= {name: {"type": "array", "items": file} for name in form.many}
        properties[form.field] = file
        schema: Json = {"type": "object", "properties": properties}
        if self.call != "update":
            schema["required"] = [form.field]
        return {"content": {"multipart/form-data": {"schema": schema}}, "required": True}

    def _get_serializer_name(self, serializer: Any, *args: Any) -> str:
        name: str = serializer.__class__.__name__
        return name.replace("Input", "Update") if serializer.partial else name

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Json:
        parent: Any = super()
        schema: Json = parent._map_basic_serializer(serializer, direction)
        if serializer.partial:
            schema.pop("required", None)
        return schema

    def _map_serializer_field(self, field: Any, *args: Any) -> Json:
        parent: Any = super()
        if hasattr(field, "openapi"):
            schema: Json = dict(field.openapi)
        elif isinstance(field, Choice):
            null = [None] if field.allow_null else []
            schema = {"type": "string", "enum": [*field.choices, *null]}
        elif isinstance(field, List):
            schema = {"type": "array", "items": self._map_serializer_field(field.child, *args)}
        elif isinstance(field, Input) and field.also_text:
            return {"anyOf": [self.resolve_serializer(field, "request").ref, {"type": "string"}]}
        else:
            schema = parent._map_serializer_field(field, *args)
            return schema
        return schema | {"nullable": True} if field.allow_null else schema
