"""Middleware that counts API requests by method, route and class of status."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache

from django.http import HttpRequest, HttpResponse

from connect_sim.api.errors import is_api
from connect_sim.metrics import exporter
from requests_queue.operations import QUESTION, WAITED

GetResponse = Callable[[HttpRequest], HttpResponse]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_UNKNOWN, _OTHER = "unknown", "other"
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
# A group of a regular expression, and what is not part of a path.
_GROUP = re.compile(r"\(\?P(<\w+>)[^()]*\)")


def count(get_response: GetResponse) -> GetResponse:
    """Return a middleware that counts the requests of the API; installed with SIM_METRICS_PORT."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter() - request.META.get(WAITED, 0.0)
        response = get_response(request)
        # The web server only asks what the client may do: the request comes afterwards.
        is_question = QUESTION in request.META and response.status_code == 204
        if is_api(request) and not is_question:
            method = request.method if request.method in _METHODS else _OTHER
            status = f"{response.status_code // 100}xx"
            seconds = time.perf_counter() - began
            exporter.count_request(method or _OTHER, _route(request), status, seconds)
        return response

    return middleware


def _route(request: HttpRequest) -> str:
    """Return the URL pattern of a request: there are as many as patterns, whatever is requested."""
    match = request.resolver_match
    return _UNKNOWN if match is None else normalize(match.route)


@lru_cache(maxsize=1024)
def normalize(route: str) -> str:
    """Return a route of Django's as a path: `/public/v1/requests/{pk}`."""
    if "(/.*)" in route:
        # Those of unknown paths.
        return _UNKNOWN
    path = _GROUP.sub(r"\1", route).replace("^", "").rstrip("$")
    return "/" + _CONVERTER.sub(r"{\1}", path).lstrip("/")
