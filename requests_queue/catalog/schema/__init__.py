"""The types of the catalog in the OpenAPI document; here those that orders are made of."""

from typing import Any, Literal, NotRequired, TypedDict

from requests_queue.api.schema import Free, Id

ParameterType = Literal[
    "text",
    "dropdown",
    "password",
    "email",
    "checkbox",
    "subdomain",
    "domain",
    "address",
    "phone",
    "object",
    "url",
    "choice",
    "heading",
    "content",
]
Environment = Literal["test", "preview", "production"]


class Phone(TypedDict, total=False):
    """A phone number in its parts."""

    country_code: str
    area_code: str
    phone_number: str
    extension: str


class ContactPerson(TypedDict, total=False):
    """A person to write to."""

    first_name: str
    last_name: str
    email: str
    phone_number: Phone


class ContactInfo(TypedDict, total=False):
    """Where a customer or a reseller is, and who answers there."""

    address_line1: str
    address_line2: str
    city: str
    state: str
    postal_code: str
    country: str
    contact: ContactPerson


class Dependency(TypedDict):
    """How a parameter changes with the value of another."""

    parameter: Id
    values: list[str]
    required: bool
    hidden: bool
    readonly: bool


class ParameterConstraints(TypedDict, total=False):
    """The constraints of a value; `shared` is what the other party may do with it."""

    required: bool
    hidden: bool
    readonly: bool
    unique: bool
    reconciliation: bool
    min_length: int
    max_length: int
    shared: Literal["none", "view", "edit"]
    dependency: Dependency
    display_content: str
    level: str
    meta: Free


class Choice(TypedDict):
    """A value to choose."""

    value: str
    label: str


class ErrorMessage(TypedDict, total=False):
    """What is wrong, and the names that it has in catalogs of texts."""

    id: str | None
    external_id: str | None
    value: str | None


class StructuredError(TypedDict, total=False):
    """What a validator says is wrong, with the values that fill its text."""

    message: ErrorMessage
    context: Free


class ParameterValue(TypedDict):
    """A parameter with its value; phones, addresses, checkboxes and objects are structured."""

    id: str
    name: NotRequired[str]
    type: ParameterType
    phase: Literal["ordering", "fulfillment"]
    scope: Literal["asset", "tier1", "tier2"]
    title: str
    description: str
    value: str
    value_error: str
    structured_error: NotRequired[StructuredError]
    constraints: ParameterConstraints
    value_choices: NotRequired[list[Choice]]
    structured_value: NotRequired[Any]


class ConfiguredValue(TypedDict):
    """A value that the vendor configured for the product, a marketplace, or an item."""

    id: str
    title: str
    description: str
    type: ParameterType
    scope: Literal["product", "item", "marketplace", "item_marketplace"]
    phase: Literal["configuration"]
    value: str
    constraints: ParameterConstraints
    structured_value: NotRequired[Any]


class OrderedItem(TypedDict):
    """An item and how many of it; a quantity is a string, `unlimited` for pay-as-you-go."""

    id: str
    global_id: str
    mpn: str
    display_name: str
    item_type: str
    period: str
    type: str
    quantity: str
    params: list[ConfiguredValue]


class ChangedItem(OrderedItem):
    """An item of a request, with its quantity before."""

    old_quantity: str


AssetStatus = Literal["draft", "processing", "active", "suspended", "terminating", "terminated"]
