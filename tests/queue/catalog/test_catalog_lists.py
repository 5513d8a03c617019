"""Lists of the catalog: paging, filters, ordering, and `select`."""

from __future__ import annotations

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from requests_queue.catalog.models import Parameter
from requests_queue.seed.accounts import HUB
from requests_queue.seed.products import BACKUP, METER, SUITE
from tests import make
from tests.api import PROVIDER, Caller, ids, refused
from tests.queue.catalog.test_catalog_api import LISTS

PRODUCTS = {BACKUP, SUITE, METER}
# Path: query, and the number of matching demo rows.
FOUND: dict[str, dict[str, int]] = {
    "/products": {
        "and(eq(visibility.owner,true),eq(version,null()))": 3,
        "or(eq(visibility.listing,true),eq(visibility.syndication,true))": 0,
        "eq(version,3)": 1,
        "ne(version,3)": 2,
        "in(version,(3,2))": 2,
        "out(category.name,(Security,Analytics))": 1,
        "like(name,*Secure*)": 1,
        "search=meter": 1,
        "category.name=Security": 1,
        "in(id,(PRD-814-505-018,PRD-362-917-440))&status=published": 2,
        "lt(events.created.at,2001-01-01)": 0,
    },
    "/hubs": {
        "stats.connections=3": 1,
        "eq(instance.type,API)": 1,
        "name=Northland Hub": 1,
    },
    f"/hubs/{HUB}/connections": {
        "product.name=Nimbus Meter": 1,
    },
    "/marketplaces": {
        f"hubs.id={HUB}": 1,
        "currency=USD&owner__id=PA-318-442": 1,
        "eq(countries.id,NO)": 1,
        "eq(countries.id,JP)": 0,
    },
    "/accounts": {
        "role=vendor": 1,
    },
    f"/products/{BACKUP}/connections": {
        f"eq(hub.id,{HUB})": 1,
        "hub.instance.id=nobody": 0,
    },
    f"/products/{SUITE}/items": {
        "type=ppu": 1,
        "period=monthly&not(eq(item_type,ppu))": 2,
        "mpn=NSS-ENDPOINT-Y": 1,
        "unit.title=Users": 1,
        "dynamic=true": 1,
    },
    f"/products/{SUITE}/parameters": {
        "phase=configuration": 4,
        "in(scope,(tier1,tier2))&phase=fulfillment": 2,
        "constraints.hidden=true": 1,
        "ne(constraints.hidden,true)": 24,
        "constraints.hidden=false": 24,
        "constraints.shared=view": 1,
        "not(eq(constraints.hidden,true))": 24,
        "ne(constraints.shared,view)": 24,
        "and(eq(name,edition),eq(scope,asset))": 1,
    },
    f"/products/{SUITE}/templates": {
        "scope=asset&type=fulfillment": 1,
    },
    f"/products/{BACKUP}/templates": {
        "and(eq(name,Nimbus%20Backup:%20ready%20-%20asset),eq(scope,asset))": 1,
    },
    "/tier/accounts": {
        "eq(external_id,100245)": 1,
        "contact_info.contact.email=dana.finch@alderfinch.example.com": 1,
        "parent.parent.id=TA-6120-4478-0031": 3,
        "eq(parent.id,null())&type=reseller": 3,
        "scopes=tier2": 1,
        "in(scopes,(customer,tier2))&ne(scopes,customer)": 1,
        "scopes=nothing": 0,
        f"hub.id={HUB}&db=EU&search=fjord": 1,
    },
}


