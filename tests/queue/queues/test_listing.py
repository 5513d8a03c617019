"""The listing queue: creation, effects of completion, and filters."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from django.apps import apps

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Contract, Listing, Product
from requests_queue.errors import Refused
from requests_queue.queues import samples as registry
from requests_queue.queues import transitions
from requests_queue.queues.listing import creation, samples
from requests_queue.queues.listing.models import ListingRequest
from tests import make
from tests.api import VENDOR, Caller, caller, ids, refused
from tests.signed_in import signed_in, staff
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db

PATH = "/listing-requests"
PRODUCT, LISTING = "PRD-111-111-111", "LST-111-111-111"


def everything() -> tuple[Any, ...]:
    models = (ListingRequest, Listing, Event, Webhook)
    return tuple(list(model._default_manager.order_by("pk").values()) for model in models)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("new", "unlisted", "listed"),
        ("update", "listed", "listed"),
        ("remove", "listed", "unlisted"),
    ],
)
def test_completion_changes_the_listings_status(
    catalog: make.Catalog, kind: str, before: str, after: str
) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    listing = Listing.objects.get()
    Listing.objects.update(status=before)
    body: dict[str, Any] = {"type": kind, "note": "Please."}
    if kind == "new":
        body |= {"product_id": catalog.product.pk, "contract_id": listing.contract_id}
    else:
        body |= {"listing_id": listing.pk}
    created = vendor.post(PATH, body)
    assert (created.status, created.json["state"], created.json["type"]) == (201, "draft", kind)
    assert created.json["id"] == f"LSTR-{listing.pk[4:]}-001"
    assert created.json["listing"]["id"] == listing.pk
    assert "pending_request" not in created.json["listing"]
    one = f"{PATH}/{created.json['id']}"
    response = vendor.post(f"{one}/submit")
    assert (response.status, response.json["state"], response.json["assignee"]) == (
        200,
        "reviewing",
        {},
    )
    pending = {"id": created.json["id"], "type": kind, "status": "reviewing"}
    assert response.json["listing"]["pending_request"] == pending
    assert distributor.get(f"/listings/{listing.pk}").json["pending_request"] == pending
    response = distributor.post(f"{one}/deploy")
    assert (response.status, response.json["state"]) == (200, "deploying")
    assert response.json["assignee"]["id"].startswith("SU-")
    assert Listing.objects.get().status == before
    response = distributor.post(f"{one}/complete")
    assert (response.status, response.json["state"]) == (200, "completed")
    assert response.json["listing"]["status"] == Listing.objects.get().status == after


def test_canceled_request_changes_nothing_and_allows_another(catalog: make.Catalog) -> None:
    body = {"type": "remove", "listing_id": LISTING}
    row = creation.create(body, catalog.as_vendor)
    transitions.move(ListingRequest, row.pk, "submit", catalog.as_vendor)
    with pytest.raises(Refused, match=f"has an open request {row.pk} already"):
        creation.create(body, catalog.as_vendor)
    transitions.move(ListingRequest, row.pk, "cancel", catalog.as_distributor)
    assert Listing.objects.get(pk=row.listing_id).status == "listed"
    assert creation.create(body, catalog.as_vendor).pk == f"{row.pk[:-1]}2"


def test_draft_creates_and_deletes_the_listing_of_a_new_product(catalog: make.Catalog) -> None:
    for n, account in enumerate((catalog.vendor, catalog.provider), 1):
        make.webhook(catalog, n=n, object_class="listing_request", account=account)
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    Listing.objects.all().delete()
    contract = Contract.objects.get()
    body = {"type": "new", "product_id": catalog.product.pk, "contract_id": contract.pk}
    one = vendor.post(PATH, body).json
    assert Listing.objects.get().status == "unlisted"
    assert not Event.objects.exists()
    assert distributor.delete(f"{PATH}/{one['id']}").status == 403
    assert vendor.delete(f"{PATH}/{one['id']}").status == 204
    assert not Listing.objects.exists()
    two, three = vendor.post(PATH, body).json, vendor.post(PATH, body).json
    assert two["listing"]["id"] == three["listing"]["id"] != one["listing"]["id"]
    assert vendor.post(f"{PATH}/{two['id']}/submit").status == 200
    again = vendor.post(f"{PATH}/{three['id']}/submit")
    assert (again.status, again.json["error_code"]) == (400, "REQ_003")
    assert vendor.delete(f"{PATH}/{two['id']}").status == 400
    assert vendor.delete(f"{PATH}/{three['id']}").status == 204
    assert Listing.objects.count() == 1


@pytest.mark.parametrize("is_submitted", [False, True])
def test_distributors_lists_have_a_canceled_request_that_was_submitted(
    catalog: make.Catalog, is_submitted: bool
) -> None:
    body = {"type": "remove", "listing_id": LISTING}
    pk = creation.create(body, catalog.as_vendor).pk
    if is_submitted:
        transitions.move(ListingRequest, pk, "submit", catalog.as_vendor)
        transitions.move(ListingRequest, pk, "refine", catalog.as_distributor)
    transitions.move(ListingRequest, pk, "cancel", catalog.as_vendor)
    for account, user, is_listed in (
        (catalog.vendor, catalog.vendor_user, True),
        (catalog.provider, catalog.provider_user, is_submitted),
    ):
        assert (pk in ids(caller(account), PATH)) is is_listed
        assert caller(account).get(f"{PATH}/{pk}").status == 200
        client = signed_in(staff(user))
        listed = "/admin/listing/listingrequest/"
        assert (pk in client.get(listed).content.decode()) is is_listed
        assert client.get(f"{listed}{pk}/change/").status_code == 200


@pytest.mark.parametrize("status", ["draft", "endofsale"])
def test_only_a_published_product_is_listed(catalog: make.Catalog, status: str) -> None:
    vendor, products = caller(catalog.vendor), Product.objects.filter(pk=PRODUCT)
    Listing.objects.update(status="unlisted")
    body = {"type": "new", "product_id": PRODUCT, "contract_id": "CRD-11111-11111-11111"}
    draft = vendor.post(PATH, body).json["id"]
    products.update(status=status)
    response = vendor.post(PATH, body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert response.json["errors"][0].startswith(f"product_id: Product {PRODUCT} is {status}: ")
    response = vendor.post(f"{PATH}/{draft}/submit")
    assert (response.status, response.json["error_code"]) == (400, "REQ_003")
    assert ListingRequest.objects.get().status == "draft"
    products.update(status="published")
    assert vendor.post(f"{PATH}/{draft}/submit").status == 200
    # A request about what is listed already needs no published product.
    ListingRequest.objects.all().delete()
    Listing.objects.update(status="listed")
    products.update(status=status)
    assert vendor.post(PATH, {"type": "remove", "listing_id": LISTING}).status == 201


@pytest.mark.parametrize("status", ["enrolling", "pending", "rejected", "terminated"])
def test_a_product_is_listed_under_an_active_contract_only(
    catalog: make.Catalog, status: str
) -> None:
    Listing.objects.update(status="unlisted")
    Contract.objects.update(status=status)
    body = {"type": "new", "product_id": PRODUCT, "contract_id": "CRD-11111-11111-11111"}
    response = caller(catalog.vendor).post(PATH, body)
    refused(response, 400, f"contract_id: Contract CRD-11111-11111-11111 is {status}.")


def test_distributors_list_has_no_drafts_that_were_not_submitted(catalog: make.Catalog) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    pk = vendor.post(PATH, {"type": "update", "listing_id": LISTING}).json["id"]

    def listed() -> tuple[bool, ...]:
        parties = (vendor, distributor)
        found = [ids(party, f"{PATH}?state=draft") == [pk] for party in parties]
        assert found == [ids(party, f"{PATH}?id={pk}") == [pk] for party in parties]
        return tuple(found)

    assert listed() == (True, False)
    assert distributor.get(f"{PATH}/{pk}").json["state"] == "draft"
    assert vendor.post(f"{PATH}/{pk}/submit").status == 200
    assert ids(distributor, PATH) == [pk]
    # A refined request is a draft that the distributor has seen.
    assert distributor.post(f"{PATH}/{pk}/refine").status == 200
    assert listed() == (True, True)


def test_migration_takes_requests_of_the_distributor_for_submitted(catalog: make.Catalog) -> None:
    body = {"type": "update", "listing_id": LISTING}
    drafts = [creation.create(body, catalog.as_vendor).pk for _ in range(4)]
    rows = ListingRequest.objects
    rows.filter(pk=drafts[1]).update(assignee=catalog.vendor_user)
    rows.filter(pk=drafts[2]).update(assignee=catalog.provider_user)
    rows.filter(pk=drafts[3]).update(status="canceled")
    name = "requests_queue.queues.listing.migrations.0002_submitted"
    importlib.import_module(name).mark(apps, None)
    found = rows.order_by("pk").values_list("submitted", flat=True)
    assert list(found) == [False, False, True, True]


def test_vendor_cancels_a_draft_and_nothing_else(catalog: make.Catalog) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    body = {"type": "remove", "listing_id": LISTING}
    one, two = (vendor.post(PATH, body).json["id"] for _ in range(2))
    assert distributor.post(f"{PATH}/{one}/cancel").status == 403
    canceled = vendor.post(f"{PATH}/{one}/cancel").json
    assert (canceled["state"], canceled["assignee"]) == ("canceled", {})
    assert Listing.objects.get(pk=LISTING).status == "listed"
    assert vendor.post(f"{PATH}/{one}/submit").status == 400
    assert vendor.post(f"{PATH}/{two}/submit").status == 200
    assert vendor.post(f"{PATH}/{two}/cancel").status == 403


def test_deleted_draft_deletes_its_conversation(catalog: make.Catalog) -> None:
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    body = {"type": "update", "listing_id": LISTING}
    one = vendor.post(PATH, body).json["id"]
    assert vendor.post(f"{PATH}/{one}/submit").status == 200
    assert distributor.post(f"{PATH}/{one}/refine").status == 200
    assert len(ids(vendor, f"/conversations?instance_id={one}")) == 1
    assert vendor.delete(f"{PATH}/{one}").status == 204
    # The next request reuses the number, without the messages of the first.
    assert vendor.post(PATH, body).json["id"] == one
    assert ids(vendor, f"/conversations?instance_id={one}") == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "type: This field is required."),
        ({"type": "change"}, 'type: "change" is not a valid choice.'),
        ({"type": "new"}, "product_id: This field is required."),
        ({"type": "new", "product_id": 7}, "product_id: Not a valid string."),
        (
            {"type": "new", "product_id": "P", "contract_id": "C"},
            "product_id: Product P does not exist.",
        ),
        ({"type": "new", "product_id": PRODUCT}, "contract_id: This field is required."),
        (
            {"type": "new", "product_id": PRODUCT, "contract_id": "CRD-22222-22222-22222"},
            "contract_id: Contract CRD-22222-22222-22222 does not exist.",
        ),
        (
            {"type": "new", "product_id": PRODUCT, "contract_id": "CRD-11111-11111-11111"},
            "LST-111-111-111 is listed: new is for unlisted ones only.",
        ),
        ({"type": "remove"}, "listing_id: This field is required."),
        ({"type": "remove", "listing_id": []}, "listing_id: Not a valid string."),
        (
            {"type": "update", "listing_id": "LST-222-222-222"},
            "listing_id: Listing LST-222-222-222 does not exist.",
        ),
        ({"type": "update", "listing_id": LISTING, "note": {}}, "note: Not a valid string."),
    ],
)  # fmt: skip
def test_invalid_bodies_are_refused(body: dict[str, Any], message: str) -> None:
    catalog, _ = make.catalog(), make.catalog("2")
    before = everything()
    refused(caller(catalog.vendor).post(PATH, body), 400, message)
    assert everything() == before


def test_assign_without_a_body_assigns_the_caller(distributor: Caller) -> None:
    [pk] = ids(distributor, f"{PATH}?state=reviewing")
    response = distributor.post(f"{PATH}/{pk}/assign")
    assert (response.status, response.json["assignee"]["id"][:3]) == (200, "SU-")
    assert distributor.post(f"{PATH}/{pk}/unassign").json["assignee"] == {}
    response = distributor.post(f"{PATH}/{pk}/assign", {"id": "UR-580-227-641"})
    assert response.json["assignee"]["name"] == "Jonas Berg"
    assert distributor.post(f"{PATH}/{pk}/assign", {"id": "UR-426-913-070"}).status == 404


def test_distributor_changes_the_listings_status(vendor: Caller, distributor: Caller) -> None:
    path = "/listings/LST-731-204-558"
    assert vendor.put(path, {"status": "unlisted"}).status == 403
    assert vendor.put(path, vendor.get(path).json).status == 200
    assert distributor.put(path, {"status": "gone"}).status == 400
    response = distributor.put(path, {"status": "unlisted"})
    assert (response.status, response.json["status"]) == (200, "unlisted")
    assert path.rpartition("/")[2] not in ids(vendor, "/listings?eq(status,listed)")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?state=draft", 1), ("?eq(state,completed)", 3), ("?in(state,(reviewing,deploying))", 2),
        ("?product__id=PRD-814-505-018", 3), ("?listing.product.id=PRD-814-505-018", 3),
        ("?listing.contract.marketplace.id=MP-40117&type=new", 3), ("?type=remove", 2),
        ("?ge(created,2020-01-01T00:00:00+00:00)", 7), ("?listing__id=LST-448-096-312", 2),
        ("?eq(vendor.id,VA-610-138)&ordering(-created)&limit=2", 2), ("?listing.vendor.name=x", 0),
    ],
)  # fmt: skip
def test_request_filters(vendor: Caller, query: str, count: int) -> None:
    assert len(ids(vendor, f"{PATH}{query}")) == count


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?eq(status,listed)", 3), ("?in(state,(listed,unlisted))", 3),
        ("?state=unlisted", 0), ("?product__id=PRD-814-505-018", 1),
        ("?product__name__icontains=meter", 1), ("?marketplace__name__icontains=NORTH", 3),
        ("?pending_request__is_null=true", 1), ("?pending_request.status=deploying", 1),
        ("?contract.id=CRD-41020-88713-20954&select(-contract)", 3),
    ],
)  # fmt: skip
def test_listing_filters(vendor: Caller, query: str, count: int) -> None:
    assert len(ids(vendor, f"/listings{query}")) == count


@pytest.mark.parametrize("kind", creation.TYPES)
def test_samples_can_be_completed(vendor: Caller, kind: str) -> None:
    row = samples.create_sample(kind, None)
    catalog = {"submit": "vendor", "deploy": "provider", "complete": "provider"}
    for name, side in catalog.items():
        account = getattr(row, side)
        row = transitions.move(ListingRequest, row.pk, name, Actor(account.users.first(), account))
    assert (row.type, row.status) == (kind, "completed")
    product = Product.objects.get(pk="PRD-814-505-018")
    if kind == "new":
        with pytest.raises(Refused, match="under every contract"):
            samples.create_sample(kind, product)
    elif kind == "update":
        assert samples.create_sample(kind, product).product == product


def test_default_sample_is_about_a_listed_product(vendor: Caller) -> None:
    before = set(Product.objects.values_list("pk", flat=True))
    made = [registry.make("listing", None, None, Account.objects.get(pk=VENDOR)) for _ in range(3)]
    assert {row.product_id for row in made} <= before
    assert set(Product.objects.values_list("pk", flat=True)) == before


def test_sample_of_a_new_listing_reuses_a_product(vendor: Caller) -> None:
    """One whose listing was canceled before it is created again."""
    first = samples.create_sample("new", None)
    count = Product.objects.count()
    for name, side in {"submit": "vendor", "cancel": "provider"}.items():
        transitions.move(ListingRequest, first.pk, name, Actor(None, getattr(first, side)))
    assert samples.create_sample("new", None).product == first.product
    assert Product.objects.count() == count


def test_product_of_a_sample_is_deleted_with_its_requests(vendor: Caller) -> None:
    row = samples.create_sample("new", None)
    registry.delete_product(row.product, row.vendor)
    assert not Product.objects.filter(pk=row.product_id).exists()
    assert not ListingRequest.objects.filter(pk=row.pk).exists()
    assert not Listing.objects.filter(pk=row.listing_id).exists()
    sold = Product.objects.get(pk="PRD-814-505-018")
    with pytest.raises(Refused, match="can't be deleted: there are"):
        registry.delete_product(sold, row.vendor)
    with pytest.raises(Refused, match="by its vendor"):
        registry.delete_product(sold, row.provider)
