"""Validators: send the whole object to a handler, and read its response while the caller waits.

No transaction and no database connection is held during the request. Each request is a delivery
with one attempt; the queue decides what is merged of a response. The thread of the caller sends the
requests, by an event loop of its own: the engine's is in a worker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import OperationalError, connection, transaction

from requests_queue import assumptions, clock, event_loops
from requests_queue.api.json_diff import shorten
from requests_queue.api.json_validation import parse_json, validate_json
from requests_queue.errors import Refused
from requests_queue.queues.transitions import Change
from requests_queue.queues.validation import ValidationRequest
from requests_queue.queues.validator_responses import InvalidResponse, ParsedResponse
from requests_queue.redaction import Redaction
from webhooks import account_secrets, conf, states, types
from webhooks.delivery import fan_out
from webhooks.delivery.attempt import AttemptResult, InFlight, redact
from webhooks.delivery.claim import Claim, take
from webhooks.delivery.record import Stored, flush
from webhooks.http.client import READ_CAP as STORED_CAP
from webhooks.http.client import Response
from webhooks.models import Attempt

logger = logging.getLogger(__name__)

READ_CAP = 4 * 1024 * 1024
NOT_AVAILABLE = "Validation service is not available."
_NOT_MERGED = "Nothing is merged:"
_SPARE = 30.0  # seconds by which a lease outlasts the timeout
_STORE = 5.0  # seconds for which storing a result is tried
_UNREADABLE = "Internal error: the response could not be processed. See the server's log."


def validate(request: ValidationRequest) -> list[ParsedResponse]:
    """Send the object to each enabled validator, concurrently; return what the responses say.

    The list is empty without a validator, or with the product's capability off. A handler that is
    down, slow or wrong is Refused (400 `VAL_100`); its attempt is counted.
    """
    type_ = types.find_validator(request.object_class, request.kind, request.status, request.level)
    if type_ is None or type_.trigger is None or type_.trigger.missing_capability(request.product):
        return []
    body = json.dumps(assumptions.as_sent(request.shown), ensure_ascii=False).encode()
    claims = _claim(type_.type, request)
    if not claims:
        return []
    redactions = account_secrets.redactions({request.vendor_id})
    with _slots(claims) as allowed:
        if not connection.in_atomic_block:
            # A hundred callers may wait, and PostgreSQL limits its connections.
            connection.close()
        results = _send(claims, allowed, body)
    readings = [_read_response(result, request, redactions) for result in results]
    return _finish(readings)


def _claim(type_: str, request: ValidationRequest) -> list[Claim]:
    """Record the validation, and claim its deliveries in the order in which they are merged."""
    reading = clock.read()
    change = Change(
        request.object_class,
        request.object_id,
        request.product.pk,
        (request.vendor_id,),
        request.status,
        request.status,
        reading.now,
    )
    webhook_ids = fan_out.matching_validators(change, type_)
    if not webhook_ids:
        return []
    # `durable`: a caller inside a transaction would hold it during the request.
    with transaction.atomic(durable=True):
        order = fan_out.record_validation(change, webhook_ids)
        lease = settings.SIM_VALIDATION_TIMEOUT + _SPARE
        claims = take(order, reading, lease) if order else []
    # A GET has no body: validators are always called by POST.
    post = [replace(c, webhook=replace(c.webhook, http_method="POST")) for c in claims]
    return sorted(post, key=lambda c: order.index(c.delivery_id))


_in_flight: Counter[str] = Counter()
_guard = threading.Lock()


def requests_in_flight() -> int:
    """Return how many requests to validators are in flight in this process."""
    with _guard:
        return _in_flight.total()


@contextmanager
def _slots(claims: Sequence[Claim]) -> Iterator[set[str]]:
    """Hold a slot of each webhook that has one left, and return the ids of these webhooks.

    A handler that hangs gets at most half of the process's validations, so that others are served.
    """
    cap = max(1, settings.SIM_VALIDATIONS // 2)
    with _guard:
        allowed = {pk for c in claims if _in_flight[pk := c.webhook.id] < cap}
        _in_flight.update(allowed)
    try:
        yield allowed
    finally:
        with _guard:
            _in_flight.subtract(allowed)
            for pk in allowed:
                if not _in_flight[pk]:
                    del _in_flight[pk]


def _send(claims: Sequence[Claim], allowed: set[str], body: bytes) -> list[AttemptResult]:
    """Send the requests of the webhooks that have a slot, concurrently, and reject the others."""
    timeout = settings.SIM_VALIDATION_TIMEOUT
    attempts = [InFlight(c, body, READ_CAP, timeout) for c in claims if c.webhook.id in allowed]
    results = {result.claim.key: result for result in (send(attempts) if attempts else ())}
    error = (
        "Not sent: too many requests to this validator are in flight, because its handler is slow."
    )
    return [results.get(c.key) or AttemptResult(c, states.FAILURE, 0, error=error) for c in claims]


def _finish(
    readings: Sequence[tuple[AttemptResult, ParsedResponse | None]],
) -> list[ParsedResponse]:
    """Record the attempts of one validation, and return what the responses say."""
    errors = [error for result, _ in readings if (error := _public_error(result))]
    if errors:
        # A note is of a valid response.
        note = f"{_NOT_MERGED} another validator of the request failed."
        readings = [
            (replace(result, note=note, unmerged=True) if result.note else result, reading)
            for result, reading in readings
        ]
    try:
        not_stored = _store([result for result, _ in readings])
    except DatabaseError:
        _drop(readings, "the result of a validator could not be stored.")
        raise
    if errors:
        raise Refused("VAL_100", NOT_AVAILABLE, *errors)
    if not_stored:
        _drop(readings, not_stored)
        raise Refused("VAL_100", NOT_AVAILABLE, f"Validate again: {not_stored}")
    return [reading for _, reading in readings if reading is not None]


def _read_response(
    result: AttemptResult, request: ValidationRequest, redactions: Mapping[str, Redaction]
) -> tuple[AttemptResult, ParsedResponse | None]:
    """Return the result as it is stored, a failure if the response is invalid, and what it says."""
    response, reading = result.response, None
    if response is not None and result.outcome == states.SUCCESS:
        try:
            # What the handler has sent is merged, secrets or not.
            reading = request.read(_json(response))
        except InvalidResponse as wrong:
            why = _quoting(redact(result, redactions), request) or wrong
            error = f"Handler returned HTTP {response.status}, but {why}"
            result = replace(result, outcome=states.FAILURE, error=error)
        except Exception:
            ids = result.claim.ids
            logger.exception("The response of a validator could not be read.", extra=ids)
            result = replace(result, outcome=states.FAILURE, error=_UNREADABLE)
        else:
            reading.drop = partial(_mark_dropped, result.claim.delivery_id)
            result = replace(result, note=reading.message)
    # Before anything is cut, or a part of a secret would be left.
    return _cut(redact(result, redactions)), reading


def _quoting(redacted: AttemptResult, request: ValidationRequest) -> InvalidResponse | None:
    """Return what is wrong with a response, quoting the redacted one: quotations are cut."""
    try:
        request.read(_json(cast(Response, redacted.response)))
    except InvalidResponse as wrong:
        return wrong
    except Exception:
        # Only the response as it was sent could be read.
        return None
    return None


def _json(response: Response) -> Any:
    if response.truncated:
        raise InvalidResponse(f"the body is longer than {READ_CAP // 2**20} MiB.")
    if not response.body.strip():
        raise InvalidResponse("the body is empty. A validator returns the object as JSON.")
    encoding = response.header("content-encoding")
    if encoding.strip().lower() not in ("", "identity"):
        raise InvalidResponse(
            f"its Content-Encoding is {encoding[:40]!r}: send it without compression."
        )
    try:
        return validate_json(parse_json(response.body))
    except json.JSONDecodeError as error:
        begins = response.body[:40].decode("utf-8", "replace")
        raise InvalidResponse(
            f"the body is not JSON ({error}). It begins with {begins!r}."
        ) from None
    except RecursionError:
        raise InvalidResponse("the JSON is nested too deep.") from None
    except ValueError as error:
        # Not UTF-8, a number of 5,000 digits, or a value that no database stores.
        raise InvalidResponse(f"the JSON cannot be used: {error}") from None


def _short(text: str) -> str:
    # A response may have a hundred thousand errors.
    return shorten(text, 1000)


def _cut(result: AttemptResult) -> AttemptResult:
    """Return the result with as much of the body and of the texts as is stored."""
    result = replace(result, error=_short(result.error), note=_short(result.note))
    response, limit = result.response, STORED_CAP
    if response is None or len(response.body) <= limit:
        return result
    cut = replace(response, body=response.body[:limit], truncated=True)
    return replace(result, response=cut)


def _public_error(result: AttemptResult) -> str:
    """Return the error for the caller, who may not see the handler's address; empty without."""
    if result.outcome == states.SUCCESS:
        return ""
    response = result.response
    if response is not None and not 200 <= response.status < 300:
        return f"Handler returned HTTP {response.status} (expected 2xx)."
    return result.public_message or result.error


