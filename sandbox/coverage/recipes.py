"""How to make a case happen: the steps of a test, which `stubs` writes, and a sentence.

A test takes a fresh product, so that nothing else happens with it. Where the tester runs the
action, the webhook is created after the object: the handler would process it before. No ORM.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sandbox.coverage.cases import API_ERRORS, CHANGED, CREATED, Case

ORDER, CONFIG, TIER_ACCOUNT = "fulfillment_request", "tier_config_request", "tier_account_request"
LISTING, BILLING, USAGE = "listing_request", "billing_request", "usage_file"
_REASON = {"reason": "Out of stock"}
_PLANNED = {"planned_date": "2099-01-01T00:00:00+00:00"}
_ANSWER = [{"id": "domain", "value": "acme.example"}]
WRONG = [{"id": "domain", "value_error": "Not available"}]


@dataclass(frozen=True, slots=True)
class Step:
    """A step by its name, which is that of a method of a language in `stubs`, and its arguments."""

    name: str
    arguments: tuple[Any, ...] = ()


def _step(name: str, *arguments: Any) -> Step:
    return Step(name, arguments)


Steps = Iterator[Step]
# By queue, the action between two statuses, with its body; None: the platform's.
_REQUEST_ACTIONS = {
    ("pending", "inquiring"): ("inquire", {}),
    ("pending", "approved"): ("approve", {}),
    ("pending", "failed"): ("fail", _REASON),
    ("inquiring", "failed"): ("fail", _REASON),
}
ACTIONS: dict[str, dict[tuple[str, str], tuple[str, Any]]] = {
    ORDER: {
        **_REQUEST_ACTIONS,
        ("draft", "pending"): ("submit", {}),
        ("draft", "tiers_setup"): ("submit", {}),
        ("inquiring", "pending"): ("pend", {"asset": {"params": _ANSWER}}),
        ("pending", "scheduled"): ("schedule", _PLANNED),
        ("scheduled", "pending"): ("pend", {}),
        ("scheduled", "revoking"): ("revoke", _REASON),
        ("revoking", "revoked"): ("confirm", {}),
    },
    CONFIG: {
        **_REQUEST_ACTIONS,
        ("draft", "pending"): ("submit", {}),
        ("inquiring", "pending"): ("pend", {"params": _ANSWER}),
    },
    TIER_ACCOUNT: {
        ("pending", "accepted"): ("accept", {}),
        ("pending", "ignored"): ("ignore", _REASON),
    },
    LISTING: {
        ("draft", "reviewing"): ("submit", {}),
        ("reviewing", "draft"): ("refine", {}),
        ("reviewing", "deploying"): ("deploy", {}),
        ("deploying", "draft"): ("refine", {}),
        ("deploying", "completed"): ("complete", {}),
        ("draft", "canceled"): ("cancel", {}),
        ("reviewing", "canceled"): ("cancel", {}),
        ("deploying", "canceled"): ("cancel", {}),
    },
    USAGE: {
        ("ready", "pending"): ("submit", {}),
        ("ready", "deleted"): ("delete", {}),
        ("ready", "processing"): ("reprocess", {}),
        ("pending", "accepted"): ("accept", {}),
        ("pending", "rejected"): ("reject", {"rejection_note": "Too much"}),
        ("accepted", "closed"): ("close", {}),
    },
}
# By queue: the statuses through which a sample comes to a status; its own one has none.
_WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    ORDER: {
        "draft": (),
        "pending": (),
        "inquiring": ("pending",),
        "scheduled": ("pending",),
        "revoking": ("pending", "scheduled"),
    },
    CONFIG: {"draft": (), "pending": (), "inquiring": ("pending",)},
    TIER_ACCOUNT: {"pending": ()},
    LISTING: {"draft": (), "reviewing": ("draft",), "deploying": ("draft", "reviewing")},
    USAGE: {"ready": (), "pending": ("ready",), "accepted": ("ready", "pending")},
}
# The upload of a sample is processed on the way.
_BY_UPLOAD = {("draft", "uploading"), ("uploading", "processing"), ("processing", "ready")}
# By kind of fault: its parameters; it fires once.
_FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"ms": 100},
    "limit_data": {"bytes": 10},
    "succeed_first": {"n": 1},
    "fail_first": {"n": 1},
    "outage": {"for": "1m"},
    "clock_skew": {"seconds": 3600},
}
# Of an API call; it is the platform's time that passes.
_UNTIL_RESET = {"seconds": 1}
_TIER_PARAMETERS = [{"name": "domain", "phase": "ordering", "scope": "tier1"}]
# Which calls of the API have an error: method and path.
_CALLS = {
    "REQ_003": {"method": "POST", "path": "/requests/*/approve"},
    "VAL_001": {"method": "POST", "path": "/requests/*/approve"},
    "REQ_001": {"method": "PUT", "path": "/requests/*"},
}
VALIDATED = {
    "validator": (ORDER, "purchase", True),
    "inquiring_validator": (ORDER, "purchase", False),
    "change_validator": (ORDER, "change", True),
    "change_inquiring_validator": (ORDER, "change", False),
    "renew_validator": (ORDER, "renew", True),
    "renew_inquiring_validator": (ORDER, "renew", False),
    "transfer_validator": (ORDER, "transfer", True),
    "transfer_inquiring_validator": (ORDER, "transfer", False),
    "draft_tcr_t1_val": (CONFIG, "setup", True),
    "tcr_setup_t1_inq_val": (CONFIG, "setup", False),
    "tcr_update_t1_validator": (CONFIG, "update", True),
    "tcr_update_t1_inq_val": (CONFIG, "update", False),
}


def steps(case: Case) -> list[Step]:
    """Return the steps of a test of a case, none if only a sentence says how."""
    match case.group:
        case "deliveries":
            return list(_of_delivery(case.parts[0]))
        case "api_error":
            return list(_of_api_error(case.parts[0]))
        case "fault":
            return list(_of_fault(*case.parts))
        case "validator":
            return list(_of_validator(*case.parts))
    *kind, before, after = ("", *case.parts)
    return list(_of_change(case.group, kind[-1], before, after))


def _of_change(queue: str, kind: str, before: str, after: str) -> Steps:
    place = (before, after)
    if queue == BILLING:
        # Its type precedes.
        kind = before
    is_new = CREATED in place or (queue == USAGE and place in _BY_UPLOAD)
    is_approval = queue == ORDER and place == ("pending", "approved")
    if (before == CREATED and after == "inquiring") or after == CHANGED:
        return
    if queue == CONFIG and "tiers_setup" in place:
        # A sample has no reseller above it.
        return
    if queue == ORDER and before == "tiers_setup":
        yield from _of_resellers(after)
        return
    if not (is_new or place in ACTIONS.get(queue, {})):
        return
    yield from _product(queue, after)
    if is_new or is_approval:
        yield _step("webhook", queue)
        yield _step("sample", queue, kind)
        if is_approval:
            yield _step("status", "approved")
        else:
            yield _step("object_delivered")
        return
    if (queue, kind) == (LISTING, "new"):
        # A fresh product is listed.
        yield _step("sample", LISTING, "remove")
        for action in ("submit", "deploy", "complete"):
            yield _step("move", action, {})
    yield _step("sample", queue, kind, before == "draft" and queue in (ORDER, CONFIG))
    way = (*_WAYS[queue][before], before)
    for first, second in pairwise(way):
        yield from _move(queue, kind, first, second)
    if place == ("pending", "inquiring"):
        yield _step("wrong_value")
    yield _step("webhook", queue)
    yield _action(queue, kind, before, after)
    yield from _told(queue, after)


def _product(queue: str, after: str) -> Steps:
    if queue == CONFIG or after == "tiers_setup":
        yield _step("product", {"params": _TIER_PARAMETERS})
    elif after == "unsupported":
        yield _step("product", {"capabilities": {"tiers": {"updates": False}}})
    else:
        yield _step("product", {})
    if queue in (TIER_ACCOUNT, BILLING, USAGE):
        yield _step("subscription")


def _move(queue: str, kind: str, before: str, after: str) -> Steps:
    if (before, after) == ("pending", "inquiring"):
        yield _step("wrong_value")
    yield _action(queue, kind, before, after)


def _action(queue: str, kind: str, before: str, after: str) -> Step:
    name, body = ACTIONS[queue][before, after]
    if (queue, kind, name) == (ORDER, "purchase", "submit"):
        name = "purchase"
    return _step("move", name, body)


def _told(queue: str, after: str) -> Steps:
    if after != "pending" and (queue, after) != (USAGE, "processing"):
        # These two may not last: the handler, or the platform, goes on at once.
        yield _step("status", after)
    yield _step("delivered")


def _of_resellers(after: str) -> Steps:
    actions = {"pending": ("approve", {}), "failed": ("fail", _REASON)}
    if after in actions:
        yield _step("product", {"params": _TIER_PARAMETERS})
        yield _step("sample", ORDER, "purchase")
        yield _step("webhook", ORDER)
        yield _step("move_setup", *actions[after])
        yield from _told(ORDER, after)


def _begin() -> Steps:
    yield _step("product", {})
    yield _step("webhook", ORDER)


def _of_delivery(name: str) -> Steps:
    yield from _begin()
    fault = {
        "error_status": ("fail_first", {"n": 1, "status": 500}),
        "no_response": ("reset_peer", {}),
        "second_attempt": ("fail_first", {"n": 1}),
        "later_attempt": ("fail_first", {"n": 2}),
        "several_objects": ("fail_first", {"n": 1}),
        "out_of_order": ("abort", {}),
        "recovered": ("abort", {}),
    }.get(name)
    if fault is not None:
        is_once = name == "no_response"
        yield _step("fault", *fault, {"times": 1} if is_once else {}, True)
    if name == "triggered":
        yield _step("trigger")
        yield _step("called")
        return
    yield _step("sample", ORDER, "purchase")
    if name in ("error_status", "no_response", "several_objects"):
        yield _step("failed")
    if name == "several_objects":
        yield _step("sample", ORDER, "purchase")
    if name in ("out_of_order", "recovered"):
        yield _step("out_of_order")
    if name == "recovered":
        yield _step("clear")
        yield _step("trigger")
    if name != "out_of_order":
        yield _step("delivered")


def _of_api_error(name: str) -> Steps:
    status, text = API_ERRORS[name]
    code = f"SYS_{name}" if name.isdigit() else name
    yield from _begin()
    body = {"error_code": code, "errors": [text]}
    scope = {"times": 1, **_CALLS.get(name, {"side": "api"})}
    yield _step("fault", "abort", {"status": status, "body": body}, scope, False)
    yield _step("sample", ORDER, "purchase")
    if status >= 429:
        yield _step("status", "approved")
    else:
        yield _step("called")
        yield _step("idle")
    yield _step("fired")


def _of_fault(side: str, kind: str) -> Steps:
    if kind in ("hold", "hold_call"):
        return
    yield from _begin()
    parameters = dict(_FAULTS.get(kind, {}))
    if side == "api" and kind in ("timeout", "drop"):
        parameters = _UNTIL_RESET
    scope = {"times": 1} if side == "delivery" else {"times": 1, "side": side}
    yield _step("fault", kind, parameters, scope, side == "delivery")
    yield _step("sample", ORDER, "purchase")
    if (side, kind) == ("delivery", "succeed_first"):
        yield _step("delivered")
        yield _step("sample", ORDER, "purchase")
    yield _step("status", "approved")
    yield _step("fired")


def _of_validator(name: str, outcome: str) -> Steps:
    if name not in VALIDATED or outcome in ("errors", "values"):
        return
    queue, kind, is_draft = VALIDATED[name]
    if outcome == "ok" and not is_draft:
        # The handler may clear the error that the inquiry is about.
        return
    yield from _product(queue, "")
    yield _step("sample", queue, kind, is_draft)
    if not is_draft:
        yield from _move(queue, kind, "pending", "inquiring")
    yield _step("webhook", queue, name)
    if outcome == "failed":
        yield _step("fault", "abort", {}, {"times": 1}, True)
        yield _step("not_validated")
    else:
        yield _step("validated")


# Sentences.

_FOR_PLATFORM = "Bring an object into the status {before}; the platform makes it {after}."


def sentence(case: Case) -> str:
    """Return how to make a case happen."""
    match case.group:
        case "deliveries":
            return (
                "Let the handler, or a fault of its deliveries, respond so. "
                "Simulated time can be moved to the next attempt."
            )
        case "api_error":
            return (
                f"Let an API call of the handler have the error {case.parts[0]}: by what you "
                "prepare, or by the fault abort."
            )
        case "fault":
            side, fault = case.parts
            return f"Arm the fault {fault} with side {side}, and let a request match it."
        case "validator":
            name, outcome = case.parts
            return f"Validate a draft or an inquiry with values for which {name} has: {outcome}."
    before, after = case.parts[-2:]
    if CREATED in (before, after):
        return "Create such an object while a webhook of the queue is there."
    if after == CHANGED:
        return "Change the attributes of a billing request while a webhook is there."
    known = ACTIONS.get(case.group, {}).get((before, after))
    if known is None:
        return _FOR_PLATFORM.format(before=before, after=after)
    return f"Run the action {known[0]} of an object that is {before}, while a webhook is there."
