"""What is written of hubs and tier accounts, in the OpenAPI document."""

from typing import Literal, Required, TypedDict

from requests_queue.catalog.schema import ContactInfo, Environment
from requests_queue.schema import Id


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
