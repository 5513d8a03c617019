"""One call of a handler, from the claimed row to what is sent and what is made of the answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from webhooks import conf
from webhooks.delivery import payload, retry, tokens
from webhooks.http.client import Answer, Call

USER_AGENT = "Connect-Sim"
_SHOWN_TOKEN = "Bearer (decoded below)"


@dataclass(frozen=True, slots=True)
class Again:
    """What a call repeats: in place of the payload, and of the body where that is another.

    `altered`: it is sent otherwise than the webhook says, so it says nothing of the webhook.
    """

    payload: Mapping[str, Any]
    body: str
    altered: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process may call now, with all that the call needs."""

    delivery_id: int
    claim: uuid.UUID
    number: int
    forced: bool
    started_at: datetime
    # With the secret in it, so not in the repr.
    webhook: Mapping[str, Any] = field(repr=False)
    again: Again | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call, and what is stored of it; the repr shows neither token, secret nor headers."""

    call: Call = field(repr=False)
    claims: Mapping[str, Any]
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that is over, one way or another; `duration` in milliseconds."""

    claimed: Claimed
    outcome: str
    duration: int
    prepared: Prepared | None = None
    answer: Answer | None = None
    error: str = ""
    # The same for somebody who mustn't learn where the handler is, where that is less.
    told: str = ""
    # What came of it, in words, where that is more than a delivery.
    note: str = ""
    # An unknown outcome of an orderly stop: it says nothing of the request. Any other unknown
    # outcome may be the request's doing.
    stopped: bool = False


def prepare(claimed: Claimed, body: bytes | None = None) -> Prepared:
    """Return what is to be sent; raises SecretRefused where the secret can't sign.

    `body` is what a validator is sent in place of the payload; the token says the same.
    """
    row, again = claimed.webhook, claimed.again
    told = _told(claimed) if again is None else _told_again(again, claimed.started_at)
    claims = payload.claims(told, claimed.started_at)
    if again is not None and again.body:
        body = again.body.encode()
    if body is None and row["http_method"] == "POST":
        body = payload.encode(told)
    signed = tokens.bearer(tokens.sign(claims, row["jwt_secret"]), settings.SIM_JWT_HEADER)
    headers = _headers(row["headers"], signed, has_body=body is not None)
    call = Call(row["http_method"], row["external_url"], headers, body)
    return Prepared(call, claims, headers | dict.fromkeys(signed, _SHOWN_TOKEN))


def _told(claimed: Claimed) -> dict[str, Any]:
    row = claimed.webhook
    return payload.build(
        payload.Wakeup(
            webhook_id=row["id"],
            webhook_name=row["label"],
            object_class=conf.sent_object_class(row["object_class"]),
            account_id=row["account_id"],
            product_id=row["product_id"],
            api_url=conf.api_url(),
            triggered_at=claimed.started_at,
            last_success_at=row["last_success_at"],
            last_failure_at=row["last_failure_at"],
            processing_timeout=settings.SIM_PROCESSING_TIMEOUT,
            # A GET carries no body, so it has no additional data either.
            data=row["data"] if row["http_method"] == "POST" else {},
        )
    )


def _told_again(again: Again, at: datetime) -> dict[str, Any]:
    return {**again.payload, "triggered_at": payload.stamp(at)}


def _headers(
    custom: Mapping[str, str], signed: Mapping[str, str], *, has_body: bool
) -> dict[str, str]:
    ours = {**signed}
    names = {name.lower() for name in ours}
    headers = {k: v for k, v in custom.items() if k.lower() not in names}
    given = {name.lower() for name in headers}
    if has_body and "content-type" not in given:
        headers["Content-Type"] = "application/json"
    if "user-agent" not in given:
        headers["User-Agent"] = USER_AGENT
    return headers | ours


def judge(answer: Answer) -> tuple[str, str]:
    """Return the outcome of an answer, and a sentence where it is a failure: 2xx is success."""
    if 200 <= answer.status < 300:
        return retry.SUCCESS, ""
    if 300 <= answer.status < 400:
        where = next((v for k, v in answer.headers if k.lower() == "location"), "")
        said = f" to {where}" if where else ""
        return retry.FAILURE, (
            f"The handler answered {answer.status}, a redirect{said}. Redirects are not followed; "
            f"only 2xx is success."
        )
    return retry.FAILURE, f"The handler answered {answer.status}; only 2xx is success."
