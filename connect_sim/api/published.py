"""Where the OpenAPI document is read: JSON, YAML, Swagger UI, and the published client's copy."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import yaml
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from connect_sim.api.client_copy import client_copy
from requests_queue.schema import Json

_JSON, _YAML = "application/json", "application/yaml"


@cache
def document() -> Json:
    """Return the document; it is the same as long as the process lives."""
    found: Json = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return found


@cache
def _written(which: str) -> bytes:
    match which:
        case "json":
            return json.dumps(document(), ensure_ascii=False).encode()
        case "yaml":
            return _as_yaml(document())
    return _as_yaml(client_copy(document()))


def _as_yaml(value: Any) -> bytes:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


class Public(APIView):
    """What everybody may read, without an API key: the published client sends none."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class Schema(Public):
    """`/public/v1/schema`: the OpenAPI document; `?format=json`, `?format=yaml`, or by Accept."""

    def get(self, request: Request) -> HttpResponse:
        """Answer 200 with the document, JSON unless YAML is asked for; 400 for another format."""
        wanted = request.query_params.get("format")
        if wanted not in (None, "json", "yaml"):
            raise ValidationError({"format": "json or yaml."})
        accepted = request.headers.get("Accept", "")
        if wanted == "yaml" or (wanted is None and ("yaml" in accepted or ".oai." in accepted)):
            return HttpResponse(_written("yaml"), content_type=_YAML)
        return HttpResponse(_written("json"), content_type=_JSON)


class ClientCopy(Public):
    """`/connect-openapi30.yml`: what connect-openapi-client reads with `use_specs=True`."""

    def get(self, request: Request) -> HttpResponse:
        """Answer 200 with paths, summaries and filters, without the types of bodies."""
        return HttpResponse(_written("client"), content_type=_YAML)


class Swagger(SpectacularSwaggerView):
    """`/public/v1/docs`: Swagger UI on the document, from files of our own."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = [TemplateHTMLRenderer]
    url_name = "schema"


api_urlpatterns = [
    path("schema", Schema.as_view(), name="schema"),
    path("docs", Swagger.as_view()),
]
urlpatterns = [path("connect-openapi30.yml", ClientCopy.as_view())]
