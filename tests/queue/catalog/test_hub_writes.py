"""Writes of providers to hubs, and changes of connections."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Connection, Hub, TierAccount
from requests_queue.seed.accounts import HUB, PROVIDER
from requests_queue.seed.products import BACKUP
from tests import make
from tests.api import Caller, caller, refused
from tests.background import concurrently

NEW = {"name": "Shop", "description": "Sells.", "instance_id": "shop-1", "instance_type": "oa"}


class TestHubs:
    def test_provider_creates_changes_and_deletes_a_hub(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        created = distributor.post("/hubs", NEW)
        assert created.status == 201
        path, hub = f"/hubs/{created.json['id']}", created.json
        assert (hub["name"], hub["description"]) == ("Shop", "Sells.")
        assert hub["instance"] == {"id": "shop-1", "type": "OA"}
        assert hub["company"]["id"] == PROVIDER
        assert hub["stats"] == {"connections": 0, "marketplaces": 0}
        assert distributor.get(path).json == hub
        # A representation can be written back.
        changed = distributor.put(path, {**hub, "name": "Store"})
        assert (changed.status, changed.json["name"]) == (200, "Store")
        assert changed.json["instance"] == hub["instance"]
        assert distributor.put(path, {"instance": {"type": "API"}}).json["instance"] == {
            "id": "shop-1",
            "type": "API",
        }
        for stranger in (vendor, caller(other.vendor), caller(other.provider)):
            refused(stranger.put(path, {"name": "Mine"}), 404)
            refused(stranger.delete(path), 404)
        gone = distributor.delete(path)
        assert (gone.status, gone.json) == (204, None)
        refused(distributor.get(path), 404)

    def test_vendor_cannot_write_hubs(self, vendor: Caller) -> None:
        refused(vendor.post("/hubs", NEW), 403)
        refused(vendor.put(f"/hubs/{HUB}", {"name": "Mine"}), 403)
        refused(vendor.delete(f"/hubs/{HUB}"), 403)
        assert Hub.objects.get(pk=HUB).name == "Northland Hub"

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({}, "name: This field is required."),
            ({"name": ""}, "name: This field may not be blank."),
            ({"name": "x" * 257}, "name: Ensure this field has no more than 256 characters."),
            ({**NEW, "instance_type": "sap"}, 'instance_type: "sap" is not a valid choice.'),
            ({"name": "Shop", "instance": "shop"}, "instance: Expected an object."),
            ({**NEW, "instance_id": ["1"]}, "instance_id: Not a valid string."),
        ],
    )
    def test_invalid_input_creates_no_hub(self, distributor: Caller, body: Any, error: str) -> None:
        refused(distributor.post("/hubs", body), 400, error)
        assert Hub.objects.count() == 1

    def test_hub_in_use_cannot_be_deleted(self, distributor: Caller) -> None:
        path = f"/hubs/{HUB}"
        message = f"{HUB} has connections: a hub that is in use is not deleted."
        refused(distributor.delete(path), 400, message)
        shop = distributor.post("/hubs", NEW).json["id"]
        body = {"name": "Harbour Cafe", "contact_info": make.CONTACT, "hub": {"id": shop}}
        assert distributor.post("/tier/accounts", body).status == 201
        message = f"{shop} has tier accounts: a hub that is in use is not deleted."
        refused(distributor.delete(f"/hubs/{shop}"), 400, message)
        assert Hub.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_customer_keeps_the_hub(catalog: make.Catalog) -> None:
    provider = caller(catalog.provider)
    hub = provider.post("/hubs", NEW).json["id"]
    body = {"name": "Harbour Cafe", "contact_info": make.CONTACT, "hub": {"id": hub}}
    deleted, created = concurrently(
        lambda: Caller(provider.key).delete(f"/hubs/{hub}").status,
        lambda: Caller(provider.key).post("/tier/accounts", body).status,
    )
    assert (deleted, created) in ((204, 400), (400, 201))
    assert TierAccount.objects.filter(hub=hub).count() == (created == 201)


class TestConnections:
    def test_vendor_changes_the_type_of_a_connection(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        path = f"/products/{BACKUP}/connections/CT-2044-1187-9002"
        row = vendor.get(path).json
        # Other fields of a body are ignored.
        assert vendor.put(path, {**row, "type": "production", "status": "revoked"}).json == {
            **row,
            "type": "production",
        }
        assert vendor.put(path, {}).json["type"] == "production"
        refused(distributor.put(path, {"type": "test"}), 403)
        refused(caller(other.vendor).put(path, {"type": "test"}), 404)
        refused(vendor.put(path, {"type": "big"}), 400, 'type: "big" is not a valid choice.')

    def test_connections_of_a_hub_have_different_types(self, vendor: Caller) -> None:
        path = f"/products/{BACKUP}/connections"
        created = vendor.post(path, {"hub": {"id": HUB}, "type": "production"}).json
        message = f"hub.id: There is a test connection to hub {HUB} already."
        refused(vendor.put(f"{path}/{created['id']}", {"type": "test"}), 400, message)
        assert Connection.objects.get(pk=created["id"]).type == "production"
