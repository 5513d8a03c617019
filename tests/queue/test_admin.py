"""Queues and catalog in the admin: pages, available actions, and visibility."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from requests_queue import seed
from requests_queue.catalog import keys
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.catalog.models import (
    Account,
    ApiToken,
    Asset,
    Connection,
    Contract,
    Hub,
    Item,
    Listing,
    Marketplace,
    Product,
    ProductVersion,
    Template,
    TierAccount,
    User,
)
from requests_queue.catalog.module_field import ModulesField
from requests_queue.catalog.writes import products, versions
from requests_queue.queues import action_form, base
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.rules import QUEUE
from tests import make
from tests.make import AT, Catalog
from tests.signed_in import distributor, root, signed_in, staff, stranger, vendor  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db

LIST = "/admin/fulfillment/request/"
CATALOG_PAGES = (
    Account, Asset, Connection, Contract, Hub, Listing, Marketplace, Product, TierAccount, User,
)  # fmt: skip


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


# -- the catalog


@pytest.mark.parametrize("model", CATALOG_PAGES)
def test_every_catalog_page_opens_for_its_role(
    root: Client,
    vendor: Client,
    distributor: Client,
    stranger: Client,
    catalog: Catalog,
    model: type[Any],
) -> None:
    make.asset(catalog)
    base_name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    listed = reverse(f"{base_name}_changelist")
    changes = [
        reverse(f"{base_name}_change", args=[pk])
        for pk in model.objects.order_by("pk").values_list("pk", flat=True)
    ]
    own = [url for url in changes if "111" in url or model in (Asset, TierAccount, User)]
    if model is User:
        own = [reverse("admin:catalog_user_change", args=[catalog.vendor_user.pk])]
    for client in (root, vendor, *([distributor] if model is not User else [])):
        assert client.get(listed).status_code == 200
        assert client.get(f"{listed}?q=x").status_code == 200
        assert [client.get(url).status_code for url in own] == [200] * len(own)
    assert [stranger.get(url).status_code for url in own] == [302] * len(own)
    assert vendor.get(f"{listed}add/").status_code == 403
    assert vendor.post(own[0], {}).status_code == 403


def test_hub_shows_only_visible_marketplaces(
    root: Client, vendor: Client, distributor: Client, catalog: Catalog
) -> None:
    hub = catalog.connection.hub
    hub.marketplaces.set(Marketplace.objects.all())
    other = Marketplace.objects.create(
        id="MP-90909", name="Elsewhere", owner=catalog.provider, created=AT
    )
    hub.marketplaces.add(other)
    url = f"/admin/catalog/hub/{hub.pk}/change/"
    shown = {
        name: client.get(url).content.decode()
        for name, client in (("root", root), ("vendor", vendor), ("distributor", distributor))
    }
    assert all("MP-11111" in html for html in shown.values())
    assert {name for name, html in shown.items() if other.pk in html} == {"root", "distributor"}


def test_superuser_creates_a_product_with_its_parts(root: Client, catalog: Catalog) -> None:
    parts = ("items", "parameters", "templates")
    blank = {f"{part}-{key}": 0 for part in parts for key in ("TOTAL_FORMS", "INITIAL_FORMS")}
    body = {
        "name": "New",
        "owner": catalog.vendor.pk,
        "status": "published",
        "category": "",
        "capabilities": '{"cart": {"validation": true}}',
        "customer_ui_settings": "{}",
        **blank,
        "items-TOTAL_FORMS": 1,
        "items-0-local_id": "A",
        "items-0-mpn": "M",
        "items-0-name": "Seat",
        "items-0-type": "Reservation",
        "items-0-period": "Monthly",
        "items-0-precision": "Integer",
        "items-0-unit": '{"id": "u"}',
        "items-0-status": "published",
        "templates-TOTAL_FORMS": 1,
        "templates-0-name": "T",
        "templates-0-scope": "asset",
    }
    response = root.post("/admin/catalog/product/add/", body)
    assert response.status_code == 302, response.context["errors"]
    row = Product.objects.get(name="New")
    assert row.capability("cart.validation") is True and row.category == {}
    assert Item.objects.get(product=row).pk == f"{row.pk}-0001"
    assert Template.objects.get(product=row).pk.startswith("TL-")


def product_page(row: Product) -> tuple[str, dict[str, Any]]:
    """Return the admin's page of a product with one item, and the form as it is shown."""
    item = row.items.get()
    form = {"name": row.name, "owner": row.owner_id, "status": row.status, "category": ""}
    form |= {"capabilities": "{}", "customer_ui_settings": "{}"}
    for part in ("items", "parameters", "templates"):
        form |= {f"{part}-{key}": 0 for key in ("TOTAL_FORMS", "INITIAL_FORMS")}
    form |= {"items-TOTAL_FORMS": 1, "items-INITIAL_FORMS": 1, "items-0-id": item.pk}
    names = ("local_id", "mpn", "name", "type", "period", "precision", "status")
    form |= {f"items-0-{name}": getattr(item, name) for name in names}
    form |= {"items-0-unit": json.dumps(item.unit), "items-0-product": row.pk}
    return f"/admin/catalog/product/{row.pk}/change/", form


