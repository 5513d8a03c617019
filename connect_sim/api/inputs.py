"""Request bodies in the OpenAPI document: the serializers of `requests_queue.fields`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema

from requests_queue.fields import Choice, Input, List
from requests_queue.schema import Form, Json


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
        properties[form.field] = {"type": "string", "format": "binary"}
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
            schema = {"type": "string", "enum": [*field.words, *null]}
        elif isinstance(field, List):
            schema = {"type": "array", "items": self._map_serializer_field(field.child, *args)}
        elif isinstance(field, Input) and field.also_text:
            return {"anyOf": [self.resolve_serializer(field, "request").ref, {"type": "string"}]}
        else:
            schema = parent._map_serializer_field(field, *args)
            return schema
        return schema | {"nullable": True} if field.allow_null else schema
