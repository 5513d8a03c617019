"""The admin pages of webhooks: actions, permissions, and what they never show."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.catalog.models import User
from requests_queue.models import Clock
from tests import make
from tests.make import AT, Catalog
from tests.signed_in import root, signed_in, staff, stranger, vendor  # noqa: F401  (fixtures)
from webhooks.admin.forms import kinds
from webhooks.delivery import fan_out
from webhooks.delivery.request import new_secret
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

LIST = "/admin/webhooks/webhook/"
CANARY = "JWT-c0ffee00-canary-never-shown-5ec3e7"
HOSTILE = b"<script>alert(1)</script>\r\n\x1b[31m\x00\xff\xe2\x80\xae</pre><img src=x onerror=y>"


def page(row: Webhook, *rest: str) -> str:
    return f"{LIST}{row.pk}/{'/'.join(rest or ('change',))}/"


def hook(catalog: Catalog, n: int = 1, **more: Any) -> Webhook:
    return make.webhook(catalog, n=n, **{"jwt_secret": CANARY, **more})


@pytest.fixture
def row(catalog: Catalog) -> Webhook:
    return hook(catalog)


def attempt(row: Webhook, number: int = 1, **more: Any) -> Attempt:
    delivery = Delivery.objects.filter(webhook=row).first() or Delivery.objects.create(
        webhook=row, state="waiting", created_at=AT, attempts=1
    )
    fields = {
        "outcome": "failure",
        "started_at": AT,
        "finished_at": AT + timedelta(seconds=1),
        "duration": 1000,
        "method": "POST",
        "url": row.external_url,
        "status_code": 500,
        "request_headers": {"Authorization": "Bearer (decoded below)"},
        "claims": {"webhook_id": row.pk},
        "response_headers": [["X-Evil", "<b>bold</b>"]],
        "response_body": HOSTILE,
        "truncated": True,
        "why": "Failure: round 1 of 10.",
        **more,
    }
    return Attempt.objects.create(webhook=row, delivery=delivery, number=number, **fields)


def form(**more: Any) -> dict[str, Any]:
    return {
        "label": "New",
        "description": "",
        "active": "on",
        "external_url": "http://127.0.0.1:9/x",
        "http_method": "POST",
        "headers": '{"X-Env": "lab"}',
        "data": '{"a": 1}',
        **more,
    }


def new(catalog: Catalog, **more: Any) -> dict[str, Any]:
    return form(
        product=catalog.product.pk,
        kind="event:fulfillment_request",
        jwt_secret=new_secret(),
        **more,
    )


def messages(response: Any) -> str:
    return " ".join(str(m) for m in response.context["messages"])


# -- create and edit


def test_add_form_has_a_new_secret_each_time(vendor: Client) -> None:
    pages = [vendor.get(f"{LIST}add/").content.decode() for _ in range(2)]
    secrets = [re.findall(r'name="jwt_secret" value="(JWT-[0-9a-f-]{36})"', html) for html in pages]
    assert len(secrets[0]) == len(secrets[1]) == 1 and secrets[0] != secrets[1]


def test_add_form_can_be_submitted_with_its_defaults(vendor: Client, catalog: Catalog) -> None:
    shown = vendor.get(f"{LIST}add/").context["adminform"].form
    brought = {name: field.value() for name, field in ((f.name, f) for f in shown)}
    body = {"label": "New", "external_url": "http://127.0.0.1:9/x", "product": catalog.product.pk}
    vendor.post(f"{LIST}add/", {k: v for k, v in brought.items() if v is not None} | body)
    row = Webhook.objects.get()
    assert (row.active, row.headers, row.data, row.http_method) == (True, {}, {}, "POST")
    assert (row.type, row.object_class) == ("event", "fulfillment_request")


def test_account_staff_creates_webhook(vendor: Client, catalog: Catalog) -> None:
    body = new(catalog, account="PA-111-111")
    response = vendor.post(f"{LIST}add/", body, follow=True)
    row = Webhook.objects.get()
    assert response.status_code == 200 and row.pk.startswith("WH-")
    assert (row.account, row.created_by) == (catalog.vendor, catalog.vendor_user)
    assert (row.headers, row.data, row.active) == ({"X-Env": "lab"}, {"a": 1}, True)
    assert row.jwt_secret == body["jwt_secret"]


def test_superuser_creates_webhook_for_account(root: Client, catalog: Catalog) -> None:
    root.post(f"{LIST}add/", new(catalog, account=catalog.provider.pk))
    assert Webhook.objects.get().account == catalog.provider


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"headers": '{"Host": "x"}'}, "headers", "reserved for the connection"),
        ({"headers": "[1]"}, "headers", "must be an object"),
        ({"headers": '{"a": }'}, "headers", "line 1, column 7"),
        ({"data": "[" * 100_000}, "data", "nested deeper"),
        ({"data": '{"a": NaN}'}, "data", "NaN is not JSON"),
        ({"data": '{"a": ' + "9" * 5000 + "}"}, "data", "too long"),
        ({"data": r'{"a": "\u0000"}'}, "data", "be stored"),
        ({"external_url": "ftp://x"}, "external_url", ""),
        ({"external_url": "http://0xa9fea9fe/"}, "external_url", "link-local address"),
        ({"label": ""}, "label", "required"),
        ({"jwt_secret": ""}, "jwt_secret", "required"),
        ({"jwt_secret": "ssh-rsa AAAAB3NzaC1yc2EA"}, "jwt_secret", "PEM"),
        ({"product": "PRD-222-222-222"}, "product", "not one of the available"),
        ({"kind": "validator:usage_file"}, "kind", "not one of the available"),
    ],
)
def test_errors_of_the_rules_are_shown_at_the_field(
    vendor: Client,
    stranger: Client,
    catalog: Catalog,
    change: dict[str, Any],
    field: str,
    sentence: str,
) -> None:
    response = vendor.post(f"{LIST}add/", new(catalog) | change)
    errors = response.context["adminform"].form.errors
    assert response.status_code == 200 and list(errors) == [field]
    assert sentence in " ".join(errors[field])
    assert not Webhook.objects.exists()


def test_form_offers_every_type() -> None:
    assert sum(len(rows) for _, rows in kinds()) == 22


def test_edit_keeps_stored_url_and_refuses_new_one(vendor: Client, row: Webhook) -> None:
    Webhook.objects.update(external_url="http://169.254.169.254/")
    vendor.post(page(row), form(label="Renamed", external_url="http://169.254.169.254/"))
    row.refresh_from_db()
    assert (row.label, row.external_url) == ("Renamed", "http://169.254.169.254/")
    response = vendor.post(page(row), form(label="Again", external_url="http://169.254.169.253/"))
    assert "link-local" in str(response.context["adminform"].form.errors["external_url"])
    row.refresh_from_db()
    assert row.label == "Renamed"


def test_edit_keeps_secret_unless_new_one_is_entered(
    vendor: Client, catalog: Catalog, row: Webhook
) -> None:
    body = form(label="Renamed", kind="event:usage_file", type="validator", product="x")
    vendor.post(page(row), body)
    row.refresh_from_db()
    assert (row.label, row.jwt_secret, row.type) == ("Renamed", CANARY, "event")
    assert (row.object_class, row.product, row.modified_by) == (
        "fulfillment_request",
        catalog.product,
        catalog.vendor_user,
    )
    vendor.post(page(row), body | {"new_secret": "short"})
    row.refresh_from_db()
    assert (row.jwt_secret, row.revision) == ("short", 2)


def test_disabling_in_form_cancels_pending_deliveries(vendor: Client, row: Webhook) -> None:
    Delivery.objects.create(webhook=row, state="waiting", created_at=AT)
    body = form()
    del body["active"]
    vendor.post(page(row), body)
    row.refresh_from_db()
    assert not row.active and Delivery.objects.get().state == "cancelled"


def test_delete_page_counts_deleted_objects(vendor: Client, catalog: Catalog, row: Webhook) -> None:
    attempt(row)
    with CaptureQueriesContext(connection) as statements:
        response = vendor.get(page(row, "delete"))
    assert b"Attempts: 1" in response.content and len(statements) < 15
    vendor.post(page(row, "delete"), {"post": "yes"})
    assert not Webhook.objects.exists() and not Attempt.objects.exists()
    pair = [hook(catalog, n) for n in (2, 3)]
    body = {"action": "delete_selected", "_selected_action": [r.pk for r in pair], "post": "yes"}
    vendor.post(LIST, body)
    assert not Webhook.objects.exists()


# -- buttons and actions


def test_only_available_actions_have_buttons(vendor: Client, catalog: Catalog) -> None:
    def available(row: Webhook) -> list[str]:
        return [action.name for action in vendor.get(page(row)).context["actions"]]

    assert available(hook(catalog, 1)) == ["trigger", "disable"]
    assert available(hook(catalog, 2, active=False)) == ["trigger", "enable"]
    assert available(hook(catalog, 3, out_of_order=True)) == ["trigger", "disable", "recover"]


@pytest.mark.parametrize("by_list", [False, True])
def test_trigger_enable_disable_recover(vendor: Client, row: Webhook, by_list: bool) -> None:
    def act(name: str) -> str:
        if by_list:
            body = {"action": name, "_selected_action": [row.pk]}
            response = vendor.post(LIST, body, follow=True)
        else:
            response = vendor.post(page(row, "do", name), follow=True)
        assert response.status_code == 200
        row.refresh_from_db()
        return messages(response)

    assert "triggered." in act("trigger")
    assert Delivery.objects.get().forced and row.events == 1
    act("disable")
    assert not row.active
    assert f"{row.pk} is disabled: enable it to trigger it." in act("trigger")
    assert Delivery.objects.count() == 1
    act("enable")
    assert row.active
    assert "is not out of order" in act("recover")
    Webhook.objects.update(out_of_order=True)
    assert "has recovered" in act("recover")
    assert not row.out_of_order


def test_actions_require_post_and_csrf_token(
    vendor: Client, catalog: Catalog, row: Webhook
) -> None:
    assert vendor.get(page(row, "do", "trigger")).status_code == 405
    assert vendor.get(page(row, "secret")).status_code == 405
    assert vendor.post(page(row, "do", "explode")).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(catalog.vendor_user)
    for rest in (("do", "trigger"), ("secret",)):
        assert strict.post(page(row, *rest)).status_code == 403
    assert not Delivery.objects.exists()


# -- the secret


def test_secret_is_only_on_its_own_page(vendor: Client, root: Client, row: Webhook) -> None:
    tried = attempt(row)
    Webhook.objects.filter(pk=row.pk).update(last_failure=tried)
    fan_out.trigger(row)
    pages = [
        LIST,
        f"{LIST}?q=Hook",
        page(row),
        page(row, "history"),
        page(row, "delete"),
        "/admin/",
        "/admin/webhooks/",
        "/admin/webhooks/delivery/",
        "/admin/webhooks/attempt/",
        "/admin/webhooks/event/",
        f"/admin/webhooks/attempt/{tried.pk}/change/",
        f"/admin/webhooks/delivery/{tried.delivery_id}/change/",
    ]
    for client in (vendor, root):
        for url in pages:
            response = client.get(url)
            assert response.status_code == 200, url
            assert CANARY not in response.content.decode(), url
        assert "JWT-c0ff*****c3e7" in client.get(page(row)).content.decode()
        assert CANARY not in client.post(page(row), form(label="")).content.decode()
        shown = client.post(page(row, "secret"))
        assert shown.content.decode().count(CANARY) == 1
        assert "no-store" in shown.headers["Cache-Control"]
    history = vendor.get(page(row, "history")).content.decode()
    assert "Revealed the JWT secret." in history and CANARY not in history


def test_short_secret_has_hint_and_is_fully_masked(vendor: Client, catalog: Catalog) -> None:
    row = hook(catalog, jwt_secret="sesame-1234")
    html = vendor.get(page(row)).content.decode()
    assert "Shorter than the 32 bytes" in html and "sesame" not in html and "1234" not in html


# -- permissions


def test_anonymous_user_sees_only_the_login_page(
    client: Client, catalog: Catalog, row: Webhook
) -> None:
    for url in (LIST, page(row), "/admin/webhooks/attempt/"):
        assert client.get(url).headers["Location"].startswith("/admin/login/")
    for rest in (("do", "trigger"), ("secret",), ("delete",)):
        assert client.post(page(row, *rest)).headers["Location"].startswith("/admin/login/")
    client.force_login(catalog.vendor_user)  # Not staff.
    assert client.get(page(row)).status_code == 302


def test_distributor_does_not_see_vendors_webhook(catalog: Catalog, row: Webhook) -> None:
    assert row.pk not in signed_in(staff(catalog.provider_user)).get(LIST).content.decode()


def test_user_with_view_permission_cannot_reveal_secret(row: Webhook) -> None:
    from django.contrib.auth.models import Permission

    tried = attempt(row)
    auditor = User.objects.create(username="auditor", uid="UR-000-000-009", is_staff=True)
    auditor.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client = signed_in(auditor)
    response = client.get(page(row))
    assert response.status_code == 200 and CANARY not in response.content.decode()
    assert b"Reveal" not in response.content and b"new_secret" not in response.content
    assert client.post(page(row, "secret")).status_code == 403
    assert client.post(page(row, "do", "trigger")).status_code == 403
    # Responses are visible for users who may edit the webhook.
    assert client.get(f"/admin/webhooks/attempt/{tried.pk}/change/").status_code == 403


# -- deliveries and attempts


def test_response_is_shown_as_plain_text(vendor: Client, catalog: Catalog) -> None:
    tried = attempt(hook(catalog), error="<i>no</i>")
    html = vendor.get(f"/admin/webhooks/attempt/{tried.pk}/change/").content.decode()
    assert "<script>alert" not in html and "<img src=x" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n␛[31m␀\ufffd[U+202E]&lt;/pre&gt;" in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html and "&lt;i&gt;no&lt;/i&gt;" in html
    assert "\x1b" not in html and "\x00" not in html and "\u202e" not in html
    assert "&quot;webhook_id&quot;: &quot;WH-000-000-001&quot;" in html
    assert "Failure: round 1 of 10." in html


def test_log_is_read_only(root: Client, catalog: Catalog) -> None:
    tried = attempt(hook(catalog))
    rows = {"attempt": tried.pk, "delivery": tried.delivery_id}
    for name, pk in rows.items():
        assert root.get(f"/admin/webhooks/{name}/add/").status_code == 403
        assert root.post(f"/admin/webhooks/{name}/{pk}/change/", {}).status_code == 403
        assert root.post(f"/admin/webhooks/{name}/{pk}/delete/", {"post": "yes"}).status_code == 403
    html = root.get(f"/admin/webhooks/delivery/{tried.delivery_id}/change/").content.decode()
    assert "Failure: round 1 of 10." in html and "No. 1" in html and "_save" not in html


def test_search_and_filters(vendor: Client, catalog: Catalog) -> None:
    row, other = hook(catalog, 1), hook(catalog, 2, active=False, label="Zweiter")
    tried = attempt(row)
    Event.objects.create(webhook=row, delivery=tried.delivery, object_id="PR-1-2", at=AT)
    counts = {
        "webhook/?q=zweiter": 1,
        "webhook/?active__exact=0": 1,
        "webhook/?q=127.0.0.1": 2,
        "webhook/?out_of_order__exact=0": 2,
        f"webhook/?product__id__exact={catalog.product.pk}&type__exact=event": 2,
        f"webhook/?q={other.pk}": 1,
        "delivery/?q=PR-1-2": 1,
        f"delivery/?q={row.pk}&webhook={row.pk}&state__exact=waiting": 1,
        f"attempt/?q={tried.pk}&outcome__exact=failure": 1,
        "event/?q=PR-1-2": 1,
        "event/?q=nothing": 0,
    }
    lists = {url: vendor.get(f"/admin/webhooks/{url}").context["cl"] for url in counts}
    assert {url: changes.result_count for url, changes in lists.items()} == counts


def test_pages_show_next_attempt_and_cleared_backoffs(vendor: Client, catalog: Catalog) -> None:
    now = clock.now()
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": now})
    until = clock.ceil(now + timedelta(minutes=5))
    row = hook(catalog, earliest_possible_trigger=until, round=1)
    tried = attempt(row, why="Failed (1 of 10).", next_attempt_at=until, finished_at=now)
    row.cleared_backoffs.create(
        at=now,
        cause="edited",
        user=catalog.vendor_user,
        detail="headers",
        failures=2,
        was_out_of_order=False,
    )
    delivery = tried.delivery
    pages = {
        name: vendor.get(f"/admin/webhooks/{name}/{pk}/change/").content.decode()
        for name, pk in (("webhook", row.pk), ("delivery", delivery.pk), ("attempt", tried.pk))
    }
    announced = f"Next attempt in 5 min, at {until:%H:%M:%S} UTC."
    for name, html in pages.items():
        assert announced in html, name
    assert (
        f"Failed (1 of 10). {announced}" in vendor.get("/admin/webhooks/attempt/").content.decode()
    )
    editor = catalog.vendor_user.name
    cleared = f"{now:%Y-%m-%d %H:%M:%S} UTC Backoff cleared: edited by {editor} (headers)."
    assert cleared in pages["webhook"] and cleared in pages["delivery"]
    Clock.objects.update(frozen_at=until)
    html = vendor.get(f"/admin/webhooks/delivery/{delivery.pk}/change/").content.decode()
    assert "Due now, but no worker is running." in html and "Next attempt in" not in html


def test_health_is_shown_as_text(vendor: Client, catalog: Catalog) -> None:
    hook(catalog, 1)
    hook(catalog, 2, earliest_possible_trigger=AT, round=3)
    hook(catalog, 3, out_of_order=True)
    html = vendor.get(LIST).content.decode()
    assert "healthy" in html and "out of order" in html
    assert "backing off, failed 3 of 10" in html and "2026-11-01 09:00:00" not in html


@pytest.mark.parametrize("name", ["webhook", "delivery", "attempt", "event"])
def test_number_of_statements_is_independent_of_list_length(
    vendor: Client, catalog: Catalog, name: str
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert vendor.get(f"/admin/webhooks/{name}/").status_code == 200
        assert not any('"response_body"' in q["sql"] for q in captured.captured_queries)
        return len(captured)

    def fill(n: int) -> None:
        row = hook(catalog, n)
        delivery = Delivery.objects.create(webhook=row, created_at=AT)
        about = {"object_id": f"PR-{n}", "status_from": "draft", "status_to": "draft"}
        Event.objects.create(webhook=row, delivery=delivery, at=AT, **about)
        tried = attempt(row)
        Webhook.objects.filter(pk=row.pk).update(last_success=tried, last_failure=tried)

    fill(1)
    few = statements()
    for n in range(2, 9):
        fill(n)
    assert statements() == few
    assert few <= 15
