"""Validators: a handler is sent the whole object while somebody waits, and its answer is read.

No transaction and no connection of the database is held while a handler thinks. Each call is a
delivery that is tried once; what is merged of an answer is its queue's business.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, transaction

from requests_queue import clock, storable
from requests_queue.errors import Refused
from requests_queue.queues.answers import Reading, WrongAnswer
from requests_queue.queues.validation import Wanted
from requests_queue.transitions import Change
from webhooks import caller, events, ledger, outbox, retry, transport, types
from webhooks.calls import Claimed, Finished
from webhooks.exchange import Answer
from webhooks.flight import Flight

READ_CAP = 4 * 1024 * 1024
NOT_AVAILABLE = "Validation service is not available."
_SPARE = 30.0  # seconds by which a lease outlasts the call's deadline


def ask(wanted: Wanted) -> list[Reading]:
    """Call each enabled validator for the object, all at once; return what their answers say.

    Without one, or with the product's capability off, nobody is called and nothing said. A
    handler that is down, slow or wrong is Refused (400 `VAL_100`), in words; the attempt counts.
    """
    type_ = types.validating(wanted.object_class, wanted.kind, wanted.status, wanted.level)
    if type_ is None or type_.fires is None or type_.fires.missing(wanted.product):
        return []
    now = clock.now()
    change = Change(
        wanted.object_class, wanted.object_id, wanted.product.pk, (wanted.vendor_id,),
        wanted.status, wanted.status, now,
    )  # fmt: skip
    claimed = _begin(events.validators(change, type_.type), change)
    if not claimed:
        return []
    with _slots([c.webhook["id"] for c in claimed]) as free:
        body = json.dumps(wanted.shown, ensure_ascii=False).encode()
        flights = [Flight(c, body, READ_CAP, settings.SIM_VALIDATION_TIMEOUT) for c in claimed]
        if not connection.in_atomic_block:
            # A hundred callers may wait, and PostgreSQL counts its connections.
            connection.close()
        flown = caller.fly(flights) if free else [_turned_away(c) for c in claimed]
    read = [_read(finished, wanted) for finished in flown]
    ledger.write([finished for finished, _ in read])
    wrong = [said for finished, _ in read if (said := _said_to_caller(finished))]
    if wrong:
        raise Refused("VAL_100", NOT_AVAILABLE, *wrong)
    return [reading for _, reading in read if reading is not None]


def _begin(webhook_ids: Sequence[str], change: Change) -> list[Claimed]:
    """Record that the object is to be validated, and take the calls, in the order of the merge."""
    if not webhook_ids:
        return []
    # `durable`: whoever asks inside a transaction would hold it while the handler thinks.
    with transaction.atomic(durable=True):
        order = events.record_validation(change, webhook_ids)
        lease = settings.SIM_VALIDATION_TIMEOUT + _SPARE
        taken = outbox.take(order, change.at, lease) if order else []
    # A GET has no body, so a validator is called by POST whatever an older row says.
    post = [replace(c, webhook={**c.webhook, "http_method": "POST"}) for c in taken]
    return sorted(post, key=lambda c: order.index(c.delivery_id))


_under_way: Counter[str] = Counter()
_guard = threading.Lock()


@contextmanager
def _slots(webhook_ids: Sequence[str]) -> Iterator[bool]:
    """Hold a slot of each webhook; False where one of them has none left.

    A handler that hangs gets half of the process's callers, so that others are still served.
    """
    with _guard:
        free = all(_under_way[pk] < settings.SIM_VALIDATIONS / 2 for pk in webhook_ids)
        _under_way.update(webhook_ids)
    try:
        yield free
    finally:
        with _guard:
            _under_way.subtract(webhook_ids)
            for pk in webhook_ids:
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
        said = f"The handler answered {answer.status}, but {wrong}"
        return _cut(replace(finished, outcome=retry.FAILURE, error=said)), None
    return _cut(replace(finished, note=reading.said)), reading


def _json(answer: Answer) -> Any:
    if answer.truncated:
        raise WrongAnswer(f"with more than {READ_CAP // 2**20} MiB.")
    if not answer.body.strip():
        raise WrongAnswer("without a body. A validator answers the object as JSON.")
    try:
        return storable.check(json.loads(answer.body, parse_constant=_refuse_constant))
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
    answer, limit = finished.answer, transport.READ_CAP
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
    said = finished.error
    place = urlsplit(str(finished.claimed.webhook["external_url"]))
    port = place.port or {"https": 443}.get(place.scheme, 80)
    for name in (place.netloc, f"{place.hostname}:{port}", place.hostname):
        if name:
            said = said.replace(name, "the handler")
    return said[:1].upper() + said[1:]
