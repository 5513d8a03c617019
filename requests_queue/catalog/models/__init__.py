"""The rows of the catalogue, by Connect's names."""

from requests_queue.catalog.models.accounts import Account, ApiToken, User
from requests_queue.catalog.models.assets import Asset, TierAccount
from requests_queue.catalog.models.directory import (
    Connection,
    Contract,
    Hub,
    Listing,
    Marketplace,
)
from requests_queue.catalog.models.products import Item, Parameter, Product, Template

__all__ = [
    "Account",
    "ApiToken",
    "Asset",
    "Connection",
    "Contract",
    "Hub",
    "Item",
    "Listing",
    "Marketplace",
    "Parameter",
    "Product",
    "Template",
    "TierAccount",
    "User",
]
