"""One attempt: from a claim to the request, its result, and its row.

`InFlight.run` always returns a result: after a response, a failure, a timeout, a cancellation and
an unexpected error alike.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain
from typing import Any

from django.conf import settings

from requests_queue import assumptions, operations
from requests_queue.api import fast_json
from requests_queue.db import encryption, sql
from requests_queue.operations import Operation
from requests_queue.redaction import Redaction
from webhooks import conf, states, tracing
from webhooks.delivery.claim import Claim
from webhooks.delivery.request import (
    TOKEN_HEADERS,
    PreparedRequest,
    SecretRefused,
    WebhookPayload,
    build_claims,
    build_payload,
    encode_payload,
    format_timestamp,
    sign_token,
)
from webhooks.http import errors
from webhooks.http.client import READ_CAP, Request, RequestFailed, Response, Transport
from webhooks.http.headers import secret_values
from webhooks.models import Attempt
from webhooks.signals import request_sent

logger = logging.getLogger(__name__)

USER_AGENT = "Connect-Sim"
_SHOWN_TOKEN = "Bearer (decoded below)"
_STOPPED = "Sandbox stopped during the request: the outcome is unknown."
_UNEXPECTED = "Internal error: see the worker's log."
_LOST = "Worker lost during the request: the outcome is unknown."


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt ended; `duration` in milliseconds.

    `public_message` replaces `error` for readers who may not see the handler's address. `note`
    replaces the retry decision's explanation. `unmerged` is a validator's valid response that is
    left out of the object. `stopped` is an unknown outcome of an orderly stop; any other unknown
    outcome may have been caused by the request. `redacted`: secrets have been replaced in it.
    """

    claim: Claim
    outcome: str
    duration: int
    prepared: PreparedRequest | None = None
    response: Response | None = None
    error: str = ""
    public_message: str = ""
    note: str = ""
    unmerged: bool = False
    stopped: bool = False
    error_class: str = ""  # why it failed: one of errors.ERROR_CLASSES
    faults: Sequence[Mapping[str, str]] = ()  # what has changed the request on purpose
    redacted: bool = False

    @property
    def error_type(self) -> str:
        """Return the class of the error, or the status of a response that is one; else empty."""
        if self.outcome == states.SUCCESS:
            return ""
        if self.error_class or self.stopped:
            return self.error_class or errors.STOPPED
        return errors.INTERNAL if self.response is None else str(self.response.status)


def lost(claim: Claim) -> AttemptResult:
    """Return the result of an attempt whose worker was lost."""
    return AttemptResult(claim, states.UNKNOWN, 0, error=_LOST)


def classify_response(response: Response) -> tuple[str, str]:
    """Return the outcome of a response (2xx is success), and the error message of a failure."""
    if 200 <= response.status < 300:
        return states.SUCCESS, ""
    if 300 <= response.status < 400:
        location = response.header("location")
        target = f" to {location}" if location else ""
        return states.FAILURE, (
            f"Handler returned HTTP {response.status}, a redirect{target} (expected 2xx). "
            "Redirects are not followed."
        )
    return states.FAILURE, f"Handler returned HTTP {response.status} (expected 2xx)."


