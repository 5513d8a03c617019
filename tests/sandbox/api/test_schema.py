"""The OpenAPI document of `/sandbox/…`: valid, whole, and true for what the views answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from sandbox import urls
from sandbox.api import schema
from sandbox.timeline import timeline
from tests.api import Caller

_WITHOUT = {"schema", "docs"}


def test_document_is_valid_and_made_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    schema.document.cache_clear()
    document = schema.document()
    validate_schema(document)
    assert not GENERATOR_STATS
    assert capsys.readouterr().err == ""
    assert document["openapi"].startswith("3.0")
    assert document["components"]["securitySchemes"]["ApiKey"]["name"] == "Authorization"


def test_every_route_and_method_is_in_the_document() -> None:
    documented = {
        (path.replace("{", "<str:").replace("}", ">"), method)
        for path, methods in schema.document()["paths"].items()
        for method in methods
    }
    expected = {
        (f"/sandbox/{pattern.pattern}", method)
        for pattern in urls.api_urlpatterns
        for method in _methods(pattern)
    }
    assert documented == expected


def _methods(pattern: URLPattern) -> list[str]:
    if str(pattern.pattern) in _WITHOUT:
        return []
    view: Any = pattern.callback
    return [name for name in ("get", "post", "put", "delete") if hasattr(view.cls, name)]


def test_every_operation_has_texts_and_types() -> None:
    ids = []
    for methods in schema.document()["paths"].values():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            assert operation["summary"] and operation["description"] and operation["tags"]
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], parameter
            [success] = [int(status) for status in operation["responses"] if status < "300"]
            assert ("content" in operation["responses"][str(success)]) is (success != 204)
            assert method != "post" or "requestBody" in operation
    assert len(set(ids)) == len(ids)


@pytest.mark.django_db
def test_every_operation_needs_a_key(nobody: Caller) -> None:
    for path, methods in schema.document()["paths"].items():
        for method in methods:
            response = nobody.call(method.upper(), re.sub(r"{\w+}", "x", path))
            assert response.status == 401, (method, path)


def test_kinds_of_the_document_are_those_of_the_timeline() -> None:
    entry = schema.document()["components"]["schemas"]["Entry"]
    assert tuple(entry["properties"]["kind"]["enum"]) == timeline.KINDS


@pytest.mark.django_db
def test_document_and_swagger_need_no_key(client: Client) -> None:
    response = client.get("/sandbox/schema")
    assert response.status_code == 200
    assert response.json() == schema.document()
    for path in ("/sandbox/docs", "/public/v1/docs"):
        page = client.get(path)
        assert page.status_code == 200
        assert f'<script src="{path}?script="></script>' in page.content.decode()
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert "script-src" not in page.headers["Content-Security-Policy"]
        script = client.get(f"{path}?script=")
        assert script.headers["Content-Type"].startswith("application/javascript")
        assert path.replace("docs", "schema") in script.content.decode()
        assert b"https://" not in page.content + script.content
