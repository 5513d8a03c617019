"""The types of products and what they are made of in the OpenAPI document."""

from typing import Any, Literal, NotRequired, Required, TypedDict

from requests_queue.catalog.schema import (
    Choice,
    Dependency,
    Environment,
    ParameterType,
)
from requests_queue.catalog.schema.directory import HubInstance
from requests_queue.schema import (
    Answer,
    AnyReference,
    Created,
    Documented,
    Form,
    Free,
    Happened,
    Id,
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


class ProductCreate(TypedDict, total=False):
    """A new product, a draft."""

    name: Required[str]
    external_id: str
    purchase_model: str


class ProductUpdate(TypedDict, total=False):
    """What changes of a product; capabilities and settings in part."""

    name: str
    external_id: str
    short_description: str
    detailed_description: str
    capabilities: Free
    customer_ui_settings: CustomerUISettings


class EndOfSale(TypedDict, total=False):
    """What to buy instead, and why."""

    replacement: Id | None
    end_of_sale_notes: str


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


class GivenUnit(TypedDict, total=False):
    """What an item is counted in."""

    id: Required[str]
    title: str


class GivenCommitment(TypedDict):
    """How many billing periods are bought at once, 1 to 120."""

    count: int


class _GivenItem(TypedDict, total=False):
    description: str
    external_id: str
    period: str
    precision: str
    commitment: GivenCommitment
    dynamic: bool
    ui: Visible


class ItemUpdate(_GivenItem, total=False):
    """What changes of an item."""

    name: str
    mpn: str
    type: str
    unit: GivenUnit


class ItemCreate(_GivenItem, total=False):
    """A new item, a draft."""

    name: Required[str]
    mpn: Required[str]
    type: Required[str]
    unit: Required[GivenUnit]


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


class _GivenParameter(TypedDict, total=False):
    description: str
    scope: Scope
    phase: Phase
    hint: str
    placeholder: str
    constraints: Constraints


class ParameterUpdate(_GivenParameter, total=False):
    """What changes of a parameter."""

    title: str
    type: ParameterType


class ParameterCreate(_GivenParameter, total=False):
    """A new parameter."""

    name: Required[str]
    title: Required[str]
    type: Required[ParameterType]


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


class TemplateUpdate(TypedDict, total=False):
    """What changes of a template."""

    title: str
    name: str
    body: str


class TemplateCreate(TypedDict, total=False):
    """A new template; its scope and type stay."""

    title: str
    name: Required[str]
    body: str
    scope: Literal["asset", "tier1", "tier2"]
    type: Literal["fulfillment", "inquire", "pending"]
    position: int


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


class _GivenAction(TypedDict, total=False):
    url: str
    title: str
    type: str
    description: str


class ProductActionUpdate(_GivenAction, total=False):
    """What changes of a button."""

    action: str
    name: str
    scope: Literal["asset", "tier1", "tier2"]


class ProductActionCreate(_GivenAction, total=False):
    """A new button."""

    action: Required[str]
    name: Required[str]
    scope: Required[Literal["asset", "tier1", "tier2"]]


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


class ConfigurationPut(TypedDict, total=False):
    """A value to configure; none clears it."""

    parameter: Required[Id]
    item: Id
    marketplace: Id
    value: str | None
    structured_value: Any


class ConnectedHub(TypedDict):
    """The hub of a connection."""

    id: str
    name: str
    instance: HubInstance


class Connection(TypedDict):
    """A product's connection to a hub."""

    id: str
    type: Environment
    status: str
    provider: Pictured
    vendor: Pictured
    created_at: Stamp
    hub: ConnectedHub
    events: Created


class ConnectionCreate(TypedDict, total=False):
    """A new connection."""

    hub: Required[Id]
    type: Literal["test", "production"]
    provider: Id
    vendor: Id
    product_version_type: Literal["public"]


class ConnectionUpdate(TypedDict, total=False):
    """What changes of a connection."""

    type: Literal["test", "production"]


PRODUCTS = Documented(
    "Products", "product", Product,
    bodies={"create": ProductCreate, "update": ProductUpdate, "endsale": EndOfSale},
)  # fmt: skip
AGREEMENT_PRODUCTS = Documented("Agreements", "product of an agreement", Product)
ITEMS = Documented(
    "Products", "item", Item,
    bodies={"create": ItemCreate, "update": ItemUpdate, "endsale": EndOfSale},
    answers={"endsale": Answer(200), "resumesale": Answer(200)},
)  # fmt: skip
PARAMETERS = Documented(
    "Products", "parameter", Parameter,
    bodies={"create": ParameterCreate, "update": ParameterUpdate},
)  # fmt: skip
TEMPLATES = Documented(
    "Products", "template", Template,
    bodies={"create": TemplateCreate, "update": TemplateUpdate},
)  # fmt: skip
ACTIONS = Documented(
    "Products", "action", ProductAction,
    bodies={"create": ProductActionCreate, "update": ProductActionUpdate},
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
CONFIGURATIONS = Documented(
    "Products", "configuration", Configuration, bodies={"create": ConfigurationPut}
)
CONNECTIONS = Documented(
    "Products", "connection", Connection,
    bodies={"create": ConnectionCreate, "update": ConnectionUpdate},
)  # fmt: skip