@dataclass(slots=True)
class InFlight:
    """An attempt in flight, and the task that sends its request."""

    claim: Claim
    # What is sent in place of the payload, and how many bytes of the response are read.
    body: bytes | None = None
    read_cap: int = READ_CAP
    timeout: float | None = None  # seconds; None is SIM_HTTP_TIMEOUT
    task: asyncio.Task[AttemptResult] | None = None
    # Set when platform time has passed the deadline, though less real time has passed.
    timed_out: bool = False

    @property
    def limit(self) -> float:
        """Return the timeout in seconds."""
        return settings.SIM_HTTP_TIMEOUT if self.timeout is None else self.timeout

    @property
    def deadline(self) -> datetime:
        """Return when the request times out, by platform time."""
        return self.claim.started_at + timedelta(seconds=self.limit)

    def start(
        self, transport: Transport, on_end: Callable[[InFlight, AttemptResult], None] | None = None
    ) -> asyncio.Task[AttemptResult]:
        """Send the request in a task of the running loop."""
        self.task = asyncio.create_task(self.run(transport))
        if on_end is not None:
            self.task.add_done_callback(lambda task: on_end(self, self.result()))
        return self.task

    def cancel(self) -> None:
        """End the request, if it has begun."""
        if self.task is not None:
            self.task.cancel()

    def result(self) -> AttemptResult:
        """Return the result of a task that has ended in any way."""
        if self.task is None or self.task.cancelled():
            return self.stopped()
        if error := self.task.exception():
            logger.error("A request failed unexpectedly.", exc_info=error, extra=self.claim.ids)
            return AttemptResult(self.claim, states.FAILURE, 0, error=_UNEXPECTED)
        return self.task.result()

    def stopped(self) -> AttemptResult:
        """Return the result of a request that a stop ended: the outcome is unknown."""
        return AttemptResult(self.claim, states.UNKNOWN, 0, error=_STOPPED, stopped=True)

    async def run(self, transport: Transport) -> AttemptResult:
        """Send the request and return how the attempt ended."""
        # A validator's request is part of the API request that waits for it.
        operations.begin(Operation({**operations.current_ids(), **self.claim.ids}))
        # Another thread may remove the tracer.
        tracer = tracing.tracer
        span = tracing.guarded(tracer.begin_attempt, self.claim) if tracer is not None else None
        result = await self._run(transport, span)
        status = result.response.status if result.response is not None else None
        if span is not None:
            tracing.guarded(lambda: span.end(result.outcome, status, result.error_type))
        if logger.isEnabledFor(logging.INFO):
            # Without texts that a handler may have sent.
            logger.info(
                "Attempt %s of delivery %s of %s: %s after %s ms.",
                self.claim.number,
                self.claim.delivery_id,
                self.claim.webhook.id,
                result.outcome,
                result.duration,
                extra={
                    "outcome": result.outcome,
                    "status": status,
                    "error_type": result.error_type or None,
                    "duration_ms": result.duration,
                },
            )
        return result

    async def _run(self, transport: Transport, span: tracing.AttemptSpan | None) -> AttemptResult:
        began = time.monotonic()
        outcome, prepared, response = states.FAILURE, None, None
        error = public = error_class = ""
        try:
            prepared = signed = prepare(self.claim, self.body)
            if span is not None:
                context = tracing.guarded(lambda: span.begin_request(signed.request))
                prepared = prepared.with_header(tracing.TRACE, context) if context else prepared
            response = await self._send(transport, prepared.request)
            outcome, error = classify_response(response)
        except SecretRefused as refused:
            error, public = str(refused), "The request could not be signed."
            error_class = errors.REQUEST
        except RequestFailed as failed:
            error, public, response = str(failed), failed.public_message, failed.response
            error_class = failed.error_class
        except asyncio.CancelledError:
            if self.timed_out:
                error = self._timeout_message
            else:
                outcome, error = states.UNKNOWN, _STOPPED
        except Exception:
            # An error of the program, which must not stop the other requests.
            logger.exception("A request failed because of an internal error.")
            error = _UNEXPECTED
        duration = self.limit if self.timed_out else time.monotonic() - began
        return AttemptResult(
            self.claim,
            outcome,
            round(duration * 1000),
            prepared,
            response,
            error,
            public,
            stopped=outcome == states.UNKNOWN,
            error_class=errors.TIMEOUT if self.timed_out else error_class,
            faults=self.claim.interceptor.marks if self.claim.interceptor is not None else (),
        )

    def _send(self, transport: Transport, request: Request) -> Awaitable[Response]:
        """Send the request, by the interceptor if there is one; raises RequestFailed."""
        # No coroutine of its own: each one in between takes 0.5 KiB of a request that hangs.
        forward = partial(
            transport.send,
            timeout=self.limit,
            read_cap=self.read_cap,
            # Only if anything measures how late it is.
            on_sent=partial(request_sent.send, Claim, claim=self.claim)
            if self.claim.due is not None
            else None,
        )
        interceptor = self.claim.interceptor
        if interceptor is None:
            return forward(request)
        return self._within_limit(interceptor.send(request, forward))

    async def _within_limit(self, sending: Awaitable[Response]) -> Response:
        try:
            # Includes the time that the interceptor takes.
            async with asyncio.timeout(self.limit):
                return await sending
        except TimeoutError:
            raise RequestFailed(self._timeout_message, error_class=errors.TIMEOUT) from None

    @property
    def _timeout_message(self) -> str:
        return f"Timed out after {self.limit:g} s."


