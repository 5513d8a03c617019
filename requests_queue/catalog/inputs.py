"""Parts of request bodies that several queues take."""

from __future__ import annotations

from typing import Any

from requests_queue.api.fields import Anything, Id, Input, String, Text, Values
from requests_queue.errors import MissedField


class ParameterValue(Anything):
    """A text, a number as its digits, or of a structured type an object."""

    openapi = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {}}]}
    default_error_messages = {"invalid": "Not a valid string."}

    def to_internal_value(self, data: Any) -> Any:
        """Return the value; raises ValidationError."""
        if isinstance(data, (bool, list)):
            self.fail("invalid")
        return data


class ParameterValueInput(Input):
    """A parameter's value, and what is wrong with it; of a structured type also as an object."""

    id = Id()
    value = ParameterValue()
    structured_value = Anything()
    value_error = String(null_value=None)


class OrderedItemInput(Input):
    """An item by `global_id`, `id` or `mpn`, and how many of it: a number, or one in a string."""

    id = Id()
    global_id = Id()
    mpn = Id()
    quantity = Anything()


class ReasonInput(Input):
    """Why."""

    reason = Text()

    def validate(self, attrs: Values) -> Values:
        """Return the reason; raises MissedField without one."""
        reason = attrs.get("reason", "").strip()
        if not reason:
            raise MissedField("reason")
        return {"reason": reason}
