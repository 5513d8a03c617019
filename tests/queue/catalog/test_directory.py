"""Contracts, connections, and configured values: visibility, writes, and effects."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Configuration, Connection, Contract
from requests_queue.catalog.writes.contracts import STEPS
from requests_queue.seed.accounts import CONTRACT, HUB, MARKETPLACE, PROVIDER, VENDOR
from requests_queue.seed.products import BACKUP, SUITE
from tests import make
from tests.api import Caller, caller, ids, refused

VALUES = f"/products/{SUITE}/configurations"
STATES = ("enrolling", "pending", "active", "rejected", "terminated")


class TestContracts:
    def test_both_parties_see_the_contract(self, vendor: Caller, distributor: Caller) -> None:
        for party in (vendor, distributor):
            assert ids(party, "/contracts") == [CONTRACT]
            row = party.get(f"/contracts/{CONTRACT}").json
            assert (row["owner"]["id"], row["issuer"]["id"]) == (VENDOR, PROVIDER)
            assert row["marketplace"]["id"] == MARKETPLACE

    def test_the_report_of_contracts_reads_them(self, vendor: Caller) -> None:
        query = "in(type,(distribution))&select(agreement)&ordering(-status)&limit=100&offset=0"
        (row,) = vendor.get(f"/contracts?{query}").json
        assert row["agreement"]["id"].startswith("AGD-")
        assert row["events"]["signed"]["at"] < row["events"]["countersigned"]["at"]

    def test_contract_has_one_version(self, vendor: Caller, distributor: Caller) -> None:
        for party in (vendor, distributor):
            (row,) = party.get(f"/contracts/{CONTRACT}/versions").json
            whole = party.get(f"/contracts/{CONTRACT}").json
            assert (row["version"], row["version_created"]) == ("1", whole["version_created"])
            del whole["marketplace"]
            assert row["contract"] == whole
            assert party.get(f"/contracts/{CONTRACT}/versions/1").json == row
            refused(party.get(f"/contracts/{CONTRACT}/versions/2"), 404)

    @pytest.mark.parametrize("name", STEPS)
    @pytest.mark.parametrize("state", STATES)
    def test_every_action_in_every_status(
        self, vendor: Caller, distributor: Caller, name: str, state: str
    ) -> None:
        step = STEPS[name]
        for party, side in ((vendor, "vendor"), (distributor, "provider")):
            Contract.objects.filter(pk=CONTRACT).update(status=state)
            response = party.post(f"/contracts/{CONTRACT}/{name}")
            status = party.get(f"/contracts/{CONTRACT}").json["status"]
            if side not in step.who:
                refused(response, 403)
                assert status == state
            elif step.source != state:
                refused(response, 400)
                assert status == state
            else:
                assert (response.status, response.json, status) == (200, None, step.target)
                assert response.headers.get("Content-Type", "") != "application/json"

    def test_contract_is_terminated_by_its_distributor(
        self, vendor: Caller, distributor: Caller
    ) -> None:
        refused(vendor.post(f"/contracts/{CONTRACT}/terminate"), 403)
        assert distributor.post(f"/contracts/{CONTRACT}/terminate").status == 200


class TestConnections:
    def test_a_vendor_connects_to_hubs_that_it_sees(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        path, count = f"/products/{BACKUP}/connections", Connection.objects.count()
        for body, error in (
            ({}, "hub: This field is required."),
            ({"hub": {"id": other.connection.hub_id}}, "hub.id: Hub HB-7777-7777 does not exist."),
            ({"hub": {"id": HUB}}, f"hub.id: There is a test connection to hub {HUB} already."),
            ({"hub": {"id": HUB}, "type": "preview"}, 'type: "preview" is not a valid choice.'),
            (
                {"hub": {"id": HUB}, "type": "production", "provider": {"id": other.provider.id}},
                f"provider.id: Hub {HUB} belongs to another provider.",
            ),
            (
                {"hub": {"id": HUB}, "type": "production", "vendor": {"id": other.vendor.id}},
                f"vendor.id: Product {BACKUP} belongs to another vendor.",
            ),
            (
                {"hub": {"id": HUB}, "type": "production", "product_version_type": "staging"},
                'product_version_type: "staging" is not a valid choice.',
            ),
        ):
            refused(vendor.post(path, body), 400, error)
        body = {
            "hub": {"id": HUB},
            "type": "production",
            "vendor": {"id": VENDOR},
            "product_version_type": "public",
        }
        refused(distributor.post(path, body), 403)
        refused(caller(other.vendor).post(path, body), 404)
        assert Connection.objects.count() == count
        row = vendor.post(path, body).json
        assert row["provider"]["id"] == PROVIDER
        assert row["id"] in ids(distributor, path)


class TestConfigurations:
    def test_both_parties_read_configurations(self, vendor: Caller, distributor: Caller) -> None:
        rows = vendor.get(VALUES).json
        assert len(rows) == 4 and rows == distributor.get(VALUES).json
        assert {row["parameter"]["scope"] for row in rows} == {
            "product",
            "item",
            "marketplace",
            "item_marketplace",
        }

    def test_provider_sees_no_configuration_of_other_marketplaces(
        self, distributor: Caller, other: make.Catalog
    ) -> None:
        other.connection.product_id = SUITE
        other.connection.save()
        rows = caller(other.provider).get(VALUES).json
        assert {row["parameter"]["scope"] for row in rows} == {"product", "item"}

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("parameter.id=api_endpoint", 1), (f"item.id={SUITE}-0001", 1), ("value=14", 1),
            (f"marketplace.id={MARKETPLACE}", 2), ("parameter.scope=item", 1),
            ("parameter.constraints.required=true", 0), ("ne(parameter.id,api_endpoint)", 3),
            ("parameter.title=Trial", 1), ("limit=2", 2),
        ],
    )  # fmt: skip
    def test_configuration_filters(self, vendor: Caller, query: str, count: int) -> None:
        assert len(vendor.get(f"{VALUES}?{query}").json) == count

    def test_value_is_set_replaced_and_cleared(self, vendor: Caller) -> None:
        body: dict[str, Any] = {
            "parameter": {"id": "trial_days"},
            "item": {"id": f"{SUITE}-0003"},
            "value": "14",
        }
        count = Configuration.objects.count()
        row = vendor.post(VALUES, body)
        assert row.status == 201
        verbose = row.json["parameter"]["id"]
        assert verbose.startswith("PRM-")
        again = vendor.post(VALUES, {**body, "parameter": {"id": verbose}, "value": "30"})
        assert again.status == 201
        assert Configuration.objects.count() == count + 1
        rows = vendor.get(f"{VALUES}?item.id={SUITE}-0003").json
        assert [(r["value"], "structured_value" in r) for r in rows] == [("30", False)]
        del body["value"]
        assert vendor.post(VALUES, body).status == 201
        assert Configuration.objects.count() == count

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({}, "parameter: This field is required."),
            ({"parameter": {"id": "nope"}}, "parameter.id: Parameter nope does not exist."),
            ({"parameter": {"id": "edition"}},
             "parameter.id: edition is not a parameter of the configuration phase."),
            ({"parameter": {"id": "trial_days"}}, "item: This field is required."),
            ({"parameter": {"id": "trial_days"}, "item": {"id": f"{BACKUP}-0001"}},
             f"item.id: Item {BACKUP}-0001 does not exist."),
            ({"parameter": {"id": "trial_days"}, "item": {"id": f"{SUITE}-0001"}, "value": "7"},
             'value: "7" is not a valid choice.'),
            ({"parameter": {"id": "support_phone"}, "marketplace": {"id": "MP-77777"}},
             "marketplace.id: Marketplace MP-77777 does not exist."),
            ({"parameter": {"id": "api_endpoint"}, "item": {"id": f"{SUITE}-0001"}},
             "item: A parameter of scope product has none."),
            ({"parameter": {"id": "api_endpoint"}, "value": "x" * 2001},
             "value: Ensure this field has no more than 2000 characters."),
            ({"parameter": {"id": "api_endpoint"}, "structured_value": {"a": 1}},
             "structured_value: A url has none."),
            ({"parameter": {"id": "support_phone"}, "marketplace": {"id": MARKETPLACE},
              "structured_value": []}, "structured_value: Expected an object."),
        ],
    )  # fmt: skip
    def test_invalid_input_changes_nothing(
        self, vendor: Caller, other: make.Catalog, body: Any, error: str
    ) -> None:
        before = vendor.get(VALUES).json
        refused(vendor.post(VALUES, body), 400, error)
        assert vendor.get(VALUES).json == before

    def test_only_the_vendor_writes_configurations(self, distributor: Caller) -> None:
        body = {"parameter": {"id": "api_endpoint"}, "value": "https://evil.example.com"}
        refused(distributor.post(VALUES, body), 403)

    def test_assets_and_requests_show_configurations(self, vendor: Caller) -> None:
        (asset,) = vendor.get(f"/assets?product.id={SUITE}&limit=1").json
        configured = {p["id"]: p for p in asset["configuration"]["params"]}
        assert configured["api_endpoint"]["value"] == "https://api.nimbus.example.com/v2"
        assert configured["support_phone"]["structured_value"]["country_code"] == "+1"
        (request,) = vendor.get(f"/requests?asset.product.id={SUITE}&limit=1").json
        params = request["asset"]["configuration"]["params"]
        assert {p["id"] for p in params} == {"api_endpoint", "support_phone"}
        by_item = {
            item["global_id"]: [p["id"] for p in item["params"]]
            for row in vendor.get(f"/assets?product.id={SUITE}").json
            for item in row["items"]
        }
        expected = {f"{SUITE}-0001": ["trial_days"], f"{SUITE}-0002": ["promotion_code"]}
        for pk, names in by_item.items():
            assert names == expected.get(pk, [])
        (plain,) = vendor.get(f"/assets?product.id={BACKUP}&limit=1").json
        assert plain["configuration"] == {"params": []}
