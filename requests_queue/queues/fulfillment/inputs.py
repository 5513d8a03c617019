"""The request bodies of the fulfillment queue."""

from __future__ import annotations

from rest_framework.fields import empty

from requests_queue.api.fields import Choice, Date, Free, Id, Input, List, Reference, String, Text
from requests_queue.catalog.inputs import OrderedItemInput, ParameterValueInput
from requests_queue.catalog.tiers import TierInput
from requests_queue.queues.fulfillment.request_types import TYPES


class TiersInput(Input):
    """Who buys, and through whom."""

    customer = TierInput(allow_null=True)
    tier1 = TierInput(allow_null=True)
    tier2 = TierInput(allow_null=True)


class AnswersInput(Input):
    """The parameters of a subscription."""

    params = List(ParameterValueInput(), null_value=empty)


class AssetInput(AnswersInput):
    """The subscription that an order is about: a new one, or one by `id`."""

    texts = {"external_id": 100, "external_uid": 100}
    id = Id()
    product = Reference(allow_null=True)
    connection = Reference(allow_null=True)
    marketplace = Reference(allow_null=True)
    items = List(OrderedItemInput())
    tiers = TiersInput(allow_null=True)


class RequestUpdate(Input):
    """What changes: note and parameters, of a draft the whole order."""

    note = Text()
    external_attributes = Free(allow_null=True, null_value={})
    asset = AssetInput(allow_null=True)


class RequestInput(RequestUpdate):
    """An order. A purchase names connection, items and tiers; the others a subscription."""

    type = Choice(TYPES, required=True)
    asset = AssetInput(required=True)
    status = Id()
    marketplace = Reference(allow_null=True)
    planned_date = Date()


class InquireInput(Input):
    """What the customer is asked with: a template, or a text."""

    template_id = Id()
    activation_tile = String()


class ApproveInput(InquireInput):
    """What the customer gets: a template, or a text."""

    effective_date = Date()


class PendInput(Input):
    """The answers to an inquiry; `code` is the one of the form's link."""

    asset = AnswersInput(allow_null=True)
    code = String(null_value=None)


class ScheduleInput(Input):
    """When to work on the request."""

    planned_date = Date()
