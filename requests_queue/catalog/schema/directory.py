"""The types of accounts, hubs, marketplaces, contracts and tier accounts in the document."""

from typing import Literal, NotRequired, Required, TypedDict

from requests_queue.catalog.schema import ContactInfo, Environment
from requests_queue.schema import (
    Answer,
    AnyReference,
    Created,
    Documented,
    Happened,
    Id,
    Named,
    Pictured,
    Stamp,
)


class Account(TypedDict):
    """A vendor or a provider."""

    id: str
    name: str
    icon: str
    description: str
    type: Literal["vendor", "provider"]
    role: Literal["vendor", "distributor", "reseller"]
    brand: str
    external_id: str
    events: Created


class AccountUserEvents(TypedDict):
    """The moments of a user."""

    created: Happened
    activated: Happened


class AccountUser(TypedDict):
    """A person of an account."""

    id: str
    name: str
    email: NotRequired[str]
    active: bool
    status: Literal["active", "disabled"]
    events: AccountUserEvents


class HubInstance(TypedDict):
    """The commerce system behind a hub."""

    id: str
    type: str


class HubOfMarketplace(TypedDict):
    """A hub of a marketplace, and what it calls it."""

    hub: Named
    external_id: str


class MarketplaceStats(TypedDict):
    """How many of what a marketplace has."""

    hubs: int
    contracts: int


class Marketplace(TypedDict):
    """Where a distributor sells."""

    id: str
    name: str
    description: str
    owner: Pictured
    icon: str
    zone: str
    hubs: list[HubOfMarketplace]
    active_contracts: int
    countries: list[AnyReference]
    currency: str
    stats: MarketplaceStats
    events: Created


class ContractEvents(TypedDict):
    """The moments of a contract."""

    created: Happened
    signed: NotRequired[Happened]
    countersigned: NotRequired[Happened]
    terminated: NotRequired[Happened]


class ContractOfVersion(TypedDict):
    """A distribution contract: the vendor's, issued by the provider."""

    id: str
    name: str
    type: str
    status: Literal["enrolling", "pending", "active", "rejected", "terminated"]
    version: int
    version_created: Stamp
    kind: Literal["production", "test"]
    owner: Pictured
    issuer: Pictured
    agreement: Named
    enrolled: Stamp | None
    events: ContractEvents


class Contract(ContractOfVersion):
    """A distribution contract, and the marketplace that it is for."""

    marketplace: Pictured


class ContractVersion(TypedDict):
    """A version of a contract: there is one."""

    contract: ContractOfVersion
    version: str
    version_created: Stamp


class AgreementStats(TypedDict):
    """How many of what an agreement has."""

    contracts: int
    versions: int


class Agreement(TypedDict):
    """What the contracts of a marketplace are made from."""

    id: str
    name: str
    type: Literal["distribution"]
    title: str
    description: str
    created: Stamp
    updated: Stamp
    owner: Pictured
    marketplace: Pictured
    version: int
    active: bool
    version_created: Stamp
    version_contracts: int
    stats: AgreementStats


class TierAccountEvents(TypedDict):
    """The moments of a tier account."""

    created: Happened
    updated: Happened
    decommissioned: NotRequired[Happened]


class TierAccount(TypedDict):
    """A customer or a reseller; `scopes` says where it stands in subscriptions."""

    id: str
    version: int
    name: str
    type: Literal["customer", "reseller"]
    external_id: str
    external_uid: str
    tax_id: str
    environment: Environment
    contact_info: ContactInfo
    db: str
    parent: AnyReference
    owner: Pictured
    scopes: list[Literal["customer", "tier1", "tier2"]]
    hub: NotRequired[AnyReference]
    events: TierAccountEvents


class GivenTierAccount(TypedDict, total=False):
    """What can be written of a customer or a reseller at any time."""

    name: str
    type: Literal["customer", "reseller"]
    external_id: str
    external_uid: str
    tax_id: str
    environment: Environment
    parent: Id


class TierAccountCreate(GivenTierAccount, total=False):
    """A new customer or reseller."""

    contact_info: Required[ContactInfo]
    hub: Id


class TierAccountUpdate(GivenTierAccount, total=False):
    """What changes of a customer or a reseller."""

    contact_info: ContactInfo


ACCOUNTS = Documented("Accounts", "account", Account)
ACCOUNT_USERS = Documented("Accounts", "user of an account", AccountUser)
MARKETPLACES = Documented("Marketplaces", "marketplace", Marketplace)
CONTRACTS = Documented(
    "Contracts", "contract", Contract,
    answers={name: Answer(200) for name in ("enroll", "sign", "reject", "refine", "terminate")},
)  # fmt: skip
CONTRACT_VERSIONS = Documented("Contracts", "version of a contract", ContractVersion)
AGREEMENTS = Documented("Agreements", "agreement", Agreement)
AGREEMENT_MARKETPLACES = Documented("Agreements", "marketplace of an agreement", Marketplace)
TIER_ACCOUNTS = Documented(
    "Tiers", "tier account", TierAccount,
    bodies={"create": TierAccountCreate, "update": TierAccountUpdate},
)  # fmt: skip
TIER_ACCOUNT_VERSIONS = Documented("Tiers", "version of a tier account", TierAccount)
