"""Lists support every filter of Connect's OpenAPI document, except those of one table."""

from __future__ import annotations

import pytest

from tests.api import Caller
from tests.contract import calls, routes
from tests.contract.document import MISSING, connects

pytestmark = [
    pytest.mark.openapi,
    pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} name no document: filters are unchecked"),
]

# Path: filters of the document for data that we do not have.
UNKNOWN = {
    "/accounts": {"public"},
    "/accounts/{}/users": {
        "domain.auth.enforce", "domain.auth.idp.id", "domain.id", "events.activated.at",
        "events.invited.at", "events.signed.at", "external_id", "groups.id", "groups.name",
        "idp.id", "permissions", "tags.id", "tags.name",
    },
    "/assets": {"pending_request", "pending_request.template"},
    "/contracts": {
        "agreement.product_groups.id", "agreement.product_groups.products.id",
        "agreement.sourcing_agreement.id", "agreement.sourcing_agreement.type",
        "events.created.by.id", "events.created.by.name",
        "events.signed.by.id", "events.signed.by.name", "partner.id",
        "referral.agreement.id", "sourcing.listing.id", "sourcing.marketplace.id",
        "sourcing.marketplace.name", "sourcing.product.id", "sourcing.product.name",
    },
    "/listings": {
        "alt_pricelist_1.id", "alt_pricelist_1.name", "alt_pricelist_2.id",
        "alt_pricelist_2.name", "offer.id", "offer.name", "pricelist.id", "pricelist.name",
    },
    "/marketplaces": {
        "agreements.id", "alt_currency_1", "alt_currency_2", "locales.id", "locales.name",
    },
    "/products": {
        "category.parent", "events.published.by.id", "events.published.by.name",
        "events.updated.by.id", "events.updated.by.name", "groups.id",
        "sourcing.marketplaces",
    },
    "/products/{}/connections": {"product_version_type"},
    "/products/{}/items": {
        "app.id", "applicability", "frozen", "group.id", "usage_data_type", "version",
    },
    "/requests": {"asset.external.id", "asset.product.capabilities", "sli.days", "sli.zone"},
    "/tier/accounts": {"events.created.by", "events.updated.by"},
    "/tier/config-requests": {"sli.days", "sli.zone"},
    "/tier/configs": {"connection.product_version_type"},
}  # fmt: skip


def test_every_filter_of_the_document_is_supported(vendor: Caller) -> None:
    document = connects()
    filters: dict[str, set[str]] = {}
    for path in sorted(p for method, p in routes.operations() if method == "GET"):
        names = document.filters(path)
        if not names:
            continue
        where = next(calls.filled(path, vendor, 1))
        for name in names:
            response = vendor.get(f"{where}?{name}=a text")
            assert response.status in (200, 400), (where, name, response)
            if response.status == 400 and "Unknown property" in response.json["errors"][0]:
                filters.setdefault(path, set()).add(name)
    assert filters == UNKNOWN
