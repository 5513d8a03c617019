"""Writes of providers to tier accounts, and their errors."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Hub, TierAccount
from requests_queue.seed.accounts import HUB
from requests_queue.seed.customers import BRIGHTWATER, CASCADE, MASTER
from tests import make
from tests.api import PROVIDER, Caller, caller, ids, refused

NEW = {"name": "Harbour Cafe", "external_uid": "uid-1", "contact_info": make.CONTACT}

WRONG_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"contact_info": None}, "contact_info: This field is required."),
    ({"contact_info": "x"}, "contact_info: Expected an object."),
    (
        {"contact_info": {**make.CONTACT, "city": ""}},
        "contact_info.city: This field may not be blank.",
    ),
    (
        {
            "contact_info": {
                **make.CONTACT,
                "contact": {**make.CONTACT["contact"], "email": "ada"},
            }
        },
        "contact_info.contact.email: Enter a valid email address.",
    ),
    ({"type": "vendor"}, 'type: "vendor" is not a valid choice.'),
    ({"environment": 5}, 'environment: "5" is not a valid choice.'),
    ({"name": {"a": 1}}, "name: Not a valid string."),
    ({"external_id": True}, "external_id: Not a valid string."),
    (
        {"tax_id": "9" * 101},
        "tax_id: Ensure this field has no more than 100 characters.",
    ),
    ({"parent": {"id": "TA-1"}}, "parent.id: Tier account TA-1 does not exist."),
    ({"parent": {"id": 5}}, "parent.id: Not a valid string."),
    ({"parent": "TA-1"}, "parent: Expected an object."),
    ({"hub": {"id": "HB-1"}}, "hub.id: Hub HB-1 does not exist."),
    (
        {"external_uid": "6f0d0a52-1c43-4a55-9a0e-9b1f5d1c7a31"},
        "external_uid: Tier account with this external_uid already exists.",
    ),
]
WRONG_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: This field may not be blank."),
    ({"parent": {"id": MASTER}}, "parent.id: A tier account can't be above itself."),
    ({"parent": {"id": BRIGHTWATER}}, "parent.id: A tier account can't be above itself."),
    (
        {"contact_info": {"country": None}},
        "contact_info.country: This field may not be blank.",
    ),
    (
        {"external_uid": "e8b7d6c5-a493-4821-9170-6f5e4d3c2120"},
        "external_uid: Tier account with this external_uid already exists.",
    ),
]


class TestTierAccountWrites:
    def test_provider_creates_a_tier_account(self, distributor: Caller) -> None:
        response = distributor.post(
            "/tier/accounts",
            {
                **NEW,
                "type": "reseller",
                "environment": "production",
                "external_id": 42,
                "tax_id": None,
                "parent": {"id": CASCADE},
                "hub": {"id": HUB},
                "id": "TA-1",
            },
        )
        assert response.status == 201
        row = response.json
        assert row["id"].startswith("TA-") and row["id"] != "TA-1"
        assert (row["version"], row["type"], row["environment"]) == (1, "reseller", "production")
        assert (row["external_id"], row["tax_id"], row["parent"]["id"]) == ("42", "", CASCADE)
        assert (row["hub"]["id"], row["scopes"]) == (HUB, [])
        assert distributor.get(f"/tier/accounts/{row['id']}").json == row

    @pytest.mark.parametrize("none", [{}, {"hub": None}, {"hub": {}}])
    def test_an_account_created_without_a_hub_has_none(
        self, distributor: Caller, none: dict[str, Any]
    ) -> None:
        assert Hub.objects.filter(company=PROVIDER).count() == 1
        response = distributor.post("/tier/accounts", {**NEW, "parent": {"id": CASCADE}, **none})
        pk = response.json["id"]
        assert (response.status, "hub" in response.json) == (201, False)
        assert "hub" not in distributor.get(f"/tier/accounts/{pk}").json
        # The query of CloudBlue's example of a hub extension.
        query = "/tier/accounts?eq(hub.id,null())&ne(parent.id,null())"
        assert [row["id"] for row in distributor.get(query).json] == [pk]
        distributor.put(f"/tier/accounts/{pk}", {"tax_id": "7"})
        versions = distributor.get(f"/tier/accounts/{pk}/versions").json
        assert ["hub" in row for row in versions] == [False, False]

    def test_the_name_comes_from_the_contact(self, distributor: Caller) -> None:
        body = {"contact_info": make.CONTACT}
        assert distributor.post("/tier/accounts", body).json["name"] == "Ada Ray"

    def test_invalid_input_is_refused(self, distributor: Caller) -> None:
        before = TierAccount.objects.count()
        for change, error in WRONG_INPUT:
            refused(distributor.post("/tier/accounts", {**NEW, **change}), 400, error)
        assert TierAccount.objects.count() == before

    def test_all_errors_are_reported_together(self, distributor: Caller) -> None:
        refused(
            distributor.post("/tier/accounts", {**NEW, "type": "x", "name": "x" * 256}),
            400,
            "name: Ensure this field has no more than 255 characters.",
            'type: "x" is not a valid choice.',
        )
        refused(
            distributor.post("/tier/accounts", {**NEW, "tax_id": {}, "name": []}),
            400,
            "name: Not a valid string.",
            "tax_id: Not a valid string.",
        )

    def test_uid_of_another_provider_can_be_used(
        self, distributor: Caller, other: make.Catalog
    ) -> None:
        assert distributor.post("/tier/accounts", NEW).status == 201
        assert caller(other.provider).post("/tier/accounts", NEW).status == 201

    def test_hub_and_parent_of_others_do_not_exist(
        self, distributor: Caller, other: make.Catalog
    ) -> None:
        hub, parent = other.connection.hub_id, "TA-0000-0000-0007"
        refused(
            distributor.post("/tier/accounts", {**NEW, "hub": {"id": hub}}),
            400,
            f"hub.id: Hub {hub} does not exist.",
        )
        refused(
            distributor.put(f"/tier/accounts/{MASTER}", {"parent": {"id": parent}}),
            400,
            f"parent.id: Tier account {parent} does not exist.",
        )

    def test_a_change_is_partial_and_a_new_version(self, distributor: Caller) -> None:
        before = distributor.get(f"/tier/accounts/{MASTER}").json
        response = distributor.put(
            f"/tier/accounts/{MASTER}",
            {
                "name": "Keystone AG",
                "contact_info": {"city": "Bonn", "contact": {"last_name": "Adler"}},
            },
        )
        assert response.status == 200
        after = response.json
        assert (after["name"], after["version"]) == ("Keystone AG", before["version"] + 1)
        assert after["contact_info"]["city"] == "Bonn"
        contact = before["contact_info"]["contact"]
        assert after["contact_info"]["contact"] == {**contact, "last_name": "Adler"}
        assert after["external_uid"] == before["external_uid"]
        assert after["events"]["updated"]["at"] > before["events"]["updated"]["at"]

    @pytest.mark.parametrize("body", [None, {}, {"name": "Keystone Channel Partners GmbH"}])
    def test_unchanged_values_create_no_version(self, body: Any, distributor: Caller) -> None:
        before = distributor.get(f"/tier/accounts/{MASTER}").json
        response = distributor.put(f"/tier/accounts/{MASTER}", body)
        assert (response.status, response.json) == (200, before)

    def test_invalid_changes_are_refused(self, distributor: Caller) -> None:
        before = distributor.get(f"/tier/accounts/{MASTER}").json
        for body, error in WRONG_CHANGES:
            refused(distributor.put(f"/tier/accounts/{MASTER}", body), 400, error)
        assert distributor.get(f"/tier/accounts/{MASTER}").json == before

    def test_parent_can_be_removed(self, distributor: Caller) -> None:
        response = distributor.put(f"/tier/accounts/{BRIGHTWATER}", {"parent": None})
        assert (response.status, response.json["parent"]) == (200, {})

    def test_decommissioning_is_final(self, distributor: Caller) -> None:
        pk = distributor.post("/tier/accounts", NEW).json["id"]
        response = distributor.delete(f"/tier/accounts/{pk}")
        assert (response.status, response.json) == (204, None)
        assert distributor.get(f"/tier/accounts/{pk}").json["events"]["decommissioned"]["at"]
        assert pk not in ids(distributor, "/tier/accounts?limit=1000")
        assert ids(distributor, f"/tier/accounts?id={pk}") == []
        message = f"Tier account {pk} is decommissioned: it can't be changed any more."
        refused(distributor.delete(f"/tier/accounts/{pk}"), 400, message)
        refused(distributor.put(f"/tier/accounts/{pk}", {"name": "X"}), 400, message)
        refused(
            distributor.post("/tier/accounts", {**NEW, "external_uid": "", "parent": {"id": pk}}),
            400,
            f"parent.id: Tier account {pk} does not exist.",
        )

    def test_vendors_cannot_write(self, vendor: Caller) -> None:
        refused(vendor.post("/tier/accounts", NEW), 403)
        refused(vendor.put(f"/tier/accounts/{CASCADE}", {"name": "X"}), 403)
        refused(vendor.delete(f"/tier/accounts/{CASCADE}"), 403)
        assert TierAccount.objects.get(pk=CASCADE).version == 1
