"""The OpenAPI document of `/sandbox/…`: valid, whole, and true for what the views answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from checks import trace_file
from extensions import tls
from sandbox import urls
from sandbox.api import schema
from sandbox.models import CheckRun
from sandbox.timeline import timeline
from tests.api import Caller
from tests.portal import delivery_rows
from tests.queue.catalog import product_workbooks
from tests.sandbox import worlds
from tests.sandbox.calling import CheckedCaller, checked_document, template_of
from tests.sandbox.pages.conftest import program
from tests.sandbox.pages.programs import Program, join
from tests.sandbox.snapshot_files import files
from tests.unit.checks import traces
from webhooks.models import Delivery

__all__ = ["program"]

_WITHOUT = {"schema", "docs", "docs/<path:name>", "mcp"}


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


# A call of each operation but three: two send a file, and a run of checks goes on. Path and
# body may name the ids of answers before it.
CALLS = """
GET version
GET status
POST products {} -> product
GET products/{product}
GET products/{product}/export
POST snapshots {"name": "a", "patience": 0}
POST holds {"note": "n"} -> hold
GET holds
GET readings
PUT readings {"jwt_header": "both"}
POST extensions {} -> extension
GET extensions
PUT extensions/{extension} {"products": []}
GET extensions/{extension}/forecast
GET clock
POST clock/advance {"by": "1m", "patience": 0}
DELETE holds/{hold}
POST clock/next {"patience": 0}
POST clock/run-until-idle {"patience": 0, "max_steps": 1}
POST settle {"url": "http://h/", "ms": 5}
GET settle
POST lease {"note": "n"} -> lease
GET lease
PUT lease/{lease} {}
DELETE lease/{lease}
POST queue/samples {"queue": "fulfillment", "draft": true} -> draft
POST queue/validate {"id": "{draft}"}
POST queue/samples {"queue": "helpdesk"} -> case
POST queue/moves {"id": "{case}", "action": "inquire"}
POST queue/samples {"queue": "fulfillment", "product": "{product}"} -> order
POST faults {"kind": "abort", "side": "api", "ttl": 60} -> fault
GET faults/{fault}
POST faults/{fault}/release {}
GET faults
DELETE faults/{fault}
DELETE faults
GET webhooks/{hook}/forecast
POST wait {"until": {"status": {"object": "{order}", "is": "pending"}}}
GET cursor
GET timeline?since=0.0
GET coverage?stubs=node
POST trace-file {"name": "it", "since": "0.0"}
GET api-calls?since=0.0
GET deliveries
GET deliveries/{delivery}
POST deliveries/{delivery}/send-again {}
GET checks
GET snapshots
GET snapshots/a/diff/now
GET snapshots/a/file?secrets=true
POST snapshots/a/restore {"patience": 0}
DELETE snapshots/a
POST reset {"patience": 0}
"""


def test_answer_of_every_operation_is_as_the_document_says(
    saved: worlds.Rows, vendor: Caller, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "opener", lambda: 8443)
    client = CheckedCaller(vendor.key)
    hook = worlds.webhook(vendor, "http://127.0.0.1:9/")["id"]
    worlds.ok(vendor.post(f"/notifications/webhooks/{hook}/trigger", {}))
    triggered = Delivery.objects.get()
    delivery_rows.attempt(triggered)
    names = {"hook": hook, "delivery": str(triggered.pk)}
    worlds.ok(client.post("/sandbox/checks", {"webhook": hook}))
    join(CheckRun.objects.get())
    product_workbooks.sent(client, product_workbooks.exported(client, worlds.PLAIN))
    files.imported(client, files.exported(client, "seed"), name="imported")
    worlds.ok(files.send(client, trace_file.pack(traces.content()), to="traces"))
    called = {
        ("POST", product_workbooks.IMPORT),
        ("POST", "/sandbox/snapshot-files"),
        ("POST", "/sandbox/traces"),
        ("POST", "/sandbox/checks"),
    }
    for line in CALLS.strip().splitlines():
        text, _, name = line.partition(" -> ")
        for known, value in names.items():
            text = text.replace(f"{{{known}}}", value)
        method, path, *body = text.split(" ", 2)
        answer = worlds.ok(client.call(method, f"/sandbox/{path}", *body))
        called.add((method, template_of(method, f"/sandbox/{path.partition('?')[0]}")))
        if name:
            names[name] = answer["id"]
    assert called == set(checked_document().operations)


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