class TestLists:
    def test_longer_list_takes_no_more_statements(self, distributor: Caller) -> None:
        def statements(path: str) -> int:
            with CaptureQueriesContext(database) as queries:
                distributor.get(path)
            return len(queries)

        for path in LISTS:
            # The last page needs no count.
            assert statements(path) <= statements(f"{path}?limit=1") <= 7, path

    def test_more_marketplaces_take_no_more_statements(self, distributor: Caller) -> None:
        with CaptureQueriesContext(database) as before:
            distributor.get("/marketplaces")
        for n in range(3):
            catalog = make.catalog(str(n + 1))
            catalog.connection.hub.company_id = PROVIDER
            catalog.connection.hub.save()
            for row in catalog.provider.marketplaces.all():
                row.owner_id = PROVIDER
                row.save()
                row.hubs.add(catalog.connection.hub)
        with CaptureQueriesContext(database) as after:
            assert len(distributor.get("/marketplaces").json) == 4
        assert len(after) == len(before)

    def test_unknown_property_is_an_error(self, vendor: Caller) -> None:
        refused(vendor.get("/products?nmae=x"), 400, "Unknown property: nmae.")
        refused(vendor.get("/products?eq(name,"), 400)

    def test_catalog_filters(self, vendor: Caller) -> None:
        counts = {
            path: {query: len(ids(vendor, f"{path}?{query}")) for query in queries}
            for path, queries in FOUND.items()
        }
        assert counts == FOUND

    def test_provider_lists_products_as_the_cli_does(self, distributor: Caller) -> None:
        query = "or(eq(visibility.listing,true),eq(visibility.syndication,true))"
        assert set(ids(distributor, f"/products?{query}&limit=25")) == PRODUCTS
        assert ids(distributor, "/products?visibility.owner=true") == []

    @pytest.mark.parametrize(
        ("path", "order", "key"),
        [
            ("/products", "-name", "name"),
            (f"/products/{SUITE}/items", "-mpn", "mpn"),
            (f"/products/{SUITE}/parameters", "-id", "id"),
            ("/tier/accounts", "-external_uid", "external_uid"),
        ],
    )
    def test_ordering(self, path: str, order: str, key: str, vendor: Caller) -> None:
        values = [row[key] for row in vendor.get(f"{path}?ordering({order})").json]
        assert len(values) > 1
        assert values == sorted(values, reverse=True)

    @pytest.mark.parametrize("order", ["+name", "%20name", "id,-name", "-pk,+pk", "-name,%20-id"])
    def test_names_of_an_ordering_have_one_sign_at_most(self, order: str, vendor: Caller) -> None:
        assert vendor.get(f"/products?ordering({order})").status == 200

    @pytest.mark.parametrize("order", ["--name", "+-name", "-+name", "++name", "- name"])
    def test_two_signs_are_refused(self, order: str, vendor: Caller) -> None:
        refused(vendor.get(f"/products?ordering({order})"), 400)

    @pytest.mark.parametrize("word", ["view", "edit"])
    def test_configurations_are_filtered_by_constraints(self, vendor: Caller, word: str) -> None:
        path = f"/products/{SUITE}/configurations"
        rows = vendor.get(path).json
        Parameter.objects.filter(product=SUITE).update(constraints={"shared": "view"})
        found = vendor.get(f"{path}?parameter.constraints.shared={word}").json
        assert len(found) == (len(rows) if word == "view" else 0)

    def test_select_excludes_fields(self, vendor: Caller) -> None:
        query = "select(-capabilities,-visibility.owner)&eq(id,PRD-362-917-440)"
        (row,) = vendor.get(f"/products?{query}").json
        assert "capabilities" not in row
        assert set(row["visibility"]) == {"listing", "syndication", "catalog"}
        (tier,) = vendor.get("/tier/accounts?select(-contact_info.contact)&limit=1").json
        assert "contact" not in tier["contact_info"]
        refused(vendor.get("/products?select(-nothing)"), 400)

    def test_wrong_value_is_an_error(self, vendor: Caller) -> None:
        refused(vendor.get("/products?version=seven"), 400, "version: Not a valid version.")
        refused(vendor.get("/hubs?stats.connections=many"), 400)
        refused(vendor.get("/products?gt(visibility.owner,true)"), 400)
