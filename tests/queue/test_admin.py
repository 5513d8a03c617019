"""Queues in the admin: pages, available actions, and visibility."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from requests_queue import seed
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.catalog.models import (
    User,
)
from requests_queue.queues import action_form, base
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.rules import QUEUE
from tests import make
from tests.make import Catalog
from tests.signed_in import distributor, root, signed_in, staff, stranger, vendor  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db

LIST = "/admin/fulfillment/request/"


def request(catalog: Catalog, status: str = "pending", **more: Any) -> Request:
    row = creation.create(make.purchase(catalog, **more), catalog.as_distributor)
    if status != row.status:
        Request.objects.filter(pk=row.pk).update(status=status)
        row.refresh_from_db()
    return row


@pytest.fixture
def row(catalog: Catalog) -> Request:
    """A pending purchase."""
    return request(catalog)


def page(row: Request, *rest: str) -> str:
    return f"{LIST}{row.pk}/{'/'.join(rest or ('change',))}/"


def messages(response: Any) -> str:
    return " ".join(str(m) for m in response.context["messages"])


def offered(client: Client, row: Request) -> list[tuple[str, str]]:
    actions = client.get(page(row)).context["available_actions"]
    return [(action["offer"].name, action["offer"].role) for action in actions]


# -- available actions


def test_every_queue_has_a_page() -> None:
    assert base.registered()
    admin.autodiscover()
    assert all(admin.site.is_registered(queue.model) for queue in base.registered())


@pytest.mark.parametrize("status", QUEUE.status_names)
def test_page_shows_the_available_actions(
    root: Client, vendor: Client, distributor: Client, catalog: Catalog, status: str
) -> None:
    row = request(catalog, status)
    legal = {
        role: {m.name for m in QUEUE.available_actions(row, role)} for role in (VENDOR, DISTRIBUTOR)
    }
    assert {name for name, _ in offered(vendor, row)} == legal[VENDOR]
    assert {name for name, _ in offered(distributor, row)} == legal[DISTRIBUTOR]
    both = offered(root, row)
    assert {name for name, _ in both} == legal[VENDOR] | legal[DISTRIBUTOR]
    assert len(both) == len(dict(both)) and all(name in legal[role] for name, role in both)
    if not both:
        assert b"You have no actions" in root.get(page(row)).content


def test_list_offers_the_actions_of_the_users_role(
    root: Client, vendor: Client, distributor: Client, catalog: Catalog
) -> None:
    request(catalog)

    def actions(client: Client) -> set[str]:
        choices = client.get(LIST).context["action_form"].fields["action"].choices
        return {str(name).removeprefix("move_") for name, _ in choices if name}

    sides = {
        role: {m.name for m in QUEUE.actions if role in m.actors} for role in (VENDOR, DISTRIBUTOR)
    }
    assert actions(vendor) == sides[VENDOR]
    assert actions(distributor) == sides[DISTRIBUTOR]
    assert actions(root) == sides[VENDOR] | sides[DISTRIBUTOR]


@pytest.mark.parametrize("queue", base.registered(), ids=lambda q: q.object_class)
def test_page_of_every_queue_opens(
    root: Client, vendor: Client, distributor: Client, queue: base.Queue
) -> None:
    opts = queue.model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    for client in (root, vendor, distributor):
        assert client.get(f"{url}?q=x&status={(*queue.status_names, '')[0]}").status_code == 200


# -- taking actions


def test_vendor_approves_with_a_template(vendor: Client, catalog: Catalog, row: Request) -> None:
    response = vendor.post(
        page(row, "move", "approve"), {"template_id": catalog.template.pk}, follow=True
    )
    row.refresh_from_db()
    assert (row.status, row.template, row.assignee) == (
        "approved",
        catalog.template,
        catalog.vendor_user,
    )
    assert row.asset.status == "active" and "approve → approved" in messages(response)
    assert b"approve as vendor" in vendor.get(page(row, "history")).content


def test_administrator_acts_in_the_role_of_the_action(root: Client, row: Request) -> None:
    root.post(page(row, "move", "schedule"), {"planned_date": "2099-01-02T03:04"})
    row.refresh_from_db()
    assert row.status == "scheduled" and f"{row.planned_date:%Y-%m-%d %H:%M}" == "2099-01-02 03:04"
    root.post(page(row, "move", "revoke"), {"reason": "Changed our mind."})
    row.refresh_from_db()
    assert (row.status, row.reason) == ("revoking", "Changed our mind.")
    root.post(page(row, "move", "confirm"), {})
    row.refresh_from_db()
    assert row.status == "revoked"


def test_action_takes_a_json_body(vendor: Client, row: Request) -> None:
    body = '{"activation_tile": "# Hello", "reason": "ignored"}'
    vendor.post(page(row, "move", "approve"), {"body": body})
    row.refresh_from_db()
    assert (row.status, row.activation_key) == ("approved", "# Hello")


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("fail", {"reason": ""}, "Missed fields: reason."),
        ("schedule", {"planned_date": "2001-01-01T00:00"}, "in the past"),
        ("schedule", {"planned_date": "soon"}, "valid date"),
        ("inquire", {}, "at least one parameter"),
        ("fail", {"body": '{"reason": [7]}'}, "Not a valid string"),
        ("fail", {"body": "["}, "not valid JSON"),
        ("approve", {"template_id": "TL-222-222-222"}, "not one of the available"),
        ("approve", {"body": '{"template_id": "TL-999-999-999"}'}, "does not exist"),
        ("approve", {"body": '{"effective_date": "x\\u0000"}'}, "be stored"),
    ],
)
def test_refused_action_shows_the_error_in_the_form(
    vendor: Client, name: str, body: dict[str, str], sentence: str, row: Request
) -> None:
    response = vendor.post(page(row, "move", name), body)
    row.refresh_from_db()
    assert response.status_code == 200 and sentence in str(response.context["form"].errors)
    assert row.status == "pending"


def test_unavailable_action_shows_a_message(vendor: Client, catalog: Catalog) -> None:
    row = request(catalog, "approved")
    response = vendor.post(page(row, "move", "approve"), {}, follow=True)
    assert f"{row.pk} is approved: approve is for pending only." in messages(response)


def test_account_cannot_take_an_action_of_the_other_role(
    vendor: Client, distributor: Client, row: Request
) -> None:
    assert "not for a distributor" in messages(
        distributor.post(page(row, "move", "approve"), follow=True)
    )
    assert "not for a vendor" in messages(vendor.post(page(row, "move", "release"), follow=True))
    row.refresh_from_db()
    assert row.status == "pending"


def test_list_action_changes_the_objects_that_allow_it(vendor: Client, catalog: Catalog) -> None:
    rows = [request(catalog), request(catalog, "revoking")]
    body = {"action": "move_confirm", "_selected_action": [row.pk for row in rows]}
    response = vendor.post(LIST, body, follow=True)
    assert "confirm: 1 changed." in messages(response)
    assert f"{rows[0].pk}: {rows[0].pk} is pending: confirm is for revoking only." in messages(
        response
    )
    assert Request.objects.get(pk=rows[1].pk).status == "revoked"


def test_list_action_requests_required_fields(root: Client, catalog: Catalog) -> None:
    rows = [request(catalog), request(catalog)]
    body = {"action": "move_fail", "_selected_action": [row.pk for row in rows]}
    response = root.post(LIST, body)
    assert response.status_code == 200 and b'name="reason"' in response.content
    assert all(row.pk.encode() in response.content for row in rows)
    assert set(Request.objects.values_list("status", flat=True)) == {"pending"}
    response = root.post(LIST, body | {"confirmed": "yes", "reason": "No stock"}, follow=True)
    assert "fail: 2 changed." in messages(response)
    assert set(Request.objects.values_list("status", "reason")) == {("failed", "No stock")}


def test_action_requires_a_csrf_token(catalog: Catalog, row: Request) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff(catalog.vendor_user))
    assert strict.get(page(row, "move", "approve")).status_code == 200
    assert strict.post(page(row, "move", "approve"), {}).status_code == 403
    assert Request.objects.get().status == "pending"


def test_forms_ask_for_what_bodies_declare_and_objects_store() -> None:
    asked = {
        (queue.object_class, name): list(fields)
        for queue in base.registered()
        for name in queue.by_name
        if (fields := action_form.fields_of(queue, name))
    }
    assert asked == {
        ("fulfillment_request", "inquire"): ["template_id"],
        ("fulfillment_request", "approve"): ["template_id", "effective_date"],
        ("fulfillment_request", "fail"): ["reason"],
        ("fulfillment_request", "schedule"): ["planned_date"],
        ("fulfillment_request", "revoke"): ["reason"],
        ("helpdesk_case", "close"): ["rating", "feedback"],
        ("tier_account_request", "ignore"): ["reason"],
        ("tier_config_request", "inquire"): ["template_id"],
        ("tier_config_request", "approve"): ["template_id", "effective_date"],
        ("tier_config_request", "fail"): ["reason"],
        ("usage_file", "accept"): ["acceptance_note"],
        ("usage_file", "reject"): ["rejection_note"],
    }


# -- visibility


def test_anonymous_user_is_redirected_to_sign_in(client: Client, row: Request) -> None:
    assert client.get("/admin/login/").status_code == 200
    for url in (LIST, page(row)):
        assert client.get(url).headers["Location"].startswith("/admin/login/")
    assert client.post(page(row, "move", "approve")).headers["Location"].startswith("/admin/login/")


def test_user_with_view_permission_cannot_take_actions(row: Request) -> None:
    from django.contrib.auth.models import Permission

    auditor = User.objects.create(username="auditor", uid="UR-000-000-009", is_staff=True)
    auditor.user_permissions.add(Permission.objects.get(codename="view_request"))
    client = signed_in(auditor)
    assert offered(client, row) == []
    assert client.post(page(row, "move", "approve"), {}).status_code == 403


def test_objects_are_read_only(root: Client, row: Request) -> None:
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(page(row), {"status": "approved"}).status_code == 403
    assert root.post(page(row, "delete"), {"post": "yes"}).status_code == 403
    html = root.get(page(row)).content.decode()
    assert row.form_code not in html and "_save" not in html and "&quot;quantity&quot;" in html


def test_search_and_filters(vendor: Client, catalog: Catalog, row: Request) -> None:
    def count(query: str) -> int:
        response = vendor.get(f"{LIST}?{query}")
        assert response.status_code == 200
        return int(response.context["cl"].result_count)

    assert count(f"q={row.pk}") == count(f"q={row.asset_id}") == 1
    assert count("status=pending&type=purchase") == 1
    assert count("status=approved") == count("type=change") == 0
    assert count(f"product__id__exact={catalog.product.pk}") == 1


def test_list_takes_a_constant_number_of_statements(vendor: Client, catalog: Catalog) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert vendor.get(LIST).status_code == 200
        return len(captured)

    request(catalog)
    few = statements()
    for _ in range(6):
        request(catalog)
    assert statements() == few <= 10


def test_queue_without_statuses_has_no_actions(root: Client, seeded: seed.Summary) -> None:
    row = BillingRequest.objects.first()
    assert row is not None
    listed = reverse("admin:billing_billingrequest_changelist")
    html = root.get(f"{listed}{row.pk}/change/").content.decode()
    assert row.pk in html
    assert "sim-moves" not in html and "Status:" not in html


@pytest.mark.parametrize("lookup", ["regex", "iregex"])
def test_admin_list_refuses_regular_expressions(root: Client, vendor: Client, lookup: str) -> None:
    for client in (root, vendor):
        for name in ("note", "status"):
            response = client.get(f"{LIST}?{name}__{lookup}=(a*)*b")
            refused = response.headers.get("Location", "").endswith("e=1")
            assert refused or response.status_code == 400, (name, response)
