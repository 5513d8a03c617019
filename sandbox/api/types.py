"""The answers of `/sandbox/…` as types, for its OpenAPI document.

Moments have milliseconds and an offset, spans are in the unit that the description names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from requests_queue.schema import Also, Stamp
from sandbox.api.operations import Error

CursorText = Annotated[
    str, Also(description="A place in the timeline: opaque, monotonic, valid after a restart.")
]
Milliseconds = Annotated[int, Also(description="Milliseconds.")]
Seconds = Annotated[float, Also(description="Seconds.")]


class Entry(TypedDict):
    """An entry of the timeline; `at` is platform time, `real_at` real time."""

    cursor: CursorText
    kind: Literal[
        "change", "event", "attempt_started", "attempt_finished", "api_call", "clock", "fault",
        "hold", "reset",
    ]  # fmt: skip
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
    reason: str
    next_attempt_at: Stamp | None
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


class Present(TypedDict):
    """What the conditions depend on: statuses of objects, webhooks out of order, idle."""

    statuses: dict[str, str | None]
    out_of_order: dict[str, bool]
    idle: bool | None


class Unsettled(TypedDict):
    """Something that has to happen before the sandbox is settled."""

    kind: str
    text: str


class WaitSatisfied(TypedDict):
    """The condition is true; `evidence` are the entries that made it true."""

    now: Stamp
    cursor: CursorText
    waited: Seconds
    evidence: list[Entry]
    present: Present


class Difference(TypedDict):
    """A point in which something differs from the condition."""

    field: str
    expected: str
    actual: str


class NearMiss(TypedDict):
    """An attempt, object or webhook that nearly made the condition true."""

    webhook: str | None
    delivery: int | None
    attempt: int | None
    object: str | None
    entry: Entry | None
    differs: list[Difference]


class WaitFailed(Error):
    """The condition is not true; `timeline` has the latest entries since the cursor."""

    stopped_because: Literal["timeout", "within", "idle", "impossible", "reset"]
    now: Stamp
    cursor: CursorText
    waited: Seconds
    waiting_for: list[str]
    near_misses: list[NearMiss]
    present: Present
    unsettled: list[Unsettled]
    timeline: list[Entry]
    timeline_left_out: int


class Clock(TypedDict):
    """The platform time; `offset` is how many seconds it is ahead of real time."""

    now: Stamp
    offset: Seconds
    moving: bool
    frozen: bool
    settled: bool
    waiting_for: list[Unsettled]


class MovedAttempt(TypedDict):
    """An attempt that ended during a move."""

    webhook: str
    delivery: int
    attempt: int
    object: str | None
    objects: list[str]
    at: Stamp
    outcome: str
    status: int | None
    error: str
    next_attempt_at: Stamp | None


Moved = TypedDict(
    "Moved",
    {
        "from": Stamp,
        "now": Stamp,
        "stops": int,
        "attempts": list[MovedAttempt],
        "stopped_because": Literal["end", "idle", "max_steps", "max"],
        "unsettled": list[Unsettled],
        "failed": list[str],
    },
)


class SettleTime(TypedDict):
    """The settle time of a handler URL in milliseconds, and where it is from."""

    url: str
    ms: float
    source: Literal["fixed", "setting", "learned", "default"]


class Hold(TypedDict):
    """A hold; it expires in so many seconds."""

    id: str
    note: str
    expires_in: Seconds


class Lease(TypedDict):
    """A lease of the sandbox; `id` is the right to renew and to release it."""

    id: str
    note: str
    expires_in: Seconds


class CurrentLease(TypedDict):
    """Who has the lease, null for nobody; without its id."""

    note: str
    expires_in: Seconds


class LeaseState(TypedDict):
    """The lease of the sandbox."""

    lease: CurrentLease | None


class SoldItem(TypedDict):
    """An item of a product."""

    id: str
    local_id: str
    mpn: str
    name: str
    type: str
    period: str
    precision: str


class SoldParameter(TypedDict):
    """A parameter of a product; orders use its name as id."""

    id: str
    name: str
    title: str
    type: str
    scope: str
    phase: str
    required: bool


class SoldTemplate(TypedDict):
    """A template of a product."""

    id: str
    name: str
    scope: str
    type: str | None


class SoldProduct(TypedDict):
    """A product with its parts, and the ids of what it is sold by; null where it is not sold."""

    id: str
    name: str
    vendor: str
    provider: str | None
    connection: str | None
    hub: str | None
    listing: str | None
    contract: str | None
    marketplace: str | None
    items: list[SoldItem]
    params: list[SoldParameter]
    templates: list[SoldTemplate]


class QueueObject(TypedDict):
    """An object of a queue."""

    id: str
    status: str
    product: str


class Validated(QueueObject):
    """A validated object: whether a validator was called, and its parameters."""

    called: bool
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]


class Replaced(TypedDict):
    """The world was replaced; `unsettled` is what it did not wait for."""

    now: Stamp
    took_ms: int
    unsettled: list[str]


class Snapshot(TypedDict):
    """A snapshot: when it was saved in real time, the platform time in it, and whether it can be
    restored by this version."""

    name: str
    created: Stamp | None
    now: Stamp | None
    usable: bool


class SnapshotDiff(TypedDict):
    """Objects that were added, removed and changed; `truncated` if there are more."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    truncated: bool
