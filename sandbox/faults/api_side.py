"""Middleware: faults of the API's responses to handlers, and responses that wait for a release.

`BEFORE` has the kinds after which the work isn't done, each a function that makes the response;
`AFTER` the kinds that change how the response of the view is sent. Which faults fire is decided
before the work, so that their order doesn't depend on how long it takes.

A barrier holds responses: the process that serves a call has its response in memory, and a row for
it, which all processes read. Deleting the row releases the response; so does clearing the fault, or
its expiry. The observer looks for that, and answers callers who wait until so many are held.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from requests_queue import operations
from requests_queue.catalog import keys
from requests_queue.catalog.models import User
from requests_queue.db.sql import DatabaseTime
from requests_queue.heartbeats import EXPIRES_AFTER, INTERVAL
from requests_queue.redaction import Redaction
from requests_queue.safe_text import visible
from sandbox.faults import armed, kinds
from sandbox.faults.armed import Firing, Firings, Subject
from sandbox.faults.kinds import API
from sandbox.models import EXPIRES_IN, Fault, HeldResponse
from sandbox.timeline import activity, api_calls, observer
from sandbox.timeline.activity import GetResponse
from sandbox.timeline.call_storage import OBJECT_ID
from sandbox.timeline.observer import Kind, Result, Waiter
from sandbox.world import gate
from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

KEY = "connect_sim.transmission"
# In the environment of a call that has waited to be served: the faults that have fired for it.
FIRED = "sandbox.fired"
HOLD_CALL = "hold_call"


@dataclass(eq=False, kw_only=True, slots=True)
class Held(Waiter):
    """A response of this process that is held, by the id of its row; the future releases it."""

    key: int


class Responses(Kind[Held]):
    """The held responses of this process."""

    def __init__(self) -> None:
        self._renew_at = 0.0

    def hold(
        self, fault: str, number: int, method: str, path: str
    ) -> tuple[Future[None], float | None] | None:
        """Hold a response until the future is done, or for so many seconds (None: no limit).

        Return None if the fault has been cleared.
        """
        with transaction.atomic():
            rows = Fault.objects.filter(pk=fault, is_cleared=False)
            row = rows.annotate(left=EXPIRES_IN).first()
            if row is None or (row.left is not None and row.left <= 0):
                return None
            held = HeldResponse.objects.create(
                fault=row, number=number, method=method, path=path, seen=DatabaseTime()
            )
            observer.announce_after_commit()
        future = gate.begin_delay()
        observer.add(self, Held(key=held.pk, future=future))
        return future, row.left

    def keys(self) -> list[int]:
        """Return the ids of the rows of this process."""
        return [each.key for each in observer.waiting(self)]

    def left(self, waiters: list[Held]) -> None:
        """Delete the rows of responses that are sent, or whose client has left."""
        if waiters:
            _delete([each.key for each in waiters])

    def turn(self) -> float:
        """Send the responses whose row was deleted, or whose fault was cleared or has expired."""
        held = observer.waiting(self)
        rows = _of_active_faults().filter(pk__in=[each.key for each in held])
        kept = set(rows.values_list("pk", flat=True))
        for each in held:
            if each.key not in kept:
                gate.end_delay(each.future)
        self._renew()
        return INTERVAL

    def _renew(self) -> None:
        """Say that the process is alive, and delete the rows of those that are not."""
        if time.monotonic() < self._renew_at:
            return
        HeldResponse.objects.filter(pk__in=self.keys()).update(seen=DatabaseTime())
        HeldResponse.objects.filter(seen__lte=DatabaseTime() - EXPIRES_AFTER).delete()
        self._renew_at = time.monotonic() + INTERVAL


@dataclass(eq=False, kw_only=True, slots=True)
class Caller(Waiter):
    """A caller that waits until a fault holds `count` responses; `answer` makes its result."""

    fault: str
    count: int
    answer: Callable[[], Result]


class Callers(Kind[Caller]):
    """The callers of this process that wait for held responses."""

    def turn(self) -> float:
        """Answer callers whose responses are held, whose fault is over, or at their deadline."""
        callers = observer.waiting(self)
        faults = {each.fault for each in callers}
        active = set(_active_faults().filter(pk__in=faults).values_list("pk", flat=True))
        counts = Counter(row.fault_id for row in _live(faults))
        for each in callers:
            is_over = each.deadline <= time.monotonic() or each.fault not in active
            if is_over or counts[each.fault] >= each.count:
                each.respond(each.answer())
        return INTERVAL


responses = Responses()
callers = Callers()


def held(faults: Iterable[str]) -> dict[str, list[HeldResponse]]:
    """Return the responses that each fault holds, oldest first; one statement."""
    result: dict[str, list[HeldResponse]] = {}
    for row in _live(list(faults)):
        result.setdefault(row.fault_id, []).append(row)
    return result


@transaction.atomic
def release(fault: str, count: int | None = None) -> list[HeldResponse]:
    """Release the `count` oldest responses that a fault holds, by default all; return them."""
    # Locked rows are being released by another caller.
    rows = _live([fault]).select_for_update(
        skip_locked=connection.features.has_select_for_update_skip_locked
    )
    released = list(rows[:count])
    _delete([row.pk for row in released])
    observer.announce_after_commit()
    return released


def _delete(keys: Sequence[int]) -> None:
    HeldResponse.objects.filter(pk__in=keys).delete()
    observer.announce_after_commit()


def _live(faults: Collection[str]) -> QuerySet[HeldResponse]:
    rows = _of_active_faults().filter(fault__in=faults).order_by("pk")
    if wakeup.is_broker_in_memory():
        # There is no other process; rows may be left of one that was killed.
        return rows.filter(pk__in=responses.keys())
    return rows.filter(seen__gt=DatabaseTime() - EXPIRES_AFTER)


def _of_active_faults() -> QuerySet[HeldResponse]:
    return HeldResponse.objects.filter(fault__in=_active_faults())


def _active_faults() -> QuerySet[Fault]:
    """Return the faults that may hold responses, which may have fired often enough already."""
    return Fault.objects.filter(is_cleared=False).filter(
        Q(expires=None) | Q(expires__gt=DatabaseTime())
    )


class _Immediate:
    """The manner of sending without our web server, for instance for Django's test client.

    Nothing is delayed, a reset is a response that says so, and a limited body is cut.
    """

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    def wait(self, future: Future[Any], timeout: float | None = None) -> None:
        """End the delay at once."""
        future.cancel()

    def reset(self) -> None:
        """Respond with an error."""
        self._response.status_code = max(self._response.status_code, 502)
        self._response.content = b"The connection would be reset here."

    def limit(self, size: int) -> None:
        """Cut the body; its declared length stays."""
        length = len(self._response.content)
        self._response.content = self._response.content[:size]
        self._response["Content-Length"] = str(length)

    def slice(self, size: int, pause: float) -> None:
        """Send the body at once."""


def _manner(request: HttpRequest, response: HttpResponse) -> Any:
    return request.META.get(KEY) or _Immediate(response)


# Before the work.


def drop(request: HttpRequest, firing: Firing) -> HttpResponse:
    """Do nothing, and reset the connection after some time."""
    response = HttpResponse(status=504)
    timeout(request, firing, response)
    return response


def reset_peer(request: HttpRequest, firing: Firing) -> HttpResponse:
    """Do nothing, and reset the connection."""
    response = HttpResponse(status=502)
    _manner(request, response).reset()
    return response


# After the work.


def latency(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send the response later."""
    _manner(request, response).wait(gate.begin_delay(), firing.delay())


