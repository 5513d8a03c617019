"""The catalogue's part of `/public/v1`: a list of the views' addresses."""

from requests_queue.catalog.views import (
    accounts,
    agreements,
    configurations,
    contracts,
    hubs,
    marketplaces,
    product_actions,
    product_parts,
    products,
    tier_accounts,
)

urlpatterns = [
    *accounts.urlpatterns,
    *agreements.urlpatterns,
    *configurations.urlpatterns,
    *contracts.urlpatterns,
    *hubs.urlpatterns,
    *marketplaces.urlpatterns,
    *product_actions.urlpatterns,
    *product_parts.urlpatterns,
    *products.urlpatterns,
    *tier_accounts.urlpatterns,
]
