"""The OpenAPI document as JSON, as YAML, in Swagger UI, and as the published client's copy."""

from __future__ import annotations

from functools import cache

import yaml
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.swagger import SwaggerPage
from requests_queue.api import fast_json
from requests_queue.api.schema import Json

_JSON, _YAML = "application/json", "application/yaml"
_CLIENT_KEYS = ("operationId", "summary", "description", "parameters")
_CLIENT_METHODS = ("get", "post", "put", "delete")
# Collections whose name the client's library of English has no singular for.
_NO_SINGULAR = ("media",)


@cache
def document() -> Json:
    """Return the OpenAPI document, which is generated once per process."""
    schema: Json = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return schema


def client_copy(document: Json) -> Json:
    """Return the document in the form that connect-openapi-client 35 reads.

    The client loads it once with a slow YAML reader, so it has only what the client uses. The
    client refuses unknown paths locally. It identifies a path by its segments, where a placeholder
    matches anything, and its `help()` takes each fixed segment below a collection for a part of
    the collection's objects: so an action of the collection, such as
    `POST /usage/records/close-records`, is listed below `/usage/records/{id}`.
    """
    paths: dict[str, Json] = {}
    for path_, methods in document["paths"].items():
        if is_left_out(path_, document["paths"]):
            continue
        for method, operation in methods.items():
            if method in _CLIENT_METHODS:
                operations = paths.setdefault(_client_path(path_, document["paths"]), {})
                operations.setdefault(method, _client_operation(operation))
    return {
        "openapi": document["openapi"],
        "info": document["info"],
        "paths": paths,
        "components": {"parameters": document["components"]["parameters"]},
    }


def is_left_out(path: str, paths: Json) -> bool:
    """Return whether the client's `help()` fails on the path.

    It fails on an id below an action, which only has POST, and on names without a singular.
    """
    parent, _, last = path.rpartition("/")
    if not last.startswith("{"):
        return False
    is_below_action = list(paths.get(parent, ())) == ["post"]
    return is_below_action or parent.rpartition("/")[2] in _NO_SINGULAR


def _client_path(path: str, paths: Json) -> str:
    parent, _, last = path.rpartition("/")
    detail = f"{parent}/{{id}}"
    return path if last.startswith("{") or detail not in paths else detail


def _client_operation(operation: Json) -> Json:
    copy = {key: operation[key] for key in _CLIENT_KEYS if key in operation}
    query = [p for p in copy.pop("parameters", ()) if p.get("in") != "path"]
    return {**copy, "parameters": query} if query else copy


@cache
def _rendered(format_: str) -> bytes:
    if format_ == "json":
        return fast_json.encode(document())
    content = document() if format_ == "yaml" else client_copy(document())
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(content, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


class _Public(APIView):
    """A view without authentication: the published client sends no API key."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class Schema(_Public):
    """`/public/v1/schema`: the OpenAPI document; `?format=json`, `?format=yaml`, or by Accept."""

    def get(self, request: Request) -> HttpResponse:
        """Return 200 with the document, as JSON by default; 400 for an unknown format."""
        format_ = request.query_params.get("format")
        if format_ not in (None, "json", "yaml"):
            raise ValidationError({"format": "Must be json or yaml."})
        accept = request.headers.get("Accept", "")
        if format_ == "yaml" or (format_ is None and ("yaml" in accept or ".oai." in accept)):
            return HttpResponse(_rendered("yaml"), content_type=_YAML)
        return HttpResponse(_rendered("json"), content_type=_JSON)


class ClientCopy(_Public):
    """`/connect-openapi30.yml`: what connect-openapi-client reads with `use_specs=True`."""

    def get(self, request: Request) -> HttpResponse:
        """Return 200 with paths, summaries and filters, without the types of bodies."""
        return HttpResponse(_rendered("client"), content_type=_YAML)


api_urlpatterns = [
    path("schema", Schema.as_view(), name="schema"),
    path("docs", SwaggerPage.as_view(url_name="schema")),
]
urlpatterns = [path("connect-openapi30.yml", ClientCopy.as_view())]
