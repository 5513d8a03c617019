"""The types of webhooks in the OpenAPI document."""

from typing import Literal, Required, TypedDict

from requests_queue.schema import Answer, Documented, Free, Named, Person, Pictured, Stamp, Uri


class Stats(TypedDict):
    """The counters of a webhook; `out_of_order` is the simulator's own."""

    events: int
    triggers: int
    success_triggers: int
    failure_triggers: int
    failure_since_last_success: int
    out_of_order: bool


class Response(TypedDict, total=False):
    """The handler's response, up to 64 KiB of its body; empty without a response."""

    headers: dict[str, str]
    body: str


class LastTriggerInfo(TypedDict):
    """An attempt; `duration` in milliseconds, `status_code` null without a response."""

    time: Stamp
    status: Literal["success", "failure"]
    status_code: int | None
    duration: int
    response: Response
    errors: str


class Webhook(TypedDict):
    """A webhook; its type, object class and product never change.

    `earliest_possible_trigger` is when the next attempt may start, null if immediately.
    """

    id: str
    type: str
    object_class: str
    label: str
    description: str
    active: bool
    external_url: Uri
    http_method: Literal["GET", "POST"]
    jwt_secret: str
    headers: dict[str, str]
    data: Free
    product: Pictured
    account: Named
    api_url: Uri
    created_at: Stamp
    created_by: Person | None
    modified_at: Stamp | None
    modified_by: Person | None
    earliest_possible_trigger: Stamp | None
    last_event: Stamp | None
    stats: Stats
    last_success: LastTriggerInfo | None
    last_failure: LastTriggerInfo | None


class _GivenWebhook(TypedDict, total=False):
    description: str | None
    active: bool
    http_method: Literal["GET", "POST"]
    headers: dict[str, str]
    data: Free


class WebhookUpdate(_GivenWebhook, total=False):
    """What changes of a webhook."""

    label: str
    external_url: Uri
    jwt_secret: str


class WebhookCreate(_GivenWebhook, total=False):
    """A new webhook: of type `event` where the body doesn't say."""

    label: Required[str]
    product_id: Required[str]
    object_class: Required[str]
    external_url: Required[Uri]
    jwt_secret: Required[str]
    type: str


WEBHOOKS = Documented(
    "Webhooks", "webhook", Webhook,
    bodies={"create": WebhookCreate, "update": WebhookUpdate},
    answers={"trigger": Answer(200)},
)  # fmt: skip
