"""One attempt of a delivery: from the claimed row to the request and its result.

`InFlightCall.run` always returns an AttemptResult: after a response, a failure, a timeout, a
cancellation and an unexpected error alike.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from requests_queue import fast_json, operations
from requests_queue.operations import Operation
from webhooks import conf
from webhooks.delivery import lateness, retry, tracing
from webhooks.delivery.claimed import ClaimedDelivery, Forward, Interceptor
from webhooks.delivery.outcomes import classify_response
from webhooks.delivery.request import (
    SecretRefused,
    WebhookPayload,
    build_claims,
    build_payload,
    encode_payload,
    format_timestamp,
    sign_token,
    token_headers,
)
from webhooks.delivery.tracing import TRACE, GuardedSpan
from webhooks.http import errors
from webhooks.http.client import READ_CAP, Request, RequestFailed, Response, Transport

logger = logging.getLogger(__name__)

USER_AGENT = "Connect-Sim"
_SHOWN_TOKEN = "Bearer (decoded below)"
# What claimed deliveries share.
REQUEST = "request"
_STOPPED = "Sandbox stopped during the request: the outcome is unknown."
_UNEXPECTED = "Internal error: see the worker's log."


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request, and what is stored of it; the repr has neither token, secret nor headers."""

    request: Request = field(repr=False)
    claims: bytes  # as JSON
    headers: Mapping[str, str] = field(repr=False)

    def with_header(self, name: str, value: str) -> PreparedRequest:
        """Return it with a header, in place of one that the webhook has configured."""
        sent, stored = (
            {k: v for k, v in headers.items() if k.lower() != name} | {name: value}
            for headers in (self.request.headers, self.headers)
        )
        return PreparedRequest(replace(self.request, headers=sent), self.claims, stored)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt ended; `duration` in milliseconds.

    `public_message` replaces `error` for readers who may not see the handler's address. `note`
    replaces the retry decision's explanation. `unmerged` is a validator's valid response that is
    left out of the object. `stopped` is an unknown outcome of an orderly stop; any other unknown
    outcome may have been caused by the request. `faults` have changed the request on purpose.
    `redacted`: secrets have been replaced in it.
    """

    claimed: ClaimedDelivery
    outcome: str
    duration: int
    prepared: PreparedRequest | None = None
    response: Response | None = None
    error: str = ""
    public_message: str = ""
    note: str = ""
    unmerged: bool = False
    stopped: bool = False
    # Why it failed, for statistics: one of errors.ERROR_CLASSES.
    error_class: str = ""
    faults: Sequence[Mapping[str, str]] = ()
    redacted: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether its worker was lost."""
        return self.outcome == retry.UNKNOWN and not self.stopped

    @property
    def error_type(self) -> str:
        """Return the class of the error, or the status of a response that is one; else empty."""
        if self.outcome == retry.SUCCESS:
            return ""
        if self.error_class or self.stopped:
            return self.error_class or errors.STOPPED
        return errors.INTERNAL if self.response is None else str(self.response.status)


@dataclass(slots=True)
class InFlightCall:
    """A request in flight, and the task that sends it."""

    claimed: ClaimedDelivery
    # What is sent in place of the payload, and how many bytes of the response are read.
    body: bytes | None = None
    read_cap: int = READ_CAP
    # Seconds; None is SIM_HTTP_TIMEOUT.
    timeout: float | None = None
    task: asyncio.Task[AttemptResult] | None = None
    # Set when platform time has passed the deadline, though less real time has passed.
    timed_out: bool = False
    # Set when the data that it belongs to has been replaced: the result is dropped.
    abandoned: bool = False

    @property
    def limit(self) -> float:
        """Return the timeout in seconds."""
        return settings.SIM_HTTP_TIMEOUT if self.timeout is None else self.timeout

    @property
    def deadline(self) -> datetime:
        """Return when the request times out, by platform time."""
        return self.claimed.started_at + timedelta(seconds=self.limit)

    async def run(self, transport: Transport) -> AttemptResult:
        """Send the request and return how the attempt ended."""
        # A validator's request is part of the API request that waits for it.
        operations.begin(Operation({**operations.current_ids(), **self.claimed.ids}))
        span = tracing.begin_attempt(self.claimed)
        result = await self._run(transport, span)
        if span is not None:
            status = result.response.status if result.response is not None else None
            span.end(result.outcome, status, result.error_type)
        if logger.isEnabledFor(logging.INFO):
            _log(result)
        return result

    async def _run(self, transport: Transport, span: GuardedSpan | None) -> AttemptResult:
        began = time.monotonic()
        outcome, error, public, prepared, response = retry.FAILURE, "", "", None, None
        error_class = ""
        try:
            prepared = prepare(self._signed_as(), self.body)
            if span is not None and (context := span.begin_request(prepared.request)):
                prepared = prepared.with_header(TRACE, context)
            response = await self._send(transport, prepared.request)
            outcome, error = classify_response(response)
        except SecretRefused as refused:
            error, public = str(refused), "The request could not be signed."
            error_class = errors.REQUEST
        except RequestFailed as failed:
            error, public, response = str(failed), failed.public_message, failed.response
            error_class = failed.error_class
        except asyncio.CancelledError:
            outcome, error = self._cancelled()
        except Exception:
            # An error of the program, which must not stop the other requests.
            logger.exception("A request failed because of an internal error.")
            error = _UNEXPECTED
        duration = self.limit if self.timed_out else time.monotonic() - began
        interceptor = self.claimed.interceptor
        return AttemptResult(
            self.claimed,
            outcome,
            round(duration * 1000),
            prepared,
            response,
            error,
            public,
            stopped=outcome == retry.UNKNOWN,
            error_class=errors.TIMEOUT if self.timed_out else error_class,
            faults=interceptor.marks if interceptor is not None else (),
        )

    def _signed_as(self) -> ClaimedDelivery:
        interceptor = self.claimed.interceptor
        return self.claimed if interceptor is None else interceptor.signed_as(self.claimed)

    def _send(self, transport: Transport, request: Request) -> Awaitable[Response]:
        """Send the request, by the interceptor if there is one; raises RequestFailed."""
        # No coroutine of its own: each one in between takes 0.5 KiB of a request that hangs.
        forward = partial(
            transport.send,
            timeout=self.limit,
            read_cap=self.read_cap,
            on_sent=lateness.reporter(self.claimed),
        )
        interceptor = self.claimed.interceptor
        return (
            forward(request)
            if interceptor is None
            else self._intercept(interceptor, request, forward)
        )

    async def _intercept(
        self, interceptor: Interceptor, request: Request, forward: Forward
    ) -> Response:
        try:
            # Includes the time that the interceptor takes.
            async with asyncio.timeout(self.limit):
                return await interceptor.send(request, forward)
        except TimeoutError:
            raise RequestFailed(self._timeout_message, error_class=errors.TIMEOUT) from None

    @property
    def _timeout_message(self) -> str:
        return f"Timed out after {self.limit:g} s."

    def stopped(self) -> AttemptResult:
        """Return the result of a request that a stop ended: the outcome is unknown."""
        return AttemptResult(self.claimed, retry.UNKNOWN, 0, error=_STOPPED, stopped=True)

    def _cancelled(self) -> tuple[str, str]:
        if self.timed_out:
            return retry.FAILURE, self._timeout_message
        return retry.UNKNOWN, _STOPPED


