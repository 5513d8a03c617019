"""Cases as data: their ids, groups and texts, and how much each weighs. No ORM, no Django.

| id | happens when |
|---|---|
| `fulfillment_request.purchase.pending.approved` | a webhook had an event of this change |
| `usage_file.ready.pending` | the same, of a queue without types |
| `deliveries.second_attempt` | see DELIVERIES |
| `validator.change_validator.values` | a validator had this outcome: see OUTCOMES |
| `api_error.REQ_003` | a handler's API call had this error: see API_ERRORS |
| `fault.delivery.abort` | a fault of this side and kind has fired |
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

CREATED = "created"  # in place of the status before, of an object that was created
CHANGED = "changed"  # of a billing request, which has no status

# By group: its title. Queues come first.
DELIVERIES_GROUP, VALIDATOR, API_ERROR, FAULT = "deliveries", "validator", "api_error", "fault"
GROUPS = {
    "fulfillment_request": "Fulfillment requests",
    "tier_config_request": "Tier configuration requests",
    "tier_account_request": "Tier account requests",
    "listing_request": "Listing requests",
    "billing_request": "Billing requests",
    "usage_file": "Usage files",
    DELIVERIES_GROUP: "Deliveries",
    VALIDATOR: "Validators",
    API_ERROR: "API errors",
    FAULT: "Faults",
}
DELIVERIES = {
    "first_attempt": "delivered by the first attempt",
    "error_status": "an attempt failed: the handler returned another status than 2xx",
    "no_response": "an attempt failed without a complete response",
    "second_attempt": "delivered by the second attempt, after a backoff",
    "later_attempt": "delivered by the third attempt or a later one",
    "several_objects": "one delivery was about several objects",
    "triggered": "Trigger now, which is about no object",
    "out_of_order": "the webhook went out of order",
    "recovered": "a webhook that was out of order has recovered",
}
OUTCOMES = {
    "ok": "valid: it changed no parameter",
    "errors": "it set or cleared errors of parameters",
    "values": "it changed values, choices or constraints of parameters",
    "failed": "it failed, so that nothing was merged",
}
# By name: the HTTP status and an example of the text, as stubs have them. A name of digits is that
# of a status with any code.
API_ERRORS = {
    "REQ_003": (400, "The request is approved: approve is for pending only."),
    "VAL_001": (400, "asset.params: Parameter activation_id is required."),
    "REQ_001": (
        400,
        "Only pending, draft or inquiring Fulfillments with enabled validation capability can be "
        "updated",
    ),
    "AUTH_001": (401, "API request is unauthorized."),
    "NFND_000": (404, "Object not found"),
    "429": (429, "Too many requests."),
    "500": (500, "Internal error."),
}
_API_TEXTS = {
    "REQ_003": "the status of the object does not allow the action",
    "VAL_001": "a value is missing or invalid",
    "REQ_001": "the request cannot be updated any more",
    "AUTH_001": "the API key is not valid",
    "NFND_000": "there is no such object",
    "429": "too many requests",
    "500": "an error inside Connect, 500 or more",
}
# The first pattern that an id matches decides: what goes wrong most in real handlers first. The
# page docs/coverage.md has the same table.
WEIGHTS = (
    ("fulfillment_request.purchase.pending.approved", 100),
    ("fulfillment_request.purchase.created.pending", 98),
    ("deliveries.first_attempt", 96),
    ("deliveries.second_attempt", 94),
    ("fault.delivery.duplicate", 92),
    ("fulfillment_request.purchase.*inquiring*", 90),
    ("fulfillment_request.purchase.pending.failed", 88),
    ("api_error.REQ_003", 86),
    ("fulfillment_request.change.created.pending", 84),
    ("fulfillment_request.change.pending.approved", 84),
    ("fulfillment_request.cancel.created.pending", 82),
    ("fulfillment_request.cancel.pending.approved", 82),
    ("validator.*.errors", 80),
    ("validator.*.values", 78),
    ("validator.*.ok", 76),
    ("api_error.VAL_001", 74),
    ("api_error.429", 74),
    ("fault.api.lost_response", 72),
    ("api_error.500", 70),
    ("deliveries.error_status", 68),
    ("deliveries.no_response", 66),
    ("deliveries.several_objects", 64),
    ("fulfillment_request.suspend.pending.approved", 62),
    ("fulfillment_request.resume.pending.approved", 62),
    ("fulfillment_request.suspend.created.*", 60),
    ("fulfillment_request.resume.created.*", 60),
    ("fulfillment_request.*.*.failed", 58),
    ("tier_config_request.setup.pending.approved", 56),
    ("tier_config_request.setup.created.pending", 56),
    ("fulfillment_request.purchase.*tiers_setup*", 54),
    ("tier_config_request.setup.*inquiring*", 52),
    ("tier_config_request.*", 50),
    ("fulfillment_request.*inquiring*", 48),
    ("validator.*", 46),
    ("fulfillment_request.adjustment.*", 44),
    ("deliveries.*", 42),
    ("api_error.*", 40),
    ("fulfillment_request.*.draft.*", 38),
    ("usage_file.*", 36),
    ("fault.delivery.reorder", 34),
    ("fault.delivery.stale_token", 34),
    ("fault.delivery.no_token", 34),
    ("fault.api.*", 32),
    ("fault.*", 30),
    ("fulfillment_request.*scheduled*", 28),
    ("fulfillment_request.*.revoking.*", 28),
    ("fulfillment_request.*", 26),
    ("tier_account_request.*", 24),
    ("billing_request.*", 22),
    ("*", 20),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A case by its id."""

    id: str

    @property
    def group(self) -> str:
        """The queue, or what else it is about: a key of GROUPS."""
        return self.id.partition(".")[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """What follows the group: type (of a queue that has types), status before, and after."""
        return tuple(self.id.split(".")[1:])

    @property
    def weight(self) -> int:
        """From 1 to 100: see WEIGHTS."""
        return next(weight for pattern, weight in WEIGHTS if fnmatchcase(self.id, pattern))

    @property
    def text(self) -> str:
        """What happens, in words."""
        *kind, before, after = ("", *self.parts)
        match self.group:
            case "deliveries":
                return DELIVERIES[after]
            case "validator":
                return f"{before}: {OUTCOMES[after]}"
            case "api_error":
                return f"{after}: {_API_TEXTS[after]}"
            case "fault":
                side = "API call" if before == "api" else "request to the handler"
                return f"{after} of a {side}".replace("a API", "an API")
        if after in (CREATED, CHANGED):
            return f"{before}: {after}"
        name = f"{kind[-1]}: " if kind[-1] else ""
        return f"{name}{before} → {after}"


def order(case: Case) -> tuple[int, int, str]:
    """Return a sort key: the heaviest first."""
    return -case.weight, place(case.group), case.id


def place(group: str) -> int:
    """Return the place of a group among all: queues that Connect doesn't have are the last."""
    return [*GROUPS, group].index(group)


def title(group: str) -> str:
    """Return the title of a group; that of a queue that Connect doesn't have is its name."""
    return GROUPS.get(group, f"{group.replace('_', ' ').capitalize()}s")


def change(object_class: str, kind: str, before: str | None, after: str) -> str:
    """Return the id of a change; billing requests have no statuses, but change."""
    first = CREATED if before is None else before or CHANGED
    return ".".join(filter(None, (object_class, kind, first, after)))


def api_error(code: str, status: int) -> str | None:
    """Return the id of an error of the API; None for one that is no case."""
    number = "500" if status >= 500 else str(status)
    name = next((each for each in (code, number) if each in API_ERRORS), None)
    return name and f"{API_ERROR}.{name}"