def timeout(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send nothing for some time, and reset the connection."""
    manner = _manner(request, response)
    manner.wait(gate.begin_delay(), firing.parameters["seconds"])
    manner.reset()


def lost_response(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Reset the connection before the first byte."""
    _manner(request, response).reset()


def limit_data(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Reset the connection after so many bytes of the body."""
    _manner(request, response).limit(firing.parameters["bytes"])


def slicer(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send the body in small pieces."""
    size, pause = firing.parameters["size"], firing.parameters["delay"] / 1000
    _manner(request, response).slice(size, pause)


def hold(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send the response when it is released."""
    if delay := _begin_hold(request, firing):
        _manner(request, response).wait(*delay)


def _begin_hold(request: HttpRequest, firing: Firing) -> tuple[Future[None], float | None] | None:
    """Hold a call; return what ends that, None if it can't be held or needn't be any more."""
    path = Redaction().text(kinds.below_api(request.path))
    try:
        return responses.hold(firing.fault.id, firing.number, request.method or "", path)
    except (DatabaseError, InterfaceError) as error:
        # A response is better sent than lost.
        logger.warning("A response could not be held: %s", type(error).__name__)
        return None


def _waits_to_be_served(request: HttpRequest, fired: Firings) -> bool:
    """Hold a call that isn't served before its release, if a fault says so."""
    first = next((each for each in fired if each.kind == HOLD_CALL), None)
    # Without our web server, nothing waits.
    if first is None or KEY not in request.META or not (delay := _begin_hold(request, first)):
        return False
    later = tuple(each for each in fired if each is not first)
    marks = request.META[api_calls.FAULTS]
    request.META[KEY].serve_later(*delay, **{FIRED: later, api_calls.FAULTS: marks})
    return True


def _abort(request: HttpRequest, firing: Firing) -> HttpResponse:
    """Return the response that the parameters describe."""
    made = kinds.build_response(firing.fault.name, firing.parameters, "the API")
    return HttpResponse(made.body, status=made.status, headers=made.headers)


Before = Callable[[HttpRequest, Firing], HttpResponse]
After = Callable[[HttpRequest, Firing, HttpResponse], None]

BEFORE: dict[str, Before] = {
    "abort": _abort,
    "fail_first": _abort,
    "succeed_first": _abort,
    "outage": _abort,
    "drop": drop,
    "reset_peer": reset_peer,
}
AFTER: dict[str, After] = {
    "latency": latency,
    "timeout": timeout,
    "limit_data": limit_data,
    "slicer": slicer,
    "lost_response": lost_response,
    "hold": hold,
}


def inject_faults(get_response: GetResponse) -> GetResponse:
    """Return the middleware; inside the one that records the calls."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if (later := request.META.get(FIRED)) is not None:
            return _respond_or_wait(request, later, get_response)
        if not _may_fail(request.META) or not (faults := armed.on(API)):
            return get_response(request)
        try:
            fired = _decide(request, faults)
        except (DatabaseError, InterfaceError):
            # The response says that the database is unavailable.
            return get_response(request)
        if not fired:
            return get_response(request)
        request.META[api_calls.FAULTS] = [each.mark for each in fired]
        return _respond_or_wait(request, fired, get_response)

    return middleware


def _may_fail(environ: Mapping[str, Any]) -> bool:
    """Return whether a request is a call of a handler."""
    return (
        "HTTP_AUTHORIZATION" in environ
        and operations.QUESTION not in environ
        and activity.is_api(environ["PATH_INFO"])
        and not activity.is_test(environ.get("HTTP_X_SANDBOX_ACTOR", ""))
    )


def _decide(request: HttpRequest, faults: Sequence[Fault]) -> Firings:
    path = kinds.below_api(request.path_info)
    facts = {"method": request.method, "path": path}
    if any("account" in fault.scope for fault in faults):
        facts["account"] = _account(request)
    if not any(armed.matches(fault, **facts) for fault in faults):
        return ()
    account = facts["account"] if "account" in facts else _account(request)
    named = OBJECT_ID.search(path)
    shown = Redaction().text(visible(request.path))
    entry = {
        "object": named.group() if named else None,
        "data": {"method": request.method, "path": shown, "account": account},
    }
    pattern = OBJECT_ID.sub("{id}", path)
    [fired] = armed.decide(faults, [Subject(facts, (pattern,), entry)])
    return fired


def _account(request: HttpRequest) -> str | None:
    user = _user(request)
    return None if user is None else user.account_id


def _user(request: HttpRequest) -> User | None:
    """Return the service user of the API key, None if the key is invalid."""
    return keys.owner(request.headers["Authorization"].strip().partition(" ")[2].strip())


def _respond_or_wait(
    request: HttpRequest, fired: Firings, get_response: GetResponse
) -> HttpResponse:
    if _waits_to_be_served(request, fired):
        # As the answer to a question, this is no call that is recorded.
        request.META[operations.QUESTION] = HOLD_CALL
        return HttpResponse(status=204)
    return _respond(request, fired, get_response)


def _respond(request: HttpRequest, fired: Firings, get_response: GetResponse) -> HttpResponse:
    before = (BEFORE[each.kind](request, each) for each in fired if each.kind in BEFORE)
    response = next(before, None)
    if response is None:
        response = get_response(request)
    else:
        # The call is recorded as its account's, which no view has found out.
        if (user := _user(request)) is not None:
            request.user = user
        # Django would log a 5xx as an error of ours.
        request.META[operations.IS_LOGGED] = True
    for each in fired:
        if each.kind in AFTER:
            AFTER[each.kind](request, each, response)
    return response
