"""The types of tier configurations and the requests about them in the OpenAPI document."""

from typing import Literal, NotRequired, TypedDict

from requests_queue.catalog.schema import (
    ConfiguredValues,
    ConnectionReference,
    ContractReference,
    Environment,
    ParameterValue,
    ProductReference,
    Tier,
)
from requests_queue.schema import (
    MARKDOWN,
    Answer,
    AnyReference,
    Documented,
    Happened,
    Id,
    Made,
    Named,
    Pictured,
    Stamp,
    Uri,
)


class TierConfig(TypedDict):
    """What a vendor has set up for a reseller of a product."""

    id: str
    name: str
    account: Tier
    product: ProductReference
    tier_level: Literal[1, 2]
    connection: ConnectionReference
    events: Made
    params: list[ParameterValue]
    status: Literal["processing", "active"]
    configuration: ConfiguredValues
    contract: ContractReference
    marketplace: Pictured
    template: NotRequired[Named]
    open_request: NotRequired[Id]


class ResellerTiers(TypedDict):
    """The reseller, and the one above it."""

    tier1: Tier
    tier2: Tier


class TierConfigRequestEvents(TypedDict):
    """The moments of a request."""

    created: Happened
    updated: Happened
    inquired: NotRequired[Happened]
    pended: NotRequired[Happened]


class FormLink(TypedDict):
    """Where the reseller answers an inquiry."""

    link: Uri


Status = Literal["draft", "tiers_setup", "pending", "inquiring", "approved", "failed"]


class TierConfigRequest(TypedDict):
    """A request to set up or change a reseller's configuration."""

    id: str
    type: Literal["setup", "update", "adjustment"]
    status: Status
    configuration: TierConfig
    params: list[ParameterValue]
    assignee: AnyReference
    reason: str
    notes: str
    environment: Environment
    tiers: ResellerTiers
    events: TierConfigRequestEvents
    parent_configuration: NotRequired[TierConfig]
    template: NotRequired[Named]
    activation: NotRequired[FormLink]
    effective_date: NotRequired[Stamp]
    previous_approved_request: NotRequired[Id]


class ApprovalTemplate(TypedDict):
    """The text that the reseller gets: Markdown."""

    id: NotRequired[str]
    representation: str


class Approval(TypedDict):
    """What an approval answers."""

    template: ApprovalTemplate
    effective_date: Stamp


TIER_CONFIG_REQUESTS = Documented(
    "Tiers", "tier config request", TierConfigRequest,
    answers={"approve": Answer(200, Approval), "render": MARKDOWN},
)  # fmt: skip
TIER_CONFIGS = Documented("Tiers", "tier config", TierConfig, answers={"render": MARKDOWN})
