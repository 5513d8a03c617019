"""The catalogue's part of `/public/v1`: a list of the views' addresses."""

from requests_queue.catalog.views import (
    account_users,
    accounts,
    agreements,
    configurations,
    contracts,
    hubs,
    marketplaces,
    product_actions,
    product_media,
    product_parts,
    products,
    tier_accounts,
)

urlpatterns = [
    *account_users.urlpatterns,
    *accounts.urlpatterns,
    *agreements.urlpatterns,
    *configurations.urlpatterns,
    *contracts.urlpatterns,
    *hubs.urlpatterns,
    *marketplaces.urlpatterns,
    *product_actions.urlpatterns,
    *product_media.urlpatterns,
    *product_parts.urlpatterns,
    *products.urlpatterns,
    *tier_accounts.urlpatterns,
]
