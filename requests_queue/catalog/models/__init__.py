"""The models of the catalog, with Connect's names."""

from requests_queue.catalog.models.accounts import Account, ApiToken, User
from requests_queue.catalog.models.assets import Asset, TierAccount, TierAccountVersion
from requests_queue.catalog.models.audit import AuditEntry
from requests_queue.catalog.models.directory import (
    Agreement,
    Connection,
    Contract,
    Hub,
    Listing,
    Marketplace,
)
from requests_queue.catalog.models.products import (
    Configuration,
    Item,
    Parameter,
    Product,
    ProductAction,
    ProductMedia,
    ProductVersion,
    Template,
    VersionPart,
)

__all__ = [
    "Account",
    "Agreement",
    "ApiToken",
    "Asset",
    "AuditEntry",
    "Configuration",
    "Connection",
    "Contract",
    "Hub",
    "Item",
    "Listing",
    "Marketplace",
    "Parameter",
    "Product",
    "ProductAction",
    "ProductMedia",
    "ProductVersion",
    "Template",
    "TierAccount",
    "TierAccountVersion",
    "User",
    "VersionPart",
]