def prepare(claim: Claim, body: bytes | None = None) -> PreparedRequest:
    """Return the signed request; raises SecretRefused where the secret can't sign.

    `body` is sent to a validator in place of the payload; the token has the payload either way.
    """
    if body is not None or claim.override is not None or claim.interceptor is not None:
        return _prepare(claim, body)
    if claim.shared.request is None:
        claim.shared.request = _prepare(claim, None)
    return claim.shared.request


def _prepare(claim: Claim, body: bytes | None) -> PreparedRequest:
    webhook, override, interceptor = claim.webhook, claim.override, claim.interceptor
    signed_at = interceptor.signed_at if interceptor is not None else claim.started_at
    payload = _payload(claim, signed_at)
    encoded = encode_payload(assumptions.as_sent(payload))
    claims = fast_json.encode(assumptions.as_sent(build_claims(payload, signed_at)))
    if override is not None and override.body:
        body = override.body.encode()
    if body is None and webhook.http_method == "POST":
        body = encoded
    signed: dict[str, str] = {}
    if interceptor is None or interceptor.has_token:
        secret = (interceptor and interceptor.secret) or webhook.jwt_secret
        signed = dict.fromkeys(
            TOKEN_HEADERS[assumptions.value("jwt_header")],
            f"Bearer {sign_token(claims, secret)}",
        )
    reserved = {name.lower() for name in signed}
    headers = {k: v for k, v in webhook.headers.items() if k.lower() not in reserved}
    names = {name.lower() for name in headers}
    if body is not None and "content-type" not in names:
        headers["Content-Type"] = "application/json"
    if "user-agent" not in names:
        headers["User-Agent"] = USER_AGENT
    request = Request(webhook.http_method, webhook.external_url, {**headers, **signed}, body)
    return PreparedRequest(request, claims, headers | dict.fromkeys(signed, _SHOWN_TOKEN))


def _payload(claim: Claim, signed_at: datetime) -> dict[str, Any]:
    webhook = claim.webhook
    if claim.override is not None:
        return {**claim.override.payload, "triggered_at": format_timestamp(signed_at)}
    return build_payload(
        WebhookPayload(
            webhook_id=webhook.id,
            webhook_name=webhook.label,
            object_class=conf.sent_object_class(webhook.object_class),
            account_id=webhook.account_id,
            product_id=webhook.product_id,
            api_url=conf.api_url(),
            triggered_at=signed_at,
            last_success_at=webhook.last_success_at,
            last_failure_at=webhook.last_failure_at,
            processing_timeout=settings.SIM_PROCESSING_TIMEOUT,
            # A GET has no body, so it has no additional data either.
            data=webhook.data if webhook.http_method == "POST" else {},
        )
    )


