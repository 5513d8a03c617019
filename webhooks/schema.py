"""The bodies of webhooks, and the responses of handlers, in the OpenAPI document."""

from typing import Literal, Required, TypedDict

from requests_queue.schema import Free, Uri


class Response(TypedDict, total=False):
    """The handler's response, up to 64 KiB of its body; empty without a response."""

    headers: dict[str, str]
    body: str


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