def test_status_published_in_the_admin_is_a_version(root: Client, catalog: Catalog) -> None:
    row = catalog.product
    Product.objects.filter(pk=row.pk).update(status="draft", version=0)
    Item.objects.update(status="draft")
    Template.objects.all().delete()
    row.refresh_from_db()
    url, form = product_page(row)
    assert root.post(url, form).status_code == 302
    assert not ProductVersion.objects.exists()
    assert root.post(url, {**form, "status": "published"}).status_code == 302
    row.refresh_from_db()
    version = ProductVersion.objects.get()
    assert (row.status, row.version, row.published) == ("published", 1, version.created)
    assert (version.number, version.public, version.parts.count()) == (1, True, 1)
    assert row.items.get().status == "published"
    # Another change is none, and leaves the version as it is.
    url, form = product_page(row)
    assert root.post(url, {**form, "name": "Renamed"}).status_code == 302
    assert ProductVersion.objects.get().content["name"] == "Product"


def test_published_item_keeps_what_the_api_keeps(root: Client, catalog: Catalog) -> None:
    Template.objects.all().delete()
    url, form = product_page(catalog.product)
    before = catalog.product.items.values().get()
    for name, value in (
        ("type", "PPU"), ("period", "Yearly"), ("precision", "Decimal(2)"), ("unit", '{"id": "x"}'),
        ("unit", '{"title": {}}'), ("unit", '{"id": "user", "title": []}'), ("unit", '{"id": {}}'),
        ("status", "draft"), ("status", "other"),
    ):  # fmt: skip
        response = root.post(url, {**form, f"items-0-{name}": value})
        assert response.status_code == 200, name
        [errors] = response.context["inline_admin_formsets"][0].formset.errors
        assert errors.keys() == {name}
        assert catalog.product.items.values().get() == before
    assert root.post(url, {**form, "items-0-name": "Chair"}).status_code == 302
    # The version that it was published by has its name.
    assert ProductVersion.objects.get().parts.get().data["name"] == before["name"]


@pytest.mark.parametrize(
    ("status", "refused", "next_status"),
    [
        ("draft", ["endofsale", "other", ""], "published"),
        ("published", ["draft", "other"], "endofsale"),
        ("endofsale", ["draft"], "published"),
    ],
)
def test_product_changes_its_status_by_the_state_machine_only(
    root: Client, catalog: Catalog, status: str, refused: list[str], next_status: str
) -> None:
    Template.objects.all().delete()
    Product.objects.filter(pk=catalog.product.pk).update(status=status)
    row = Product.objects.get(pk=catalog.product.pk)
    url, form = product_page(row)
    for name in refused:
        response = root.post(url, {**form, "status": name})
        assert response.status_code == 200 and "status" in response.context["adminform"].errors
    assert root.post(url, {**form, "status": next_status}).status_code == 302
    row.refresh_from_db()
    assert row.status == next_status


