"""Validators: send the whole object to a handler, and read its response while the caller waits.

No transaction and no database connection is held during the request. Each request is a delivery
with one attempt; the queue decides what is merged of a response.
"""

from __future__ import annotations

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

from requests_queue import clock
from requests_queue.errors import Refused
from requests_queue.json_diff import shorten
from requests_queue.json_validation import parse_json, validate_json
from requests_queue.queues.validation import ValidationRequest
from requests_queue.queues.validator_responses import InvalidResponse, ParsedResponse
from requests_queue.redaction import Redaction
from requests_queue.transitions import Change
from webhooks import account_secrets, types
from webhooks.delivery import claims, fan_out, flush, recording, retry, validator_client
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.delivery.in_flight import AttemptResult, InFlightCall
from webhooks.delivery.recording import Stored
from webhooks.http import client
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
    body = json.dumps(request.shown, ensure_ascii=False).encode()
    claimed = _claim(type_.type, request)
    if not claimed:
        return []
    redactions = account_secrets.redactions({request.vendor_id})
    with _slots(claimed) as allowed:
        if not connection.in_atomic_block:
            # A hundred callers may wait, and PostgreSQL limits its connections.
            connection.close()
        results = _send(claimed, allowed, body)
    read = [_read(result, request, redactions) for result in results]
    return _finish(read)


def _claim(type_: str, request: ValidationRequest) -> list[ClaimedDelivery]:
    """Record the validation, and claim its deliveries in the order in which they are merged."""
    now, generation = clock.read()
    change = Change(
        request.object_class,
        request.object_id,
        request.product.pk,
        (request.vendor_id,),
        request.status,
        request.status,
        now,
    )
    webhook_ids = fan_out.matching_validators(change, type_)
    if not webhook_ids:
        return []
    # `durable`: a caller inside a transaction would hold it during the request.
    with transaction.atomic(durable=True):
        order = fan_out.record_validation(change, webhook_ids)
        lease = settings.SIM_VALIDATION_TIMEOUT + _SPARE
        claimed = claims.take(order, now, generation, lease) if order else []
    # A GET has no body: validators are always called by POST.
    post = [replace(c, webhook={**c.webhook, "http_method": "POST"}) for c in claimed]
    return sorted(post, key=lambda c: order.index(c.delivery_id))


_in_flight: Counter[str] = Counter()
_guard = threading.Lock()


def requests_in_flight() -> int:
    """Return how many requests to validators are in flight in this process."""
    with _guard:
        return _in_flight.total()


