"""Drafts and their validation: by the platform, and by requests of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checks import verdicts
from checks.client import ApiError
from checks.handler_requests import Reply, SentRequest
from checks.lab import Lab
from checks.outcomes import Exhibit, Verdict
from checks.platform import Json
from checks.tokens import Signer

# The status of a validation whose handler failed, and of a request that is not valid itself.
_REFUSED = 400


@dataclass(frozen=True, slots=True)
class Validated:
    """A validation by the platform: the parameters afterwards, or why there was none."""

    params: Mapping[str, Json]
    problem: str
    evidence: tuple[Exhibit, ...]


def signer(lab: Lab) -> Signer:
    """Return what signs requests to the validator."""
    assert lab.validator is not None, "only selected for validators"
    return lab.validator


def draft(lab: Lab) -> str:
    """Create a draft and return its id."""
    return lab.platform.order(signer(lab).product_id, draft=True)


def shown_draft(lab: Lab) -> Json:
    """Create a draft and return it as the vendor sees it, as a validator receives it."""
    return lab.platform.request(draft(lab))


def validate(lab: Lab, draft: str, values: Mapping[str, str] | None = None) -> Validated:
    """Validate a draft through its webhook, with other values as a cart sends them."""
    webhook = signer(lab).webhook_id
    sent = [{"id": name, "value": value} for name, value in (values or {}).items()]
    after: list[Json] = []
    lab.activate(webhook)
    mark = lab.mark()
    try:
        result = lab.platform.validate(draft, {"asset": {"params": sent}} if sent else None)
        after = result["after"]
        problem = "" if result["called"] else "the platform did not call the validator."
    except ApiError as error:
        if error.status != _REFUSED:
            raise
        problem = _reason(error)
    finally:
        lab.deactivate(webhook)
    lines = [f"sent: {row['id']} = {json.dumps(row['value'])}" for row in sent]
    lines += [f"afterwards: {row['id']} has {_error_of(row)}" for row in after]
    evidence = lab.since(mark).attempts_exhibit(), Exhibit(draft, tuple(lines) or ("(unchanged)",))
    return Validated({row["id"]: row for row in after}, problem, evidence)


def _error_of(row: Json) -> str:
    return f"the error {json.dumps(row['value_error'])}" if row["value_error"] else "no error"


def _reason(error: ApiError) -> str:
    errors = error.content.get("errors") if isinstance(error.content, dict) else None
    # The first sentence is the same for each failure of a validator.
    return str(errors[-1]) if errors else str(error)


def request(lab: Lab, order: Mapping[str, Any], token: str | None = None) -> SentRequest:
    """Return a validation request as the platform sends it; an empty token means no header."""
    token = signer(lab).token() if token is None else token
    names = ("Authentication", "Authorization") if token else ()
    fields = [("Content-Type", "application/json"), *((name, f"Bearer {token}") for name in names)]
    return SentRequest("POST", fields, json.dumps(order).encode())


def send(lab: Lab, order: Mapping[str, Any]) -> tuple[SentRequest, Reply]:
    """Send an order to the validator, and return request and response."""
    sent = request(lab, order)
    return sent, lab.send(sent)


def rows(order: Mapping[str, Any]) -> list[Json]:
    """Return the parameters in an order, or in what a validator returned."""
    asset = order.get("asset")
    found = asset.get("params") if isinstance(asset, Mapping) else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def params(order: Mapping[str, Any]) -> dict[str, Json]:
    """Return the parameters in an order by id."""
    return {str(row.get("id")): row for row in rows(order)}


def content(reply: Reply) -> Json:
    """Return the object in a response; empty if there is none."""
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def invalid(sent: SentRequest, reply: Reply, order: Mapping[str, Any], what: str) -> Verdict | None:
    """Return a failure for a response that the platform would not take, else None."""
    if reply.error:
        text = f"Gave no response to {what}: {reply.error}."
    elif not reply.is_success:
        text = f"Responded {reply.text} to {what} (expected 2xx with the order)."
    elif not (found := content(reply)) and reply.body.strip() != b"{}":
        text = f"Responded {reply.status} to {what} without a JSON object."
    elif found.get("id", order["id"]) != order["id"]:
        text = f"Responded to {what} with another order."
    else:
        return None
    return verdicts.failed(text, *exhibits(sent, reply))


def exhibits(sent: SentRequest, reply: Reply) -> tuple[Exhibit, ...]:
    """Return request and response as evidence."""
    return verdicts.request_exhibit(sent), verdicts.reply_exhibit(reply)
