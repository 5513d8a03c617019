"""The types of tier configurations and the requests about them in the OpenAPI document."""

from typing import Any, Literal, NotRequired, Required, TypedDict

from requests_queue.catalog.schema import (
    ConfiguredValues,
    ConnectionReference,
    ContractReference,
    Environment,
    GivenParameter,
    ParameterValue,
    ProductReference,
    Tier,
)
from requests_queue.queues.fulfillment.schema import GivenTier
from requests_queue.schema import (
    MARKDOWN,
    Answer,
    AnyReference,
    Documented,
    GivenDate,
    Happened,
    Id,
    Made,
    Named,
    Pictured,
    Reason,
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


class GivenConfiguration(TypedDict, total=False):
    """A configuration by `id`, or by product, reseller and level."""

    id: str
    product: Id
    account: GivenTier
    parent_account: GivenTier
    tier_level: Any
    connection: Id
    marketplace: Id


class TierConfigRequestCreate(TypedDict, total=False):
    """A new request; without `type` a setup of what isn't set up, else an update.

    Of `status` only `draft` counts.
    """

    configuration: Required[GivenConfiguration]
    type: Literal["setup", "update", "adjustment"]
    status: Status
    notes: str
    params: list[GivenParameter]


class TierConfigRequestUpdate(TypedDict, total=False):
    """What changes of a request."""

    notes: str
    params: list[GivenParameter]


class GivenTemplate(TypedDict, total=False):
    """A template by `id`, or a text."""

    id: str
    representation: str
    effective_date: GivenDate | None


class ApproveTierConfig(TypedDict, total=False):
    """What the reseller gets."""

    template: GivenTemplate
    effective_date: GivenDate | None


class InquireTierConfig(TypedDict, total=False):
    """What the reseller is asked with."""

    template: GivenTemplate


class PendTierConfig(TypedDict, total=False):
    """The answers to an inquiry."""

    params: list[GivenParameter]


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
    bodies={
        "create": TierConfigRequestCreate, "update": TierConfigRequestUpdate,
        "approve": ApproveTierConfig, "inquire": InquireTierConfig, "pend": PendTierConfig,
        "validate": TierConfigRequestUpdate, "fail": Reason,
    },
    answers={"approve": Answer(200, Approval), "render": MARKDOWN},
)  # fmt: skip
TIER_CONFIGS = Documented("Tiers", "tier config", TierConfig, answers={"render": MARKDOWN})
