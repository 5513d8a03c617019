"""Middleware: faults of the API's responses to handlers.

`BEFORE` has the kinds after which the work isn't done, each a function that makes the response;
`AFTER` the kinds that change how the response of the view is sent. Which faults fire is decided
before the work, so that their order doesn't depend on how long it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from requests_queue import operations
from requests_queue.catalog import keys
from requests_queue.catalog.models import User
from requests_queue.redaction import Redaction
from requests_queue.safe_text import visible
from sandbox import activity, api_calls
from sandbox.faults import armed, firing, paths, responses, sending
from sandbox.faults.armed import ArmedFault
from sandbox.faults.firing import Firing, Firings, Subject
from sandbox.faults.kinds import API
from sandbox.object_ids import OBJECT_ID

GetResponse = Callable[[HttpRequest], HttpResponse]


def _abort(request: HttpRequest, firing: Firing) -> HttpResponse:
    """Return the response that the parameters describe."""
    made = responses.build(firing.fault.name, firing.parameters, "the API")
    return HttpResponse(made.body, status=made.status, headers=made.headers)


Before = Callable[[HttpRequest, Firing], HttpResponse]
After = Callable[[HttpRequest, Firing, HttpResponse], None]

BEFORE: dict[str, Before] = {
    "abort": _abort,
    "fail_first": _abort,
    "succeed_first": _abort,
    "outage": _abort,
    "drop": sending.drop,
    "reset_peer": sending.reset_peer,
}
AFTER: dict[str, After] = {
    "latency": sending.latency,
    "timeout": sending.timeout,
    "limit_data": sending.limit_data,
    "slicer": sending.slicer,
    "lost_response": sending.lost_response,
    "hold": sending.hold,
}


def inject_faults(get_response: GetResponse) -> GetResponse:
    """Return the middleware; inside the one that records the calls."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not _may_fail(request.META) or not (faults := armed.on(API)):
            return get_response(request)
        try:
            fired = _decide(request, faults)
        except (DatabaseError, InterfaceError):
            # The response says that the database is unavailable.
            return get_response(request)
        if not fired:
            return get_response(request)
        request.META[api_calls.FAULTS] = [each.fault.mark for each in fired]
        return _respond(request, fired, get_response)

    return middleware


def _may_fail(environ: Mapping[str, Any]) -> bool:
    """Return whether a request is a call of a handler."""
    return (
        "HTTP_AUTHORIZATION" in environ
        and operations.QUESTION not in environ
        and activity.is_api(environ["PATH_INFO"])
        and not activity.is_test(environ.get("HTTP_X_SANDBOX_ACTOR", ""))
    )


def _decide(request: HttpRequest, faults: Sequence[ArmedFault]) -> Firings:
    path = paths.below_api(request.path_info)
    facts = {"method": request.method, "path": path}
    if any("account" in fault.scope for fault in faults):
        facts["account"] = _account(request)
    if not any(fault.matches(**facts) for fault in faults):
        return ()
    account = facts["account"] if "account" in facts else _account(request)
    named = OBJECT_ID.search(path)
    shown = Redaction().text(visible(request.path))
    entry = {
        "object": named.group() if named else None,
        "data": {"method": request.method, "path": shown, "account": account},
    }
    [fired] = firing.decide(faults, [Subject(facts, (paths.pattern(path),), entry)])
    return fired


def _account(request: HttpRequest) -> str | None:
    user = _user(request)
    return None if user is None else user.account_id


def _user(request: HttpRequest) -> User | None:
    """Return the service user of the API key, None if the key is invalid."""
    return keys.owner(request.headers["Authorization"].strip().partition(" ")[2].strip())


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
