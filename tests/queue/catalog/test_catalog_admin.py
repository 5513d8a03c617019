"""The catalog in the admin: pages, what they create, and visibility."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from requests_queue.catalog import keys
from requests_queue.catalog.models import (
    Account,
    Agreement,
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
from tests import make
from tests.make import AT, Catalog
from tests.signed_in import distributor, root, signed_in, staff, stranger, vendor  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db

CATALOG_PAGES = (
    Account, Asset, Connection, Contract, Hub, Listing, Marketplace, Product, TierAccount, User,
)  # fmt: skip


def program_contract(catalog: Catalog) -> Contract:
    """Create a contract of a program of the provider."""
    program = Agreement.objects.create(
        id="AGP-111-111-111",
        name="Program",
        type="program",
        owner=catalog.provider,
        created=AT,
        updated=AT,
    )
    return Contract.objects.create(
        id="CRP-11111-11111-11111",
        name="Contract of a program",
        type="program",
        vendor=catalog.vendor,
        provider=catalog.provider,
        program=program,
        created=AT,
    )


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
    program_contract(catalog)
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


def test_contract_keeps_its_type_and_stays_of_its_marketplace_or_program(
    root: Client, catalog: Catalog
) -> None:
    program_contract(catalog)
    for row in Contract.objects.values():
        form = {
            "name": "Renamed",
            "status": "active",
            "vendor": row["vendor_id"],
            "provider": row["provider_id"],
            "type": "other",
            "marketplace": "MP-11111",
        }
        url = f"/admin/catalog/contract/{row['id']}/change/"
        assert root.post(url, form).status_code == 302
        assert Contract.objects.values().get(pk=row["id"]) == {**row, "name": "Renamed"}


def test_nothing_is_listed_under_a_program_contract(root: Client, catalog: Catalog) -> None:
    url, own = "/admin/catalog/listing/add/", Contract.objects.get().pk
    form = {"status": "listed", "product": catalog.product.pk}
    response = root.post(url, {**form, "contract": program_contract(catalog).pk})
    assert response.context["adminform"].errors.keys() == {"contract"}
    assert root.post(url, {**form, "contract": own}).status_code == 302


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


def test_unit_that_is_not_changed_may_have_an_old_form(root: Client, catalog: Catalog) -> None:
    Template.objects.all().delete()
    Item.objects.update(unit={"name": "Users"})
    url, form = product_page(catalog.product)
    assert root.post(url, {**form, "items-0-name": "Chair"}).status_code == 302
    item = Item.objects.get()
    assert (item.name, item.unit) == ("Chair", {"name": "Users"})
    assert root.post(url, {**form, "items-0-unit": '{"name": "Seats"}'}).status_code == 200


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
    ended = {"replacement": catalog.product.pk, "end_of_sale_notes": "Too old."}
    columns = ended if status == "endofsale" else {}
    Product.objects.update(status=status, **columns)
    row = Product.objects.get()
    url, form = product_page(row)
    form |= columns
    for name in refused:
        response = root.post(url, {**form, "status": name})
        assert response.status_code == 200 and "status" in response.context["adminform"].errors
    assert root.post(url, {**form, "status": next_status}).status_code == 302
    row.refresh_from_db()
    assert (row.status, row.replacement, row.end_of_sale_notes) == (next_status, None, "")


def test_end_of_an_item_s_sale_has_a_date_until_it_is_sold_again(
    root: Client, catalog: Catalog
) -> None:
    Template.objects.all().delete()
    item = catalog.product.items.get()
    for status, is_ended in (("endofsale", True), ("published", False)):
        url, form = product_page(catalog.product)
        assert root.post(url, {**form, "items-0-status": status}).status_code == 302
        item.refresh_from_db()
        assert (item.status, item.sale_ended is not None) == (status, is_ended)
        if is_ended:
            Item.objects.update(replacement=item, end_of_sale_notes="Too old.")
    assert (item.replacement, item.end_of_sale_notes) == (None, "")


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
