"""The tier account queue: effects of a changed account, checks of actions, visibility."""

from __future__ import annotations

import json
from typing import Any

import pytest

from requests_queue.catalog.models import Asset, Product, TierAccount, TierAccountVersion, User
from requests_queue.errors import Refused
from requests_queue.queues.tier_account import creation, samples
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.seed.products import BACKUP, SUITE
from tests import make
from tests.api import Caller, caller, ids, refused
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db

ON = {"tiers": {"updates": True}}
PATH = "/tier/account-requests"
TIER = "TA-0000-0000-0001"
# Alder & Finch: customer of a subscription of the plain product, and of one of the suite.
ALDER = "TA-0418-2290-3310"


def everything() -> tuple[Any, ...]:
    models = (TierAccount, TierAccountVersion, TierAccountRequest, Event, Webhook)
    return tuple(list(model.objects.order_by("pk").values()) for model in models)


def hooks(catalog: make.Catalog, first: int = 1) -> list[Webhook]:
    """Make a webhook of the queue for each party."""
    return [
        make.webhook(catalog, n=first + n, object_class="tier_account_request", account=account)
        for n, account in enumerate((catalog.vendor, catalog.provider))
    ]


def changed(account: str = TIER, **more: Any) -> dict[str, Any]:
    return {"type": "update", "account": {"id": account, "name": "Renamed", **more}}


def create_request(catalog: make.Catalog, n: int = 1) -> TierAccountRequest:
    customer = make.asset(catalog, n).customer
    [row] = creation.create(changed(customer.pk, name=f"Renamed {n}"), catalog.as_distributor)
    return row


@pytest.fixture
def catalog() -> make.Catalog:
    return make.catalog(capabilities=ON)


def test_reason_of_an_ignored_request_is_optional(catalog: make.Catalog) -> None:
    vendor = caller(catalog.vendor)
    for n, body in enumerate(({"reason": "Not kept"}, None), 1):
        path = f"{PATH}/{create_request(catalog, n).pk}"
        assert vendor.put(path, {}).status == 405
        response = vendor.post(f"{path}/ignore", body)
        expected = ("ignored", body["reason"] if body else "")
        assert (response.json["status"], response.json["reason"]) == expected


def test_a_change_makes_a_request_for_each_linked_product(catalog: make.Catalog) -> None:
    hooks(catalog)
    asset = make.asset(catalog)
    plain = Product.objects.create(
        id="PRD-000-000-002", name="Plain", owner=catalog.vendor, created=make.AT, updated=make.AT
    )
    more = {
        "connection": catalog.connection,
        "marketplace": asset.marketplace,
        "contract": asset.contract,
        "created": make.AT,
        "updated": make.AT,
    }
    for n, (product, status, tiers) in enumerate(
        (
            (plain, "active", {"customer": asset.customer, "tier1": asset.customer}),
            (
                catalog.product,
                "suspended",
                {"customer": asset.customer, "tier1": asset.customer, "tier2": asset.customer},
            ),
        ),
        2,
    ):
        Asset.objects.create(id=f"AS-1-{n}", product=product, status=status, **tiers, **more)
    response = caller(catalog.provider).put(f"/tier/accounts/{TIER}", {"name": "Renamed"})
    assert (response.status, response.json["version"]) == (200, 2)
    rows = list(TierAccountRequest.objects.order_by("pk"))
    assert [(r.pk, r.status, r.product_id) for r in rows] == [
        ("TAR-0000-0000-0001-001-001", "unsupported", plain.pk),
        ("TAR-0000-0000-0001-001-002", "pending", catalog.product.pk),
    ]
    assert rows[0].reason == "Product does not support contact details change."
    assert [r.scopes for r in rows] == [["customer", "tier1"], ["customer", "tier1", "tier2"]]
    events = Event.objects.values_list("object_id", "status_to", "webhook__account")
    assert sorted(events) == [
        (rows[1].pk, "pending", catalog.provider.pk),
        (rows[1].pk, "pending", catalog.vendor.pk),
    ]
    again = creation.create(changed(tax_id="7"), catalog.as_distributor)
    assert [r.pk for r in again] == [f"TAR-0000-0000-0001-002-00{n}" for n in (1, 2)]


