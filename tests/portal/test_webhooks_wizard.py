"""The wizard: its five steps, its drafts, validation, and the created webhook."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from requests_queue.catalog.models import Product
from requests_queue.queues import base
from requests_queue.redaction import MASK
from tests import html, make
from tests.background import concurrently
from tests.make import Catalog
from tests.portal.webhooks import CANARY, GENERAL, HTTP, NEW, messages, send, walk
from tests.signed_in import distributor, root, stranger, vendor  # noqa: F401  (fixtures)
from webhooks import types
from webhooks.models import Webhook

SESSION = django_settings.SESSION_COOKIE_NAME
pytestmark = pytest.mark.django_db


def fields(client: Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response
    return response.context["form"]


def errors(client: Client, path: str) -> dict[str, list[str]]:
    return {name: list(errors) for name, errors in fields(client, path).errors.items()}


def allow(catalog: Catalog, **capabilities: Any) -> None:
    catalog.product.capabilities = capabilities
    catalog.product.save()


def test_five_steps_create_a_webhook(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "data")
    response = vendor.post(path, {"data": '{"purpose": "demo"}', "go": "create"}, follow=True)
    row = Webhook.objects.get()
    assert response.redirect_chain == [(f"/webhooks/{row.pk}/", 303)]
    assert messages(response).startswith("Webhook created. It is disabled.")
    expected = {
        **GENERAL,
        "active": False,
        "product": catalog.product,
        "account": catalog.vendor,
        "type": "event",
        "object_class": "fulfillment_request",
        "external_url": HTTP["external_url"],
        "http_method": "POST",
        "headers": {"X-Env": "lab"},
        "data": {"purpose": "demo"},
        "jwt_secret": CANARY,
        "created_by": catalog.vendor_user,
    }
    assert {name: getattr(row, name) for name in expected} == expected
    # The draft keeps only the id of the webhook.
    assert vendor.get(path)["Location"] == f"/webhooks/{row.pk}/"


def test_generated_secret_is_in_the_http_step_only(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "http")
    secret = fields(vendor, path)["jwt_secret"].value()
    assert secret.startswith("JWT-") and len(secret) == 40
    assert fields(vendor, path)["jwt_secret"].value() == secret
    send(vendor, path, **{**HTTP, "jwt_secret": secret})
    for step in ("general", "product", "type", "data"):
        assert secret not in vendor.get(path.replace("/http/", f"/{step}/")).content.decode()
    sessions = [(row.session_data, row.get_decoded()) for row in Session.objects.all()]
    assert secret not in repr(sessions)


def test_back_keeps_typed_values(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "http")
    headers = {"header_name": ["Host", "X-B"], "header_value": ["a", "b"]}
    wrong = {**HTTP, **headers, "external_url": "ftp://x"}
    assert send(vendor, path, "back", **wrong).endswith("/type/")
    form = fields(vendor, path)
    assert form["external_url"].value() == "ftp://x"
    # Errors are shown after Next only.
    rows = [(row.name, row.value, row.error) for row in form.rows]
    assert (rows, form.errors) == ([("Host", "a", ""), ("X-B", "b", "")], {})
    assert send(vendor, path, **wrong) == path
    assert set(errors(vendor, path)) == {"external_url", "headers"}


def test_step_requires_valid_previous_steps(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "product")
    for step in ("type", "http", "data"):
        assert vendor.get(path.replace("/product/", f"/{step}/"))["Location"] == path
    assert vendor.get(path.replace("/product/", "/nothing/")).status_code == 404


@pytest.mark.parametrize(
    ("step", "sent", "field", "sentence"),
    [
        ("general", {"label": " "}, "label", "required"),
        ("general", {"label": "x" * 101}, "label", "100"),
        ("product", {}, "product", "Select a product"),
        ("product", {"product": "PRD-222-222-222"}, "product", "not available"),
        ("type", {}, "kind", "Select a type"),
        ("type", {"kind": "validator:usage_file"}, "kind", "Select a type"),
        ("type", {"kind": "validator:fulfillment_request"}, "kind", "capability cart.validation"),
        ("http", {"external_url": ""}, "external_url", "required"),
        ("http", {"external_url": "http://a b/"}, "external_url", "spaces"),
        ("http", {"external_url": "http://2852039166/"}, "external_url", "link-local address"),
        ("http", {"http_method": "PUT"}, "http_method", "valid choice"),
        ("http", {"jwt_secret": "ssh-rsa AAAAB3NzaC1yc2EA"}, "jwt_secret", "PEM"),
        ("http", {"header_name": ["X y"], "header_value": ["1"]}, "headers", "Correct the header"),
        ("http", {"header_name": [f"X-{n}" for n in range(21)], "header_value": ["1"] * 21},
         "headers", "at most 20"),
    ],
)  # fmt: skip
def test_errors_are_shown_at_their_field(
    vendor: Client,
    stranger: Client,
    catalog: Catalog,
    step: str,
    sent: Any,
    field: str,
    sentence: str,
) -> None:
    path = walk(vendor, catalog, step)
    full = {**HTTP, **sent} if step == "http" else sent
    messages = errors(vendor, send(vendor, path, **full))
    assert list(messages) == [field] and sentence in messages[field][0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [('{"a": }', "line 1, column 7"), ("[1]", "must be an object"), ("[" * 9999, "nested"),
     ('{"a": NaN}', "NaN is not JSON"), (r'{"a": "\u0000"}', "be stored")],
)  # fmt: skip
def test_invalid_json_is_kept(vendor: Client, catalog: Catalog, text: str, sentence: str) -> None:
    path = walk(vendor, catalog, "data")
    assert send(vendor, path, "create", data=text) == path
    form = fields(vendor, path)
    assert sentence in form.errors["data"][0] and form["data"].value() == text
    assert not Webhook.objects.exists()


def test_each_header_shows_its_error(vendor: Client, catalog: Catalog) -> None:
    names, values = (
        ["X-A", "x-a", "", "X-Ok", "Authorization", "X-Key"],
        ["1", "2", "3", "é", "x", MASK],
    )
    path = walk(vendor, catalog, "http")
    send(vendor, path, **{**HTTP, "header_name": names, "header_value": values})
    errors = [row.error for row in fields(vendor, path).rows]
    parts = ("", "same header as X-A", "needs a name", "ASCII", "reserved", "is not stored")
    missing = [part for part, error in zip(parts, errors, strict=False) if part not in error]
    assert (errors[0], missing) == ("", [])


def test_adding_a_header_row_shows_no_errors(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "http")
    button = html.get(vendor, path).by_role("button", "+ Add header")
    assert (button["name"], button["value"]) == ("go", "row")
    before = len(fields(vendor, path).rows)
    assert send(vendor, path, "row", **{**HTTP, "external_url": ""}) == f"{path}#headers"
    form = fields(vendor, path)
    assert len(form.rows) == before + 1 and not form.errors


def test_unavailable_types_are_listed_with_their_reason(vendor: Client, catalog: Catalog) -> None:
    allow(catalog, cart={"validation": True})
    response = vendor.get(walk(vendor, catalog, "type"))
    page = html.parse(response)
    values = [radio.value for radio in page.all("[name=kind]")]
    assert "validator:fulfillment_request" in values and len(values) == 7
    unavailable = {choice.why_unavailable for choice in response.context["unavailable"]}
    assert any("inquiring.validation" in reason for reason in unavailable)
    assert all(each.one("span span").text for each in page.all("label.option"))


def test_distributor_can_choose_queue_changes_only(distributor: Client, catalog: Catalog) -> None:
    allow(catalog, cart={"validation": True})
    response = distributor.get(walk(distributor, catalog, "type"))
    assert [title for title, _ in response.context["groups"]] == ["Queue changes"]
    assert any("vendors" in each.why_unavailable for each in response.context["unavailable"])


def test_added_queue_has_an_explanation(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later:
        object_class, title, has_webhooks = "renewal", "Renewals", True

    monkeypatch.setattr(base, "registered", lambda: [Later])
    trigger = types.find("event", "renewal")
    assert trigger and "queue “Renewals”" in trigger.explanation
    assert all(each.explanation for each in types.registered())


def test_get_has_no_data_field_but_keeps_the_data(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "data")
    send(vendor, path, "back", data='{"kept": 1')
    http = path.replace("/data/", "/http/")
    assert send(vendor, http, **{**HTTP, "http_method": "GET"}) == path
    assert not html.get(vendor, path).all("[name=data]")
    send(vendor, path, "back")
    send(vendor, http, **HTTP)
    assert fields(vendor, path)["data"].value() == '{"kept": 1'
    send(vendor, http, **{**HTTP, "http_method": "GET"})
    send(vendor, path, "create")
    assert (Webhook.objects.get().http_method, Webhook.objects.get().data) == ("GET", {})


def test_validator_requires_post(vendor: Client, catalog: Catalog) -> None:
    allow(catalog, cart={"validation": True})
    path = walk(vendor, catalog, "http", kind="validator:fulfillment_request")
    send(vendor, path, **{**HTTP, "http_method": "GET"})
    assert "called by POST" in errors(vendor, path)["http_method"][0]


def test_changed_product_leads_back_to_its_step(vendor: Client, catalog: Catalog) -> None:
    allow(catalog, cart={"validation": True})
    path = walk(vendor, catalog, "data", kind="validator:fulfillment_request")
    allow(catalog)
    back = send(vendor, path, "create", data="{}")
    assert back == path.replace("/data/", "/type/")
    assert "Switch it on first" in errors(vendor, back)["kind"][0]
    Product.objects.filter(pk=catalog.product.pk).update(owner=make.catalog("2").vendor)
    assert send(vendor, path, "create", data="{}") == path.replace("/data/", "/product/")
    assert not Webhook.objects.exists()


def test_two_tabs_have_two_drafts(vendor: Client, catalog: Catalog) -> None:
    paths = {name: walk(vendor, catalog, "http", label=name) for name in ("One", "Two")}
    secrets = {fields(vendor, path)["jwt_secret"].value() for path in paths.values()}
    assert len(set(paths.values())) == len(secrets) == 2
    for path in paths.values():
        send(vendor, send(vendor, path, **HTTP), "create", data="")
    assert sorted(Webhook.objects.values_list("label", flat=True)) == ["One", "Two"]


def test_draft_belongs_to_its_user(
    vendor: Client, distributor: Client, stranger: Client, root: Client, catalog: Catalog
) -> None:
    path = walk(vendor, catalog, "http")
    for other in (distributor, stranger, root):
        response = other.get(path, follow=True)
        assert response.redirect_chain == [(NEW, 303)] and "expired" in messages(response)
        assert send(other, path, "cancel") == NEW
    assert vendor.get(path).status_code == 200


def test_draft_belongs_to_the_account_that_is_acted_as(root: Client, catalog: Catalog) -> None:
    root.post("/acting/", {"account": catalog.vendor.pk})
    path = walk(root, catalog, "data")
    root.post("/acting/", {"account": catalog.provider.pk})
    assert root.get(path)["Location"] == NEW
    root.post("/acting/", {"account": catalog.vendor.pk})
    send(root, path, "create", data="")
    assert Webhook.objects.get().account == catalog.vendor


def test_draft_expires(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "type")
    key = path.split("/")[3]
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert vendor.get(path)["Location"] == NEW
    walk(vendor, catalog, "product")
    assert not Session.objects.filter(pk=key).exists()


def test_drafts_and_sessions_are_not_interchangeable(vendor: Client, catalog: Catalog) -> None:
    key = walk(vendor, catalog, "type").split("/")[3]
    thief = Client()
    thief.cookies[SESSION] = key
    assert thief.get("/webhooks/").status_code == 303
    own = vendor.cookies[SESSION].value
    assert vendor.get(f"/webhooks/new/{own}/general/")["Location"] == NEW


def test_cancel_deletes_the_draft(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "http")
    assert send(vendor, path, "cancel") == "/webhooks/"
    assert vendor.get(path)["Location"] == NEW


@pytest.mark.django_db(transaction=True)
def test_create_twice_at_once_creates_one_webhook(vendor: Client, catalog: Catalog) -> None:
    path = walk(vendor, catalog, "data")
    other = Client()
    other.cookies = vendor.cookies
    where = concurrently(
        *(partial(send, client, path, "create", data="") for client in (vendor, other))
    )
    assert where == [f"/webhooks/{Webhook.objects.get().pk}/"] * 2


def test_only_product_is_preselected(vendor: Client, stranger: Client, catalog: Catalog) -> None:
    assert html.get(vendor, walk(vendor, catalog, "product")).all("[checked]")
    Product.objects.update(owner=catalog.vendor)
    assert not html.get(vendor, walk(vendor, catalog, "product")).all("[checked]")


def test_many_products_are_searched(vendor: Client, catalog: Catalog) -> None:
    for n in range(40):
        fields = {"owner": catalog.vendor, "created": make.AT, "updated": make.AT}
        Product.objects.create(id=f"PRD-300-000-{n:03d}", name=f"Many {n:03d}", **fields)
    path = walk(vendor, catalog, "product")
    assert len(vendor.get(path).context["products"]) == 30
    products = vendor.get(f"{path}?q=many 039").context["products"]
    assert [row.name for row in products] == ["Many 039"]
    assert send(vendor, path, product="PRD-300-000-039").endswith("/type/")
    # The selected product is always listed.
    assert vendor.get(path).context["products"][0].pk == "PRD-300-000-039"
