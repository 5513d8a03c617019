"""Paths as published clients write them: with or without a slash at the end, `//` for `/`."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from connect_sim.api.errors import envelope, is_api
from portal import pages

# Of the OpenAPI document that the API follows; `ccli --version` reads it.
CONNECT_VERSION = "37.0"
_SLASHES = re.compile("/{2,}")
_NUL = "The request contains a NUL character."


def normalise_api_path(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that answers each spelling of an API path without a redirect.

    A redirected POST would become a GET. A NUL in path or query, which no database stores, is
    answered 400 here.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        has_nul = "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")
        if is_api(request) or _SLASHES.sub("/", request.path_info).startswith("/public/"):
            path = _SLASHES.sub("/", request.path_info).rstrip("/")
            if has_nul:
                return envelope(400, "VAL_001", _NUL)
            request.path_info = path
            request.path = request.META.get("SCRIPT_NAME", "").rstrip("/") + path
            response = get_response(request)
            response["Connect-Version"] = CONNECT_VERSION
            return response
        if has_nul:
            return pages.error(request, 400, _NUL)
        return get_response(request)

    return middleware