def test_change_in_the_admin_creates_requests(catalog: make.Catalog, client: Any) -> None:
    customer = make.asset(catalog).customer
    client.force_login(User.objects.create_superuser("root", "root@example.com", "x", uid="UR-1"))
    form = client.get(f"/admin/catalog/tieraccount/{TIER}/change/").context["adminform"].form
    data = {k: "" if v is None else v for k, v in form.initial.items()}
    data |= {"name": "Renamed", "contact_info": json.dumps(customer.contact_info)}
    for version in (2, 2):
        response = client.post(f"/admin/catalog/tieraccount/{TIER}/change/", data)
        assert response.status_code == 302, response.context["adminform"].form.errors
        customer.refresh_from_db()
        assert (customer.name, customer.version) == ("Renamed", version)
        assert TierAccountRequest.objects.get().account.name == "Renamed"


def test_terminated_subscriptions_do_not_link_a_product(catalog: make.Catalog) -> None:
    asset = make.asset(catalog)
    for n, status in enumerate(("draft", "terminated", "processing", "terminating"), 1):
        Asset.objects.filter(pk=asset.pk).update(status=status)
        assert caller(catalog.provider).put(f"/tier/accounts/{TIER}", {"tax_id": n}).status == 200
        assert TierAccountRequest.objects.count() == max(0, n - 2), status


@pytest.mark.parametrize("names", [{"id": TIER}, {"external_uid": "uid-1"}, {"external_id": "77"},
                                   {"external_uid": "uid-1", "external_id": "78"}])  # fmt: skip
def test_the_api_names_the_account_by_any_id(names: dict[str, str], catalog: make.Catalog) -> None:
    make.asset(catalog)
    TierAccount.objects.update(external_uid="uid-1", external_id="77")
    contact = {**make.CONTACT, "city": "Bonn"}
    body = {"type": "update", "account": {**names, "contact_info": contact}}
    response = caller(catalog.provider).post(PATH, body)
    assert response.status == 201
    account = response.json["account"]
    assert (account["id"], account["version"], account["contact_info"]["city"]) == (TIER, 2, "Bonn")
    assert account["scopes"] == ["customer", "tier1"]
    assert account["external_id"] == names.get("external_id", "77")
    assert TierAccount.objects.get().contact_info["city"] == "Bonn"


def test_response_is_a_request_to_decide(seeded: Any, distributor: Caller) -> None:
    response = distributor.post(PATH, changed(ALDER))
    assert (response.status, response.json["status"]) == (201, "pending")
    assert response.json["product"]["id"] == SUITE
    rows = distributor.get(f"{PATH}?eq(account.id,{ALDER})&ordering(product.id)").json
    assert [(r["product"]["id"], r["status"]) for r in rows] == [
        (SUITE, "pending"),
        (BACKUP, "unsupported"),
    ]


WRONG: list[tuple[Any, str, str]] = [
    ({"account": {"id": TIER}}, "VAL_001", "type: This field is required."),
    ({"type": "setup", "account": {"id": TIER}}, "VAL_001", 'type: "setup" is not a valid choice.'),
    ({"type": "update"}, "VAL_001", "account: This field is required."),
    ({"type": "update", "account": TIER}, "VAL_001", "account: Expected an object."),
    ({"type": "update", "account": {}}, "VAL_001", "account.id: This field is required."),
    (changed("TA-9"), "VAL_001", "account.id: Tier account TA-9 does not exist."),
    (
        {"type": "update", "account": {"external_uid": "x", "external_id": "y"}},
        "VAL_001", "account.external_uid: Tier account x does not exist.",
    ),
    (
        {"type": "update", "account": {"id": {"a": 1}}},
        "VAL_001", "account.id: Not a valid string.",
    ),
    (changed(tax_id=["x"]), "VAL_001", "account.tax_id: Not a valid string."),
    (
        changed(contact_info={"city": ""}), "VAL_001",
        "account.contact_info.city: This field may not be blank.",
    ),
    (changed(name="Customer"), "TAR_004", f"There are no changes in the tier account {TIER}."),
    (
        {"type": "update", "account": {"id": TIER}}, "TAR_004",
        f"There are no changes in the tier account {TIER}.",
    ),
]  # fmt: skip


def test_invalid_input_changes_nothing(catalog: make.Catalog) -> None:
    make.asset(catalog)
    hooks(catalog)
    distributor = caller(catalog.provider)
    before = everything()
    for body, code, error in WRONG:
        response = distributor.post(PATH, body)
        refused(response, 400, error)
        assert response.json["error_code"] == code
    assert everything() == before