def test_end_of_an_item_s_sale_has_a_date(root: Client, catalog: Catalog) -> None:
    Template.objects.all().delete()
    item = catalog.product.items.get()
    for status, is_ended in (("endofsale", True), ("published", False)):
        url, form = product_page(catalog.product)
        assert root.post(url, {**form, "items-0-status": status}).status_code == 302
        item.refresh_from_db()
        assert (item.status, item.sale_ended is not None) == (status, is_ended)


def test_change_of_a_product_leaves_the_version_that_is_published_meanwhile(
    root: Client, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    Template.objects.all().delete()
    row, begin = catalog.product, products.begin_change
    url, form = product_page(row)

    def publish_first(product: Product) -> Product:
        monkeypatch.undo()
        versions.create(product, {"public": True})
        return begin(product)

    monkeypatch.setattr(products, "begin_change", publish_first)
    assert root.post(url, {**form, "name": "Renamed"}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.version) == ("Renamed", 2)
    assert versions.create(row, {}).number == 3


def test_superuser_creates_accounts_and_users(root: Client, catalog: Catalog) -> None:
    root.post(
        "/admin/catalog/account/add/", {"name": "Third", "type": "provider", "role": "distributor"}
    )
    account = Account.objects.get(name="Third")
    assert account.pk.startswith("PA-")
    body = {
        "username": "eve",
        "email": "eve@example.com",
        "account": account.pk,
        "usable_password": "false",
    }
    response = root.post("/admin/catalog/user/add/", body)
    assert response.status_code == 302, response.context["errors"]
    assert User.objects.get(username="eve").uid.startswith("UR-")


def test_api_key_is_shown_without_its_digest(
    root: Client, vendor: Client, catalog: Catalog
) -> None:
    service = User.objects.create(
        username="SU-1", uid="SU-111-111-111", account=catalog.vendor, is_service=True
    )
    ApiToken.objects.create(user=service, name="The key", digest="d1635700", created=AT)
    for client in (root, vendor):
        html = client.get(f"/admin/catalog/user/{service.pk}/change/").content.decode()
        assert "The key" in html and "d1635700" not in html
        listed = client.get("/admin/catalog/apitoken/").content.decode()
        assert "All modules</td>" in listed and "[&#x27;all&#x27;]" not in listed


def test_change_of_a_key_leaves_what_others_change_meanwhile(
    root: Client, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.store(catalog.vendor, "SU-111-111-111:of-this-test", "The key")
    token = ApiToken.objects.get()

    def revoke(*given: Any, **more: Any) -> list[str]:
        keys.revoke("SU-111-111-111")
        return ["Usage"]

    monkeypatch.setattr(ModulesField, "clean", revoke)
    form = {"name": "The key", "active": "on", "modules": "Usage"}
    assert root.post(f"/admin/catalog/apitoken/{token.pk}/change/", form).status_code == 302
    token.refresh_from_db()
    assert (token.modules, token.active) == (["Usage"], False)


def test_account_sees_no_passwords(vendor: Client, catalog: Catalog) -> None:
    html = vendor.get(f"/admin/catalog/user/{catalog.vendor_user.pk}/change/").content.decode()
    assert "assword:" not in html and "uperuser" not in html
    denied = vendor.post(f"/admin/catalog/user/{catalog.vendor_user.pk}/password/", {})
    assert denied.status_code == 403


def test_objects_that_requests_refer_to_cannot_be_deleted(root: Client, catalog: Catalog) -> None:
    for row in (catalog.vendor, catalog.product, catalog.connection):
        name = f"admin:catalog_{row._meta.model_name}_delete"
        assert root.post(reverse(name, args=[row.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("lookup", ["regex", "iregex"])
def test_admin_list_refuses_regular_expressions(root: Client, vendor: Client, lookup: str) -> None:
    for client in (root, vendor):
        for name in ("note", "status"):
            response = client.get(f"{LIST}?{name}__{lookup}=(a*)*b")
            refused = response.headers.get("Location", "").endswith("e=1")
            assert refused or response.status_code == 400, (name, response)
