"""Every error of the API in Connect's envelope: `{"error_code", "errors"[, "params"]}`.

Errors of `/sandbox/…` also have `hint` and `retryable`: see `sandbox.error_codes`.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from connect_sim.server import paths
from connect_sim.server.response import error_body
from portal import pages
from requests_queue import operations
from requests_queue.api import fast_json
from requests_queue.db import database_errors
from requests_queue.errors import Refused, field_errors

logger = logging.getLogger(__name__)

UNAVAILABLE = "SYS_503"
UNAUTHORIZED = ("AUTH_001", ["API request is unauthorized."])


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Return the envelope of an exception (DRF's EXCEPTION_HANDLER)."""
    status, code, errors, params = describe(error)
    request = context.get("request")
    body = error_body(request.path_info if request else "", code, errors)
    if params:
        body["params"] = params
    headers = {"WWW-Authenticate": "ApiKey"} if status == 401 else {}
    response = Response(body, status=status, headers=headers)
    if database_errors.unavailable(error):
        _log_unavailable(request, response, error)
    return response


def unavailable(request: HttpRequest, error: BaseException) -> HttpResponse | None:
    """Return a 503 if the error means that the database is unavailable, else None.

    For errors outside of the API's views: pages, the admin, middleware.
    """
    sentence = database_errors.unavailable(error)
    if not sentence:
        return None
    if is_api(request):
        response = envelope(request, 503, UNAVAILABLE, sentence)
    else:
        response = pages.error(request, 503, sentence)
    _log_unavailable(request, response, error)
    return response


def _log_unavailable(
    request: HttpRequest | Request | None, response: HttpResponse, error: BaseException
) -> None:
    """Log one line, and suppress Django's own entry with a traceback."""
    response["Retry-After"] = str(database_errors.RETRY_AFTER)
    name = "A request"
    if request is not None:
        request.META[operations.IS_LOGGED] = error
        name = f"{request.method} {request.path}"
    logger.error("%s: 503, database unavailable: %s", name, database_errors.summary(error))


def describe(error: Exception) -> tuple[int, str, list[str], Any]:
    """Return status, code, errors and params of an exception."""
    # With the first error or list: its parser of RQL takes a twentieth of the start.
    from py_rql.exceptions import RQLFilterError

    match error:
        case Refused():
            return error.status, error.code, error.messages, error.params
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return 401, *UNAUTHORIZED, None
        case exceptions.PermissionDenied() | PermissionDenied():
            return 403, "AUTH_002", ["You don't have permission to do this."], None
        case Http404() | exceptions.NotFound():
            return 404, "NFND_000", [str(error) or "Object not found."], None
        case exceptions.MethodNotAllowed():
            return 405, "REQ_405", [str(error)], None
        case exceptions.ParseError():
            return 400, "VAL_001", [str(error.detail)], None
        case exceptions.ValidationError():
            return 400, "VAL_001", list(map(str, field_errors(error.detail))), None
        case RQLFilterError():
            return 400, "VAL_001", [_rql(error)], None
        case RequestDataTooBig():
            return 413, "REQ_413", ["The body is larger than 4 MiB."], None
        case SuspiciousOperation():
            return 400, "VAL_001", ["The request is malformed."], None
        case exceptions.APIException():
            return error.status_code, "REQ_000", [str(error.detail)], None
    if sentence := database_errors.unavailable(error):
        return 503, UNAVAILABLE, [sentence], None
    logger.exception("Unexpected error in an API request.", exc_info=error)
    return 500, "SYS_001", ["Unexpected error. See the log of the sandbox."], None


def _rql(error: Exception) -> str:
    details = getattr(error, "details", None) or {}
    # Without the value, which may be a secret.
    parts = [f"{key}: {details[key]}" for key in ("filter", "lookup") if key in details]
    message = str(details.get("error", "Bad filter query."))
    return f"{message} ({', '.join(parts)})" if parts else message


def envelope(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    """Return an error of an API in its envelope, outside of DRF's views."""
    body = fast_json.encode(error_body(request.path_info, code, [message]))
    return HttpResponse(body, status=status, content_type="application/json")


def is_api(request: HttpRequest) -> bool:
    """Return whether the path belongs to an API, whose errors are JSON."""
    return paths.is_api(request.path_info)
