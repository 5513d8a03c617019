"""The request bodies of the tier configuration queue."""

from __future__ import annotations

from typing import Any

from rest_framework.fields import empty

from requests_queue.api.fields import Choice, Date, Id, Input, List, Reference, String, Text
from requests_queue.catalog import inputs
from requests_queue.catalog.inputs import ParameterValueInput
from requests_queue.catalog.tiers import TierInput
from requests_queue.queues.tier_config.models import STATUSES

TYPES = ("setup", "update", "adjustment")


class LevelField(Choice):
    """A tier: 1 or 2, as a number or in a string."""

    openapi = {"anyOf": [{"type": "integer"}, {"type": "string"}]}

    def to_internal_value(self, data: Any) -> Any:
        """Return the number; raises ValidationError."""
        is_number = isinstance(data, (int, float)) and not isinstance(data, bool)
        return int(super().to_internal_value(str(data) if is_number else data))


class TierConfigInput(Input):
    """A configuration by `id`, or by what makes it."""

    nulls = ({},)
    id = Id()
    product = Reference(allow_null=True)
    connection = Reference(allow_null=True)
    marketplace = Reference(allow_null=True)
    account = TierInput(allow_null=True)
    parent_account = TierInput(allow_null=True)
    tier_level = LevelField(("1", "2"), allow_null=True)


class TierConfigRequestUpdate(Input):
    """What changes of a request."""

    notes = Text(2000)
    params = List(ParameterValueInput(), null_value=empty)


class TierConfigRequestInput(TierConfigRequestUpdate):
    """A new request; without a type a setup of what isn't set up, else an update."""

    type = Choice(TYPES, allow_null=True, allow_blank=True)
    status = Choice(STATUSES, allow_null=True, allow_blank=True)
    configuration = TierConfigInput(required=True)


class ResellerTemplateInput(Input):
    """A template by `id`, or a text."""

    id = Id()
    representation = String()
    effective_date = Date()


class InquireTierConfigInput(Input):
    """What the reseller is asked with."""

    template = ResellerTemplateInput(allow_null=True)


class ApproveTierConfigInput(InquireTierConfigInput):
    """What the reseller gets; the date may be given inside the template too."""

    effective_date = Date()


class PendTierConfigInput(Input):
    """The answers to an inquiry; `code` is the one of the form's link."""

    params = List(ParameterValueInput(), null_value=empty)
    code = String(null_value=None)


class TierReasonInput(inputs.ReasonInput):
    """Why."""

    reason = Text(500)