def test_account_without_subscriptions_is_refused(catalog: make.Catalog) -> None:
    asset = make.asset(catalog, status="terminated")
    distributor = caller(catalog.provider)
    before = everything()
    response = distributor.post(PATH, changed())
    refused(response, 400, f"Tier account {TIER} has no subscriptions.")
    assert (response.json["error_code"], everything()) == ("TAR_003", before)
    Asset.objects.filter(pk=asset.pk).update(status="active")
    assert distributor.delete(f"/tier/accounts/{TIER}").status == 204
    response = distributor.post(PATH, changed())
    refused(response, 400, f"Tier account {TIER} is decommissioned.")
    assert response.json["error_code"] == "TAR_003"


FILTERS = {
    "status=pending": ["3372-001-001"],
    "in(status,(accepted,ignored))&ordering(events.created.at)": ["3389-001-001", "3334-001-001"],
    "type=update&status=unsupported": ["3389-001-002"],
    "eq(account.id,TA-0418-2290-3334)": ["3334-001-001"],
    "account.external_id=100329": [],
    "account.external_uid=7c2b8d41-3e5f-4a96-b0d7-3c4d5e6f0268": ["3334-001-001"],
    "like(account.name,Marlow*)": ["3372-001-001"],
    "account.version=2&status=pending": ["3372-001-001"],
    "eq(account.hub.id,HB-7710-3391)&eq(status,ignored)": ["3334-001-001"],
    "eq(account.hub.name,Northland Hub)&eq(status,ignored)": ["3334-001-001"],
    "product.id=PRD-590-284-731": ["3389-001-002"],
    "product.name=Nimbus Meter": ["3389-001-002"],
    "vendor.id=VA-610-138&status=pending": ["3372-001-001"],
    "provider.id=PA-000-000": [],
    "gt(events.created.at,2099-01-01T00:00:00+00:00)": [],
}


def test_request_filters(vendor: Caller) -> None:
    for query, expected in FILTERS.items():
        pks = [pk.removeprefix("TAR-0418-2290-") for pk in ids(vendor, f"{PATH}?{query}")]
        assert pks == expected, query
    refused(vendor.get(f"{PATH}?nothing=1"), 400)
    [row] = vendor.get(f"{PATH}?select(-account.contact_info,-product)&status=pending").json
    assert "product" not in row and "contact_info" not in row["account"]


def test_request_keeps_its_version_of_the_account(seeded: Any, distributor: Caller) -> None:
    path = f"{PATH}/TAR-0418-2290-3372-001-001"
    before = distributor.get(path).json
    assert before["account"]["contact_info"]["address_line1"] == "27 Queen Square"
    assert distributor.post(PATH, changed("TA-0418-2290-3372")).status == 201
    assert distributor.get(path).json == before


@pytest.mark.parametrize("product", [None, SUITE, BACKUP])
def test_sample_changes_a_customer(seeded: Any, product: str | None) -> None:
    expected = Product.objects.get(pk=product) if product else None
    for _ in range(2):
        row = samples.create_sample("update", expected)
        assert row.status == ("unsupported" if product == BACKUP else "pending")
        assert product in (None, row.product_id)


def test_sample_requires_a_customer() -> None:
    with pytest.raises(Refused, match="Order a subscription first"):
        samples.create_sample("update", make.catalog().product)


class TestVersions:
    def test_an_account_that_never_changed_is_its_only_version(self, distributor: Caller) -> None:
        path = f"/tier/accounts/{ALDER}"
        account = distributor.get(path).json
        response = distributor.get(f"{path}/versions")
        assert (response.json, response.headers["Content-Range"]) == ([account], "items 0-0/1")
        assert distributor.get(f"{path}/versions/1").json == account
        for none in ("2", "0", "-1", "x", "1.0"):
            refused(distributor.get(f"{path}/versions/{none}"), 404)

    def test_each_change_is_a_version(self, distributor: Caller, vendor: Caller) -> None:
        path = f"/tier/accounts/{ALDER}"
        versions = [distributor.get(path).json]
        for body in ({"name": "A"}, {"tax_id": "5"}, {"contact_info": {"city": "Bonn"}}):
            distributor.put(path, body)
            versions.insert(0, distributor.get(path).json)
        assert distributor.get(f"{path}/versions").json == versions
        assert [v["version"] for v in versions] == [4, 3, 2, 1]
        page = vendor.get(f"{path}/versions?limit=2&offset=1")
        assert [v["name"] for v in page.json] == ["A", "A"]
        assert page.headers["Content-Range"] == "items 1-2/4"
        assert vendor.get(f"{path}/versions/1").json["name"] == versions[3]["name"]
        assert vendor.get(f"{path}/versions/3").json["tax_id"] == "5"