def redact(
    result: AttemptResult,
    redactions: Mapping[str, Redaction],
    requests: dict[int, PreparedRequest] | None = None,
) -> AttemptResult:
    """Return the result without secrets of its account, and those that it was sent with.

    `requests` keeps redacted requests, by the id of what was sent, for results that share one.
    """
    webhook, response, prepared = result.claim.webhook, result.response, result.prepared
    secrets = [webhook.jwt_secret, *secret_values(webhook.headers)]
    redaction = redactions[webhook.account_id].including(secrets)
    changes: dict[str, Any] = {}
    headers = response.headers if response else ()
    texts = [webhook.external_url, result.error, result.public_message, result.note]
    # One search: a response has several headers, and almost none has a secret.
    joined = "\n".join(chain(texts, *headers))
    if redaction.text(joined) != joined:
        url, error, public, note = map(redaction.text, texts)
        headers = tuple((redaction.text(k), redaction.text(v)) for k, v in headers)
        claim = replace(result.claim, webhook=replace(webhook, external_url=url))
        changes = {"claim": claim, "error": error, "public_message": public, "note": note}
    if prepared is not None:
        requests_by_id = {} if requests is None else requests
        if id(prepared) not in requests_by_id:
            requests_by_id[id(prepared)] = prepared.redacted(redaction)
        if requests_by_id[id(prepared)] is not prepared:
            changes["prepared"] = requests_by_id[id(prepared)]
    if response is not None:
        encoding = response.header("content-encoding")
        body = redaction.body(response.body, encoding, is_cut=response.truncated)
        if changes or body is not response.body:
            changes["response"] = replace(response, headers=headers, body=body)
    return replace(result, **changes, redacted=True) if changes else result


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """A recorded attempt: its result, its number, and what was decided.

    `state` is the delivery's, None if the attempt came too late to decide about it.
    """

    result: AttemptResult
    number: int
    finished_at: datetime
    why: str
    state: str | None = None
    next_attempt_at: datetime | None = None
    out_of_order: bool = False


def insert_attempts(attempts: Sequence[RecordedAttempt]) -> list[int]:
    """Insert the attempts and return their ids.

    Raw SQL: `bulk_create` of model instances takes a fifth of the CPU time of a delivery.
    """
    types = sql.column_types(Attempt)
    # Claims of one webhook share their request, which is encrypted once, and all few moments.
    requests: dict[int, dict[str, str]] = {}
    as_param = cache(sql.datetime_param)
    values = (attempt_row(each, requests, as_param) for each in attempts)
    return sql.insert("webhooks_attempt", types, [[row[name] for name in types] for row in values])


def attempt_row(
    attempt: RecordedAttempt,
    requests: dict[int, dict[str, str]],
    as_param: Callable[[datetime | None], Any],
) -> dict[str, Any]:
    """Return the values of an attempt; `requests` keeps those of requests that several share."""
    result = attempt.result
    claim, response, prepared = result.claim, result.response, result.prepared
    if id(prepared) not in requests:
        requests[id(prepared)] = (
            {
                "request_headers": json.dumps(encryption.seal(dict(prepared.headers))),
                "request_body": (prepared.request.body or b"").decode(),
                "claims": prepared.claims.decode(),
            }
            if prepared
            else {"request_headers": "{}", "request_body": "", "claims": "{}"}
        )
    return {
        "webhook_id": claim.webhook.id,
        "delivery_id": claim.delivery_id,
        "number": attempt.number,
        "outcome": result.outcome,
        "started_at": as_param(claim.started_at),
        "finished_at": as_param(attempt.finished_at),
        "duration": result.duration,
        "method": claim.webhook.http_method,
        "url": claim.webhook.external_url,
        **requests[id(prepared)],
        "status_code": response.status if response else None,
        "response_headers": fast_json.encode(response.headers).decode() if response else "[]",
        "response_body": response.body if response else b"",
        "truncated": response.truncated if response else False,
        "redacted": result.redacted,
        "revision": claim.webhook.revision,
        # PostgreSQL stores no NUL in text.
        "error": result.error.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        "why": attempt.why,
        "is_unmerged": result.unmerged,
        "next_attempt_at": as_param(attempt.next_attempt_at),
        "faults": json.dumps(list(result.faults)),
        # As in logs and metrics, except that a status has a column of its own.
        "error_class": None if response and not result.error_class else result.error_type or None,
    }
