"""Validators: a handler is sent the whole object while somebody waits, and its answer is read.

No transaction and no connection of the database is held while a handler thinks. Each call is a
delivery that is tried once; what is merged of an answer is its queue's business.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import OperationalError, connection, transaction

from requests_queue import clock, json_validation
from requests_queue.errors import Refused
from requests_queue.queues.answers import Reading, WrongAnswer
from requests_queue.queues.validation import Wanted
from requests_queue.transitions import Change
from webhooks import types
from webhooks.delivery import claims, fan_out, flush, retry, validator_client
from webhooks.delivery.calls import Claimed, Finished
from webhooks.delivery.flush import Stored
from webhooks.delivery.in_flight import Flight
from webhooks.delivery.json_diff import shorten
from webhooks.http import client
from webhooks.http.exchange import Answer
from webhooks.models import Attempt

logger = logging.getLogger(__name__)

READ_CAP = 4 * 1024 * 1024
NOT_AVAILABLE = "Validation service is not available."
# How an attempt's words begin where its answer was right, and was left all the same.
NOTHING_MERGED = "Nothing is merged:"
_SPARE = 30.0  # seconds by which a lease outlasts the call's deadline
_STORE = 5.0  # seconds after which a result that the database does not take is given up
_UNREADABLE = "The response could not be read; the log of the server says why."


def ask(wanted: Wanted) -> list[Reading]:
    """Call each enabled validator for the object, all at once; return what their answers say.

    Without one, or with the product's capability off, nobody is called and nothing said. A
    handler that is down, slow or wrong is Refused (400 `VAL_100`), in words; the attempt counts.
    """
    type_ = types.validating(wanted.object_class, wanted.kind, wanted.status, wanted.level)
    if type_ is None or type_.fires is None or type_.fires.missing(wanted.product):
        return []
    body = json.dumps(wanted.shown, ensure_ascii=False).encode()
    claimed = _begin(type_.type, wanted)
    if not claimed:
        return []
    with _slots(claimed) as free:
        if not connection.in_atomic_block:
            # A hundred callers may wait, and PostgreSQL counts its connections.
            connection.close()
        flown = _call(claimed, free, body)
    return _end(flown, wanted)


def _end(flown: Sequence[Finished], wanted: Wanted) -> list[Reading]:
    """Record how the calls of one validation ended, and return what their answers say."""
    read = [_read(finished, wanted) for finished in flown]
    wrong = [said for finished, _ in read if (said := _said_to_caller(finished))]
    if wrong:
        read = [(_not_merged(finished), reading) for finished, reading in read]
    try:
        not_stored = _store([finished for finished, _ in read])
    except DatabaseError:
        _drop(read, "the result of a validator could not be stored.")
        raise
    if wrong:
        raise Refused("VAL_100", NOT_AVAILABLE, *wrong)
    if not_stored:
        _drop(read, not_stored)
        raise Refused("VAL_100", NOT_AVAILABLE, f"Validate again: {not_stored}")
    return [reading for _, reading in read if reading is not None]


def _drop(read: Sequence[tuple[Finished, Reading | None]], why: str) -> None:
    """Say of the attempts that are recorded that nothing of their responses was merged."""
    for _, reading in read:
        if reading is not None:
            with suppress(DatabaseError):
                reading.drop(why)


def _store(finished: Sequence[Finished]) -> str:
    """Record the attempts; return why one of them is not recorded as it is, or an empty text.

    Raises DatabaseError where the database cannot store them: the attempts are recorded as
    unknown when their leases have run out.
    """
    deadline = time.monotonic() + _STORE
    kept, seen = list(finished), set[Stored]()
    while True:
        found = flush.write(kept)
        seen |= set(found.stored)
        kept = [one for one, how in zip(kept, found.stored, strict=True) if how == Stored.KEPT]
        if not kept:
            break
        if time.monotonic() > deadline:
            logger.error("The results of %s validations could not be stored.", len(kept))
            raise OperationalError("The results could not be stored.") from found.error
        time.sleep(_STORE / 25)
    if Stored.LATE in seen:
        return "a response came after its lease had run out."
    if seen & {Stored.REPLACED, Stored.RELEASED}:
        return "a response could not be stored."
    return ""


def _call(claimed: Sequence[Claimed], free: set[str], body: bytes) -> list[Finished]:
    """Call those of the webhooks that have a slot, all at once, and turn the others away."""
    timeout = settings.SIM_VALIDATION_TIMEOUT
    flights = [Flight(c, body, READ_CAP, timeout) for c in claimed if c.webhook["id"] in free]
    flown = {f.claimed.delivery_id: f for f in (validator_client.fly(flights) if flights else ())}
    return [flown.get(c.delivery_id) or _turned_away(c) for c in claimed]


def _begin(type_: str, wanted: Wanted) -> list[Claimed]:
    """Record that the object is to be validated, and take the calls, in the order of the merge."""
    change = Change(
        wanted.object_class, wanted.object_id, wanted.product.pk, (wanted.vendor_id,),
        wanted.status, wanted.status, clock.now(),
    )  # fmt: skip
    webhook_ids = fan_out.validators(change, type_)
    if not webhook_ids:
        return []
    # `durable`: whoever asks inside a transaction would hold it while the handler thinks.
    with transaction.atomic(durable=True):
        order = fan_out.record_validation(change, webhook_ids)
        lease = settings.SIM_VALIDATION_TIMEOUT + _SPARE
        taken = claims.take(order, change.at, lease) if order else []
    # A GET has no body, so a validator is called by POST whatever an older row says.
    post = [replace(c, webhook={**c.webhook, "http_method": "POST"}) for c in taken]
    return sorted(post, key=lambda c: order.index(c.delivery_id))


_under_way: Counter[str] = Counter()
_guard = threading.Lock()


@contextmanager
def _slots(claimed: Sequence[Claimed]) -> Iterator[set[str]]:
    """Hold a slot of each webhook that has one left, and return which have.

    A handler that hangs gets half of the process's callers, so that others are still served.
    """
    cap = max(1, settings.SIM_VALIDATIONS // 2)
    with _guard:
        free = {pk for c in claimed if _under_way[pk := c.webhook["id"]] < cap}
        _under_way.update(free)
    try:
        yield free
    finally:
        with _guard:
            _under_way.subtract(free)
            for pk in free:
                if not _under_way[pk]:
                    del _under_way[pk]


def _turned_away(claimed: Claimed) -> Finished:
    said = (
        "The call was not made: too many calls of this validator are under way already, and its "
        "handler is slow."
    )
    return Finished(claimed, retry.FAILURE, 0, error=said)


def _read(finished: Finished, wanted: Wanted) -> tuple[Finished, Reading | None]:
    """Return the call, judged by what it answered, and what the answer says."""
    answer = finished.answer
    if answer is None or finished.outcome != retry.SUCCESS:
        return _cut(finished), None
    try:
        reading = wanted.read(_json(answer))
    except WrongAnswer as wrong:
        said = _short(f"The handler answered {answer.status}, but {wrong}")
        return _cut(replace(finished, outcome=retry.FAILURE, error=said)), None
    except Exception:
        logger.exception("The response of a validator could not be read.")
        return _cut(replace(finished, outcome=retry.FAILURE, error=_UNREADABLE)), None
    reading.drop = partial(_dropped, finished.claimed.delivery_id)
    return _cut(replace(finished, note=_short(reading.said))), reading


def _not_merged(finished: Finished) -> Finished:
    """Return a call whose answer is left, because another validator's call failed."""
    if not finished.note:
        return finished
    return replace(finished, note=f"{NOTHING_MERGED} another validator of the request failed.")


