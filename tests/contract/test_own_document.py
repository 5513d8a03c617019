"""Our OpenAPI document matches the served operations and their responses."""

from __future__ import annotations

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from connect_sim.api import schema_views
from connect_sim.api.schema_views import client_copy, is_left_out
from tests.contract import routes
from tests.contract.document import Document
from tests.contract.observed import ObservedResponse

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(schema_views.document())


def test_every_response_matches_our_document(
    document: Document, called: list[ObservedResponse]
) -> None:
    findings = {
        finding
        for method, path, response in called
        for finding in document.findings(method, path, response.status, response.json)
    }
    assert not findings, "\n".join(["", *sorted(findings)])


def test_document_has_exactly_the_served_operations(document: Document) -> None:
    assert set(document.operations) == routes.operations()


def test_drf_spectacular_reports_no_warnings(tmp_path: object) -> None:
    call_command("spectacular", f"--file={tmp_path}/out.yml", "--validate", "--fail-on-warn")


def test_operations_and_parameters_have_descriptions() -> None:
    silent = [
        f"{method} {path}"
        for path, methods in schema_views.document()["paths"].items()
        for method, operation in methods.items()
        if not operation.get("summary")
        or not operation.get("description")
        or any("$ref" not in p and not p["description"] for p in operation.get("parameters", ()))
    ]
    assert silent == []


def test_document_is_public_as_json_and_yaml(client: Client) -> None:
    path = "/public/v1/schema"
    as_json = client.get(path)
    as_yaml = client.get(path, {"format": "yaml"})
    by_accept = client.get(path, headers={"accept": "application/yaml"})
    assert as_json.headers["Content-Type"] == "application/json"
    assert as_yaml.headers["Content-Type"] == "application/yaml"
    assert by_accept.content == as_yaml.content
    assert as_json.json() == schema_views.document()
    assert yaml.safe_load(as_yaml.content) == schema_views.document()


def test_unknown_format_is_refused(client: Client) -> None:
    response = client.get("/public/v1/schema?format=xml")
    assert (response.status_code, response.json()["error_code"]) == (400, "VAL_001")


def test_servers_have_the_relative_and_the_absolute_url() -> None:
    servers = [server["url"] for server in schema_views.document()["servers"]]
    # Swagger UI uses the relative URL if it is opened by another host name.
    assert servers == ["/public/v1", f"{settings.SIM_API_URL}/public/v1"]


def test_client_copy_has_each_operation_at_the_clients_path() -> None:
    copy, paths = client_copy(schema_views.document()), schema_views.document()["paths"]
    assert [path for path in paths if is_left_out(path, paths)] == [
        "/products/{product_id}/media/{id}",
        "/requests/{id}/assign/{user}",
    ]
    for path, methods in paths.items():
        for method in methods if not is_left_out(path, paths) else ():
            fits = [
                place
                for place in copy["paths"]
                if len(place.split("/")) == len(path.split("/"))
                and all(
                    a == b or a.startswith("{")
                    for a, b in zip(place.split("/"), path.split("/"), strict=True)
                )
            ]
            assert method in copy["paths"][fits[0]], f"{method} {path}"