@contextmanager
def _slots(claimed: Sequence[ClaimedDelivery]) -> Iterator[set[str]]:
    """Hold a slot of each webhook that has one left, and return the ids of these webhooks.

    A handler that hangs gets at most half of the process's validations, so that others are served.
    """
    cap = max(1, settings.SIM_VALIDATIONS // 2)
    with _guard:
        allowed = {pk for c in claimed if _in_flight[pk := c.webhook["id"]] < cap}
        _in_flight.update(allowed)
    try:
        yield allowed
    finally:
        with _guard:
            _in_flight.subtract(allowed)
            for pk in allowed:
                if not _in_flight[pk]:
                    del _in_flight[pk]


def _send(
    claimed: Sequence[ClaimedDelivery], allowed: set[str], body: bytes
) -> list[AttemptResult]:
    """Send the requests of the webhooks that have a slot, concurrently, and reject the others."""
    timeout = settings.SIM_VALIDATION_TIMEOUT
    calls = [
        InFlightCall(c, body, READ_CAP, timeout) for c in claimed if c.webhook["id"] in allowed
    ]
    sent = validator_client.send(calls) if calls else []
    results = {result.claimed.delivery_id: result for result in sent}
    return [results.get(c.delivery_id) or _rejected(c) for c in claimed]


def _rejected(claimed: ClaimedDelivery) -> AttemptResult:
    error = (
        "Not sent: too many requests to this validator are in flight, because its handler is slow."
    )
    return AttemptResult(claimed, retry.FAILURE, 0, error=error)


def _finish(
    read: Sequence[tuple[AttemptResult, ParsedResponse | None]],
) -> list[ParsedResponse]:
    """Record the attempts of one validation, and return what the responses say."""
    errors = [error for result, _ in read if (error := _public_error(result))]
    if errors:
        read = [(_not_merged(result), reading) for result, reading in read]
    try:
        not_stored = _store([result for result, _ in read])
    except DatabaseError:
        _drop(read, "the result of a validator could not be stored.")
        raise
    if errors:
        raise Refused("VAL_100", NOT_AVAILABLE, *errors)
    if not_stored:
        _drop(read, not_stored)
        raise Refused("VAL_100", NOT_AVAILABLE, f"Validate again: {not_stored}")
    return [reading for _, reading in read if reading is not None]


def _read(
    result: AttemptResult, request: ValidationRequest, redactions: Mapping[str, Redaction]
) -> tuple[AttemptResult, ParsedResponse | None]:
    """Return the result as it is stored, a failure if the response is invalid, and what it says."""
    response, reading = result.response, None
    if response is not None and result.outcome == retry.SUCCESS:
        try:
            # What the handler has sent is merged, secrets or not.
            reading = request.read(_json(response))
        except InvalidResponse as wrong:
            why = _quoting(recording.redact(result, redactions), request) or wrong
            error = f"Handler returned HTTP {response.status}, but {why}"
            result = replace(result, outcome=retry.FAILURE, error=error)
        except Exception:
            ids = result.claimed.ids
            logger.exception("The response of a validator could not be read.", extra=ids)
            result = replace(result, outcome=retry.FAILURE, error=_UNREADABLE)
        else:
            reading.drop = partial(_mark_dropped, result.claimed.delivery_id)
            result = replace(result, note=reading.message)
    # Before anything is cut, or a part of a secret would be left.
    return _cut(recording.redact(result, redactions)), reading


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
    headers = response.headers
    encoding = next((v for k, v in headers if k.lower() == "content-encoding"), "identity")
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
    response, limit = result.response, client.READ_CAP
    if response is None or len(response.body) <= limit:
        return result
    cut = replace(response, body=response.body[:limit], truncated=True)
    return replace(result, response=cut)


def _public_error(result: AttemptResult) -> str:
    """Return the error for the caller, who may not see the handler's address; empty without."""
    if result.outcome == retry.SUCCESS:
        return ""
    response = result.response
    if response is not None and not 200 <= response.status < 300:
        return f"Handler returned HTTP {response.status} (expected 2xx)."
    return result.public_message or result.error


def _not_merged(result: AttemptResult) -> AttemptResult:
    """Return the result of a valid response that isn't merged since another validator failed."""
    if not result.note:
        return result
    note = f"{_NOT_MERGED} another validator of the request failed."
    return replace(result, note=note, unmerged=True)


def _store(results: Sequence[AttemptResult]) -> str:
    """Record the attempts; return why one was not recorded unchanged, or an empty text.

    Raises DatabaseError if the database can't store them: the attempts are then recorded as
    unknown once their leases have expired.
    """
    deadline = time.monotonic() + _STORE
    kept, seen = list(results), set[Stored]()
    while True:
        flushed = flush.write(kept)
        seen |= set(flushed.stored)
        kept = [r for r, how in zip(kept, flushed.stored, strict=True) if how == Stored.KEPT]
        if not kept:
            break
        if time.monotonic() > deadline:
            logger.error("The results of %s validations could not be stored.", len(kept))
            raise OperationalError("The results could not be stored.") from flushed.error
        time.sleep(_STORE / 25)
    if Stored.LATE in seen:
        return "a response came after its lease had expired."
    if seen & {Stored.REPLACED, Stored.RELEASED}:
        return "a response could not be stored."
    return ""


def _drop(read: Sequence[tuple[AttemptResult, ParsedResponse | None]], why: str) -> None:
    """Mark the recorded attempts as not merged."""
    for _, reading in read:
        if reading is not None:
            with suppress(DatabaseError):
                reading.drop(why)


def _mark_dropped(delivery_id: int, why: str) -> None:
    """Mark the recorded attempt of a delivery as not merged."""
    # A late attempt has another one beside it, whose outcome is unknown.
    rows = Attempt.objects.filter(delivery=delivery_id, outcome=Attempt.SUCCESS)
    rows.update(why=f"{_NOT_MERGED} {Redaction().text(why)}", is_unmerged=True)
