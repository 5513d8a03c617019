"""Unique parameters: one subscription, or tier configuration, of a product has a value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.catalog import parameter_values, sample_values
from requests_queue.catalog.models import Asset, Parameter, Product
from requests_queue.queues.fulfillment import samples as request_samples
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from tests import make
from tests.api import Caller, Response, caller, refused
from tests.hypothesis_profiles import examples

pytestmark = pytest.mark.django_db

UNIQUE = {"constraints": {"unique": True}}
TAKEN = (
    "asset.params: Parameter {}: The value must be unique. "
    "Another subscription of the product has it."
)
PHONE = {"country_code": "+1", "area_code": "555", "phone_number": "0100", "extension": ""}


@pytest.fixture
def catalog() -> make.Catalog:
    catalog = make.catalog(
        capabilities={"cart": {"validation": True}, "subscription": {"hold": True}}
    )
    make.parameter(catalog, "name", **UNIQUE)
    make.parameter(catalog, "free")
    make.parameter(catalog, "tenant", phase="fulfillment", **UNIQUE)
    return catalog


def values(**texts: Any) -> dict[str, Any]:
    return {
        "params": [
            {"id": name, **({"structured_value": v} if isinstance(v, dict) else {"value": v})}
            for name, v in texts.items()
        ]
    }


def order(catalog: make.Catalog, status: str = "", **texts: Any) -> Response:
    more = {"status": status} if status else {}
    return caller(catalog.provider).post(
        "/requests", make.purchase(catalog, asset=values(**texts), **more)
    )


def placed(catalog: make.Catalog, **texts: Any) -> str:
    response = order(catalog, **texts)
    assert response.status == 201, response.json
    return str(response.json["id"])


def put(caller: Caller, pk: str, **texts: Any) -> Response:
    return caller.put(f"/requests/{pk}", {"asset": values(**texts)})


@pytest.fixture
def vendor(catalog: make.Catalog) -> Caller:
    return caller(catalog.vendor)


class TestOrders:
    def test_a_value_of_another_order_is_refused_and_named(self, catalog: make.Catalog) -> None:
        placed(catalog, name="acme", free="acme")
        before = Request.objects.count(), Asset.objects.count()
        refused(order(catalog, name="acme", free="acme"), 400, TAKEN.format("name"))
        assert (Request.objects.count(), Asset.objects.count()) == before
        placed(catalog, name="other", free="acme")

    @pytest.mark.parametrize(
        "value",
        ["Acme", "acme ", " acme", "acm\u00e9", "acme\n", "ac%me", "\u00e9", '"', "\\", "a\nb", "%",
         "\U0001f600", "x" * 3000],
    )  # fmt: skip
    def test_values_are_compared_exactly(self, catalog: make.Catalog, value: str) -> None:
        placed(catalog, name="acme")
        placed(catalog, name=value)
        refused(order(catalog, name=value), 400, TAKEN.format("name"))

    def test_empty_values_are_not_compared(self, catalog: make.Catalog) -> None:
        for _ in range(2):
            placed(catalog)
            placed(catalog, name="")

    def test_a_draft_holds_its_value(self, catalog: make.Catalog) -> None:
        draft = order(catalog, status="draft", name="acme").json
        assert draft["status"] == "draft"
        refused(order(catalog, name="acme"), 400, TAKEN.format("name"))
        response = caller(catalog.provider).post(f"/requests/{draft['id']}/purchase")
        assert (response.status, response.json["status"]) == (200, "pending")

    def test_subscriptions_of_any_status_but_terminated_hold_theirs(
        self, catalog: make.Catalog
    ) -> None:
        held = [{**parameter_values.blank(catalog.product)[0], "value": "acme"}]
        asset = make.asset(catalog, params=held)
        for status in ("draft", "processing", "active", "suspended", "terminating"):
            Asset.objects.filter(pk=asset.pk).update(status=status)
            refused(order(catalog, name="acme"), 400, TAKEN.format("name"))
        Asset.objects.filter(pk=asset.pk).update(status="terminated")
        placed(catalog, name="acme")

    def test_an_order_that_failed_frees_its_value(self, catalog: make.Catalog) -> None:
        pk = placed(catalog, name="acme")
        caller(catalog.vendor).post(f"/requests/{pk}/fail", {"reason": "No"})
        placed(catalog, name="acme")

    def test_another_product_has_values_of_its_own(self, catalog: make.Catalog) -> None:
        other = make.catalog("2")
        make.parameter(other, "name", **UNIQUE)
        placed(catalog, name="acme")
        placed(other, name="acme")

    def test_another_parameter_has_values_of_its_own(self, catalog: make.Catalog) -> None:
        make.parameter(catalog, "alias", **UNIQUE)
        placed(catalog, name="acme")
        placed(catalog, alias="acme")

    def test_parameter_that_becomes_unique_is_checked_afterwards(
        self, catalog: make.Catalog
    ) -> None:
        placed(catalog, free="x")
        pk = placed(catalog, free="y")
        Parameter.objects.filter(name="free").update(constraints={"unique": True})
        refused(order(catalog, free="x"), 400, TAKEN.format("free"))
        refused(put(caller(catalog.provider), pk, free="x"), 400, TAKEN.format("free"))


class TestChanges:
    def test_a_put_is_refused_and_changes_nothing(
        self, vendor: Caller, catalog: make.Catalog
    ) -> None:
        first, second = placed(catalog, name="one"), placed(catalog, name="two")
        assert put(vendor, first, tenant="t-1").status == 200
        before = vendor.get(f"/requests/{second}").json
        refused(
            put(vendor, second, tenant="t-1", name="one", free="x"),
            400,
            TAKEN.format("name"),
            TAKEN.format("tenant"),
        )
        assert vendor.get(f"/requests/{second}").json == before
        # A subscription's own value can be sent again.
        assert put(vendor, first, tenant="t-1", name="one").status == 200
        assert put(vendor, second, tenant="t-2").status == 200
        # A value that was replaced can be used again.
        assert put(vendor, first, tenant="t-3").status == 200
        assert put(vendor, second, tenant="t-1").status == 200

    def test_duplicate_value_in_an_inquiry_form_is_refused(
        self, vendor: Caller, catalog: make.Catalog
    ) -> None:
        placed(catalog, name="one")
        pk = placed(catalog, name="two")
        marked = [{"id": "name", "value_error": "Taken"}]
        vendor.put(f"/requests/{pk}", {"asset": {"params": marked}})
        vendor.post(f"/requests/{pk}/inquire")
        code = Request.objects.get(pk=pk).form_code
        path = f"/requests/{pk}/pend?code={code}"
        refused(vendor.post(path, {"asset": values(name="one")}), 400, TAKEN.format("name"))
        assert Request.objects.get(pk=pk).status == "inquiring"
        assert vendor.post(path, {"asset": values(name="three")}).status == 200

    def test_change_request_reserves_its_new_value(self, catalog: make.Catalog) -> None:
        vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
        assets = []
        for name in ("one", "two"):
            pk = placed(catalog, name=name)
            assets.append(vendor.post(f"/requests/{pk}/approve").json["asset"]["id"])

        def change(asset: str, **new_values: str) -> Response:
            body = {"type": "change", "asset": {"id": asset, **values(**new_values)}}
            return distributor.post("/requests", body)

        refused(change(assets[1], name="one"), 400, TAKEN.format("name"))
        response = change(assets[0], name="new")
        assert response.status == 201, response.json
        refused(change(assets[1], name="new"), 400, TAKEN.format("name"))
        # The current value stays reserved until the change is approved.
        refused(order(catalog, name="one"), 400, TAKEN.format("name"))
        assert vendor.post(f"/requests/{response.json['id']}/approve").status == 200
        assert order(catalog, name="one").status == 201
        failed = change(assets[1], name="dropped").json["id"]
        vendor.post(f"/requests/{failed}/fail", {"reason": "No"})
        assert order(catalog, name="dropped").status == 201

    def test_other_requests_about_a_subscription_keep_its_value(
        self, catalog: make.Catalog
    ) -> None:
        vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
        asset = vendor.post(f"/requests/{placed(catalog, name='a')}/approve").json["asset"]["id"]
        for kind in ("suspend", "resume", "adjustment", "cancel"):
            created = distributor.post("/requests", {"type": kind, "asset": {"id": asset}}).json
            assert vendor.post(f"/requests/{created['id']}/approve").status == 200, kind
        assert order(catalog, name="a").status == 201

    def test_a_value_is_checked_again_when_it_is_approved(
        self, vendor: Caller, catalog: make.Catalog
    ) -> None:
        first, second = placed(catalog, name="one"), placed(catalog, name="two")
        # A restore, or an older version, may have stored duplicates.
        row = Request.objects.get(pk=second)
        row.params[0]["value"] = "one"
        row.save()
        refused(vendor.post(f"/requests/{second}/approve"), 400, TAKEN.format("name"))
        assert Request.objects.get(pk=second).status == "pending"
        vendor.post(f"/requests/{first}/fail", {"reason": "No"})
        assert vendor.post(f"/requests/{second}/approve").status == 200

    def test_unchanged_value_does_not_block_other_changes(
        self, vendor: Caller, catalog: make.Catalog
    ) -> None:
        for pk in (placed(catalog, free="x"), placed(catalog, free="x")):
            vendor.post(f"/requests/{pk}/approve")
        Parameter.objects.filter(name="free").update(constraints={"unique": True})
        body = {"type": "change", "asset": {"id": Asset.objects.first().pk, **values(name="n")}}  # type: ignore[union-attr]
        created = caller(catalog.provider).post("/requests", body)
        assert created.status == 201, created.json
        assert vendor.post(f"/requests/{created.json['id']}/approve").status == 200

    def test_the_fulfillment_value_of_a_pending_order_is_held(
        self, vendor: Caller, catalog: make.Catalog
    ) -> None:
        first, second = placed(catalog), placed(catalog)
        assert put(vendor, first, tenant="t-1").status == 200
        refused(put(vendor, second, tenant="t-1"), 400, TAKEN.format("tenant"))


class TestStructures:
    def test_structured_values_are_compared(self, catalog: make.Catalog) -> None:
        make.parameter(catalog, "phone", type="phone", **UNIQUE)
        make.parameter(catalog, "object", type="object", **UNIQUE)
        placed(catalog, phone=PHONE)
        refused(order(catalog, phone=dict(reversed(PHONE.items()))), 400, TAKEN.format("phone"))
        # The text of a phone number omits its extension.
        placed(catalog, phone={**PHONE, "extension": "7"})
        refused(order(catalog, phone="+15550100"), 400, TAKEN.format("phone"))
        placed(catalog, object={"a": 1, "b": [2]})
        refused(order(catalog, object='{"b": [2], "a": 1}'), 400, TAKEN.format("object"))
        placed(catalog, object={"a": 1})
        for _ in range(2):
            placed(catalog, phone={}, object={})


class TestTierConfigurations:
    TAKEN = (
        "params: Parameter {}: The value must be unique. "
        "Another tier configuration of the product has it."
    )

    @pytest.fixture
    def tiers(self) -> make.Catalog:
        catalog = make.catalog(capabilities={"tiers": {"configs": {"configs": True, "level": 2}}})
        for scope in ("tier1", "tier2"):
            make.parameter(catalog, f"{scope}_ask", scope=scope, **UNIQUE)
            make.parameter(catalog, f"{scope}_set", scope=scope, phase="fulfillment", **UNIQUE)
        return catalog

    def setup(self, catalog: make.Catalog, n: int, level: int = 1, **texts: Any) -> Response:
        configuration = {
            "product": {"id": catalog.product.pk},
            "tier_level": level,
            "account": {"name": "R", "external_id": f"r-{n}", "contact_info": make.CONTACT},
        }
        body = {"type": "setup", "configuration": configuration, **values(**texts)}
        return caller(catalog.provider).post("/tier/config-requests", body)

    def test_a_value_belongs_to_one_configuration(self, tiers: make.Catalog) -> None:
        vendor, taken = caller(tiers.vendor), self.TAKEN
        first = self.setup(tiers, 1, tier1_ask="a").json["id"]
        before = TierConfig.objects.count(), TierConfigRequest.objects.count()
        refused(self.setup(tiers, 2, tier1_ask="a"), 400, taken.format("tier1_ask"))
        assert (TierConfig.objects.count(), TierConfigRequest.objects.count()) == before
        second = self.setup(tiers, 2, tier1_ask="b").json["id"]
        # Each tier has its own parameters.
        assert self.setup(tiers, 3, level=2, tier2_ask="a").status == 201
        path = "/tier/config-requests"
        assert vendor.put(f"{path}/{first}", values(tier1_set="t")).status == 200
        refused(
            vendor.put(f"{path}/{second}", values(tier1_set="t")), 400, taken.format("tier1_set")
        )
        assert vendor.put(f"{path}/{first}", values(tier1_set="t", tier1_ask="a")).status == 200
        assert vendor.post(f"{path}/{first}/approve", TILE).status == 200
        refused(
            vendor.put(f"{path}/{second}", values(tier1_set="t")), 400, taken.format("tier1_set")
        )
        config = TierConfigRequest.objects.get(pk=first).configuration_id
        update = {"type": "update", "configuration": {"id": config}, **values(tier1_ask="a")}
        assert caller(tiers.provider).post(path, update).status == 201

    def test_value_is_checked_again_at_approval(self, tiers: make.Catalog) -> None:
        vendor = caller(tiers.vendor)
        self.setup(tiers, 1, tier1_ask="a")
        second = self.setup(tiers, 2, tier1_ask="b").json["id"]
        row = TierConfigRequest.objects.get(pk=second)
        row.params[0]["value"] = "a"
        row.save()
        path = f"/tier/config-requests/{second}/approve"
        refused(vendor.post(path, TILE), 400, self.TAKEN.format("tier1_ask"))


TILE = {"template": {"representation": "Welcome"}}


class TestSamples:
    @examples(60)
    @given(
        st.sampled_from(
            [
                "text",
                "password",
                "email",
                "subdomain",
                "domain",
                "address",
                "phone",
                "object",
                "url",
            ]
        ),
        st.sampled_from([None, 12, 20, 30, 64]),
        st.sampled_from([None, 3, 20]),
    )
    def test_sample_values_of_unique_parameters_differ(
        self, kind: str, most: int | None, least: int | None
    ) -> None:
        limits = {"unique": True, "max_length": most, "min_length": least}
        param = {"id": "p", "type": kind, "constraints": limits}
        if kind != "text":
            param["constraints"] = {"unique": True}
        values = [sample_values.fill(param, "sample p") for _ in range(20)]
        assert len({str(entry) for entry in values}) == 20
        if kind == "text" and most:
            assert all(len(entry["value"]) <= most for entry in values)

    def test_samples_of_one_product_can_be_approved_one_after_the_other(
        self, seeded: Any, vendor: Caller
    ) -> None:
        for product in ("PRD-814-505-018", "PRD-362-917-440"):
            for _ in range(3):
                request = request_samples.create_sample("purchase", Product.objects.get(pk=product))
                if request.status == "pending":
                    request_samples._approved(request)

    def test_seeded_values_are_unique(self, seeded: Any) -> None:
        met: set[tuple[str, str, str]] = set()
        for asset in Asset.objects.exclude(status="terminated"):
            for param in asset.params:
                if param["constraints"]["unique"] and param["value"]:
                    key = (asset.product_id, param["id"], param["value"])
                    assert key not in met
                    met.add(key)
        assert met
