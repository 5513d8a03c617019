"""An API call as pages show it."""

from __future__ import annotations

from dataclasses import dataclass

from portal.deliveries import bodies
from portal.deliveries.bodies import Body
from sandbox.stored_calls import Call

MAX_BODY = 3000  # characters of a body that are shown


@dataclass(frozen=True, slots=True)
class CallView:
    """An API call, with its bodies cut."""

    call: Call

    @property
    def request_id(self) -> str:
        """Return the id of the element with the request's body."""
        return f"call-{self.call.id}-request"

    @property
    def response_id(self) -> str:
        """Return the id of the element with the response's body."""
        return f"call-{self.call.id}-response"

    @property
    def request_body(self) -> Body:
        return _body(self.call.request_body)

    @property
    def response_body(self) -> Body:
        return _body(self.call.response_body)


def _body(text: str) -> Body:
    body = bodies.read(text.encode(), [], as_sent=False, full=False)
    left_out = max(0, len(body.text) - MAX_BODY)
    body.text, body.more = body.text[:MAX_BODY], body.more + left_out
    return body
