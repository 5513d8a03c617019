"""What several endpoints of `/sandbox/…` answer, as types for its OpenAPI document.

The timeline, deliveries, attempts and API calls; what only one module of endpoints answers is
declared there. Moments have milliseconds and an offset, spans are in the unit that the description
names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from requests_queue.api.schema import Also, Stamp

CursorText = Annotated[
    str, Also(description="A place in the timeline: opaque, monotonic, valid after a restart.")
]
Milliseconds = Annotated[int, Also(description="Milliseconds.")]
Redacted = Annotated[
    bool, Also(description="Whether secrets that somebody has repeated were replaced by ••••••••.")
]
Seconds = Annotated[float, Also(description="Seconds.")]


class Version(TypedDict):
    """The version of Connect Sim."""

    version: str


class Entry(TypedDict):
    """An entry of the timeline; `at` is platform time, `real_at` real time."""

    cursor: CursorText
    kind: Literal[
        "change",
        "event",
        "attempt_started",
        "attempt_finished",
        "api_call",
        "message",
        "clock",
        "fault",
        "hold",
        "reset",
    ]
    at: Stamp
    real_at: Stamp
    webhook: str | None
    delivery: int | None
    attempt: int | None
    object: str | None
    data: dict[str, Any]


class Timeline(TypedDict):
    """Entries, and the cursor to continue from."""

    entries: list[Entry]
    cursor: CursorText


class CursorAnswer(TypedDict):
    """The cursor of the present."""

    cursor: CursorText


DeliveryEvent = TypedDict(
    "DeliveryEvent", {"object": str | None, "from": str | None, "to": str | None, "at": Stamp}
)


class SentRequest(TypedDict):
    """A request to a handler; `body` is null where a list leaves it out, `size` is in bytes."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None
    size: int


class HandlerResponse(TypedDict):
    """A handler's response."""

    status: int
    headers: list[list[str]]
    body: str | None
    size: int
    is_truncated: bool


class Token(TypedDict):
    """A decoded token, and the headers that carried it; its signature is not stored."""

    sent_in: list[str]
    header: dict[str, str]
    claims: dict[str, Any]


class FiredFault(TypedDict):
    """A fault that fired for a request."""

    name: str
    kind: str


class ApiCall(TypedDict):
    """A call of Connect's API; `link` says how sure it is that the attempt led to it."""

    id: int
    method: str
    path: str
    query: str
    status: int
    error_code: str
    duration: Annotated[float, Also(description="Milliseconds.")]
    started_at: Stamp
    real_started_at: Stamp
    actor: Literal["handler", "test"]
    account: str | None
    key: str
    user_agent: str
    objects: list[str]
    webhook: str | None
    delivery: int | None
    attempt: int | None
    link: Literal["certain", "likely", ""]
    request_body: str
    response_body: str
    is_truncated: bool
    redacted: Redacted
    faults: list[FiredFault]


class ApiCalls(TypedDict):
    """API calls in order, and the cursor to continue from."""

    calls: list[ApiCall]
    cursor: CursorText


class Note(TypedDict):
    """What is remarkable about a handler's activity."""

    code: str
    text: str
    call: int | None
    object: str | None


class HandlerActivity(TypedDict):
    """What a handler did because of an attempt."""

    summary: str
    notes: list[Note]
    calls: list[ApiCall]


class Attempt(TypedDict):
    """An HTTP request of a delivery, and what followed from it."""

    number: int
    outcome: Literal["success", "failure", "unknown"]
    started_at: Stamp
    finished_at: Stamp
    duration: Milliseconds
    request: SentRequest
    token: Token | None
    response: HandlerResponse | None
    error: str
    redacted: Redacted
    reason: str
    next_attempt_at: Stamp | None
    faults: list[FiredFault]
    handler_activity: HandlerActivity


class Delivery(TypedDict):
    """A delivery; a list has its latest attempts."""

    id: int
    webhook: str
    state: Literal["waiting", "calling", "delivered", "failed", "cancelled"]
    forced: bool
    created_at: Stamp
    objects: list[str]
    events: list[DeliveryEvent]
    attempts_made: int
    attempts: list[Attempt]
    next_attempt_at: Stamp | None
    next_attempt_reason: str


class Deliveries(TypedDict):
    """Deliveries, the newest first."""

    deliveries: list[Delivery]


class ForecastRow(TypedDict):
    """An attempt, and whether its failure makes the webhook out of order."""

    attempt: int
    at: Stamp
    reason: str
    out_of_order: bool


class Forecast(TypedDict):
    """The next attempts of a webhook if every one fails; `delivery` is sent first."""

    webhook: str
    now: Stamp
    delivery: int | None
    reason: str
    rows: list[ForecastRow]


class Unsettled(TypedDict):
    """Something that has to happen before the sandbox is settled."""

    kind: str
    text: str
