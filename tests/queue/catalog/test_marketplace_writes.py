"""Writes of providers to marketplaces and agreements."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Agreement, Marketplace
from requests_queue.seed.accounts import HUB, MARKETPLACE, PROVIDER
from tests import make
from tests.api import Caller, caller, ids, refused

pytestmark = pytest.mark.django_db

# The body of CloudBlue's connect-playground.
NEW = {
    "name": "Playground Marketplace",
    "description": "Sells.",
    "countries": [{"id": "US"}, {"id": "DE"}],
    "currency": "EUR",
    "hubs": [{"hub": {"id": HUB}, "external_id": "1"}],
    "attributes": [{"name": "Suggested T0 Price", "id": "st0p", "description": "Vendor's."}],
}
PROGRAM = {
    "title": "Playground Program", "description": "For all.", "type": "program",
    "document_type": "none", "active": True,
}  # fmt: skip
DISTRIBUTION = {**PROGRAM, "type": "distribution", "title": "In Europe", "auto_accept": True}


class TestMarketplaces:
    def test_provider_creates_changes_and_deletes_a_marketplace(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        created = distributor.post("/marketplaces", NEW)
        assert created.status == 201
        path, row = f"/marketplaces/{created.json['id']}", created.json
        assert (row["name"], row["currency"], row["zone"]) == (NEW["name"], "EUR", "EU")
        assert [country["id"] for country in row["countries"]] == ["US", "DE"]
        assert [(link["hub"]["id"], link["external_id"]) for link in row["hubs"]] == [(HUB, "1")]
        assert (row["owner"]["id"], row["stats"]) == (PROVIDER, {"hubs": 1, "contracts": 0})
        assert distributor.get(path).json == row
        [shown] = distributor.get(f"/hubs/{HUB}/marketplaces?id={row['id']}").json
        assert shown["external_id"] == "1"
        # A representation can be written back.
        changed = distributor.put(path, {**row, "zone": "NA", "currency": None})
        assert (changed.status, changed.json) == (200, {**row, "zone": "NA"})
        assert distributor.put(path, {"hubs": []}).json["hubs"] == []
        for stranger in (vendor, caller(other.vendor), caller(other.provider)):
            refused(stranger.get(path), 404)
            refused(stranger.put(path, {"name": "Mine"}), 404)
            refused(stranger.delete(path), 404)
        assert distributor.delete(path).status == 204
        refused(distributor.get(path), 404)
        assert row["id"] not in ids(distributor, "/marketplaces")

    def test_vendor_cannot_write_marketplaces(self, vendor: Caller) -> None:
        refused(vendor.post("/marketplaces", NEW), 403)
        refused(vendor.put(f"/marketplaces/{MARKETPLACE}", {"name": "Mine"}), 403)
        refused(vendor.delete(f"/marketplaces/{MARKETPLACE}"), 403)
        assert Marketplace.objects.get(pk=MARKETPLACE).name == "Northland"

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({}, "name: This field is required."),
            ({"name": "x" * 256}, "name: Ensure this field has no more than 255 characters."),
            ({"zone": "XX"}, 'zone: "XX" is not a valid choice.'),
            ({"currency": "euro"}, "currency: Name it by its three capital letters."),
            ({"currency": 978}, "currency: Not a valid string."),
            ({"countries": {"id": "US"}}, "countries: Expected a list"),
            ({"countries": [{"id": "usa"}]}, "countries.id: "),
            ({"countries": [{}]}, "countries.id: This field is required."),
            ({"hubs": [{}]}, "hubs.hub: This field is required."),
            ({"hubs": [{"hub": {"id": "HB-1"}}]}, "hubs.hub.id: Hub HB-1 does not exist."),
        ],
    )
    def test_invalid_input_creates_nothing(
        self, distributor: Caller, body: Any, error: str
    ) -> None:
        response = distributor.post("/marketplaces", {**({"name": "New"} if body else {}), **body})
        assert (response.status, response.json["error_code"]) == (400, "VAL_001")
        assert response.json["errors"][0].startswith(error)
        assert Marketplace.objects.count() == Agreement.objects.count() == 1

    def test_hubs_of_others_cannot_be_named(self, distributor: Caller, other: make.Catalog) -> None:
        hub = other.connection.hub_id
        body = {"name": "New", "hubs": [{"hub": {"id": hub}}]}
        refused(
            distributor.post("/marketplaces", body), 400, f"hubs.hub.id: Hub {hub} does not exist."
        )

    def test_marketplace_in_use_cannot_be_deleted(self, distributor: Caller) -> None:
        message = f"{MARKETPLACE} can't be deleted: there are "
        response = distributor.delete(f"/marketplaces/{MARKETPLACE}")
        assert (response.status, response.json["error_code"]) == (400, "REQ_003")
        assert response.json["errors"][0].startswith(message)

    def test_marketplace_of_an_agreement_cannot_be_deleted(self, distributor: Caller) -> None:
        place = distributor.post("/marketplaces", NEW).json["id"]
        program = distributor.post("/agreements", PROGRAM).json["id"]
        body = {**DISTRIBUTION, "marketplace": {"id": place}}
        created = distributor.post(f"/agreements/{program}/agreements", body).json["id"]
        message = f"{place} can't be deleted: there are agreements of it."
        refused(distributor.delete(f"/marketplaces/{place}"), 400, message)
        assert distributor.get(f"/agreements/{created}").json["marketplace"]["id"] == place


class TestAgreements:
    def test_provider_creates_a_program_and_an_agreement_in_it(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        program = distributor.post("/agreements", PROGRAM)
        assert (program.status, program.json["id"][:4]) == (201, "AGP-")
        assert (program.json["title"], program.json["type"]) == (PROGRAM["title"], "program")
        path = f"/agreements/{program.json['id']}"
        body = {**DISTRIBUTION, "marketplace": {"id": MARKETPLACE}}
        created = distributor.post(f"{path}/agreements", body)
        assert (created.status, created.json["id"][:4]) == (201, "AGD-")
        assert created.json["marketplace"]["id"] == MARKETPLACE
        assert created.json["parent"] == {"id": program.json["id"], "name": PROGRAM["title"]}
        assert created.json["auto_accept"] is True
        assert created.json["stats"] == {"contracts": 0, "versions": 1}
        for pk in (program.json["id"], created.json["id"], "AGD-000-040-117"):
            assert ids(distributor, f"/marketplaces?agreements.id={pk}") == [MARKETPLACE]
            assert ids(distributor, f"/marketplaces?like(agreements.id,*{pk[2:]})") == [MARKETPLACE]
            # A vendor finds by those that it sees.
            found = [MARKETPLACE] if pk == "AGD-000-040-117" else []
            assert ids(vendor, f"/marketplaces?in(agreements.id,({pk},AGD-1))") == found
            assert ids(vendor, f"/marketplaces?ne(agreements.id,{pk})") != found
        # That of its contracts is in no program, but has an id.
        assert ids(distributor, "/marketplaces?agreements.id=null()") == []
        every = ids(distributor, "/marketplaces")
        assert ids(distributor, "/marketplaces?ne(agreements.id,null())") == every
        own = f"/agreements/{created.json['id']}"
        assert [distributor.get(each).json for each in (path, own)] == [program.json, created.json]
        assert ids(distributor, f"{path}/agreements") == [created.json["id"]]
        assert program.json["id"] in ids(distributor, "/agreements?type=program")
        assert ids(distributor, f"{own}/products") == []
        # Vendors see the agreements that their contracts are made from.
        for stranger in (vendor, caller(other.vendor), caller(other.provider)):
            for hidden in (path, own, f"{path}/agreements"):
                refused(stranger.get(hidden), 404)
            refused(stranger.post(f"{path}/agreements", body), 404)
        assert ids(vendor, "/agreements") == ["AGD-000-040-117"]

    def test_vendor_cannot_create_agreements(self, vendor: Caller) -> None:
        refused(vendor.post("/agreements", PROGRAM), 403)
        path = "/agreements/AGD-000-040-117/agreements"
        refused(vendor.post(path, {**DISTRIBUTION, "marketplace": {"id": MARKETPLACE}}), 403)

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({}, "title: This field is required."),
            ({"title": " "}, "title: This field is required."),
            ({"title": "x", "type": "service"}, 'type: "service" is not a valid choice.'),
            ({"title": "x", "type": "big"}, 'type: "big" is not a valid choice.'),
            ({"title": []}, "title: Not a valid string."),
        ],
    )
    def test_invalid_program_is_refused(self, distributor: Caller, body: Any, error: str) -> None:
        refused(distributor.post("/agreements", body), 400, error)

    def test_agreement_in_a_program_needs_a_marketplace(
        self, distributor: Caller, other: make.Catalog
    ) -> None:
        program = distributor.post("/agreements", PROGRAM).json["id"]
        path = f"/agreements/{program}/agreements"
        refused(distributor.post(path, DISTRIBUTION), 400, "marketplace: This field is required.")
        theirs = Marketplace.objects.get(owner=other.provider).pk
        body = {**DISTRIBUTION, "marketplace": {"id": theirs}}
        message = f"marketplace.id: Marketplace {theirs} does not exist."
        refused(distributor.post(path, body), 400, message)
        body = {**DISTRIBUTION, "marketplace": {"id": MARKETPLACE}}
        refused(
            distributor.post("/agreements/AGD-000-040-117/agreements", body),
            400,
            "type: AGD-000-040-117 is no program: it has no agreements.",
        )

    def test_new_marketplace_has_the_agreement_of_its_contracts(self, distributor: Caller) -> None:
        place = distributor.post("/marketplaces", NEW).json
        [row] = distributor.get(f"/agreements?marketplace.id={place['id']}").json
        assert row["name"] == f"Distribution agreement of {NEW['name']}"
        assert ids(distributor, f"/marketplaces?agreements.id={row['id']}") == [place["id"]]
        distributor.put(f"/marketplaces/{place['id']}", {"name": "Renamed"})
        assert ids(distributor, "/agreements?title=Distribution agreement of Renamed") == [
            row["id"]
        ]
