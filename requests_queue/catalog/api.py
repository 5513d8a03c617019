"""The catalog's part of `/public/v1`: a list of the views' addresses."""

from requests_queue.catalog.views import (
    accounts,
    agreements,
    brands,
    contracts,
    hubs,
    product_actions,
    product_media,
    product_parts,
    product_versions,
    products,
    reference_lists,
    tier_accounts,
    tokens,
    translations,
)

_VIEWS = (
    accounts,
    agreements,
    brands,
    contracts,
    hubs,
    product_actions,
    product_media,
    product_parts,
    product_versions,
    products,
    reference_lists,
    tier_accounts,
    tokens,
    translations,
)
urlpatterns = [pattern for views in _VIEWS for pattern in views.urlpatterns]