def _log(result: AttemptResult) -> None:
    """Log the end of an attempt, without texts that a handler may have sent."""
    claimed, response = result.claimed, result.response
    logger.info(
        "Attempt %s of delivery %s of %s: %s after %s ms.",
        claimed.number,
        claimed.delivery_id,
        claimed.webhook["id"],
        result.outcome,
        result.duration,
        extra={
            "outcome": result.outcome,
            "status": response.status if response is not None else None,
            "error_type": result.error_type or None,
            "duration_ms": result.duration,
        },
    )


def unexpected_failure(claimed: ClaimedDelivery) -> AttemptResult:
    """Return the result of an attempt that an error of the program ended."""
    return AttemptResult(claimed, retry.FAILURE, 0, error=_UNEXPECTED)


def prepare(claimed: ClaimedDelivery, body: bytes | None = None) -> PreparedRequest:
    """Return the signed request; raises SecretRefused where the secret can't sign.

    `body` is sent to a validator in place of the payload; the token has the payload either way.
    Payload and token have nothing of a single delivery, so those of one claim are prepared once.
    """
    if body is not None or claimed.override is not None or claimed.interceptor is not None:
        return _prepare(claimed, body)
    prepared: PreparedRequest | None = claimed.shared.get(REQUEST)
    if prepared is None:
        prepared = claimed.shared[REQUEST] = _prepare(claimed, None)
    return prepared


def _prepare(claimed: ClaimedDelivery, body: bytes | None) -> PreparedRequest:
    row, override = claimed.webhook, claimed.override
    payload = _payload(claimed)
    encoded = encode_payload(payload)
    claims = fast_json.encode(build_claims(payload, claimed.started_at))
    if override is not None and override.body:
        body = override.body.encode()
    if body is None and row["http_method"] == "POST":
        body = encoded
    signed: dict[str, str] = {}
    if claimed.has_token:
        signed = token_headers(sign_token(claims, row["jwt_secret"]), settings.SIM_JWT_HEADER)
    headers = _headers(row["headers"], signed, has_body=body is not None)
    request = Request(row["http_method"], row["external_url"], headers, body)
    return PreparedRequest(request, claims, headers | dict.fromkeys(signed, _SHOWN_TOKEN))


def _payload(claimed: ClaimedDelivery) -> dict[str, Any]:
    row = claimed.webhook
    if claimed.override is not None:
        return {**claimed.override.payload, "triggered_at": format_timestamp(claimed.started_at)}
    return build_payload(
        WebhookPayload(
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
            # A GET has no body, so it has no additional data either.
            data=row["data"] if row["http_method"] == "POST" else {},
        )
    )


def _headers(
    custom: Mapping[str, str], signed: Mapping[str, str], *, has_body: bool
) -> dict[str, str]:
    reserved = {name.lower() for name in signed}
    headers = {k: v for k, v in custom.items() if k.lower() not in reserved}
    names = {name.lower() for name in headers}
    if has_body and "content-type" not in names:
        headers["Content-Type"] = "application/json"
    if "user-agent" not in names:
        headers["User-Agent"] = USER_AGENT
    return {**headers, **signed}