def _dropped(delivery_id: int, why: str) -> None:
    """Say of a recorded call that what it answered was not written after all."""
    # A late one has one beside it whose outcome is unknown.
    rows = Attempt.objects.filter(delivery=delivery_id, outcome=Attempt.SUCCESS)
    rows.update(why=f"{NOTHING_MERGED} {why}")


def _short(said: str) -> str:
    # An answer can be wrong in a hundred thousand ways at once.
    return shorten(said, 1000)


def _json(answer: Answer) -> Any:
    if answer.truncated:
        raise WrongAnswer(f"with more than {READ_CAP // 2**20} MiB.")
    if not answer.body.strip():
        raise WrongAnswer("without a body. A validator answers the object as JSON.")
    encoding = next((v for k, v in answer.headers if k.lower() == "content-encoding"), "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise WrongAnswer(
            f"in the Content-Encoding {encoding[:40]!r}, though the call accepts identity only."
        )
    try:
        return json_validation.validate_json(
            json.loads(answer.body, parse_constant=_refuse_constant)
        )
    except json.JSONDecodeError as error:
        begins = answer.body[:40].decode("utf-8", "replace")
        raise WrongAnswer(f"not with JSON ({error}). It begins with {begins!r}.") from None
    except RecursionError:
        raise WrongAnswer("with JSON that is nested too deep.") from None
    except ValueError as error:
        # Not UTF-8, a number of 5,000 digits, or something that no database stores.
        raise WrongAnswer(f"with JSON that can't be used: {error}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON.")


def _cut(finished: Finished) -> Finished:
    """Return the call with as much of the answer as is stored."""
    answer, limit = finished.answer, client.READ_CAP
    if answer is None or len(answer.body) <= limit:
        return finished
    return replace(finished, answer=replace(answer, body=answer.body[:limit], truncated=True))


def _said_to_caller(finished: Finished) -> str:
    """Return what the other account learns of a failure: what, but not where."""
    if finished.outcome == retry.SUCCESS:
        return ""
    answer = finished.answer
    if answer is not None and not 200 <= answer.status < 300:
        return f"The handler answered {answer.status}; only 2xx is success."
    return finished.told or finished.error
