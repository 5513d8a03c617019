"""Customers and resellers in bodies: errors by field, and lookup of existing accounts."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.models import TierAccount
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.seed.customers import CASCADE
from requests_queue.seed.products import SUITE
from tests import make
from tests.api import Caller, refused
from tests.orders import PLAIN

BLANK = "This field may not be blank."
TEXT = "Not a valid string."
EMAIL = "Enter a valid email address."
REQUIRED = "This field is required."
OBJECT = "Expected an object."


def longest(count: int) -> str:
    return f"Ensure this field has no more than {count} characters."


# Path in the contact information, its value, and the error.
WRONG_CONTACTS: list[tuple[str, Any, str]] = [
    ("contact.email", 5, EMAIL),
    ("contact.email", True, TEXT),
    ("contact.email", ["ada@example.com"], TEXT),
    ("contact.email", "a" * 250 + "@example.com", longest(254)),
    ("contact.first_name", "  ", BLANK),
    ("contact.last_name", "x" * 101, longest(100)),
    ("city", "x" * 101, longest(100)),
    ("city", False, TEXT),
    ("postal_code", "9" * 51, longest(50)),
    ("country", None, BLANK),
    ("country", {"id": "US"}, TEXT),
    ("state", True, TEXT),
    ("address_line2", [], TEXT),
    ("contact", [], OBJECT),
    ("contact.phone_number", False, OBJECT),
    ("contact.phone_number", [], OBJECT),
    ("contact.phone_number.extension", "1" * 26, longest(25)),
    ("contact.phone_number.area_code", True, TEXT),
]


def contact_with(path: str, value: Any) -> Any:
    """Return contact information with another value at a path."""
    head, _, rest = path.partition(".")

    def inside(node: dict[str, Any], head: str, rest: str) -> dict[str, Any]:
        if not rest:
            return {**node, head: value}
        first, _, more = rest.partition(".")
        return {**node, head: inside(node[head], first, more)}

    return inside(make.CONTACT, head, rest)


def order(customer: Any, reseller: Any = None, **more: Any) -> dict[str, Any]:
    reseller = reseller or {"name": "Portland Resellers", "contact_info": make.CONTACT}
    asset = {
        "connection": {"id": "CT-2044-1187-9002"},
        "items": [{"id": f"{PLAIN}-0001", "quantity": 1}],
        "tiers": {"customer": customer, "tier1": reseller},
    }
    return {"type": "purchase", "asset": asset, **more}


def test_invalid_contacts_are_refused_everywhere(distributor: Caller) -> None:
    before = TierAccount.objects.count()
    for path, value, message in WRONG_CONTACTS:
        info = contact_with(path, value)
        error = f"contact_info.{path}: {message}"
        refused(distributor.post("/tier/accounts", {"contact_info": info}), 400, error)
        refused(distributor.put(f"/tier/accounts/{CASCADE}", {"contact_info": info}), 400, error)
        change = {"type": "update", "account": {"id": CASCADE, "contact_info": info}}
        refused(distributor.post("/tier/account-requests", change), 400, f"account.{error}")
        bought = distributor.post("/requests", order({"contact_info": info}))
        refused(bought, 400, f"asset.tiers.customer.{error}")
        account = {"product": {"id": SUITE}, "tier_level": 1, "account": {"contact_info": info}}
        response = distributor.post("/tier/config-requests", {"configuration": account})
        refused(response, 400, f"configuration.account.{error}")
    assert TierAccount.objects.count() == before


def test_invalid_names_of_a_customer_are_refused(distributor: Caller) -> None:
    for name, value, message in (
        ("tax_id", "9" * 101, longest(100)),
        ("name", "x" * 256, longest(255)),
        ("external_uid", True, TEXT),
        ("external_id", {}, TEXT),
        ("id", 5, TEXT),
        ("id", False, TEXT),
        ("id", [], TEXT),
    ):
        response = distributor.post("/requests", order({"contact_info": make.CONTACT, name: value}))
        refused(response, 400, f"asset.tiers.customer.{name}: {message}")


def test_long_names_of_a_contact_become_the_accounts_name(distributor: Caller) -> None:
    person = {**make.CONTACT["contact"], "first_name": "A" * 100, "last_name": "B" * 100}  # type: ignore[dict-item]
    created = distributor.post(
        "/tier/accounts", {"contact_info": {**make.CONTACT, "contact": person}}
    )
    assert created.json["name"] == f"{'A' * 100} {'B' * 100}"


def test_number_is_accepted_as_text(distributor: Caller) -> None:
    created = distributor.post(
        "/tier/accounts", {"contact_info": contact_with("postal_code", 97201)}
    )
    assert created.json["contact_info"]["postal_code"] == "97201"
    created = distributor.post("/tier/accounts", {"contact_info": make.CONTACT, "external_id": 1.5})
    assert created.json["external_id"] == "1.5"


def test_invalid_ids_and_choices_of_a_configuration_are_refused(distributor: Caller) -> None:
    account = {"id": TierAccount.objects.filter(type="reseller").order_by("pk")[0].pk}
    whole = {"product": {"id": SUITE}, "tier_level": 1, "account": account}
    before = (TierConfig.objects.count(), TierConfigRequest.objects.count())

    def ask(configuration: Any, **more: Any) -> Any:
        return distributor.post("/tier/config-requests", {"configuration": configuration, **more})

    for value in (False, 0, 5, [], {}, True):
        for name in ("product", "connection", "marketplace", "account", "parent_account"):
            refused(ask({**whole, name: {"id": value}}), 400, f"configuration.{name}.id: {TEXT}")
        refused(ask({**whole, "id": value}), 400, f"configuration.id: {TEXT}")
        for name in ("type", "status"):
            refused(ask(whole, **{name: value}), 400, f'{name}: "{value}" is not a valid choice.')
    refused(ask(whole, status="done"), 400, 'status: "done" is not a valid choice.')
    assert (TierConfig.objects.count(), TierConfigRequest.objects.count()) == before


def test_invalid_template_id_is_refused(vendor: Caller) -> None:
    pending = TierConfigRequest.objects.filter(status="pending").first()
    assert pending is not None
    path = f"/tier/config-requests/{pending.pk}"
    needed = [
        {"id": p["id"], "value": p["value"] or "x", "value_error": "" if p["value"] else "Why?"}
        for p in pending.params
        if p["phase"] == "fulfillment" and p["type"] == "text"
    ]
    assert vendor.put(path, {"params": needed}).status == 200
    for value in (False, 0, [], {}):
        for move in ("approve", "inquire"):
            wrong = vendor.post(f"{path}/{move}", {"template": {"id": value}})
            refused(wrong, 400, f"template.id: {TEXT}")
    assert vendor.get(path).json["status"] == "pending"


def test_a_marketplace_that_is_no_object_is_refused(distributor: Caller) -> None:
    customer = {"name": "N", "contact_info": make.CONTACT}
    for value, error in (
        ("MP-40117", "marketplace: Expected an object."),
        ({"id": 5}, f"marketplace.id: {TEXT}"),
    ):
        refused(distributor.post("/requests", order(customer, marketplace=value)), 400, error)


class TestIdentification:
    def buy(self, caller: Caller, **names: str) -> str:
        row = caller.post("/requests", order({"contact_info": make.CONTACT, **names}))
        assert row.status == 201, row
        return str(row.json["asset"]["tiers"]["customer"]["id"])

    def test_external_id_identifies_an_existing_account(self, distributor: Caller) -> None:
        first = self.buy(distributor, external_id="77001")
        assert self.buy(distributor, external_id="77001") == first
        # The same commerce system now also sends the uid.
        assert self.buy(distributor, external_id="77001", external_uid="u-1") == first

    def test_external_id_with_another_uid_does_not_match(self, distributor: Caller) -> None:
        first = self.buy(distributor, external_id="77001", external_uid="u-1")
        second = self.buy(distributor, external_id="77001", external_uid="u-2")
        assert second != first
        assert self.buy(distributor, external_id="other", external_uid="u-2") == second


def test_configuration_shows_the_products_configured_values(
    vendor: Caller, distributor: Caller
) -> None:
    (asset,) = vendor.get(f"/assets?product.id={SUITE}&limit=1").json
    expected = {p["id"]: p["value"] for p in asset["configuration"]["params"]}
    assert expected
    for party in (vendor, distributor):
        request = party.get("/tier/config-requests?limit=1").json[0]["configuration"]
        for row in (request, party.get(f"/tier/configs/{request['id']}").json):
            assert {p["id"]: p["value"] for p in row["configuration"]["params"]} == expected