def _store(results: Sequence[AttemptResult]) -> str:
    """Record the attempts; return why one was not recorded unchanged, or an empty text.

    Raises DatabaseError if the database can't store them: the attempts are then recorded as
    unknown once their leases have expired.
    """
    deadline = time.monotonic() + _STORE
    pending, outcomes = list(results), set[Stored]()
    while True:
        flushed = flush(pending)
        outcomes |= set(flushed.stored)
        pending = [r for r, how in zip(pending, flushed.stored, strict=True) if how == Stored.KEPT]
        if not pending:
            break
        if time.monotonic() > deadline:
            logger.error("The results of %s validations could not be stored.", len(pending))
            raise OperationalError("The results could not be stored.") from flushed.error
        time.sleep(_STORE / 25)
    if Stored.LATE in outcomes:
        return "a response came after its lease had expired."
    if outcomes & {Stored.REPLACED, Stored.RELEASED}:
        return "a response could not be stored."
    return ""


def _drop(readings: Sequence[tuple[AttemptResult, ParsedResponse | None]], why: str) -> None:
    """Mark the recorded attempts as not merged."""
    for _, reading in readings:
        if reading is not None:
            with suppress(DatabaseError):
                reading.drop(why)


def _mark_dropped(delivery_id: int, why: str) -> None:
    """Mark the recorded attempt of a delivery as not merged."""
    # A late attempt has another one beside it, whose outcome is unknown.
    rows = Attempt.objects.filter(delivery=delivery_id, outcome=Attempt.SUCCESS)
    rows.update(why=f"{_NOT_MERGED} {Redaction().text(why)}", is_unmerged=True)


