"""`/tier/config-requests` and `/tier/configs`: responses, filters, texts, isolation."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue import seed
from requests_queue.catalog import parameter_values
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import rules, setup
from requests_queue.queues.tier_config.creation import DRAFT_CAPABILITY
from requests_queue.queues.tier_config.inputs import TYPES
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.seed.customers import ALPENGLOW, BRIGHTWATER, CASCADE, FJORDLINE, MASTER
from requests_queue.seed.products import SUITE
from tests.api import Caller, ids, refused
from tests.make import CONTACT

pytestmark = pytest.mark.django_db

LIST, CONFIGS = "/tier/config-requests", "/tier/configs"
PENDING = "TCR-733-508-143-001"


def body(**more: Any) -> dict[str, Any]:
    configuration = {
        "product": {"id": SUITE},
        "account": {"name": "Portland Resellers", "contact_info": CONTACT},
        "tier_level": 1,
    }
    return {"configuration": {**configuration, **more.pop("configuration", {})}, **more}


def fill(vendor: Caller, pk: str) -> None:
    body = {"params": [{"id": "partner_tenant", "value": "pt-1"}]}
    assert vendor.put(f"{LIST}/{pk}", body).status == 200


class TestActions:
    def test_request_from_setup_to_approval(self, vendor: Caller, distributor: Caller) -> None:
        created = distributor.post(LIST, body(notes="Soon, please."))
        assert created.status == 201
        pk, path = created.json["id"], f"{LIST}/{created.json['id']}"
        assert (created.json["type"], created.json["status"]) == ("setup", "inquiring")
        assert created.json["notes"] == "Soon, please."
        assert created.json["configuration"]["open_request"] == {"id": pk}
        assert created.json["configuration"]["status"] == "processing"
        assert created.json["tiers"]["tier1"]["name"] == "Portland Resellers"
        assert created.json["activation"]["link"].startswith("http")
        params = {"params": [{"id": "partner_agreement", "value": "NSS-9"}]}
        assert distributor.post(f"{path}/pend", params).status == 204
        fill(vendor, pk)
        wrong = {"params": [{"id": "partner_agreement", "value_error": "Unknown."}]}
        changed = vendor.put(path, wrong)
        assert (changed.status, changed.json["params"][0]["value_error"]) == (200, "Unknown.")
        inquired = vendor.post(f"{path}/inquire")
        assert (inquired.status, inquired.json) == (204, None)
        assert vendor.get(path).json["events"].keys() == {
            "created",
            "updated",
            "inquired",
            "pended",
        }
        assert vendor.post(f"{path}/pend").status == 204
        refused(distributor.post(f"{path}/approve"), 403, "approve is not for a distributor.")
        approved = vendor.post(f"{path}/approve", {"template": {"id": "TL-561-035-001"}})
        assert (approved.status, approved.json["template"]["id"]) == (200, "TL-561-035-001")
        text = approved.json["template"]["representation"]
        assert "**Portland Resellers** is set up as a reseller" in text and "`pt-1`" in text
        shown = vendor.get(path).json
        assert approved.json["effective_date"] == shown["effective_date"]
        assert shown["configuration"]["status"] == "active"
        assert "open_request" not in shown["configuration"]
        refused(vendor.post(f"{path}/fail", {"reason": "x"}), 400)

    def test_responses_without_a_body(self, vendor: Caller, distributor: Caller) -> None:
        path = f"{LIST}/{PENDING}"
        for call, sent in (
            ("assign", {"email": "maya.ortiz@nimbus.example.com"}),
            ("unassign", None),
        ):
            response = vendor.post(f"{path}/{call}", sent)
            assert (response.status, response.json) == (204, None)
            assert "Content-Type" not in response.headers
        failed = distributor.post(f"{path}/fail", {"reason": "No agreement."})
        assert (failed.status, failed.json) == (204, None)
        assert Request.objects.get(pk="PR-2934-6610-1192-001").status == "failed"
        for call in ("release", "nothing"):
            assert vendor.post(f"{path}/{call}").status == 404

    def test_submit_returns_the_request(self, distributor: Caller) -> None:
        pk = ids(distributor, f"{LIST}?status=draft")[0]
        response = distributor.post(f"{LIST}/{pk}/submit")
        assert (response.status, response.json["status"]) == (200, "pending")

    def test_text_instead_of_a_template(self, vendor: Caller) -> None:
        fill(vendor, PENDING)
        tile = {"template": {"representation": "Welcome, {{ configuration.account.name }}!"}}
        response = vendor.post(f"{LIST}/{PENDING}/approve", tile)
        assert response.json["template"] == {"representation": "Welcome, Fjordline IT AS!"}
        assert Request.objects.get(pk="PR-2934-6610-1192-001").status == "pending"

    def test_effective_date_is_accepted_as_documented(self, vendor: Caller) -> None:
        fill(vendor, PENDING)
        body = {"template": {"effective_date": "2026-01-02T03:04:05.678Z"}}
        response = vendor.post(f"{LIST}/{PENDING}/approve", body)
        assert response.json["effective_date"] == "2026-01-02T03:04:05+00:00"

    def test_put_changes_only_the_callers_fields(self, vendor: Caller, distributor: Caller) -> None:
        path = f"{LIST}/{PENDING}"
        vendor_fields = {"params": [{"id": "partner_tenant", "value": "x"}]}
        assert distributor.put(path, vendor_fields).status == 400
        own_fields = {"params": [{"id": "partner_agreement", "value": "N"}], "status": "approved"}
        changed = distributor.put(path, own_fields)
        assert (changed.status, changed.json["status"]) == (200, "pending")
        for bad in ({"params": 1}, {"notes": []}, {"params": [{"id": "none"}]}):
            refused(vendor.put(path, bad), 400)
        done = ids(vendor, f"{LIST}?status=approved")[0]
        refused(
            vendor.put(f"{LIST}/{done}", {"notes": "x"}),
            400,
            "Only pending, draft or inquiring tier requests can be updated.",
        )
        assert vendor.call("PATCH", path, {}).status == 405
        assert vendor.delete(path).status == 405
        assert vendor.post(CONFIGS, {}).status == 405

    def test_parameter_that_was_added_after_the_request_can_be_set(self, vendor: Caller) -> None:
        fields = {"title": "Region", "type": "text", "scope": "tier1", "phase": "fulfillment"}
        created = vendor.post(f"/products/{SUITE}/parameters", {"name": "region", **fields})
        assert created.status == 201
        path = f"{LIST}/{PENDING}"
        before = [param["id"] for param in vendor.get(path).json["params"]]
        changed = vendor.put(path, {"params": [{"id": "region", "value": "eu"}]})
        assert [param["id"] for param in changed.json["params"]] == [*before, "region"]
        assert changed.json["params"][-1]["value"] == "eu"

    def test_an_order_starts_a_setup(self, vendor: Caller, distributor: Caller) -> None:
        asset = {
            "connection": {"id": "CT-3380-6125-4471"},
            "items": [{"id": "SKU_ENDPOINT", "quantity": 1}],
            "params": [{"id": "admin_email", "value": "a@example.com"}],
            "tiers": {
                "customer": {"name": "C", "contact_info": CONTACT},
                "tier1": {"name": "R", "contact_info": CONTACT},
                "tier2": {"id": MASTER},
            },
        }
        order = distributor.post("/requests", {"type": "purchase", "asset": asset})
        assert (order.status, order.json["status"]) == (201, "tiers_setup")
        name = order.json["asset"]["tiers"]["tier1"]["id"]
        [tier] = vendor.get(f"{LIST}?configuration.account.id={name}").json
        # The upper tier is already configured.
        assert tier["status"] == "inquiring"
        assert tier["parent_configuration"]["account"]["id"] == MASTER
        fill(vendor, tier["id"])
        body = {"params": [{"id": "partner_agreement", "value": "N"}]}
        assert distributor.post(f"{LIST}/{tier['id']}/pend", body).status == 204
        assert vendor.post(f"{LIST}/{tier['id']}/approve").status == 200
        assert vendor.get(f"/requests/{order.json['id']}").json["status"] == "pending"


class TestTexts:
    def test_of_a_request(self, vendor: Caller) -> None:
        response = vendor.get(f"{LIST}/{PENDING}/render")
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert "**Fjordline IT AS** is being set up" in self.text(vendor, f"{LIST}/{PENDING}")
        inquiring = ids(vendor, f"{LIST}?status=inquiring&configuration.tier_level=2")[0]
        link = vendor.get(f"{LIST}/{inquiring}").json["activation"]["link"]
        assert f"[here]({link})" in self.text(vendor, f"{LIST}/{inquiring}")
        failed = ids(vendor, f"{LIST}?status=failed")[0]
        assert self.text(vendor, f"{LIST}/{failed}") == ""

    def test_of_a_configuration(self, vendor: Caller) -> None:
        assert "`pt-0120-eu`" in self.text(vendor, f"{CONFIGS}/TC-733-508-129")
        assert "being set up" in self.text(vendor, f"{CONFIGS}/TC-733-508-143")

    def test_of_orders_and_subscriptions(self, vendor: Caller) -> None:
        done = self.text(vendor, "/requests/PR-5810-2277-4093-001")
        assert "Hello Dana" in done and "`NB-77120-4093`" in done
        assert self.text(vendor, "/assets/AS-5810-2277-4093") == done
        waiting = self.text(vendor, "/requests/PR-5810-2277-4101-001")
        assert "`PR-5810-2277-4101-001` has arrived" in waiting
        assert self.text(vendor, "/assets/AS-5810-2277-4101") == waiting
        inquiring = self.text(vendor, "/requests/PR-2934-6610-1178-001")
        assert "[this form](http" in inquiring
        assert self.text(vendor, "/requests/PR-5810-2277-4125-001") == ""
        for text in (done, waiting, inquiring):
            assert "{{" not in text
        tile = {"activation_tile": "Use {{ asset.params.region.value }}."}
        body = {"asset": {"params": [{"id": "activation_id", "value": "NB-1"}]}}
        path = "/requests/PR-5810-2277-4101-001"
        assert vendor.put(path, body).status == 200
        assert vendor.post(f"{path}/approve", tile).status == 200
        assert self.text(vendor, path) == "Use us."
        assert self.text(vendor, "/assets/AS-5810-2277-4101") == "Use us."

    def text(self, caller: Caller, path: str) -> str:
        response = caller.client.get(
            f"/public/v1{path}/render", headers={"authorization": f"ApiKey {caller.key}"}
        )
        assert response.status_code == 200
        return response.content.decode()


FILTERS: dict[str, int] = {
    "status=pending": 1,
    "in(status,(pending,inquiring))": 3,
    "type=update": 3,
    "type=setup&status=approved": 3,
    f"configuration.product.id={SUITE}": 10,
    "configuration.product.id=PRD-814-505-018": 0,
    "like(configuration.product.name,*Suite)": 10,
    f"configuration.account.id={CASCADE}": 3,
    f"configuration__account__id={CASCADE}": 3,
    "configuration.account.external_id=200112": 3,
    "configuration__account__external_uid=1d9a4c3e-0f6b-46d2-b1c8-5b0e8f7a9112": 3,
    "configuration.account.hub.id=HB-7710-3391": 10,
    "configuration.id=TC-733-508-143": 1,
    "configuration.tier_level=2": 2,
    "configuration.marketplace.id=MP-40117": 10,
    "configuration.connection.type=test": 10,
    "configuration.contract.id=CRD-41020-88713-20954": 10,
    "parent_configuration.id=TC-733-508-112": 3,
    "environment=test": 10,
    "environment=production": 0,
    "unassigned=true": 3,
    "unassigned=false": 7,
    "ne(unassigned,true)": 7,
    "assignee.id=UR-426-913-070": 7,
    "assignee.name=Maya Ortiz": 7,
    "params.id=partner_agreement": 8,
    "params.value=NSS-1-0107": 1,
    "and(eq(params.id,master_tenant),like(params.value,mt-*))": 1,
    "template.id=TL-561-035-001": 3,
    "gt(created,2001-01-01T00:00:00+00:00)&lt(events.created.at,2001-01-01T00:00:00+00:00)": 0,
    "ge(events.updated.at,2001-01-01T00:00:00)": 10,
    "search=508-143": 1,
}
CONFIG_FILTERS: dict[str, int] = {
    "status=active": 2,
    "status=processing": 4,
    "tier_level=1": 4,
    f"account.id={CASCADE}": 1,
    "account.external_uid=1d9a4c3e-0f6b-46d2-b1c8-5b0e8f7a9112": 1,
    "account.company_name=Cascade Managed Services": 1,
    f"product.id={SUITE}": 6,
    "connection.type=test&marketplace.id=MP-40117": 6,
    "params.value=pt-0120-eu": 1,
    "template.id=TL-561-036-001": 1,
    "parent.id=TC-733-508-150": 1,
}


class TestFilters:
    def test_of_requests(self, vendor: Caller) -> None:
        assert {query: len(ids(vendor, f"{LIST}?{query}")) for query in FILTERS} == FILTERS

    def test_of_configurations(self, vendor: Caller) -> None:
        numbers = {query: len(ids(vendor, f"{CONFIGS}?{query}")) for query in CONFIG_FILTERS}
        assert numbers == CONFIG_FILTERS

    def test_order_and_select(self, vendor: Caller) -> None:
        moments = [row["events"]["created"] for row in vendor.get(f"{LIST}?ordering(created)").json]
        assert [m["at"] for m in moments] == sorted(m["at"] for m in moments)
        assert ids(vendor, f"{LIST}?ordering(assignee.name,-id)")
        row = vendor.get(f"{LIST}?select(-configuration.params,-params)&id={PENDING}").json[0]
        assert "params" not in row and "params" not in row["configuration"]
        refused(vendor.get(f"{LIST}?nothing=1"), 400)


class TestIsolation:
    def test_both_parties_see_their_objects(self, vendor: Caller, distributor: Caller) -> None:
        assert ids(vendor, LIST) == ids(distributor, LIST)
        assert ids(vendor, CONFIGS) == ids(distributor, CONFIGS)
        assert len(ids(vendor, CONFIGS)) == 6


class TestDemoData:
    def test_every_status_and_type(self, seeded: seed.Summary) -> None:
        rows = TierConfigRequest.objects.all()
        assert {row.status for row in rows} == set(rules.QUEUE.status_names)
        assert {row.type for row in rows} == set(TYPES)

    def test_demo_data_matches_the_results_of_actions(self, seeded: seed.Summary) -> None:
        for config in TierConfig.objects.select_related("product"):
            rows = list(config.requests.order_by("pk"))
            assert len(rows) == config.requests_made
            assert [row.type == "setup" for row in rows] == [True] + [False] * (len(rows) - 1)
            is_open = any(row.status in OPEN for row in rows)
            assert config.status == ("processing" if is_open else "active")
            blank = parameter_values.blank(config.product, setup.SCOPES[config.tier_level])
            assert [p["id"] for p in config.params] == [p["id"] for p in blank]
            for row in rows:
                assert row.created <= row.updated
                assert (row.effective_date is None) == (row.status != "approved")
                if row.status == "draft":
                    assert row.product.capability(DRAFT_CAPABILITY[row.type])
                if row.status == "approved":
                    assert not parameter_values.missing(row.params, "fulfillment")
                if row.status in ("approved", "pending"):
                    assert not parameter_values.missing(row.params, "ordering")
                if row.status == "tiers_setup":
                    assert config.parent is not None and config.parent.activated is None

    def test_demo_orders_match_their_resellers(self, seeded: seed.Summary) -> None:
        for order in Request.objects.filter(product=SUITE).select_related("asset"):
            tier1 = TierConfig.objects.get(account=order.asset.tier1_id, tier_level=1)
            held = tier1.activated is None
            assert held == (order.status == "tiers_setup") == setup.waits_for_setup(order.asset)
        accounts = TierConfig.objects.values_list("account_id", flat=True)
        assert {MASTER, BRIGHTWATER, CASCADE, FJORDLINE, ALPENGLOW} < set(accounts)
