"""A field of a webhook is the same everywhere: model, API, its document, forms, pages, admin.

A new field that is missing in one of them fails here; CONTRIBUTING lists the files to change.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from portal.webhooks import forms
from requests_queue.catalog.models import Account
from tests import html, make
from tests.api import Caller, caller
from tests.signed_in import vendor  # noqa: F401  (fixtures)
from webhooks.admin.forms import NewWebhookForm, WebhookForm
from webhooks.models import Webhook
from webhooks.validation_rules import FIELDS

pytestmark = pytest.mark.django_db

# Given once, by the creation of a webhook.
FIXED = {"product", "type", "object_class"}
# Columns that are no fields of the API: how it shows them, or that they are internal.
INTERNAL = {
    "gate_closed_at", "round", "revision", "deleted_at", "out_of_order", "responds",
    "pruned_events", "pruned_successes", "pruned_failures", "pruned_unknown", "pruned_until",
}  # fmt: skip
COUNTERS = {
    "events", "triggers", "success_triggers", "failure_triggers", "failure_since_last_success",
}  # fmt: skip
# A value of each field that is not its default, and how a page shows it; other fields are texts.
VALUES: dict[str, Any] = {
    **{name: f"{name} of the test" for name in FIELDS},
    "label": "Label of the test",
    "description": "Description of the test",
    "active": False,
    "external_url": "http://127.0.0.1:9/url-of-the-test",
    "http_method": "GET",
    "jwt_secret": "JWT-secret-of-the-test-0123456789-0123456789",
    "headers": {"X-Name-Of-The-Test": "value"},
    "data": {"key-of-the-test": 1},
}
SHOWN = {"active": "disabled", "headers": "X-Name-Of-The-Test", "data": "key-of-the-test",
         "jwt_secret": "JWT secret"}  # fmt: skip


@pytest.fixture
def row(catalog: make.Catalog) -> Webhook:
    return make.webhook(catalog, **VALUES)


@pytest.fixture
def api(catalog: make.Catalog) -> Caller:
    return caller(Account.objects.get(pk=catalog.vendor.pk))


def test_each_column_is_in_the_api_or_internal(api: Caller, row: Webhook) -> None:
    shown = api.get(f"/notifications/webhooks/{row.pk}").json
    columns = {field.name for field in Webhook._meta.concrete_fields}
    assert columns - INTERNAL - COUNTERS <= shown.keys()
    assert shown["stats"].keys() >= COUNTERS
    assert set(FIELDS) | FIXED <= columns


@pytest.mark.parametrize("name", FIELDS)
def test_api_writes_and_reads_each_field(api: Caller, catalog: make.Catalog, name: str) -> None:
    path = f"/notifications/webhooks/{make.webhook(catalog).pk}"
    response = api.put(path, {name: VALUES[name]})
    assert response.status == 200
    assert api.get(path).json[name] == VALUES[name]


def test_document_has_each_field(api: Caller) -> None:
    document = api.get("/schema/").json
    collection = document["paths"]["/notifications/webhooks"]
    one = document["paths"]["/notifications/webhooks/{id}"]
    for operation in (collection["post"], one["put"]):
        assert set(FIELDS) <= properties(document, operation["requestBody"]).keys()
    assert set(FIELDS) | FIXED <= properties(document, one["get"]["responses"]["200"]).keys()


def properties(document: Any, part: Any) -> dict[str, Any]:
    schema = part["content"]["application/json"]["schema"]
    return dict(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])


def test_portal_forms_have_each_field(row: Webhook) -> None:
    edit = forms.EditForm(row)
    parts = (edit.general, edit.http, edit.data)
    assert {name for part in parts for name in part.fields} == set(FIELDS)
    steps = (forms.GeneralForm, forms.HttpForm, forms.DataForm)
    assert {name for step in steps for name in step.base_fields} == set(FIELDS)


def test_portal_edit_page_has_each_field(vendor: Client, row: Webhook) -> None:
    page = html.parse(vendor.get(f"/webhooks/{row.pk}/edit/"))
    names = {element.get("name") for element in page.descendants()}
    assert set(FIELDS) - names == {"headers"} and {"header_name", "header_value"} <= names


@pytest.mark.parametrize("name", FIELDS)
def test_portal_shows_each_field(vendor: Client, row: Webhook, name: str) -> None:
    tabs = [vendor.get(f"/webhooks/{row.pk}/{tab}") for tab in ("", "http/", "data/")]
    text = " ".join(html.parse(tab).text for tab in tabs)
    assert SHOWN.get(name, str(VALUES[name])).lower() in text.lower()


def test_admin_forms_have_each_field(vendor: Client, row: Webhook) -> None:
    # The secret of an existing webhook is not in its form.
    assert set(WebhookForm.base_fields) == {*FIELDS, "new_secret"} - {"jwt_secret"}
    assert set(FIELDS) <= set(NewWebhookForm.base_fields)
    add = html.parse(vendor.get("/admin/webhooks/webhook/add/"))
    change = html.parse(vendor.get(f"/admin/webhooks/webhook/{row.pk}/change/"))
    assert set(FIELDS) <= {element.get("name") for element in add.descendants()}
    shown = {element.get("name") for element in change.descendants()}
    assert {*FIELDS, "new_secret"} - {"jwt_secret"} <= shown
