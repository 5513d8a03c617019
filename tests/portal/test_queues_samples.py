"""Samples: previewed without writing, changed, and created with the API's own validation."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from requests_queue import clock
from requests_queue.catalog.models import Account, Asset, TierAccount
from requests_queue.queues import base, services
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.sampling import SampleRequest
from requests_queue.queues.tier_config.models import TierConfigRequest
from tests import html, make
from tests.api import PROVIDER, VENDOR, caller
from tests.portal.queues import (
    PLAIN,
    SUITE,
    distributor,
    fields,
    refused,
    seeded,
    vendor,
)
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

NEW = "/queues/fulfillment/new/"


def kinds() -> list[tuple[str, str]]:
    return [
        (queue.model._meta.app_label, kind)
        for queue in base.registered()
        if queue.preview
        # All products of the demo are listed.
        for kind in queue.types
        if (queue.object_class, kind) != ("listing_request", "new")
    ]


def create(client: Client, path: str, sent: dict[str, Any] | None = None) -> str:
    """Send the form of a page, unchanged without values; return the page of what is created."""
    response = client.post(path, sent or fields(client, path))
    assert response.status_code == 303, html.parse(response)
    return str(response["Location"])


def pk_of(page: str) -> str:
    return page.split("/")[-2]


@pytest.mark.parametrize(("name", "kind"), kinds())
def test_every_type_is_previewed_and_created(distributor: Client, name: str, kind: str) -> None:
    queue = base.find_queue(name)
    assert queue
    path = f"/queues/{name}/new/?type={kind}"
    before = queue.model.objects.count()
    sent = fields(distributor, path)
    assert queue.model.objects.count() == before
    page = create(distributor, path, sent)
    row = queue.model.objects.get(pk=pk_of(page))
    assert getattr(row, "type", kind) == kind
    assert html.get(distributor, page).messages == f"{row.pk} created"


def test_changed_values_are_created(vendor: Client) -> None:
    path = f"{NEW}?product={SUITE}"
    sent = fields(vendor, path, entry0="17")
    sent |= {"value:admin_email": "me@here.example.com", "value:company_alias": "us"}
    names = {value[0]: name for name, value in sent.items() if value and name.startswith("entry")}
    sent[names["Portland"]] = "Salem"
    row = Request.objects.get(pk=pk_of(create(vendor, path, sent)))
    values = {p["id"]: p["value"] for p in row.params}
    assert (values["admin_email"], values["company_alias"]) == ("me@here.example.com", "us")
    city = row.asset.customer.contact_info["city"]
    assert (row.items[0]["quantity"], city) == ("17", "Salem")


def test_errors_are_shown_at_their_field_and_values_are_kept(vendor: Client) -> None:
    path = f"{NEW}?product={PLAIN}"
    sent = {**fields(vendor, path, entry0="many"), "value:region": "moon"}
    before = Request.objects.count(), TierAccount.objects.count()
    errors = refused(vendor, path, sent).errors
    assert any(error.startswith("'moon' is not one of") for error in errors)
    field = refused(vendor, path, {**sent, "value:region": ""}).one("[data-field=entry0]")
    assert field.errors == ["Quantity of SKU_SEAT is not a number."]
    assert field.one("input").value == "many"
    assert (Request.objects.count(), TierAccount.objects.count()) == before
    assert "This field is required" in refused(vendor, path, {**sent, "entry0": ""})


def test_draft_is_created(vendor: Client) -> None:
    path = f"/queues/tier_config/new/?type=setup&draft=1&product={SUITE}"
    assert TierConfigRequest.objects.get(pk=pk_of(create(vendor, path))).status == "draft"
    refusal = html.get(vendor, f"{NEW}?type=suspend&draft=1")
    assert "is not one of purchase, change, renew, transfer" in refusal


def test_request_is_about_the_selected_subscription(vendor: Client) -> None:
    other = (
        Asset.objects.filter(status="active", requests__status="approved")
        .exclude(requests__status__in=("pending", "draft", "inquiring", "scheduled", "revoking"))
        .order_by("created")[0]
    )
    page = create(vendor, f"{NEW}?type=cancel&about={other.pk}")
    assert Request.objects.get(pk=pk_of(page)).asset_id == other.pk


def test_suspended_subscription_is_offered_for_a_cancel_unless_that_is_refused(
    vendor: Client, settings: Any
) -> None:
    open_statuses = ("pending", "draft", "inquiring", "scheduled", "revoking")
    rows = Asset.objects.filter(status="active").exclude(requests__status__in=open_statuses)
    pk = rows.order_by("-created")[0].pk
    Asset.objects.filter(pk=pk).update(status="suspended")
    assert pk in html.get(vendor, f"{NEW}?type=cancel")
    settings.SIM_CANCEL_SUSPENDED = "refused"
    assert pk not in html.get(vendor, f"{NEW}?type=cancel")


def test_creator_is_shown(vendor: Client, distributor: Client) -> None:
    assert "Created as Northland Distribution" in html.get(vendor, NEW)
    assert "Created by your account" in html.get(distributor, NEW)
    page = create(distributor, f"{NEW}?product={PLAIN}")
    assert "Jonas Berg, Northland Distribution" in html.get(distributor, page)


def test_vendor_orders_in_a_sandbox_only(vendor: Client, settings: Any) -> None:
    settings.SANDBOX = False
    before = Request.objects.count()
    for response in (vendor.get(NEW), vendor.post(NEW, fields(vendor, NEW))):
        assert "Only the other party can create this." in html.parse(response)
    refused(vendor, NEW, {"at_once": "1"})
    assert Request.objects.count() == before
    # Vendors still create their own requests.
    create(vendor, "/queues/billing/new/?type=vendor")


def test_invisible_object_is_not_created(vendor: Client) -> None:
    path = "/queues/billing/new/?type=provider"
    before = BillingRequest.objects.count()
    assert "A vendor does not see" in refused(vendor, path, fields(vendor, path))
    assert BillingRequest.objects.count() == before


def test_product_of_another_vendor_is_not_found(vendor: Client) -> None:
    catalog = make.catalog("7")
    html.get(vendor, f"{NEW}?product={catalog.product.pk}", 404)
    assert vendor.post(f"{NEW}?product={catalog.product.pk}").status_code == 404


def test_queue_without_a_preview_creates_its_sample_directly(vendor: Client) -> None:
    path = "/queues/usage_file/new/"
    assert html.get(vendor, path).one("button[name=at_once]")
    assert "ready" in html.get(vendor, create(vendor, path, {"at_once": "1"}))


def test_sample_is_created_with_its_dependencies() -> None:
    vendor = signed_in(make.catalog("1").vendor_user)
    path = f"{NEW}?type=change"
    assert "It must be active" in html.get(vendor, path)
    create(vendor, path, {"at_once": "1"})
    assert set(Request.objects.values_list("type", "status")) == {
        ("purchase", "approved"),
        ("change", "pending"),
    }


def test_new_listing_is_previewed_for_a_free_contract() -> None:
    catalog = make.catalog("1")
    catalog.product.listings.all().delete()
    client = signed_in(catalog.vendor_user)
    path = "/queues/listing/new/?type=new"
    page = create(client, path, fields(client, path, entry0="Soon, please."))
    assert "Soon, please." in html.get(client, page)


@pytest.mark.parametrize("account", [VENDOR, PROVIDER])
def test_service_and_api_return_the_same_representation(seeded: Any, account: str) -> None:
    owner = Account.objects.get(pk=account)
    queue = base.find_queue("fulfillment")
    assert queue and queue.preview
    preview = queue.preview(SampleRequest("purchase", owner))
    created = services.create(queue, preview.actor, preview.body)
    assert caller(owner).get(f"/requests/{created['id']}").json == created
    assert clock.now().isoformat()[:10] == created["created"][:10]
