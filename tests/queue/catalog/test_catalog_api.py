"""The catalog's API: visibility and representations."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from requests_queue.catalog.models import Listing, Parameter, Product, TierAccount
from requests_queue.catalog.representations import icon, icon_key
from requests_queue.seed.accounts import HUB, MARKETPLACE
from requests_queue.seed.customers import BRIGHTWATER, MASTER
from requests_queue.seed.products import BACKUP, METER, SUITE
from tests import make
from tests.api import PROVIDER, VENDOR, Caller, caller, ids, refused

PRODUCTS = {BACKUP, SUITE, METER}
LISTS = (
    "/accounts",
    "/hubs",
    f"/hubs/{HUB}/connections",
    f"/hubs/{HUB}/marketplaces",
    "/marketplaces",
    "/contracts",
    "/products",
    f"/products/{SUITE}/actions",
    f"/products/{SUITE}/items",
    f"/products/{SUITE}/parameters",
    f"/products/{SUITE}/templates",
    f"/products/{SUITE}/connections",
    "/tier/accounts",
)


class TestVisibility:
    def test_account_sees_only_itself(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        assert ids(vendor, "/accounts") == [VENDOR]
        assert ids(distributor, "/accounts") == [PROVIDER]
        assert vendor.get(f"/accounts/{VENDOR}").json["type"] == "vendor"
        refused(vendor.get(f"/accounts/{PROVIDER}"), 404, f"Object `{PROVIDER}` not found.")

    def test_vendor_and_provider_see_shared_objects(
        self, vendor: Caller, distributor: Caller
    ) -> None:
        for party in (vendor, distributor):
            assert set(ids(party, "/products")) == PRODUCTS
            assert ids(party, "/hubs") == [HUB]
            assert ids(party, "/marketplaces") == [MARKETPLACE]
            assert ids(party, f"/hubs/{HUB}/marketplaces") == [MARKETPLACE]
            assert len(ids(party, f"/hubs/{HUB}/connections")) == 3

    def test_provider_sees_a_product_by_connection_or_listing(
        self, distributor: Caller, other: make.Catalog
    ) -> None:
        assert other.product.id not in ids(distributor, "/products")
        other.connection.provider_id = PROVIDER
        other.connection.save()
        assert other.product.id in ids(distributor, "/products")
        assert other.product.id not in ids(distributor, "/products?visibility.listing=true")
        # Its first provider still has the listing.
        first = caller(other.provider)
        assert ids(first, "/products?visibility.listing=true") == [other.product.id]
        Listing.objects.filter(product=other.product).delete()
        assert ids(first, "/products") == []

    def test_vendor_sees_only_tier_accounts_of_its_assets(
        self, vendor: Caller, distributor: Caller
    ) -> None:
        own = ids(distributor, "/tier/accounts")
        unused = make.catalog("8")
        row = TierAccount.objects.create(
            id="TA-9999-0000-0001",
            name="Nobody's",
            owner_id=PROVIDER,
            contact_info=make.CONTACT,
            hub_id=HUB,
            created=make.AT,
            updated=make.AT,
        )
        assert ids(distributor, f"/tier/accounts?id={row.pk}") == [row.pk]
        refused(vendor.get(f"/tier/accounts/{row.pk}"), 404)
        assert set(ids(vendor, "/tier/accounts")) <= set(own)
        assert ids(caller(unused.vendor), "/tier/accounts") == []

    def test_hubs_count_only_visible_objects(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        other.connection.hub_id, other.connection.provider_id = HUB, PROVIDER
        other.connection.save()
        counts = {
            name: party.get(f"/hubs/{HUB}").json["stats"]["connections"]
            for name, party in (
                ("vendor", vendor),
                ("provider", distributor),
                ("other", caller(other.vendor)),
            )
        }
        assert counts == {"vendor": 3, "provider": 4, "other": 1}


class TestEnvelopes:
    def test_missing_object_returns_404(self, vendor: Caller) -> None:
        for path, missing in {
            "/products/{}": "PRD-000-000-000",
            "/products/{}/items": "PRD-000-000-000",
            f"/products/{BACKUP}/items/{{}}": "SKU_NONE",
            f"/products/{BACKUP}/parameters/{{}}": "none",
            f"/products/{BACKUP}/templates/{{}}": "TL-000-000-000",
            f"/products/{BACKUP}/connections/{{}}": "CT-3380-6125-4471",
            "/hubs/{}/connections": "HB-0000-0000",
            "/hubs/{}/marketplaces": "HB-0000-0000",
            "/marketplaces/{}": "MP-00000",
            "/tier/accounts/{}": "TA-0000-0000-0000",
        }.items():
            refused(vendor.get(path.format(missing)), 404, f"Object `{missing}` not found.")


class TestObjects:
    def test_item_is_found_by_global_and_local_id(self, vendor: Caller) -> None:
        by_global = vendor.get(f"/products/{SUITE}/items/{SUITE}-0005").json
        assert by_global == vendor.get(f"/products/{SUITE}/items/SKU_DESK").json
        assert (by_global["type"], by_global["period"], by_global["precision"]) == (
            "ppu",
            "monthly",
            "decimal(2)",
        )
        assert by_global["unit"] == {
            "id": "hour",
            "name": "Hours",
            "title": "Hours",
            "unit": "hour",
        }
        refused(vendor.get(f"/products/{BACKUP}/items/{SUITE}-0005"), 404)

    def test_parameter_is_found_by_id_and_name(self, vendor: Caller) -> None:
        row = vendor.get(f"/products/{SUITE}/parameters/data_region").json
        assert row["name"] == "data_region"
        assert row["id"].startswith("PRM-362-917-440-")
        assert vendor.get(f"/products/{SUITE}/parameters/{row['id']}").json == row
        assert ids(vendor, f"/products/{SUITE}/parameters?id={row['id']}") == [row["id"]]
        refused(vendor.get(f"/products/{BACKUP}/parameters/{row['id']}"), 404)

    def test_default_choice_is_marked(self, vendor: Caller) -> None:
        choices = vendor.get(f"/products/{SUITE}/parameters/data_region").json["constraints"]
        assert [c["value"] for c in choices["choices"] if c.get("default")] == ["eu"]

    def test_default_without_choices_is_a_value(self, vendor: Caller) -> None:
        Parameter.objects.filter(product=BACKUP, name="console_url").update(default="https://x")
        row = vendor.get(f"/products/{BACKUP}/parameters/console_url").json
        assert row["default"] == "https://x"

    def test_missing_capabilities_are_off(self, vendor: Caller) -> None:
        Product.objects.filter(pk=BACKUP).update(
            capabilities={"cart": {"validation": True}, "tiers": {"configs": {"level": 2}}}
        )
        capabilities = vendor.get(f"/products/{BACKUP}").json["capabilities"]
        assert capabilities["cart"] == {"validation": True}
        assert capabilities["tiers"] == {
            "updates": False,
            "configs": {"level": 2},
            "validation": False,
        }
        assert capabilities["ppu"] is None
        assert capabilities["subscription"]["hold"] is False

    def test_disabled_capability_is_null(self, vendor: Caller) -> None:
        off = vendor.get(f"/products/{BACKUP}").json["capabilities"]
        on = vendor.get(f"/products/{SUITE}").json["capabilities"]
        assert (off["ppu"], off["tiers"]["configs"]) == (None, None)
        assert (on["ppu"]["schema"], on["tiers"]["configs"]["level"]) == ("QT", 2)

    def test_a_product_without_category_has_no_such_key(self, vendor: Caller) -> None:
        Product.objects.filter(pk=BACKUP).update(category={})
        assert "category" not in vendor.get(f"/products/{BACKUP}").json

    def test_dates_have_the_same_format(self, vendor: Caller) -> None:
        at = vendor.get(f"/products/{BACKUP}").json["events"]["created"]["at"]
        assert len(at) == 25
        assert at.endswith("+00:00")

    def test_scopes_of_a_tier_account_follow_from_assets(self, vendor: Caller) -> None:
        row = vendor.get(f"/tier/accounts/{BRIGHTWATER}").json
        assert (row["scopes"], row["parent"]["id"]) == (["tier1"], MASTER)
        assert row["hub"] == {"id": HUB, "name": "Northland Hub"}
        assert row["owner"]["id"] == PROVIDER


class TestIcons:
    @pytest.mark.parametrize("path", ["/accounts", "/marketplaces", "/products"])
    def test_every_icon_in_the_api_exists(self, path: str, vendor: Caller) -> None:
        for row in vendor.get(path).json:
            response = Client().get(row["icon"])
            assert (response.status_code, response.headers["Content-Type"]) == (
                200,
                "image/svg+xml",
            )
            assert response.content == Client().get(row["icon"]).content

    def test_a_picture_shows_initials_and_no_markup(self, seeded: Any) -> None:
        Product.objects.filter(pk=BACKUP).update(name='<script> "Zeta" & Øre\x01')
        row = Product.objects.get(pk=BACKUP)
        body = Client().get(icon(row)).content.decode()
        assert ">&lt;" not in body.replace('aria-label="&lt;', "")
        assert "<script" not in body
        assert "\x01" not in body
        assert ">Ø<" in body

    @pytest.mark.parametrize(
        ("path", "key"),
        [
            ("product/PRD-000-000-000", icon_key("product", "PRD-000-000-000")),
            (f"user/{BACKUP}", icon_key("user", BACKUP)),
            (f"account/{BACKUP}", icon_key("account", BACKUP)),
            (f"product/{BACKUP}", icon_key("product", "PRD-000-000-000")),
            (f"product/{BACKUP}", "x"),
            (f"product/{BACKUP}", "%C3%A9"),
        ],
        ids=["missing", "no user", "no account", "another's key", "short key", "no ASCII"],
    )
    def test_icon_requires_an_object_and_its_key(self, path: str, key: str, seeded: Any) -> None:
        response = Client().get(f"/media/{path}/{key}/icon.svg")
        assert (response.status_code, response.json()["error_code"]) == (404, "NFND_000")