# The requests in flight and the loops that send them; none is sent after `stop`.
_tasks: dict[asyncio.Task[AttemptResult], asyncio.AbstractEventLoop] = {}
_stopped = False


def send(attempts: Sequence[InFlight]) -> list[AttemptResult]:
    """Send the requests concurrently, by a loop of this thread, and return their results."""
    try:
        with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
            return runner.run(_send_all(attempts))
    except Exception as error:
        # The settings allow no request, or no socket is left for the loop.
        logger.error("Validators could not be called. %s", error)
        public = "The validator could not be called: see the server's log."
        failure = partial(AttemptResult, outcome=states.FAILURE, duration=0, public_message=public)
        return [failure(each.claim, error=str(error)) for each in attempts]


async def _send_all(attempts: Sequence[InFlight]) -> list[AttemptResult]:
    transport, tasks = conf.open_transport(), list[asyncio.Task[AttemptResult]]()
    try:
        with _guard:
            if _stopped:
                return [each.stopped() for each in attempts]
            tasks = [each.start(transport) for each in attempts]
            _tasks.update(dict.fromkeys(tasks, asyncio.get_running_loop()))
        await asyncio.wait(tasks)
        return [each.result() for each in attempts]
    finally:
        with _guard:
            for task in tasks:
                del _tasks[task]
        await transport.close()


def start() -> None:
    """Allow requests again after `stop`.

    Raises event_loops.StartFailed if the settings don't allow any request.
    """
    global _stopped
    try:
        conf.check_transport()
    except ValueError as error:
        raise event_loops.StartFailed(f"Validators cannot be called. {error}") from None
    _stopped = False


def stop() -> None:
    """End the requests in flight, whose outcome is unknown then, and send no more."""
    global _stopped
    with _guard:
        _stopped = True
        for task, loop in _tasks.items():
            loop.call_soon_threadsafe(task.cancel)
