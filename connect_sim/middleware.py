"""Middleware: API paths without redirects, refused bodies, and the admin's content policy."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from connect_sim.api.auth import SCHEME, ApiKeyAuthentication
from connect_sim.api.errors import UNAUTHORIZED, envelope, is_api
from connect_sim.server.bodies import LARGE
from connect_sim.server.django_app import BODY, TOO_LARGE
from portal import pages

# Version of the OpenAPI document that the API follows; `ccli --version` reads the header.
CONNECT_VERSION = "37.0"
_SLASHES = re.compile("/{2,}")
_NUL = "The request contains a NUL character."

GetResponse = Callable[[HttpRequest], HttpResponse]


def normalize_api_path(get_response: GetResponse) -> GetResponse:
    """Return a middleware that serves API paths with `//` or a final `/` without a redirect.

    A redirected POST would become a GET. NUL characters in path or query, which no database
    stores, are refused with 400.
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


def protect_admin(get_response: GetResponse) -> GetResponse:
    """Return a middleware that gives responses of the admin the portal's content policy."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info == "/admin" or request.path_info.startswith("/admin/"):
            response.headers.setdefault(pages.POLICY_HEADER, pages.POLICY)
        return response

    return middleware


def refuse_bodies(get_response: GetResponse) -> GetResponse:
    """Return a middleware that decides on bodies that the web server has not received.

    The web server asks by the key BODY of the environment (`connect_sim.server.django_app`).
    Returns 413, 401 for a large body without a valid API key, or 204 to accept it. Requires the
    authentication middleware before it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        question = request.META.get(BODY)
        if question is None:
            return get_response(request)
        if question == TOO_LARGE:
            limit = _format_size(settings.SIM_MAX_BODY)
            return _too_large(request, f"The request body is larger than {limit}.")
        if is_api(request):
            return HttpResponse(status=204) if _has_valid_key(request) else _unauthorized()
        if isinstance(request.user, AnonymousUser):
            limit = _format_size(LARGE)
            return _too_large(request, f"Sign in to send a request body larger than {limit}.")
        return HttpResponse(status=204)

    return middleware


def _has_valid_key(request: HttpRequest) -> bool:
    try:
        return ApiKeyAuthentication().authenticate(Request(request)) is not None
    except AuthenticationFailed:
        return False


def _unauthorized() -> HttpResponse:
    code, [text] = UNAUTHORIZED
    response = envelope(401, code, text)
    response["WWW-Authenticate"] = SCHEME
    return response


def _too_large(request: HttpRequest, text: str) -> HttpResponse:
    if is_api(request):
        return envelope(413, "REQ_413", text)
    return pages.error(request, 413, text)


def _format_size(size: int) -> str:
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
