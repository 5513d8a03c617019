"""The catalogue's part of `/public/v1`: a list of the views' addresses."""

from requests_queue.catalog.views import (
    accounts,
    agreements,
    contracts,
    hubs,
    product_actions,
    product_media,
    product_parts,
    products,
    tier_accounts,
)

urlpatterns = [
    *accounts.urlpatterns,
    *agreements.urlpatterns,
    *contracts.urlpatterns,
    *hubs.urlpatterns,
    *product_actions.urlpatterns,
    *product_media.urlpatterns,
    *product_parts.urlpatterns,
    *products.urlpatterns,
    *tier_accounts.urlpatterns,
]
