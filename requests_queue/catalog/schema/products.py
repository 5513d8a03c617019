"""The types of products and what they are made of in the OpenAPI document."""

from typing import Any, Literal, NotRequired, TypedDict

from requests_queue.catalog.schema import (
    Choice,
    Dependency,
    ParameterType,
)
from requests_queue.schema import (
    Answer,
    AnyReference,
    Documented,
    Form,
    Free,
    Happened,
    Made,
    Named,
    Pictured,
    Stamp,
    Uri,
)


class LegacyConfigurations(TypedDict):
    """Two switches from before capabilities."""

    suspend_resume_supported: bool
    requires_reseller_information: bool


class DownloadLink(TypedDict):
    """Something to download for the product."""

    title: str
    url: str
    visible_for: Literal["admin", "user"]


class DocumentLink(TypedDict):
    """Something to read about the product."""

    title: str
    url: str


class CustomerUISettings(TypedDict, total=False):
    """What the customer sees of a product."""

    description: str
    getting_started: str
    download_links: list[DownloadLink]
    documents: list[DocumentLink]
    languages: list[Named]
    provisioning_message: str


class Versions(TypedDict):
    """How many versions a product has."""

    versions: int


class Visibility(TypedDict):
    """Why the caller sees a product."""

    owner: bool
    listing: bool
    syndication: bool
    catalog: bool


class ProductEvents(TypedDict):
    """The moments of a product."""

    created: Happened
    published: NotRequired[Happened]
    updated: Happened


class Product(TypedDict):
    """A product; `capabilities` are the switches that queues and validators ask for."""

    id: str
    name: str
    external_id: str
    icon: str
    status: Literal["draft", "published", "endofsale"]
    category: NotRequired[Free]
    short_description: str
    detailed_description: str
    configurations: LegacyConfigurations
    customer_ui_settings: CustomerUISettings
    version: int
    published_at: Stamp | None
    owner: Pictured
    latest: bool
    stats: Versions
    capabilities: Free
    visibility: Visibility
    changes_description: str
    public: bool
    staging: bool
    events: ProductEvents
    purchase_model: str
    replacement: NotRequired[Free]
    end_of_sale_notes: NotRequired[str]


class Unit(TypedDict):
    """What an item is counted in."""

    id: str
    name: str
    title: str
    unit: str


class Commitment(TypedDict):
    """How many billing periods are bought at once."""

    multiplier: str
    count: int


class Group(TypedDict):
    """What items are grouped by."""

    name: str
    mpn: str


class Visible(TypedDict, total=False):
    """Whether customers see an item."""

    visibility: bool


class ItemEvents(TypedDict):
    """The moments of an item."""

    created: Happened
    updated: Happened
    saleended: NotRequired[Happened]


class Item(TypedDict):
    """An item of a product; words are small here, orders capitalise them."""

    id: str
    name: str
    status: Literal["draft", "published", "endofsale"]
    external_id: str
    unit: Unit
    mpn: str
    position: int
    type: Literal["reservation", "ppu"]
    local_id: str
    display_name: str
    period: str
    precision: str
    commitment: Commitment
    dynamic: bool
    description: str
    parent: Free
    depth: int
    replacement: AnyReference
    end_of_sale_notes: str
    group: Group
    ui: Visible
    events: ItemEvents


class ParameterChoice(Choice):
    """A value to choose, and whether it is chosen to begin with."""

    default: NotRequired[bool]


class Constraints(TypedDict, total=False):
    """What the values of a parameter must be."""

    required: bool
    hidden: bool
    unique: bool
    reconciliation: bool
    readonly: bool
    min_length: int
    max_length: int
    shared: Literal["none", "view", "edit"]
    choices: list[ParameterChoice | str]
    dependency: Dependency
    display_content: str
    level: str


Scope = Literal["asset", "tier1", "tier2", "product", "item", "marketplace", "item_marketplace"]
Phase = Literal["ordering", "fulfillment", "configuration"]


class Parameter(TypedDict):
    """A parameter of a product; orders know it by its name."""

    id: str
    name: str
    title: str
    description: str
    type: ParameterType
    scope: Scope
    phase: Phase
    hint: str
    placeholder: str
    constraints: Constraints
    position: int
    events: Made


class Template(TypedDict):
    """A text that the customer sees: Markdown with placeholders."""

    id: str
    title: str
    name: str
    body: str
    scope: Literal["asset", "tier1", "tier2"]
    type: Literal["fulfillment", "inquire", "pending"] | None
    position: int
    events: Made


class ProductAction(TypedDict):
    """A button on the pages of a subscription."""

    id: str
    action: str
    name: str
    title: str
    type: str
    scope: str
    description: str
    url: str
    events: Made


class ActionLink(TypedDict):
    """Where an action runs for a subscription or a tier configuration, with a signed token."""

    link: Uri


class ActionSecret(TypedDict):
    """The secret that signs the links of a product's actions."""

    jwt_secret: str


class Media(TypedDict):
    """A picture or a video of a product; `thumbnail` is a path relative to the host."""

    id: str
    position: int
    type: Literal["image", "video"]
    thumbnail: str
    url: str


class ConfiguredParameter(TypedDict):
    """The parameter that a value is configured of."""

    id: str
    name: str
    title: str
    description: str
    type: ParameterType
    scope: Scope
    phase: Phase
    hint: str
    placeholder: str
    constraints: Constraints


class Configuration(TypedDict):
    """A configured value."""

    value: str | None
    structured_value: Any
    parameter: ConfiguredParameter
    events: Made
    item: NotRequired[Named]
    marketplace: NotRequired[Pictured]


PRODUCTS = Documented("Products", "product", Product)
AGREEMENT_PRODUCTS = Documented("Agreements", "product of an agreement", Product)
ITEMS = Documented(
    "Products", "item", Item,
    answers={"endsale": Answer(200), "resumesale": Answer(200)},
)  # fmt: skip
PARAMETERS = Documented("Products", "parameter", Parameter)
TEMPLATES = Documented("Products", "template", Template)
ACTIONS = Documented(
    "Products", "action", ProductAction,
    answers={
        "action_link": Answer(200, ActionLink),
        "regenerate_secret": Answer(200, ActionSecret),
    },
    queries={
        "action_link": {
            "asset_id": "The subscription that the action is for.",
            "tier_config_id": "The tier configuration that an action of a tier scope is for.",
        }
    },
)  # fmt: skip
MEDIA = Documented(
    "Products", "media of a product", Media,
    bodies={
        "create": Form("thumbnail", position=int, type=str, url=str),
        "update": Form("thumbnail", position=int, type=str, url=str),
    },
)  # fmt: skip
CONFIGURATIONS = Documented("Products", "configuration", Configuration)
